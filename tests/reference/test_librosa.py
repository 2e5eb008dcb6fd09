"""`MelFrontend` and `MFCCFrontend` against librosa, on real recordings.

librosa computes the Fourier transform in float64, this library in float32. What is left of that is
the rounding of values far below the loudest one of the clip, so the bound widens with depth.
"""

from __future__ import annotations

import itertools

import librosa
import numpy as np
import pytest
import torch

from soundsep.frontends import (
    MEL_PRESETS,
    MFCC_PRESETS,
    MelConfig,
    MelFrontend,
    MFCCConfig,
    MFCCFrontend,
)

# Depth below the clip's maximum, in dB, and the largest difference allowed down to there, in dB.
BOUNDS = ((70, 1e-3), (80, 2e-3), (100, 1e-2))

CONFIGS = [
    MelConfig(mel_scale=scale, norm=norm, power=power, pad_mode=pad, top_db=top_db, scaling="none")
    for scale, norm, power, pad, top_db in itertools.product(
        ("htk", "slaney"), (None, "slaney"), (1.0, 2.0), ("constant", "reflect"), (80.0, None)
    )
]


def librosas(waveform: torch.Tensor, config: MelConfig) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=waveform.numpy(),
        sr=config.sample_rate,
        n_fft=config.n_fft,
        win_length=config.win_length,
        hop_length=config.hop_length,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.f_max,
        htk=config.mel_scale == "htk",
        norm=config.norm,
        power=config.power,
        center=True,
        pad_mode=config.pad_mode,
        dtype=waveform.numpy().dtype,
    )
    to_db = librosa.power_to_db if config.power == 2 else librosa.amplitude_to_db
    # amplitude_to_db squares amin as it does the amplitude, so both mean the same here.
    return to_db(mel, ref=1.0, amin=config.amin, top_db=config.top_db)


def assert_equal_to_librosa(config: MelConfig, clips: list[torch.Tensor]) -> None:
    frontend = MelFrontend(config)
    for clip in clips:
        expected = librosas(clip, config)
        difference = np.abs(frontend(clip[None])[0].numpy() - expected)
        depth = expected.max() - expected
        for depth_db, bound_db in BOUNDS:
            assert difference[depth <= depth_db].max() < bound_db


@pytest.mark.parametrize(
    "config",
    CONFIGS,
    ids=lambda c: f"{c.mel_scale}-{c.norm}-power{c.power:.0f}-{c.pad_mode}-top{c.top_db}",
)
def test_decibels_equal_librosas_on_real_clips(config, real_clips):
    assert_equal_to_librosa(config, real_clips)


def test_default_preset_is_within_a_thousandth_throughout(real_clips):
    config = MEL_PRESETS["16k"].replace(scaling="none")
    for clip in real_clips:
        difference = MelFrontend(config)(clip[None])[0].numpy() - librosas(clip, config)
        assert np.abs(difference).max() < 1e-3


@pytest.mark.parametrize("name", ["44k-fine", "44k-image"])
def test_full_rate_presets_equal_librosa_on_full_rate_clips(name, real_clips_44k):
    assert_equal_to_librosa(MEL_PRESETS[name].replace(scaling="none"), real_clips_44k)


@pytest.mark.parametrize("config", [c for c in CONFIGS if c.top_db and c.pad_mode == "constant"])
def test_float64_is_within_a_thousandth_throughout(config, real_clips):
    frontend = MelFrontend(config).to(torch.float64)
    for clip in real_clips[::4]:
        features = frontend(clip.double()[None])[0].numpy()
        assert np.abs(features - librosas(clip.double(), config)).max() < 1e-3


def assert_coefficients_equal_librosas(config: MFCCConfig, clips: list[torch.Tensor]) -> None:
    frontend = MFCCFrontend(config.replace(scaling="none"))
    for clip in clips:
        expected = librosa.feature.mfcc(
            y=clip.numpy(),
            sr=config.sample_rate,
            n_mfcc=config.n_mfcc,
            n_fft=config.n_fft,
            win_length=config.win_length,
            hop_length=config.hop_length,
            n_mels=config.n_mels,
            fmin=config.f_min,
            fmax=config.f_max,
            htk=config.mel_scale == "htk",
            mel_norm=config.norm,
        )
        assert np.abs(frontend(clip[None])[0].numpy() - expected).max() < 1e-3


@pytest.mark.parametrize(
    "config",
    [
        MFCC_PRESETS["16k"],
        MFCCConfig(n_mfcc=64),
        # librosa's own settings.
        MFCCConfig(
            n_fft=2_048,
            win_length=2_048,
            hop_length=512,
            n_mels=128,
            f_min=0.0,
            mel_scale="slaney",
            norm="slaney",
            n_mfcc=20,
        ),
    ],
    ids=["16k", "all", "librosa"],
)
def test_coefficients_equal_librosas_on_real_clips(config, real_clips):
    assert_coefficients_equal_librosas(config, real_clips)


@pytest.mark.parametrize("n_mfcc", [64, 256])
def test_full_rate_coefficients_equal_librosas_on_full_rate_clips(n_mfcc, real_clips_44k):
    config = MFCC_PRESETS["44k-fine"].replace(n_mfcc=n_mfcc)
    assert_coefficients_equal_librosas(config, real_clips_44k)


@pytest.mark.parametrize(
    ("sample_rate", "n_fft"), [(16_000, 1024), (11_025, 512), (44_100, 2048), (16_000, 1023)]
)
@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", [None, "slaney"])
def test_filterbank_equals_librosas(sample_rate, n_fft, scale, norm):
    config = MelConfig(
        sample_rate=sample_rate,
        n_fft=n_fft,
        win_length=n_fft,
        n_mels=40,
        f_min=0.0,
        f_max=sample_rate / 2,
        mel_scale=scale,
        norm=norm,
    )
    expected = librosa.filters.mel(
        sr=sample_rate, n_fft=n_fft, n_mels=40, htk=scale == "htk", norm=norm, dtype=np.float64
    )
    bank = MelFrontend(config).filters
    np.testing.assert_allclose(bank.T.numpy(), expected, rtol=1e-6, atol=1e-9)
