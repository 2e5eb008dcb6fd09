"""The example that tags a folder with Ray, while processes are killed."""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "tag_archive_with_ray.py"
OPTIONS = ["--model", "esc50-mn04", "--part", "32"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds workers in /proc"),
]


@pytest.fixture(scope="module")
def bulk() -> SimpleNamespace:
    """The benchmark, which plants broken files, kills a worker and checks the rows."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed; it comes with the extra ray")
    return SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "bulk.py")))


@pytest.fixture(scope="module")
def archive(bulk, esc50_root, tmp_path_factory) -> tuple[Path, set[str]]:
    """500 clips, and the names of the 4 of them that are broken.

    Rows come back in blocks of 64: fewer clips could all be tagged when the first part is written.
    """
    folder = tmp_path_factory.mktemp("archive") / "clips"
    files = sorted((esc50_root / "audio").glob("*.flac"))[::4]
    broken = bulk.plant(files, folder, 4)
    assert (len(list(folder.iterdir())), len(broken)) == (500, 4)
    return folder, broken


def test_a_killed_worker_costs_no_clip(bulk, archive, tmp_path):
    folder, broken = archive
    bulk.tag(folder, tmp_path / "out", *OPTIONS, kill=True)
    bulk.check(tmp_path / "out", folder, broken)
    rows = bulk.pq.read_table(tmp_path / "out").to_pylist()
    assert all(len(row["labels"]) == len(row["scores"]) == 5 for row in rows if not row["error"])


def test_after_a_kill_of_everything_it_goes_on(bulk, archive, tmp_path):
    folder, broken = archive
    output = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, EXAMPLE, folder, output, *OPTIONS],
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not list(output.glob("part-*")):
            time.sleep(0.01)
        process.kill()
    written = bulk.pq.read_table(output)["id"].to_pylist()
    assert 0 < len(written) < 500
    assert set(Counter(written).values()) == {1}
    (output / ".part-000099.parquet").write_bytes(b"PAR1")  # cut off while it was written
    bulk.tag(folder, output, *OPTIONS, kill=False)
    bulk.check(output, folder, broken)
