from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from soundsep.errors import ConfigError
from soundsep.frontends import MelFrontend
from soundsep.training.conditions import Conditions

RATE = 16_000
NOTHING = {"reverb_share": 0.0, "noise_share": 0.0, "band_share": 0.0, "gain_share": 0.0}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clips(n: int = 4, n_samples: int = RATE) -> Tensor:
    return torch.randn(n, n_samples, generator=generator(9)) * torch.logspace(-3, 0, n)[:, None]


def power(x: Tensor) -> Tensor:
    return x.square().mean(dim=1)


def test_a_gain_is_in_its_range_and_features_do_not_show_it():
    x = clips(200, 4_000)
    conditions = Conditions(gain_share=0.5, gain_db=(-20.0, 10.0))
    heard = conditions.gain(x, generator=generator())
    gain_db = 10 * (power(heard) / power(x)).log10()
    is_changed = gain_db.abs() > 1e-3
    assert 70 < int(is_changed.sum()) < 130
    assert -20.01 < gain_db.min() < -15
    assert 5 < gain_db.max() < 10.01
    loud = x / power(x).sqrt()[:, None]  # far above the smallest power that features know
    frontend = MelFrontend()
    quieter = conditions.gain(loud, generator=generator())
    assert torch.allclose(frontend(quieter), frontend(loud), atol=2e-3)


def test_the_number_of_changed_clips_is_the_asked_share():
    x = clips(20, 4_000)
    for name in ("reverb_share", "noise_share", "band_share"):
        conditions = Conditions(**(NOTHING | {name: 0.3}))
        heard = conditions.record(x, sample_rate=RATE, generator=generator())
        assert int((heard != x).any(dim=1).sum()) == 6
        halved = conditions.scaled(0.5).record(x, sample_rate=RATE, generator=generator())
        assert int((halved != x).any(dim=1).sum()) == 3
    untouched = Conditions(**NOTHING)
    assert torch.equal(untouched.record(x, sample_rate=RATE, generator=generator()), x)
    assert torch.equal(untouched.gain(x, generator=generator()), x)


def test_a_recording_follows_from_the_generator_and_is_finite():
    x = clips(16, 4_000)
    x[0] = 0.0
    conditions = Conditions(reverb_share=0.5, noise_share=0.5, band_share=0.5)
    first, again, other = (
        conditions.record(x, sample_rate=RATE, generator=generator(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.isfinite().all()
    assert torch.equal(first[0], x[0])


def test_nonsense_is_refused():
    for wrong in (
        {"noise_share": 1.5},
        {"snr_db": (10.0, 0.0)},
        {"t60_seconds": (0.0, 1.0)},
        {"high_hz": (100.0, math.inf)},
    ):
        with pytest.raises(ConfigError, match="Conditions"):
            Conditions(**wrong)
