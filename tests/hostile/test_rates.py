"""Rates from 1 Hz to 2**31, channels from 1 to 1024: refused with a reason, or little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")

CHILD = Path(__file__).with_name("rates.py")
MEMORY_BYTES = 64 * 2**20


@pytest.mark.parametrize(("seed", "n"), [(0, 60), pytest.param(1, 500, marks=pytest.mark.slow)])
def test_absurd_rates_and_channels_cost_little(seed, n):
    # Large blocks go back to the system at once: what counts is the memory in use.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    child = subprocess.run(
        [sys.executable, CHILD, str(seed), str(n)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stdout[-500:] + child.stderr[-2000:]
    reports = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(reports) == n
    for report in reports:
        is_allowed = 1_000 <= report["rate"] <= 768_000 and report["channels"] <= 64
        reason = "sample rate" if not 1_000 <= report["rate"] <= 768_000 else "channels"
        assert report["outcome"] == "resampled" if is_allowed else reason in report["outcome"]
    assert max(report["memory"] for report in reports) < MEMORY_BYTES
