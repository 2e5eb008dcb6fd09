from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from soundsep.training.batched_augment import (
    add_coloured_noise,
    limit_band,
    mask_batch,
    mix_batch,
    reverberate,
)

RATE = 16_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def power(x: Tensor) -> Tensor:
    return x.square().mean(dim=1)


def test_noise_has_the_asked_ratio_and_colour():
    x = torch.randn(3, RATE, generator=generator(9)) * torch.logspace(-3, 0, 3)[:, None]
    snr, colour = torch.tensor([0.0, 10.0, 40.0]), torch.tensor([0.0, 1.0, 2.0])
    noise = add_coloured_noise(x, snr_db=snr, colour=colour, generator=generator()) - x
    assert torch.allclose(10 * (power(x) / power(noise)).log10(), snr, atol=0.05)
    spectrum = torch.fft.rfft(noise).abs().square()
    octave = spectrum[:, 1_000:2_000].mean(dim=1) / spectrum[:, 2_000:4_000].mean(dim=1)
    fall = 10 * octave.log10()  # 3 dB an octave times the exponent
    assert torch.allclose(fall, 3.01 * colour, atol=0.5)


def test_noise_leaves_silence_silent():
    x = torch.zeros(1, 100)
    heard = add_coloured_noise(
        x, snr_db=torch.zeros(1), colour=torch.zeros(1), generator=generator()
    )
    assert torch.equal(heard, x)


def test_an_echo_falls_by_60_db_in_its_time_and_levels_stay():
    click = torch.zeros(2, RATE)
    click[:, 0] = 1.0
    t60 = torch.tensor([0.2, 0.8])
    heard = reverberate(
        click,
        t60_seconds=t60,
        direct_db=torch.tensor([0.0, 10.0]),
        sample_rate=RATE,
        max_seconds=1.0,
        generator=generator(),
    )
    assert torch.allclose(power(heard), power(click), rtol=1e-4)
    for row, seconds, direct_db in zip(heard, t60.tolist(), (0.0, 10.0), strict=True):
        echo = row.clone()
        echo[0] = 0.0
        ratio = 10 * (row[0].square() / echo.square().sum()).log10()
        assert float(ratio) == pytest.approx(direct_db, abs=0.1)
        n = round(seconds * RATE / 4)  # a quarter of its time: 15 dB
        fall = 10 * (power(echo[None, 40:n]) / power(echo[None, n + 40 : 2 * n])).log10()
        assert float(fall) == pytest.approx(15.0, abs=1.5)


def test_what_is_played_in_a_room_does_not_come_back_at_its_start():
    x = torch.zeros(1, RATE)
    x[:, RATE // 2 :] = 1.0
    heard = reverberate(
        x,
        t60_seconds=torch.ones(1),
        direct_db=torch.zeros(1),
        sample_rate=RATE,
        max_seconds=1.0,
        generator=generator(),
    )
    assert heard[:, : RATE // 2 - 1].abs().max() < 1e-4
    assert heard[:, RATE // 2 :].abs().max() > 0.5


def test_a_band_is_kept_and_the_rest_is_lost():
    seconds = torch.arange(RATE) / RATE
    tones = torch.stack([torch.sin(2 * math.pi * hz * seconds) for hz in (100, 1_000, 4_000)])
    x = tones.sum(dim=0, keepdim=True)
    heard = limit_band(
        x, low_hz=torch.tensor([200.0]), high_hz=torch.tensor([2_000.0]), sample_rate=RATE
    )
    assert torch.allclose(power(heard), power(x), rtol=1e-4)
    level = 20 * torch.fft.rfft(heard)[0].abs()[[100, 1_000, 4_000]].log10()
    assert float(level[1] - level[0]) == pytest.approx(24.0, abs=0.1)
    assert float(level[1] - level[2]) == pytest.approx(60.0, abs=0.1)


def test_mixtures_are_what_their_targets_say():
    n = 64
    waves = torch.zeros(n, n)
    waves[range(n), range(n)] = 1.0  # clip i is a click at i
    level = torch.logspace(-2, 0, n)[:, None]
    mixed, targets = mix_batch(waves * level, torch.eye(n), probability=0.5, generator=generator())
    w = targets.diagonal()
    is_mixed = w < 1
    assert 16 < int(is_mixed.sum()) < 48
    assert torch.allclose(targets.sum(dim=1), torch.ones(n))
    for row, target, scale in zip(mixed, targets, level, strict=True):
        share = target / target.square().sum().sqrt()
        assert torch.allclose(row, share * scale, atol=1e-5)


def test_masks_hide_no_more_than_their_share():
    x = torch.randn(300, 40, 50)
    for dim in (-1, -2):
        masked = mask_batch(x, dim=dim, max_share=0.2, n_masks=1, generator=generator())
        hidden = (masked != x).all(dim=-2 if dim == -1 else -1)
        counts = hidden.sum(dim=1)
        assert counts.max() == round(0.2 * x.shape[dim])
        assert counts.min() == 0
        mean = x.mean(dim=(-2, -1))
        where = (masked != x).flatten(1)
        for clip, at, value in zip(masked.flatten(1), where, mean, strict=True):
            assert torch.equal(clip[at], value.expand(int(at.sum())))
        # Both ends are as likely to be hidden.
        assert hidden[:, 0].any()
        assert hidden[:, -1].any()
