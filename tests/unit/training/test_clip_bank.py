from __future__ import annotations

import math

import pytest
import torch

from soundsep.errors import ConfigError, DatasetError
from soundsep.training.clip_bank import ClipBank


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def starts_in(view: torch.Tensor, clip: torch.Tensor) -> list[int]:
    """Where in the ring of a clip a view begins."""
    ring = clip.repeat(2 + len(view) // len(clip))
    return [i for i in range(len(clip)) if torch.equal(ring[i : i + len(view)], view)]


@pytest.mark.parametrize("n_candidates", [1, 3])
@pytest.mark.parametrize("n_samples", [1, 30, 100, 250])
def test_a_view_is_a_piece_of_the_ring_of_its_clip(n_samples, n_candidates):
    clips = [torch.rand(n, generator=generator(n)) for n in (100, 70, 90)]
    bank = ClipBank([(clip, i) for i, clip in enumerate(clips)])
    rows = torch.tensor([1, 0, 2] * 5)
    views = bank.views(rows, n_samples, generator=generator(), n_candidates=n_candidates)
    assert views.shape == (15, n_samples)
    found = [starts_in(view, clips[row]) for view, row in zip(views, rows.tolist(), strict=True)]
    assert all(len(starts) == 1 for starts in found)
    assert len({*map(tuple, found[::3])}) > 2  # the same clip, heard elsewhere
    assert bank.targets[rows].tolist() == rows.tolist()
    assert len(bank) == 3


def test_every_start_is_as_likely():
    bank = ClipBank([(torch.arange(8.0), 0)])
    views = bank.views(torch.zeros(8_000, dtype=torch.long), 1, generator=generator())
    counts = torch.bincount(views[:, 0].long(), minlength=8)
    assert counts.min() > 900
    assert counts.max() < 1_100


def test_the_loudest_candidate_is_taken():
    clip = torch.cat([torch.full((500,), 0.01), torch.ones(100), torch.full((400,), 0.01)])
    bank = ClipBank([(clip, 0)])
    rows = torch.zeros(400, dtype=torch.long)
    means = [
        bank.views(rows, 50, generator=generator(), n_candidates=n).square().mean()
        for n in (1, 3, 2_000)
    ]
    # Three draws of one in 6 or so; of 2000 some lie wholly in the loud part.
    assert means[0] < 0.2
    assert means[0] * 2 < means[1] < means[0] * 3.5
    assert means[2] > 0.99


@pytest.mark.parametrize("n_samples", [50, 333])
def test_the_energy_of_stretches_of_the_ring_is_exact(n_samples):
    clips = [torch.randn(120), torch.randn(64)]
    bank = ClipBank([(clip, 0) for clip in clips])
    starts = torch.tensor([[0, 7, 119], [63, 1, 30]])
    energy = bank._energy_of(torch.tensor([0, 1]), starts, torch.full((2, 1), n_samples))
    for row, clip in enumerate(clips):
        ring = clip.double().repeat(8)
        for column, start in enumerate(starts[row].tolist()):
            wanted = ring[start : start + n_samples].square().sum()
            assert float(energy[row, column]) == pytest.approx(float(wanted), rel=1e-9)


def test_a_speed_moves_the_pitch_within_its_range():
    seconds = torch.arange(8_000) / 8_000
    bank = ClipBank([(torch.sin(2 * math.pi * 400 * seconds), 0)])  # whole periods: a smooth ring
    rows = torch.zeros(64, dtype=torch.long)
    views = bank.views(rows, 4_000, generator=generator(), max_speed=1.25)
    spectrum = torch.fft.rfft(views * torch.hann_window(4_000), n=64_000).abs()
    hz = spectrum.argmax(dim=1) * 8_000 / 64_000
    assert hz.min() > 400 / 1.25 - 1
    assert hz.max() < 400 * 1.25 + 1
    assert hz.min() < 330  # both ends are reached
    assert hz.max() > 480
    # Each is a sine of its own frequency: between samples nothing is lost.
    assert views.square().mean(dim=1).sub(0.5).abs().max() < 5e-3


def test_what_is_cut_follows_from_the_generator():
    bank = ClipBank([(torch.randn(300), 0), (torch.randn(200), 1)])
    rows = torch.tensor([0, 1])
    first, again, other = (
        bank.views(rows, 100, generator=generator(seed), n_candidates=2, max_speed=1.2)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_nonsense_is_refused():
    with pytest.raises(DatasetError, match="no clips"):
        ClipBank([])
    bank = ClipBank([(torch.randn(10), 0)])
    for wrong in ({"n_samples": 0}, {"n_candidates": 0}, {"max_speed": 0.5}):
        settings = {"n_samples": 5, "n_candidates": 1, "max_speed": 1.0} | wrong
        with pytest.raises(ConfigError, match="at least 1"):
            bank.views(torch.tensor([0]), generator=generator(), **settings)
