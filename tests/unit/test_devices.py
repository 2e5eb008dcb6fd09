from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from soundsep.devices import forked_rng, to_device
from soundsep.errors import ConfigError


def test_what_is_drawn_in_between_leaves_the_generator_as_it_was():
    state = torch.get_rng_state()
    with forked_rng():
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)
    with forked_rng():
        assert torch.equal(torch.rand(3), first)  # it goes on from where it was


def test_a_seed_decides_what_is_drawn():
    state = torch.get_rng_state()
    with forked_rng(7):
        drawn = torch.rand(3)
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(7)))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_seed_is_not_left_on_the_gpu():
    torch.rand(1, device="cuda")
    state = torch.cuda.get_rng_state()
    with forked_rng(7):
        first = torch.rand(3, device="cuda")
    assert torch.equal(torch.cuda.get_rng_state(), state)
    with forked_rng(7):
        assert torch.equal(torch.rand(3, device="cuda"), first)


def test_an_error_leaves_the_generator_as_it_was_too():
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="size"), forked_rng(7):
        torch.rand(1).reshape(2, 2)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="cannot use the device 'nowhere'"):
        to_device(nn.Linear(1, 1), "nowhere")


# Where a large tensor lies: in glibc's heap, or in memory of its own, which goes back when freed.
PLACE = """
from pathlib import Path
import torch
from soundsep.devices import to_device
to_device(torch.nn.Linear(1, 1), "cpu")
address = torch.empty(31 * 2**20, dtype=torch.uint8).data_ptr()
for line in Path("/proc/self/maps").read_text().splitlines():
    first, last = (int(end, 16) for end in line.split()[0].split("-"))
    if first <= address < last:
        print(line.split()[-1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are as they are")
def test_freed_memory_is_kept_for_the_next_layer():
    environment = {name: v for name, v in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PLACE], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "[heap]"
