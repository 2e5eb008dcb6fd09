"""Optimizers, and a Ctrl-C while torch imports what the first of them needs."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from soundsep import training
from soundsep.training.optimizers import new_solver

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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no list of users")
def test_a_user_without_a_name_can_use_optimizers(monkeypatch):
    """As in a container that runs under any number; torch's first optimizer asks for the name."""
    import pwd

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    new_solver([torch.zeros(1)], max_iter=1, tolerance=0.0)
    assert os.environ["LOGNAME"] == ""  # there is a name
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    new_solver([torch.zeros(1)], max_iter=1, tolerance=0.0)
    assert getpass.getuser() == os.environ["LOGNAME"] == f"uid-{os.getuid()}"
