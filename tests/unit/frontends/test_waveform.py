from __future__ import annotations

import pytest
import torch

from soundsep.errors import ConfigError
from soundsep.frontends import WaveformConfig, WaveformFrontend


def frontend(scaling: str) -> WaveformFrontend:
    return WaveformFrontend(WaveformConfig(scaling=scaling))


@pytest.fixture
def waveform() -> torch.Tensor:
    noise = torch.randn(3, 4_000, generator=torch.Generator().manual_seed(0)) + 0.1
    return noise * torch.tensor([[1e-3], [1.0], [30.0]])


def test_samples_are_left_as_they_are_but_for_the_axis(waveform):
    assert torch.equal(WaveformFrontend()(waveform), waveform[:, None])


def test_peak_brings_every_clip_to_full_scale_and_keeps_its_sign(waveform):
    scaled = frontend("peak")(waveform)
    torch.testing.assert_close(scaled.abs().amax(dim=(1, 2)), torch.ones(3))
    assert torch.equal(scaled.sign(), waveform[:, None].sign())


def test_standardize_gives_every_clip_mean_0_and_deviation_1(waveform):
    scaled = frontend("standardize")(waveform)
    torch.testing.assert_close(scaled.mean(dim=(1, 2)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std(dim=(1, 2), correction=0), torch.ones(3))


@pytest.mark.parametrize("scaling", ["none", "peak", "standardize"])
def test_silence_stays_silence(scaling):
    assert not frontend(scaling)(torch.zeros(1, 100)).any()
    # A tenth of a 16-bit step is rounding, not sound.
    faint = 3e-6 * torch.ones(1, 100) * torch.tensor([1.0, -1.0]).repeat(50)
    assert frontend(scaling)(faint).abs().max() < 0.5


@pytest.mark.parametrize("scaling", ["peak", "standardize"])
@pytest.mark.parametrize(("peak", "expected"), [(1e-5, 1.0), (2e-5, 1.0), (1e-6, 0.1)])
def test_what_stays_below_a_third_of_a_16_bit_step_is_not_blown_up(scaling, peak, expected):
    faint = peak * torch.tensor([[1.0, -1.0]]).repeat(1, 50)
    assert frontend(scaling)(faint).abs().max() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("field", "value"), [("sample_rate", 0), ("scaling", "image")])
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=rf"WaveformConfig\.{field}"):
        WaveformConfig().replace(**{field: value})
