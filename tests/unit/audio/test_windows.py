from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from soundsep.audio.windows import pad_to, split_windows, window_starts
from soundsep.errors import ConfigError, ShapeError


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 60), st.data())
def test_windows_cover_every_sample_and_none_hangs_over(n_samples, window, data):
    hop = data.draw(st.integers(1, window))
    starts = window_starts(n_samples, window=window, hop=hop)
    assert starts[0] == 0
    assert all(0 < b - a <= hop for a, b in pairwise(starts))
    assert starts[-1] == max(0, n_samples - window)
    n_needed = 1 + -(-max(0, n_samples - window) // hop)
    assert len(starts) == n_needed


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 100))
def test_reflection_is_numpys(length, extra):
    waveform = torch.arange(1.0, length + 1)
    padded = pad_to(waveform, length + extra, padding="reflect")
    expected = np.pad(waveform.numpy(), (0, extra), mode="reflect")
    assert np.array_equal(padded.numpy(), expected)


def test_zero_padding_adds_silence_at_the_end():
    assert pad_to(torch.tensor([1.0, -1.0]), 4, padding="zero").tolist() == [1, -1, 0, 0]
    assert pad_to(torch.tensor([1.0, -0.9]), 3, padding="zero")[2] == 0
    assert pad_to(torch.tensor([1, 1]), 3, padding="zero").tolist() == [1, 1, 0]


def test_silence_beside_a_recording_with_an_offset_has_it_too():
    assert pad_to(torch.tensor([3.0, 1.0]), 4, padding="zero").tolist() == [3, 1, 2, 2]


def test_padding_needs_no_memory_of_float64():
    """A picture pads a recording of any length by a part of a frame."""
    seen = set()

    class Kinds(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            seen.update(leaf.dtype for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor))
            return out

    with Kinds():
        padded = pad_to(torch.full((5_000,), 0.3), 6_000, padding="zero")
    assert padded.unique().tolist() == [padded[0]]
    assert torch.float32 in seen
    assert torch.float64 not in seen


@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_long_enough_signals_are_returned_as_they_are(padding):
    waveform = torch.arange(5.0)
    assert pad_to(waveform, 5, padding=padding) is waveform
    assert pad_to(waveform, 3, padding=padding) is waveform


def test_split_windows_are_the_slices_at_the_starts():
    waveform = torch.arange(11.0)
    windows = split_windows(waveform, window=4, hop=3, padding="zero")
    assert [float(window[0]) for window in windows] == [0, 3, 6, 7]
    assert {window.shape for window in windows} == {(4,)}
    assert windows[-1].tolist() == [7, 8, 9, 10]


@pytest.mark.parametrize(
    ("padding", "expected"), [("zero", [5, -5, 0, 0]), ("reflect", [5, -5, 5, -5])]
)
def test_short_signal_is_padded_to_one_window(padding, expected):
    windows = split_windows(torch.tensor([5.0, -5.0]), window=4, hop=1, padding=padding)
    assert [window.tolist() for window in windows] == [expected]


@pytest.mark.parametrize(("window", "hop"), [(0, 1), (4, 0), (4, 5), (4, -1)])
def test_impossible_windows_are_refused(window, hop):
    with pytest.raises(ConfigError, match="1 <= hop <= window"):
        window_starts(10, window=window, hop=hop)


@pytest.mark.parametrize("shape", [(0,), (1, 5), ()])
def test_only_one_signal_that_is_not_empty(shape):
    with pytest.raises(ShapeError, match="waveform \\(time,\\)"):
        pad_to(torch.zeros(shape), 4, padding="zero")
