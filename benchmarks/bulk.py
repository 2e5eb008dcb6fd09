"""Cost of a clip when a folder is tagged: plain pipeline, command line, its processes, Ray.

Each way is a command of its own, and its start counts. In the last one a worker of Ray is killed
in the middle. The results are checked: every recording is there once, and only those that are
broken have errors. The kill needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from ratios import add_json_option, save_ratios

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "tag_archive_with_ray.py"
PLAIN = """\
import json, pathlib, sys, soundsep
folder, output, model = sys.argv[1:]
files = sorted(pathlib.Path(folder).iterdir())
results = soundsep.Pipeline.from_pretrained(model)(files, top_k=5, errors="return")
pathlib.Path(output).write_text("".join(json.dumps(r.to_dict()) + "\\n" for r in results))
"""


def main() -> None:
    """Tag the same folder in every way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a name of `soundsep models`, a folder, or org/repo")
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--broken", type=int, default=20, help="how many of them are broken")
    parser.add_argument("--workers", type=int, default=2, help="of Ray, and other processes")
    add_json_option(parser)
    arguments = parser.parse_args()
    root = Path(os.environ.get("SOUNDSEP_TEST_DATA", "../shared"))
    files = sorted((root / "data/esc50-16k/audio").glob("*.flac"))[: arguments.clips]
    if not files:
        sys.exit(f"no clips of ESC-50 below {root}; SOUNDSEP_TEST_DATA says where they are")
    ray = f"Ray, {arguments.workers} workers"
    plain, alone = "plain pipeline", "`soundsep classify --output`"
    shared = f"the same with `--processes {arguments.workers}`"
    base, ratios = 0.0, {}
    print("| way | seconds | ms a clip | time / plain pipeline |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        clips = Path(temporary, "clips")
        broken = plant(files, clips, arguments.broken)
        for way in (plain, alone, shared, ray, f"{ray}, one killed"):
            output = Path(temporary, way.replace("`", ""))
            print(way, file=sys.stderr)
            began = time.perf_counter()
            if way.startswith("Ray"):
                tag(
                    clips,
                    output,
                    "--model", arguments.model, "--workers", str(arguments.workers),
                    kill=way.endswith("killed"),
                )  # fmt: skip
            elif way == plain:
                run("-c", PLAIN, clips, output, arguments.model)
            else:
                n = arguments.workers if way == shared else 1
                options = ["--output", output, "--model", arguments.model, "--processes", str(n)]
                run("-m", "soundsep.cli", "classify", clips, *options)
            seconds = time.perf_counter() - began
            base = base or seconds
            check(output, clips, broken)
            ms = 1e3 * seconds / len(files)
            if way != plain:
                ratios[f"{way.replace('`', '')} / plain pipeline"] = seconds / base
            print(f"| {way} | {seconds:.1f} | {ms:.1f} | {seconds / base:.2f} |", flush=True)
    save_ratios(arguments.json, "bulk", ratios)


def plant(files: list[Path], folder: Path, n_broken: int) -> set[str]:
    """Links to the files, here and there a broken file instead; returns the names of those."""
    folder.mkdir()
    broken = set()
    for i, file in enumerate(files):
        if (i + 1) * n_broken // len(files) == i * n_broken // len(files):
            (folder / file.name).symlink_to(file.resolve())
            continue
        data = file.read_bytes()
        kinds = (b"", b"no sound", data[: len(data) // 2], bytes(range(256)) * 100)
        (folder / file.name).write_bytes(kinds[len(broken) % len(kinds)])
        broken.add(file.name)
    return broken


def run(*command: str | Path) -> None:
    """Run Python; a command that some recordings failed in ends with 1."""
    status = subprocess.run([sys.executable, *command], check=False).returncode
    if status not in (0, 1):
        sys.exit(f"{command} ended with {status}")


def tag(clips: Path, output: Path, *options: str, kill: bool) -> None:
    """Run the example, and if asked for kill a worker when its first part is written."""
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, EXAMPLE, clips, output, *options]
    workers: list[int] = []
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        while kill and process.poll() is None:
            time.sleep(0.01)
            workers = busy_workers(process.pid) if any(output.glob("part-*")) else []
            if workers:
                os.kill(workers[0], signal.SIGKILL)
                break
        if process.wait():
            log.seek(0)
            sys.exit(f"{log.read()}\n{command} ended with {process.returncode}")
        if kill and not workers:
            sys.exit("it was over before a worker could be killed; give it more clips")


def busy_workers(driver: int) -> list[int]:
    """Processes of the actors that a program of Ray keeps busy; they are below it."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            titles[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:  # it has just ended
            continue
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])

    def is_below(pid: int) -> bool:
        return pid == driver or (pid in parents and is_below(parents[pid]))

    return [
        pid
        for pid, title in titles.items()
        if title.startswith("ray::MapWorker") and ".submit" in title and is_below(pid)
    ]


def check(output: Path, clips: Path, broken: set[str]) -> None:
    """Stop unless every recording is there once and only the broken ones have errors."""
    if output.is_dir():
        rows = pq.read_table(output).to_pylist()
    else:
        rows = [json.loads(line) for line in output.read_text().splitlines()]
    names = [Path(row.get("id") or row["path"]).name for row in rows]
    failed = {name for name, row in zip(names, rows, strict=True) if row.get("error")}
    if Counter(names) != Counter(path.name for path in clips.iterdir()) or failed != broken:
        sys.exit(f"{output.name}: {len(rows)} rows, {len(set(names))} names, failed: {failed}")


if __name__ == "__main__":
    main()
