from __future__ import annotations

import itertools
import math

import pytest
import torch

from soundsep.datasets import MixtureConfig
from soundsep.errors import ConfigError, DatasetError
from soundsep.models.separation import SEPARATION_NETWORKS, MaskUNet
from soundsep.training.batched_mixtures import BatchedMixtures, MixtureChanges
from soundsep.training.batched_separator import (
    BatchedSeparation,
    BatchedSeparationRecipe,
    thresholded_snr_loss,
)
from soundsep.training.clip_bank import ClipBank
from soundsep.training.conditions import Conditions
from soundsep.training.separator import separation_loss

RATE = 1_000
CONFIG = MixtureConfig(sample_rate=RATE, seconds=1.0, is_rolled=True)
PLAIN = MixtureChanges(share=0.0)
ALL = MixtureChanges(share=1.0, noise_share=0.0, reversed_share=0.5)


class Tiny(MaskUNet):
    def __init__(self, n_sources: int) -> None:
        super().__init__(
            n_sources=n_sources,
            channels=(4, 32),
            n_fft=64,
            attention=1,
            attention_level=1,
            has_phase=True,
        )


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch):
    monkeypatch.setitem(SEPARATION_NETWORKS, "tiny", Tiny)


def hz(row: int) -> int:
    return 50 + 25 * row


def tones(n: int = 12, n_classes: int = 4) -> list[tuple[torch.Tensor, int]]:
    """Clip i is a tone of its own frequency, its own loudness, and of class i % n_classes."""
    seconds = torch.arange(2 * RATE) / RATE
    return [
        (0.02 * (1 + i) * torch.sin(2 * math.pi * hz(i) * seconds), i % n_classes) for i in range(n)
    ]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def heard(sources: torch.Tensor) -> torch.Tensor:
    """Number of the tone in each source."""
    peak = torch.fft.rfft(sources).abs().argmax(dim=-1)  # 1 Hz a bin
    return ((peak - 50) / 25).round().long()


def test_levels_classes_and_clips_of_plain_mixtures():
    chosen = [0, 1, 2, 3, 5, 6, 7, 8]  # of two classes one clip is missing; 4 is held out
    mixtures = BatchedMixtures(ClipBank(tones()), chosen, CONFIG, PLAIN)
    mixture, sources = mixtures.draw(400, generator=generator())
    assert mixture.shape == (400, 1_000)
    assert sources.shape == (400, 2, 1_000)
    torch.testing.assert_close(sources.sum(dim=1), mixture)
    rows = heard(sources)
    assert set(rows.flatten().tolist()) == set(chosen)
    assert (rows[:, 0] % 4 != rows[:, 1] % 4).all()
    power = sources.square().mean(dim=-1)
    db = 10 * (power[:, 1] / power[:, 0]).log10()
    assert -5.001 < db.min() < -4.5
    assert 4.5 < db.max() < 5.001
    assert abs(db.mean()) < 0.5
    assert mixture.abs().max() <= 1.0 + 1e-6
    # The first is as loud as in its clip, where nothing had to be made softer.
    is_whole = mixture.abs().amax(dim=1) < 0.99
    wanted = 0.02 * (1 + rows[:, 0]) / math.sqrt(2)
    torch.testing.assert_close(power[is_whole, 0].sqrt(), wanted[is_whole], rtol=2e-2, atol=0)


def test_classes_are_as_likely_as_they_have_clips():
    mixtures = BatchedMixtures(ClipBank(tones(12)), [0, 4, 8, 1, 2, 3], CONFIG, PLAIN)
    rows = mixtures.draw_rows(4_000, generator=generator())
    # The first of a mixture is any clip; of three of six the class is 0.
    first = torch.bincount(rows[:, 0], minlength=12)[[0, 4, 8, 1, 2, 3]] / 4_000
    torch.testing.assert_close(first, torch.full((6,), 1 / 6), atol=0.025, rtol=0)


@pytest.mark.parametrize("noise_share", [0.0, 0.5])
def test_changed_mixtures(noise_share):
    changes = ALL.replace(noise_share=noise_share, snr_db=(20.0, 20.0))
    mixtures = BatchedMixtures(ClipBank(tones()), range(12), CONFIG, changes)
    mixture, sources = mixtures.draw(64, generator=generator())
    power = sources.square().mean(dim=-1)
    db = 10 * (power[:, 1] / power[:, 0]).log10()
    assert db.abs().max() < 5.001  # whatever was done to the sources
    rest = mixture - sources.sum(dim=1)
    snr = 10 * (sources.sum(dim=1).square().sum(-1) / rest.square().sum(-1)).log10()
    n_noisy = round(64 * noise_share)
    assert (snr[: 64 - n_noisy] > 60).all()
    torch.testing.assert_close(snr[64 - n_noisy :], torch.full((n_noisy,), 20.0), atol=0.01, rtol=0)


