from __future__ import annotations

import numpy as np
import pytest
import torch

from soundsep.datasets import MixtureConfig, Mixtures
from soundsep.errors import ConfigError, DatasetError

CONFIG = MixtureConfig(sample_rate=1_000, seconds=2.0)


def examples(n_classes: int = 4, seconds: float = 2.0) -> list[tuple[torch.Tensor, int]]:
    rng = np.random.default_rng(5)
    n = round(seconds * 1_000)
    return [
        (torch.from_numpy(rng.normal(0, 0.1, n).astype(np.float32)), i % n_classes)
        for i in range(12)
    ]


def test_the_same_list_every_time_and_in_any_order():
    one, other = (Mixtures(examples(), n_mixtures=20, seed=3, config=CONFIG) for _ in range(2))
    backwards = [other[i] for i in reversed(range(20))][::-1]
    for a, b in zip(one, backwards, strict=True):
        assert a.clips == b.clips
        assert torch.equal(a.sources, b.sources)
    different = Mixtures(examples(), n_mixtures=20, seed=4, config=CONFIG)
    assert [m.clips for m in one] != [m.clips for m in different]


@pytest.mark.parametrize("n_sources", [1, 2, 3, 4])
def test_classes_differ_and_levels_are_as_asked(n_sources):
    config = CONFIG.replace(n_sources=n_sources, is_rolled=True)
    levels = []
    for mixture in Mixtures(examples(), n_mixtures=100, config=config):
        assert len(set(mixture.targets)) == n_sources
        assert [examples()[i][1] for i in mixture.clips] == list(mixture.targets)
        power = mixture.sources.square().mean(dim=1)
        levels += (10 * (power[1:] / power[0]).log10()).tolist()
        torch.testing.assert_close(mixture.waveform, mixture.sources.sum(dim=0))
    if levels:
        assert max(np.abs(levels)) <= 5.01
        assert min(levels) < -4
        assert max(levels) > 4


def test_a_seed_out_of_range_is_refused():
    with pytest.raises(ConfigError, match="seed must be"):
        Mixtures(examples(), n_mixtures=1, seed=-1, config=CONFIG)


def test_a_mixture_never_clips():
    loud = [(0.9 * torch.ones(2_000), 0), (0.9 * torch.ones(2_000), 1)]
    for mixture in Mixtures(loud, n_mixtures=10, config=CONFIG):
        assert mixture.waveform.abs().max() <= 1.0


def test_silent_clips_and_crops_are_drawn_again():
    half = torch.cat((torch.zeros(8_000), 0.1 * torch.ones(2_000)))
    clips = [(torch.zeros(10_000), 0), (half, 1), (half, 2)]
    for mixture in Mixtures(clips, n_mixtures=30, config=CONFIG):
        assert 0 not in mixture.targets
        assert (mixture.sources.abs().amax(dim=1) > 0).all()


def test_short_clips_are_followed_by_silence():
    mixture = Mixtures(examples(seconds=0.5), n_mixtures=1, config=CONFIG)[0]
    assert mixture.sources.shape == (2, 2_000)
    assert (mixture.sources[:, 500:] == 0).all()


def test_what_cannot_be_mixed():
    with pytest.raises(DatasetError, match="classes"):
        Mixtures(examples(n_classes=1), n_mixtures=1, config=CONFIG)
    silent = [(torch.zeros(2_000), i) for i in range(3)]
    with pytest.raises(DatasetError, match="silence"):
        Mixtures(silent, n_mixtures=1, config=CONFIG)[0]
    with pytest.raises(IndexError):
        Mixtures(examples(), n_mixtures=1, config=CONFIG)[1]
    for wrong in ({"n_sources": 5}, {"level_db": -1.0}, {"seconds": 0.0}, {"sample_rate": 10}):
        with pytest.raises(ConfigError):
            MixtureConfig(**wrong)


def test_what_is_printed_is_one_line_without_samples():
    mixtures = Mixtures(examples(), n_mixtures=20, seed=3, config=CONFIG)
    assert repr(mixtures) == "Mixtures(20 of 2 sources, 2.0 s each, seed 3)"
    mixture = mixtures[0]
    assert repr(mixture) == f"Mixture(targets={mixture.targets}, clips={mixture.clips})"
