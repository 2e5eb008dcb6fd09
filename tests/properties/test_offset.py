"""A constant offset, as cheap sound cards add it, is no sound and changes no name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from soundsep import Classifier, ClassifierConfig, Pipeline, example, load_audio
from soundsep.audio.level import without_offset
from soundsep.errors import ShapeError
from soundsep.frontends import KaldiMelConfig, MelConfig

RATE = 16_000
OFFSETS = (0.02, -0.1, 0.5)
FRONTENDS: dict[str, tuple[str, Any]] = {
    "resnet18": ("resnet18", MelConfig()),
    "mn04-bands": ("mn04-bands", KaldiMelConfig(sample_rate=RATE, n_fft=512, win_length=400)),
    "mn04-frames": (
        "mn04-frames",
        KaldiMelConfig(sample_rate=RATE, n_fft=512, win_length=400, hop_length=160, level_db=23.5),
    ),
}


def classifier(kind: str) -> Classifier:
    network, frontend = FRONTENDS[kind]
    torch.manual_seed(0)
    config = ClassifierConfig(
        labels=("a", "b", "c"),
        network=network,
        frontend=frontend,
        window_seconds=1.0,
        hop_seconds=0.5,
        activation="sigmoid",
    )
    model = Classifier(config).eval()
    for module in model.modules():  # else a random network hardly tells one sound from another
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    model.train()
    with torch.no_grad():
        model(torch.randn(8, RATE))
    return model.eval()


def sound(seconds: float) -> Tensor:
    n = round(seconds * RATE)
    time = torch.arange(n) / RATE
    noise = torch.randn(n, generator=torch.Generator().manual_seed(1))
    tone = torch.sin(2 * torch.pi * 700 * time) * (torch.sin(torch.pi * time) ** 2)
    waveform = 0.05 * tone + 0.005 * noise
    return waveform - waveform.mean()


@pytest.mark.parametrize("kind", FRONTENDS)
@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.7])
def test_clips_and_events_are_the_same_with_an_offset(kind, seconds):
    pipe = Pipeline(classifier(kind))
    waveform = sound(seconds)

    def answers(offset: float) -> Tensor:
        moved = waveform + offset
        of_clip = pipe(moved, sample_rate=RATE).predictions
        named = torch.tensor([[p.score for p in sorted(of_clip, key=lambda p: p.label)]])
        return torch.cat([named, pipe.scores(moved, sample_rate=RATE).values])

    first, *others = map(answers, OFFSETS)
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=2e-3)
    if seconds == 1.0:  # parts of a sound have small means of their own, which stay
        torch.testing.assert_close(answers(0.0), first, rtol=0, atol=2e-3)


@pytest.mark.parametrize("kind", FRONTENDS)
def test_a_short_clip_that_silence_extends_is_the_same_with_an_offset(kind):
    model = classifier(kind)
    model.config = model.config.replace(padding="zero")
    pipe, waveform = Pipeline(model), sound(0.4)
    plain, *moved = (
        pipe.scores(waveform + offset, sample_rate=RATE).values for offset in (0.0, *OFFSETS)
    )
    for scores in moved:
        torch.testing.assert_close(scores, plain, rtol=0, atol=1e-2)


@pytest.mark.parametrize("kind", FRONTENDS)
def test_a_network_would_hear_an_offset(kind):
    """Otherwise the test above could not fail."""
    model = classifier(kind)
    waveform = sound(1.0)[None]
    with torch.no_grad():
        plain, moved = (model.network(model.frontend(w)) for w in (waveform, waveform + 0.5))
    assert (plain.sigmoid() - moved.sigmoid()).abs().max() > 5e-2


def test_an_offset_of_a_tenth_of_the_deviation_goes_and_less_stays_to_the_bit():
    waveform = sound(1.0)
    deviation = waveform.std(correction=0)
    kept = waveform + 0.095 * deviation
    gone = waveform + 0.105 * deviation
    found = without_offset(torch.stack([kept, gone, torch.full_like(kept, 0.3)]))
    assert torch.equal(found[0], kept)
    torch.testing.assert_close(found[1], waveform, rtol=0, atol=1e-7)
    assert found[2].abs().max() <= 1e-7
    assert not without_offset(torch.zeros(1, 100)).any()


def test_an_offset_is_that_of_the_waveform_alone():
    batch = torch.stack([sound(1.0), sound(1.0) + 0.5])
    for alone, together in zip(batch, without_offset(batch), strict=True):
        torch.testing.assert_close(without_offset(alone[None])[0], together, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.1), (1.0, -0.5), (0.03, 0.1)])
def test_a_shipped_model_finds_the_same_events(gain, offset):
    """Before, with 0.5, it found none of these knocks."""
    pipe = Pipeline.from_pretrained("scenes50-mn04")
    knock, rate = load_audio(example("knock"))
    plain, moved = (
        [*pipe.events(waveform, sample_rate=rate, threshold=0.6)]
        for waveform in (knock, gain * knock + offset)
    )
    assert len(plain) == 2
    for one, other in zip(plain, moved, strict=True):
        assert one.label == other.label
        # The mean of the knocks themselves, too small to be removed, is removed with an offset: by
        # that scores differ, and an edge may be in the frame beside it.
        for place in ("start_seconds", "end_seconds"):
            assert getattr(other, place) == pytest.approx(getattr(one, place), abs=0.161)
        assert other.score == pytest.approx(one.score, abs=0.025)


def test_what_is_no_waveform_is_refused_as_by_the_frontend():
    model = classifier("resnet18")
    for wrong in (torch.zeros(1, RATE, dtype=torch.int16), [0.0] * RATE, torch.zeros(1, 0)):
        with pytest.raises(ShapeError, match="MelFrontend"):
            model(wrong)
