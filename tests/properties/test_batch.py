"""A clip's numbers are its own: alone, beside louder clips, on any device."""

from __future__ import annotations

import pytest
import torch

from soundsep import Classifier, ClassifierConfig
from soundsep.frontends import (
    MEL_PRESETS,
    MFCC_PRESETS,
    FrontendConfig,
    GammatoneConfig,
    KaldiMelConfig,
    MelConfig,
    MelFrontend,
    MFCCConfig,
    WaveformConfig,
    build_frontend,
)

SCALINGS = ("none", "standardize", "image")
BASES = {**MEL_PRESETS, "mfcc": MFCCConfig(), "gammatone": GammatoneConfig()}
FULL_RATE = {
    "mfcc-44k": MFCC_PRESETS["44k-fine"],
    "gammatone-44k": GammatoneConfig(sample_rate=44_100, f_max=17_000.0, n_bands=16),
}
CONFIGS: dict[str, FrontendConfig] = {
    **{f"{n}-{s}": base.replace(scaling=s) for n, base in BASES.items() for s in SCALINGS},
    **FULL_RATE,
    **{f"waveform-{s}": WaveformConfig(scaling=s) for s in ("none", "peak", "standardize")},
    "kaldi": KaldiMelConfig(),
}
# Settings that differ in what a gradient passes through.
PATHS = {
    **{name: config for name, config in CONFIGS.items() if "44k" not in name},
    **{f"amplitude-{s}": MelConfig(scaling=s, power=1.0) for s in SCALINGS},
}


def clips(config: FrontendConfig, seconds: float = 0.5) -> torch.Tensor:
    """A quiet clip, then its neighbours: silence, a constant, loud and very loud noise."""
    n_samples = round(config.sample_rate * seconds)
    noise = torch.randn(3, n_samples, generator=torch.Generator().manual_seed(0))
    fade = torch.linspace(0, 1, n_samples) ** 4
    steady = torch.stack([torch.zeros(n_samples), torch.full((n_samples,), 0.5)])
    loudness = torch.tensor([[1e-3], [1.0], [1e4]])
    return torch.cat([noise[:1] * fade * loudness[0], steady, noise[1:] * loudness[1:]])


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_features_are_the_same_alone_and_in_any_batch(config):
    frontend = build_frontend(config)
    batch = clips(frontend.config)
    together, backwards = frontend(batch), frontend(batch.flip(0)).flip(0)
    alone = torch.cat([frontend(clip[None]) for clip in batch])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)
    torch.testing.assert_close(backwards, together, atol=1e-5, rtol=0)
    assert together.isfinite().all()


TO_THE_BIT = {
    "mel": MelConfig(),
    "kaldi": KaldiMelConfig(),
    "kaldi-levelled": KaldiMelConfig(n_mels=128, f_max=14_000.0, level_db=23.5),
    "mfcc": MFCCConfig(),
    "gammatone": GammatoneConfig(n_bands=8),
}


@pytest.mark.parametrize("config", TO_THE_BIT.values(), ids=TO_THE_BIT)
@pytest.mark.parametrize("seconds", [0.1, 0.5, 5.0])
def test_features_without_gradients_are_the_same_to_the_bit(config, seconds):
    frontend = build_frontend(config)
    batch = clips(frontend.config, seconds)
    with torch.inference_mode():
        alone = torch.cat([frontend(clip[None]) for clip in batch])
        assert torch.equal(frontend(batch), alone)
        assert torch.equal(frontend(batch[1:4]), alone[1:4])


@pytest.mark.parametrize("config", [*BASES.values(), KaldiMelConfig()], ids=[*BASES, "kaldi"])
def test_real_clips_are_the_same_alone_and_in_a_batch(config, real_clips):
    # The rate is not always theirs, which makes no difference to this property.
    frontend = build_frontend(config)
    batch = torch.stack([clip[:20_000] for clip in real_clips[:6]])
    batch[3:] *= 50
    alone = torch.cat([frontend(clip[None]) for clip in batch])
    torch.testing.assert_close(alone, frontend(batch), atol=1e-5, rtol=0)


@pytest.fixture(scope="module", params=[*SCALINGS, "kaldi"])
def classifier(request):
    torch.manual_seed(0)
    is_kaldi = request.param == "kaldi"
    frontend = KaldiMelConfig() if is_kaldi else MelConfig(scaling=request.param)
    network = "mn04" if is_kaldi else "resnet18"
    model = Classifier(ClassifierConfig(labels=tuple("abcde"), network=network, frontend=frontend))
    model(clips(frontend))  # batch-norm statistics that fit the features
    return model.eval()


def test_logits_are_the_same_alone_and_in_any_batch(classifier):
    batch = clips(classifier.config.frontend)
    with torch.no_grad():
        together = classifier(batch)
        alone = torch.cat([classifier(clip[None]) for clip in batch])
        embedded = torch.cat([classifier.embed(clip[None]) for clip in batch])
        torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(embedded, classifier.embed(batch), atol=1e-4, rtol=1e-5)
    assert together.isfinite().all()


@pytest.mark.parametrize("config", PATHS.values(), ids=PATHS)
def test_gradients_flow_to_the_waveform(config):
    frontend = build_frontend(config)
    waveform = clips(config)[[0, 3]].requires_grad_()
    features = frontend(waveform)
    # Not the sum: standardized features have a constant one.
    features.square().mul(torch.linspace(0, 1, features.shape[-1])).sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()
    assert (waveform.grad != 0).float().mean(dim=1).min() > 0.9


@pytest.mark.parametrize("config", PATHS.values(), ids=PATHS)
def test_gradients_of_silence_are_finite(config):
    waveform = torch.zeros(1, 8_000, requires_grad=True)
    build_frontend(config)(waveform).square().sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()


@pytest.mark.parametrize("name", BASES | FULL_RATE)
def test_float64_works_and_agrees(name):
    single = build_frontend((BASES | FULL_RATE)[name].replace(scaling="none", top_db=60.0))
    double = build_frontend(single.config).to(torch.float64)
    batch = clips(single.config)[[0, 3]]
    features = double(batch.double())
    assert features.dtype == torch.float64
    torch.testing.assert_close(features.float(), single(batch), atol=1e-3, rtol=0)


def test_scaled_features_do_not_depend_on_the_loudness():
    frontend = MelFrontend("16k")
    batch = clips(frontend.config)[[3]]
    torch.testing.assert_close(frontend(batch), frontend(batch * 0.01), atol=1e-4, rtol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_accelerator_gives_the_same_features(config):
    if not torch.cuda.is_available():
        pytest.skip("no accelerator")
    frontend = build_frontend(config)
    batch = clips(config)
    expected = frontend(batch)
    moved = frontend.to("cuda")
    # A picture's level may round to the next one.
    atol = 1.0 if getattr(config, "scaling", None) == "image" else 2e-2
    torch.testing.assert_close(moved(batch.to("cuda")).cpu(), expected, atol=atol, rtol=0)
    alone = torch.cat([moved(clip[None]) for clip in batch.to("cuda")])
    torch.testing.assert_close(alone.cpu(), moved(batch.to("cuda")).cpu(), atol=atol, rtol=0)
