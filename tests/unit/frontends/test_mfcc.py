from __future__ import annotations

import math

import pytest
import torch
from scipy import fft

from soundsep.errors import ConfigError
from soundsep.frontends import MEL_PRESETS, MFCC_PRESETS, MelFrontend, MFCCConfig, MFCCFrontend

PLAIN = MFCCConfig(scaling="none")


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MFCC_PRESETS)
def test_shape_is_coefficients_by_one_frame_a_hop(name):
    frontend = MFCCFrontend(name)
    config = frontend.config
    features = frontend(noise(2, 30_000))
    assert features.shape == (2, config.n_mfcc, 1 + 30_000 // config.hop_length)
    assert features.dtype == torch.float32


def test_one_coefficient_is_the_mean_level():
    mel = MelFrontend(MEL_PRESETS["16k"].replace(scaling="none"))(noise(1, 8_000))
    features = MFCCFrontend(PLAIN.replace(n_mfcc=1))(noise(1, 8_000))
    torch.testing.assert_close(features, mel.mean(dim=1, keepdim=True) * math.sqrt(64))


def test_preset_of_the_full_rate_is_that_of_mel_and_a_number_of_coefficients():
    mel = MEL_PRESETS["44k-fine"].to_dict()
    assert MFCC_PRESETS["44k-fine"].to_dict() == mel | {"kind": "mfcc", "n_mfcc": 64}


def test_as_many_coefficients_as_bands_lose_nothing():
    frontend = MFCCFrontend(PLAIN.replace(n_mfcc=64)).double()
    waveform = noise(2, 8_000).double()
    mel = MelFrontend(MEL_PRESETS["16k"].replace(scaling="none")).double()(waveform)
    coefficients = frontend(waveform).numpy()
    back = fft.idct(coefficients, axis=1, norm="ortho")
    torch.testing.assert_close(torch.from_numpy(back), mel, atol=1e-5, rtol=0)


def test_loudness_is_in_the_first_coefficient_alone():
    frontend = MFCCFrontend(PLAIN)
    change = frontend(2 * noise(1, 8_000)) - frontend(noise(1, 8_000))
    first = torch.full_like(change[:, 0], 20 * math.log10(2) * math.sqrt(64))
    torch.testing.assert_close(change[:, 0], first, atol=1e-3, rtol=0)
    assert change[:, 1:].abs().max() < 1e-3


def test_scaling_is_of_the_coefficients():
    standard = MFCCFrontend("16k")(noise(2, 8_000))
    torch.testing.assert_close(standard.mean(dim=(1, 2)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(standard.std(dim=(1, 2), correction=0), torch.ones(2))
    image = MFCCFrontend(PLAIN.replace(scaling="image"))(noise(2, 8_000))
    assert torch.equal(image, image.round())
    assert image.amax(dim=(1, 2)).tolist() == [255, 255]


@pytest.mark.parametrize(
    ("field", "value"), [("n_mfcc", 0), ("n_mfcc", 65), ("n_mels", 39), ("f_max", 8_001.0)]
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=rf"MFCCConfig.*{field}"):
        MFCCConfig().replace(**{field: value})


def test_unknown_preset_names_those_that_exist():
    with pytest.raises(ConfigError, match="no MFCC preset '8k'; there are 16k"):
        MFCCFrontend("8k")