def test_a_share_is_changed_and_speeds_differ():
    changes = MixtureChanges(
        share=0.5,
        noise_share=0.0,
        max_speed=1.25,
        conditions=Conditions(reverb_share=0.0, noise_share=0.0, band_share=0.0),
    )
    mixtures = BatchedMixtures(ClipBank(tones()), range(12), CONFIG, changes)
    _, sources = mixtures.draw(100, generator=generator())
    peak = torch.fft.rfft(sources).abs().argmax(dim=-1)
    is_plain = (peak % 25 == 0).all(dim=1)
    assert 48 <= is_plain.sum() <= 60


def test_clips_of_silence_are_not_drawn():
    clips = tones()
    clips[3] = (torch.zeros(2 * RATE), 3)
    mixtures = BatchedMixtures(ClipBank(clips), range(12), CONFIG, PLAIN)
    assert 3 not in mixtures.draw_rows(500, generator=generator())
    with pytest.raises(DatasetError, match="clips of 1"):
        BatchedMixtures(ClipBank(clips), [0, 4, 3], CONFIG)


def test_the_loss_is_that_of_the_other_training():
    network = Tiny(2).eval()
    sources = torch.randn(5, 2, 1_000, generator=generator())
    mixture = sources.sum(dim=1)
    found = thresholded_snr_loss(
        network(mixture[:, None])[:, :, 0], sources, mixture, ceiling_db=30.0
    )
    torch.testing.assert_close(found, separation_loss(network, sources), atol=1e-2, rtol=0)
    exact = thresholded_snr_loss(sources.flip(1), sources, mixture, ceiling_db=30.0)
    assert exact.item() == pytest.approx(-30, abs=0.1)


def test_a_silent_source_has_a_loss_and_gradients():
    sources = torch.randn(2, 2, 1_000, generator=generator())
    sources[0, 1] = 0.0
    sources[1] = 0.0
    estimates = torch.randn(2, 2, 1_000, generator=generator(1)).requires_grad_()
    loss = thresholded_snr_loss(estimates, sources, sources.sum(dim=1), ceiling_db=30.0)
    loss.backward()
    assert loss.isfinite()
    assert estimates.grad.isfinite().all()


def recipe(**changes) -> BatchedSeparationRecipe:
    settings = {"network": "tiny", "mixtures": CONFIG, "batch_size": 8, "bfloat16": False}
    return BatchedSeparationRecipe(**(settings | changes))


def test_it_learns_and_the_average_with_it():
    clips = tones(8, n_classes=2)
    run = BatchedSeparation(recipe(learning_rate=1e-2), ClipBank(clips), range(8))
    n_steps = 150
    losses = []
    for step in range(n_steps):
        run.step(step / n_steps)
        losses.append(run.loss())
    assert run.n_mixtures == 8 * n_steps
    assert sum(losses[-20:]) / 20 < sum(losses[:20]) / 20 - 3
    mixture, sources = run.last_mixtures.draw(64, generator=generator(9))
    with torch.inference_mode():
        found = [
            thresholded_snr_loss(m(mixture[:, None])[:, :, 0], sources, mixture, ceiling_db=30.0)
            for m in (run.model, run.ema)
        ]
    assert found[1] < found[0] + 1.0
    assert math.isnan(run.loss())


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_same_seed_gives_the_same_weights(bfloat16):
    bank = ClipBank(tones())
    first, second = (BatchedSeparation(recipe(bfloat16=bfloat16), bank, range(12)) for _ in "ab")
    for step in range(4):
        first.step(step / 4)
        second.step(step / 4)
    for a, b in zip(first.ema.parameters(), second.ema.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.isfinite().all()


def test_a_step_that_is_not_a_number_is_lost(monkeypatch):
    run = BatchedSeparation(recipe(), ClipBank(tones()), range(12))
    run.step(0.1)
    before = [p.detach().clone() for p in run.model.parameters()]
    with monkeypatch.context() as patch:
        nothing = torch.full((8, 1_000), float("nan")), torch.full((8, 2, 1_000), float("nan"))
        patch.setattr(run.mixtures, "draw", lambda *_, **__: nothing)
        run.step(0.2)
    assert run.n_skipped == 1
    for a, b in zip(before, run.model.parameters(), strict=True):
        assert torch.equal(a, b)
    run.step(0.3)
    assert run.n_skipped == 1
    assert any(not torch.equal(a, b) for a, b in zip(before, run.model.parameters(), strict=True))
    assert math.isfinite(run.loss())


def test_it_hears_only_the_clips_it_may():
    """The others are so loud that a single one would be noticed."""
    clips = tones()
    clips[4] = (torch.full((2 * RATE,), torch.nan), 0)
    for share in (0.0, 0.95):
        run = BatchedSeparation(recipe(), ClipBank(clips), [i for i in range(12) if i != 4])
        for _ in itertools.repeat(None, 10):
            run.step(share)
        assert math.isfinite(run.loss())
        assert run.n_skipped == 0


@pytest.mark.parametrize("change", [{"snr_db": (40.0, 10.0)}, {"colour": (math.nan, 1.0)}])
def test_ranges_of_changes_rise(change):
    with pytest.raises(ConfigError, match=rf"MixtureChanges\.{next(iter(change))} must be"):
        MixtureChanges(**change)
