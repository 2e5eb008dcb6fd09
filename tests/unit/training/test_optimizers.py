"""Optimizers, and a Ctrl-C while torch imports what the first of them needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from soundsep import training

INTERRUPTED = """
import os, signal, sys, torch
from soundsep.training.probe import linear_probe

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "sympy.polys.polytools" and not self.seen:
            self.seen = True
            os.kill(os.getpid(), signal.SIGINT)

    seen = False

sys.meta_path.insert(0, Finder())
examples = torch.eye(4), torch.tensor([0, 0, 1, 1])
try:
    linear_probe(*examples, n_classes=2)
except KeyboardInterrupt:
    print("interrupted", "torch._dynamo" in sys.modules)
linear_probe(*examples, n_classes=2)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
def test_after_ctrl_c_during_the_first_one_the_next_can_be_made():
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.returncode) == ("interrupted True\n", 0), ran.stderr


def test_all_are_made_in_one_place():
    for module in Path(training.__file__).parent.glob("*.py"):
        made = re.findall(r"torch\.optim\.[A-Z]\w*\(", module.read_text("utf-8"))
        assert made == [], module
