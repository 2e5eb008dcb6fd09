"""What all frontends promise."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
import torch

from soundsep import ClassifierConfig
from soundsep.errors import ConfigError, ShapeError
from soundsep.frontends import (
    FrontendConfig,
    GammatoneConfig,
    KaldiMelConfig,
    MelConfig,
    MFCCConfig,
    WaveformConfig,
    build_frontend,
)

KINDS = {config.kind: config for config in get_args(FrontendConfig)}
CHANGED = {
    "mel": MelConfig(n_mels=32, top_db=None),
    "kaldi-mel": KaldiMelConfig(n_mels=64),
    "mfcc": MFCCConfig(n_mels=32, n_mfcc=13, scaling="none"),
    "gammatone": GammatoneConfig(n_bands=24, f_min=100.0),
    "waveform": WaveformConfig(sample_rate=8_000, scaling="peak"),
}


@pytest.fixture(params=KINDS)
def frontend(request):
    return build_frontend(KINDS[request.param]())


@pytest.mark.parametrize("kind", KINDS)
def test_kind_settings_and_module_belong_together(kind):
    config = CHANGED[kind]
    written = json.loads(json.dumps(config.to_dict()))
    assert written["kind"] == kind
    assert type(config).from_dict(written) == config
    network = "cnn-wave" if kind == "waveform" else "resnet18"
    classifier = ClassifierConfig.from_dict(
        {"labels": ["a"], "network": network, "frontend": written}
    )
    assert classifier.frontend == config
    frontend = build_frontend(classifier.frontend)
    assert type(frontend).__name__ == type(config).__name__.replace("Config", "Frontend")
    assert frontend.config == config
    assert frontend.sample_rate == config.sample_rate
    with pytest.raises(AttributeError):
        frontend.sample_rate = 11_025  # the settings are what counts
    assert repr(config) in repr(frontend)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_another_frontend_or_no_settings_are_refused(kind):
    config = CHANGED[kind]
    own = type(config).__name__
    other = next(changed for name, changed in CHANGED.items() if name != kind)
    frontend = type(build_frontend(config))
    for wrong in (other, config.to_dict(), {}, 5):
        with pytest.raises(ConfigError, match=f"expected a {own}.* got a {type(wrong).__name__}"):
            frontend(wrong)
    with pytest.raises(ConfigError, match=rf"{own}\.from_dict makes one of it"):
        frontend(config.to_dict())


@pytest.mark.parametrize("wrong", [{}, None, "mel", ClassifierConfig])
def test_a_frontend_is_built_of_its_settings_only(wrong):
    with pytest.raises(ConfigError, match=r"expected one of MelConfig, .*WaveformConfig, got a"):
        build_frontend(wrong)


def test_settings_without_a_kind_are_those_of_mel():
    settings = {"labels": ["a"], "network": "resnet18", "frontend": {"n_mels": 32}}
    assert ClassifierConfig.from_dict(settings).frontend == MelConfig(n_mels=32)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_another_kind_are_refused(kind):
    for other in KINDS.values():
        if other.kind != kind:
            with pytest.raises(ConfigError, match=f"kind is '{kind}', expected '{other.kind}'"):
                other.from_dict(CHANGED[kind].to_dict())


@pytest.mark.parametrize(
    "waveform",
    [
        torch.zeros(16_000),
        torch.zeros(1, 1, 16_000),
        torch.zeros(0, 16_000),
        torch.zeros(1, 16_000, dtype=torch.int16),
    ],
)
def test_wrong_waveforms_are_refused(frontend, waveform):
    with pytest.raises(ShapeError, match=f"{type(frontend).__name__} expects a floating-point"):
        frontend(waveform)
    with pytest.raises(ShapeError, match=r"expects a tensor .*got ndarray; torch\.as_tensor"):
        frontend(np.zeros((1, 16_000), np.float32))


@pytest.mark.parametrize("kind", ["mel", "kaldi-mel", "mfcc", "gammatone"])
def test_float64_needs_a_frontend_in_float64(kind):
    frontend, waveform = build_frontend(KINDS[kind]()), torch.zeros(1, 16_000).double()
    with pytest.raises(ShapeError, match="float64"):
        frontend(waveform)
    assert frontend.double()(waveform).dtype == torch.float64


@pytest.mark.parametrize("kind", ["mel", "kaldi-mel", "mfcc", "gammatone"])
def test_a_waveform_that_autocast_made_is_taken_inside_it(kind):
    frontend = build_frontend(KINDS[kind]())
    waveform = torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = frontend(waveform)
    assert found.dtype == torch.float32
    assert (found - frontend(waveform.float())).abs().mean() < 0.02
    for is_on in (True, False):  # for another type, and not at all
        with (
            torch.autocast("cpu", dtype=torch.float16, enabled=is_on),
            pytest.raises(ShapeError, match=r"bfloat16 and computes in torch\.float32"),
        ):
            frontend(waveform)


@pytest.mark.parametrize("kind", ["mel", "kaldi-mel", "mfcc", "gammatone"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_on_a_cpu(kind, dtype):
    frontend, waveform = build_frontend(KINDS[kind]()), torch.zeros(1, 16_000)
    with pytest.raises(ShapeError, match=rf"{dtype}.*waveform\.to\(torch\.float32\)"):
        frontend(waveform.to(dtype))
    frontend.to(dtype)
    with pytest.raises(ShapeError, match=str(dtype)):
        frontend(waveform)
    with pytest.raises(ShapeError, match="inside torch"):
        frontend(waveform.to(dtype))


def test_shortest_waveform_has_features_and_a_shorter_one_is_refused(frontend):
    waveform = torch.randn(2, frontend.min_samples, generator=torch.Generator().manual_seed(0))
    features = frontend(waveform)
    assert features.ndim == 3
    assert features.isfinite().all()
    with pytest.raises(ShapeError, match=f"at least {frontend.min_samples} samples"):
        frontend(waveform[:, 1:])


def test_input_is_not_changed(frontend):
    waveform = torch.randn(1, 4_000, generator=torch.Generator().manual_seed(0))
    before = waveform.clone()
    frontend(waveform)
    assert torch.equal(waveform, before)


def test_state_dict_is_empty_since_settings_rebuild_the_tables(frontend):
    assert not frontend.state_dict()
