#!/usr/bin/env python3
"""Read thousands of broken recordings in child processes, and count what came of them.

    python tools/fuzz_audio.py --files N --seed SEED...   and write the counts into the page
    python tools/fuzz_audio.py --show SEED NUMBER FILE    write one broken recording to a file
    python tools/fuzz_audio.py --check                    only see that the page agrees

The recordings are those of tests/hostile/corpus.py, N of each seed. The results file is
docs/hostile.json. The page docs/bad_input.md holds its table between the lines
<!-- hostile:begin --> and <!-- hostile:end -->. It needs Linux.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from results_file import REPOSITORY, ResultsFile, filled

HOSTILE = REPOSITORY / "tests" / "hostile"
PAGE = REPOSITORY / "docs" / "bad_input.md"

READ, REFUSED, SAME = "read", "refused", "same"


@dataclass
class Counts:
    """What came of the recordings of some runs.

    Attributes:
        outcomes: How many recordings of a kind were read, and how many refused.
        opinions: How what was heard compares to what FFmpeg hears, by kind.
        others: Names of those of which something else is heard, after how it differs.
        failures: What came of any other, after its name.
        printed: Names of those for which libsndfile printed to standard output.
        slowest_seconds: For one recording.
        memory_bytes: The most address space that a process needed beyond what it began with.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    opinions: Counter[tuple[str, str]] = field(default_factory=Counter)
    others: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    printed: set[str] = field(default_factory=set)
    slowest_seconds: float = 0.0
    memory_bytes: int = 0


def fuzz(counts: Counts, seed: int, first: int, last: int) -> None:
    """Count what comes of the recordings from ``first`` on, up to but without ``last``."""
    while first < last:
        child = subprocess.run(  # noqa: S603 (this interpreter, and a file of the repository)
            [sys.executable, str(HOSTILE / "decoder.py"), str(seed), str(first), str(last)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        case: dict[str, Any] = {"number": first, "name": "before the first"}
        for line in child.stdout.splitlines():
            if not line.startswith("{"):
                counts.printed.add(case["name"])
                continue
            report = json.loads(line)
            if "name" in report:
                case = report
            elif "memory" in report:
                counts.memory_bytes = max(counts.memory_bytes, report["memory"])
            elif report["outcome"] in (READ, REFUSED):
                counts.outcomes[report["kind"], report["outcome"]] += 1
                if opinion := report["opinion"]:
                    counts.opinions[report["kind"], opinion] += 1
                    if opinion != SAME:
                        counts.others.append(f"{opinion}: {case['name']}")
                counts.slowest_seconds = max(counts.slowest_seconds, report["seconds"])
            else:
                counts.failures.append(f"{case['name']}: {report['outcome']}")
        if "Traceback" in child.stderr and child.returncode >= 0:
            counts.failures.append(f"{seed}-{first} and later: {child.stderr[-2000:]}")
        if child.returncode == 0:
            return
        if child.returncode > 0:  # the process itself is at fault
            raise RuntimeError(child.stderr)
        death = signal.Signals(-child.returncode).name  # SIGPROF or SIGALRM: it took too long
        counts.failures.append(f"{case['name']}: ended by {death}")
        first = case["number"] + 1


def summary(counts: Counts, seeds: list[int], n_files: int) -> dict[str, Any]:
    """What the results file holds."""
    import av
    import soundfile

    kinds = dict.fromkeys(kind for kind, _ in counts.outcomes)
    differs = Counter(line.split(":")[0] for line in counts.others)
    return {
        "libsndfile": soundfile.__libsndfile_version__,
        "ffmpeg": av.ffmpeg_version_info,
        "seeds": seeds,
        "files_per_seed": n_files,
        "slowest_seconds": counts.slowest_seconds,
        "memory_mib": round(counts.memory_bytes / 2**20, 1),
        "failures": counts.failures,
        "printed": sorted(counts.printed),
        "differs": dict(sorted(differs.items())),
        "rows": {
            kind: {outcome: counts.outcomes[kind, outcome] for outcome in (READ, REFUSED)}
            | {
                "compared": sum(n for (of, _), n in counts.opinions.items() if of == kind),
                "same": counts.opinions[kind, SAME],
            }
            for kind in kinds
        },
    }


def table(results: dict[str, Any]) -> str:
    """The rows, in Markdown."""
    rows = results["rows"]
    columns = (READ, REFUSED, "compared", SAME)
    totals = {column: sum(row[column] for row in rows.values()) for column in columns}
    lines = [
        "| made from | files | read | refused | FFmpeg reads it too | and hears the same |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {kind} | {row[READ] + row[REFUSED]:,} | "
        + " | ".join(f"{row[column]:,}" for column in columns)
        + " |"
        for kind, row in (rows | {"all": totals}).items()
    ]
    n_failures, n_printed = len(results["failures"]), len(results["printed"])
    differs = ", ".join(f"{n:,} in {what}" for what, n in results["differs"].items())
    return (
        "\n".join(lines) + f"\n\nlibsndfile {results['libsndfile']}, FFmpeg {results['ffmpeg']}; "
        f"{n_failures or 'no'} crashes, hangs, other errors, empty results, NaN, or blocks that "
        f"differ from the whole. The slowest took {results['slowest_seconds']:.2f} s; the process "
        f"needed at most {results['memory_mib']:.0f} MiB more than before the first file. For "
        f"{n_printed} files libsndfile printed a line of its own to standard output. What FFmpeg "
        f"hears differs for {differs or 'none'}.\n"
    )


RESULTS = ResultsFile(
    REPOSITORY / "docs" / "hostile.json",
    lambda results: {PAGE: filled(PAGE, "hostile", table(results))},
)


def main() -> None:
    """Run and write, show, or check."""
    parser = RESULTS.parser(__doc__)
    parser.add_argument(
        "--files", type=int, default=20_000, metavar="N", help="of each seed (default: 20000)"
    )
    parser.add_argument("--seed", type=int, nargs="+", default=[1], metavar="SEED")
    parser.add_argument("--show", nargs=3, metavar=("SEED", "NUMBER", "FILE"))
    options = parser.parse_args()
    if options.show:
        sys.path.append(str(HOSTILE))
        from corpus import case

        seed, number, file = options.show
        broken = case(int(seed), int(number))
        Path(file).write_bytes(broken.data)
        print(broken.name)
        return
    counts = Counts()
    for seed in options.seed:
        fuzz(counts, seed, 0, options.files)
        print(f"seed {seed}: done", file=sys.stderr)
    results = summary(counts, options.seed, options.files)
    RESULTS.write(results)
    print(*counts.failures, sep="\n")
    print(table(results))
    sys.exit(1 if counts.failures else 0)


if __name__ == "__main__":
    main()
