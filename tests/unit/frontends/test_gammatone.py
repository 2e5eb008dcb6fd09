from __future__ import annotations

import math

import pytest
import torch

from soundsep.errors import ConfigError
from soundsep.frontends import GammatoneConfig, GammatoneFrontend
from soundsep.frontends.gammatone import erb_centres, gammatone_taps

PLAIN = GammatoneConfig(scaling="none", top_db=None)
FULL_RATE = PLAIN.replace(sample_rate=44_100, f_max=17_000.0, n_bands=16)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def erb_rate(hz: torch.Tensor) -> torch.Tensor:
    return 21.4 * torch.log10(1 + 4.37 * hz / 1000)


@pytest.mark.parametrize("n_samples", [1, 319, 320, 12_345, 40_000])
def test_shape_is_bands_by_one_frame_a_hop(n_samples):
    features = GammatoneFrontend()(noise(2, n_samples))
    assert features.shape == (2, 64, 1 + n_samples // 320)
    assert features.dtype == torch.float32


def test_centres_are_equal_steps_of_the_erb_rate_from_end_to_end():
    centres = erb_centres(30, 50.0, 7_500.0)
    assert (float(centres[0]), float(centres[-1])) == pytest.approx((50, 7_500))
    steps = erb_rate(centres).diff()
    torch.testing.assert_close(steps, steps.mean().expand(29), rtol=1e-9, atol=0)


@pytest.mark.parametrize("config", [PLAIN, FULL_RATE], ids=["16k", "44k"])
def test_tone_at_a_centre_is_at_its_level_there_and_lower_elsewhere(config):
    frontend = GammatoneFrontend(config)
    time = torch.arange(config.sample_rate, dtype=torch.float64) / config.sample_rate
    for band in range(0, config.n_bands, 15):
        hz = frontend.centre_frequencies[band]
        tone = (0.1 * torch.sin(2 * math.pi * hz * time)).float()
        steady = frontend(tone[None])[0, :, 10:-10]
        assert steady.mean(dim=1).argmax() == band
        # Over a frame that holds no whole number of periods the mean swings about that of many.
        level = 10 * (10 ** (steady[band] / 10)).mean().log10()
        assert level == pytest.approx(-20 - 10 * math.log10(2), abs=0.05)


def test_lowest_filter_of_the_full_rate_rings_off():
    taps = gammatone_taps(torch.tensor([50.0], dtype=torch.float64), 44_100)[0]
    assert taps.abs().max() < 0.01  # as much gain as 1 at the centre takes
    assert taps[-100:].abs().max() < 1e-6 * taps.abs().max()
    frontend = GammatoneFrontend(FULL_RATE)
    click = torch.zeros(1, 2 * 44_100)
    click[0, 1_000] = 1
    features = frontend(click)[0]
    assert features.max() < 0
    assert features[:, -200:].max() == pytest.approx(-120)  # amin


def test_blocks_leave_no_seam():
    # Longer than one block, so that a clip and the same clip behind a second of silence, where the
    # blocks lie elsewhere, agree only if the blocks fit together.
    frontend = GammatoneFrontend(PLAIN.replace(hop_length=1_000))
    clip = noise(1, 50_000)
    late = frontend(torch.nn.functional.pad(clip, (16_000, 0)))[..., 16:]
    torch.testing.assert_close(late, frontend(clip), atol=1e-3, rtol=0)


def test_frames_are_centred_on_their_hop():
    config = PLAIN.replace(win_length=200, hop_length=100, f_min=4_000.0)
    click = torch.zeros(1, 2_000)
    click[0, 1_000] = 1
    loud = (GammatoneFrontend(config)(click)[0].amax(dim=0) > -60).nonzero().flatten().tolist()
    # Frame 10 covers samples 900 to 1099; the filters ring on for a few milliseconds.
    assert loud[:2] == [10, 11]


def test_twice_the_amplitude_is_six_decibels():
    quiet, loud = GammatoneFrontend(PLAIN)(torch.cat([noise(1, 16_000), 2 * noise(1, 16_000)]))
    torch.testing.assert_close(
        loud - quiet, torch.full_like(loud, 20 * math.log10(2)), atol=1e-4, rtol=0
    )


def test_top_db_is_taken_from_the_clips_own_maximum():
    waveform = torch.cat([noise(1, 16_000), 1e-3 * noise(1, 16_000)], dim=1)
    features = GammatoneFrontend(PLAIN.replace(top_db=20.0))(waveform)
    free = GammatoneFrontend(PLAIN)(waveform)
    assert free.amax() - free.amin() > 50
    assert torch.equal(features, free.clamp(min=float(free.amax()) - 20))


def test_silence_is_the_floor_and_scales_to_zeros():
    silence = torch.zeros(1, 16_000)
    torch.testing.assert_close(GammatoneFrontend(PLAIN)(silence), torch.full((1, 64, 51), -120.0))
    for scaling in ("standardize", "image"):
        assert not GammatoneFrontend(PLAIN.replace(scaling=scaling))(silence).any()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sample_rate", 0),
        ("n_bands", 0),
        ("n_bands", 2**20),
        ("win_length", 0),
        ("hop_length", 2**21),
        ("f_min", 0.0),
        ("f_min", 7_500.0),
        ("f_max", 8_000.0),
        ("f_max", math.nan),
        ("amin", 0.0),
        ("top_db", 0.0),
        ("scaling", "minmax"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=field):
        GammatoneConfig().replace(**{field: value})
