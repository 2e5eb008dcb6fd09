"""Run the benchmarks, short, and compare their ratios with the stored ones.

    python benchmarks/baseline.py                     all of them, compared with baseline.json
    python benchmarks/baseline.py frontend resample   some of them
    python benchmarks/baseline.py --record            store what was measured as the baseline, and
                                                      write its tables into benchmarks/README.md
                                                      and its picture into docs/speed.md
    python benchmarks/baseline.py --pages             only write what is stored

A ratio divides two things that took turns in one run, so that a slower machine changes it little.
One that moved by more than the tolerance, up or down, ends the command with 1: something here or in
a dependency became slower or faster. Record anew if it is meant. Nothing else may be busy.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from parts_picture import draw_shares, shares_of, table_of
from ratios import machine

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"
README = HERE / "README.md"
SPEED = HERE.parent / "docs" / "speed.md"
PICTURE = "speed_parts.svg"  # beside the page
BEGIN, END = "<!-- recorded:begin -->\n", "<!-- recorded:end -->\n"
MODEL = "esc50-mn04-fold5"  # inside the package
RUNS = {  # short: about half an hour for all of them
    "augment": [],
    "bulk": [MODEL, "--clips", "2000", "--broken", "20"],
    "files": [MODEL, "--repetitions", "3"],
    "first_result": [MODEL],
    "frontend": [],
    "long_files": [MODEL, "--hours", "1"],
    "memory": [MODEL],
    "models": [MODEL, "--repetitions", "5"],
    "parts": [MODEL],
    "pipeline": [MODEL, "--repetitions", "3"],
    "resample": ["--seconds", "10", "--repetitions", "3"],
    "separation_memory": ["--small", "--seconds", "30", "60"],
    "separation_speed": [],
    "training_step": ["esc50-crop-cnn8"],
}


def main(argv: list[str] | None = None) -> int:
    """Measure, compare or record; 0 if all ratios are near those of the baseline."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RUNS)}")
    parser.add_argument("--record", action="store_true", help="store what is measured")
    parser.add_argument("--pages", action="store_true", help="write what is stored, and end")
    parser.add_argument(
        "--tolerance", type=float, default=0.5, help="a ratio may grow by this share, or shrink"
    )
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - set(RUNS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    if arguments.tolerance <= 0:
        parser.error("--tolerance must be above 0")
    old: dict[str, Any] = {}
    if BASELINE.is_file():
        old = json.loads(BASELINE.read_text(encoding="utf-8"))
    elif arguments.pages or not arguments.record:
        parser.error(f"there is no {BASELINE}; make it with --record on a quiet machine")
    if arguments.pages:
        write_pages(old)
        return 0
    names = arguments.names or list(RUNS)
    measured = {name: measure(name) for name in names}
    ratios = {name: found for name, (found, _) in measured.items()}
    if arguments.record:
        tables = {name: table for name, (_, table) in measured.items()}
        content: dict[str, Any] = {
            **machine(),
            "ratios": _merged(old.get("ratios", {}), ratios),
            "tables": _merged(old.get("tables", {}), tables),
        }
        BASELINE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        write_pages(content)
        print(f"recorded in {BASELINE}, {README} and {SPEED}")
        return 0
    lines, n_moved = compare(old["ratios"], ratios, tolerance=arguments.tolerance)
    print(*lines, sep="\n")
    print(f"\n{n_moved} of {len(lines) - 2} ratios moved; the baseline is of {old['measured']}")
    return 1 if n_moved else 0


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What was measured now, and of other benchmarks that there still are what was before."""
    return {name: new.get(name, old.get(name)) for name in RUNS if name in old or name in new}


def write_pages(content: dict[str, Any]) -> None:
    """Put the stored tables and the picture into their pages, between the marks."""
    place, versions = content["machine"], content["versions"]
    listed = ", ".join(f"{package} {version}" for package, version in versions.items())
    where = f"on {place['cores']} cores of {place['processor']}, {place['system']}: {listed}.\n"
    day = content["measured"][:10]
    parts = [f"Last recorded {day} {where}"]
    for name, table in content["tables"].items():
        parts += [f"`{' '.join([f'{name}.py', *RUNS[name]])}`:\n", table.strip() + "\n"]
    write_between_marks(README, "\n".join(parts))
    if "parts" not in content["ratios"]:
        return
    bars = shares_of(content["ratios"]["parts"])
    (SPEED.parent / PICTURE).write_text(draw_shares(bars), encoding="utf-8")
    described = "Bars in parts: decoding, resampling, features, network and the rest"
    ran = f"`{' '.join(['parts.py', *RUNS['parts']])}`, {day} {where}"
    written = [f"![{described}]({PICTURE})\n", ran, table_of(bars) + "\n"]
    write_between_marks(SPEED, "\n".join(written))


def write_between_marks(page: Path, inner: str) -> None:
    """Replace what stands between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or BEGIN in after:
        sys.exit(f"{page} has no place for the tables: {BEGIN.strip()} and {END.strip()}, once")
    page.write_text(before + BEGIN + inner + END + after, encoding="utf-8")


def measure(name: str) -> tuple[dict[str, float], str]:
    """The ratios of one benchmark, and its table, which is printed as well."""
    print(f"== {name}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ratios.json")
        command = [sys.executable, str(HERE / f"{name}.py"), *RUNS[name], "--json", str(path)]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        print(done.stdout, flush=True)
        if done.returncode:
            sys.exit(f"{name} ended with {done.returncode}")
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["ratios"][name]
    return found, done.stdout


def compare(
    old: dict[str, Any], new: dict[str, dict[str, float]], *, tolerance: float
) -> tuple[list[str], int]:
    """A table of all ratios, and how many of them moved, appeared or are gone."""
    lines = ["| benchmark | ratio | baseline | now | |", "|---|---|---|---|---|"]
    n_moved = 0
    for name, ratios in new.items():
        before = old.get(name, {})
        for key in dict.fromkeys((*before, *ratios)):
            was, now = before.get(key), ratios.get(key)
            if was is None or now is None:
                verdict = "new" if was is None else "gone"
            elif was <= 0 or now <= 0:  # a memory of nothing is no measure
                verdict = "" if was == now else "moved"
            else:
                verdict = "moved" if max(now / was, was / now) > 1 + tolerance else ""
            n_moved += bool(verdict)
            cells = ("-" if value is None else f"{value:.3g}" for value in (was, now))
            lines.append(f"| {name} | {key} | {' | '.join(cells)} | {verdict} |")
    return lines, n_moved


if __name__ == "__main__":
    sys.exit(main())
