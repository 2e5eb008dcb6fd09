"""How far away the microphone was changes no name, for models whose config has a level."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from soundsep import Classifier, ClassifierConfig, ClipResult, Pipeline, Separator
from soundsep.audio.level import level_db
from soundsep.evaluation.mixtures import NamingMetrics, measure_naming
from soundsep.frontends import KaldiMelConfig
from soundsep.pipeline.hearing import hear
from soundsep.separator import SeparatorConfig

LABELS = ("dog", "rain", "siren")
LEVEL_DB = -30.0
RATE = 32_000


def centred(clip: Tensor) -> Tensor:
    return clip - clip.mean()


CALLS = {
    "one window": lambda pipe, clip: pipe(centred(clip[:20_000]), sample_rate=RATE),
    "windows": lambda pipe, clip: pipe(clip, sample_rate=RATE),
    "shifts": lambda pipe, clip: pipe(clip, sample_rate=RATE, n_shifts=3),
    "a list": lambda pipe, clip: pipe([0.9 * clip.flip(0), clip], sample_rate=RATE)[1],
    "an iterator": lambda pipe, clip: next(pipe(iter([clip]), sample_rate=RATE)),
    "another rate": lambda pipe, clip: pipe(clip, sample_rate=22_050),
    "float64": lambda pipe, clip: pipe(clip.numpy().astype(np.float64), sample_rate=RATE),
    "two channels": lambda pipe, clip: pipe(torch.stack([clip, 0.5 * clip]), sample_rate=RATE),
    "one channel": lambda pipe, clip: pipe(
        torch.stack([clip.flip(0), clip]), sample_rate=RATE, channel=1
    ),
}


class Halves(nn.Module):
    """A loud first half and a soft second one are separated."""

    def forward(self, mixture: Tensor) -> Tensor:
        first = mixture.clone()
        first[..., mixture.shape[-1] // 2 :] = 0
        return torch.stack((first, mixture - first), dim=1)


@pytest.fixture(scope="module")
def config() -> ClassifierConfig:
    return ClassifierConfig(
        labels=LABELS,
        network="cnn4",
        frontend=KaldiMelConfig(),  # whose features depend on the level
        window_seconds=1.0,
        hop_seconds=0.5,
        clip_level_db=LEVEL_DB,
    )


@pytest.fixture(scope="module")
def classifier(config) -> Classifier:
    torch.manual_seed(0)
    made = Classifier(config)
    with torch.no_grad():
        made.network.head.weight.mul_(50)
    return made.eval()


@pytest.fixture(scope="module")
def separator() -> Separator:
    settings = SeparatorConfig(
        sources=("first", "second"), sample_rate=RATE, n_channels=1, segment_seconds=2.0, overlap=0
    )
    return Separator(Halves(), settings)


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """Two seconds without offset, exactly at the level; the second half is 15 dB softer."""
    made = torch.randn(2 * RATE, generator=torch.Generator().manual_seed(0))
    made[RATE:] = 0.17 * torch.sin(0.3 * torch.arange(RATE))
    made = centred(made)
    return made * 10 ** ((LEVEL_DB - level_db(made, sample_rate=RATE)) / 20)


def scores(result: ClipResult) -> list[float]:
    found = {p.label: p.score for p in result.predictions}
    return [found[label] for label in LABELS]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_softer_clip_has_the_same_scores(classifier, clip, call):
    pipe = Pipeline(classifier)
    expected = scores(call(pipe, clip))
    for gain in (0.1, 0.01, 0.001):
        assert scores(call(pipe, gain * clip)) == pytest.approx(expected, abs=1e-4)
    # As without a level, which is what the test would not see otherwise.
    config = classifier.config.replace(clip_level_db=None)
    plain = Classifier(config)
    plain.load_state_dict(classifier.state_dict())
    assert scores(call(Pipeline(plain), 0.01 * clip)) != pytest.approx(expected, abs=1e-2)


@pytest.mark.parametrize("rate", [22_050, RATE])
@pytest.mark.parametrize("offset", [0.01, 0.3, -0.9])
def test_an_offset_of_a_soft_clip_changes_no_score(classifier, clip, rate, offset):
    pipe, soft = Pipeline(classifier), 0.01 * clip
    expected = scores(pipe(soft, sample_rate=rate))
    assert scores(pipe(soft + offset, sample_rate=rate)) == pytest.approx(expected, abs=0.01)


def test_sources_keep_their_levels_among_each_other(classifier, separator, clip):
    options = {"silence_db": None, "sample_rate": RATE, "channel": None}
    expected = hear(clip, classifier, separator=separator, **options).windows
    assert [*expected] == ["mixture", "first", "second"]
    found = hear(0.01 * clip, classifier, separator=separator, **options).windows
    assert [*found] == [*expected]
    for name, windows in found.items():
        for window, wanted in zip(windows, expected[name], strict=True):
            torch.testing.assert_close(window, wanted, atol=1e-4, rtol=1e-3)


def test_mixtures_are_measured_as_a_pipeline_names_them(classifier, separator, clip, monkeypatch):
    class Soft(list):
        config = SimpleNamespace(sample_rate=RATE)

    given = []
    monkeypatch.setattr(NamingMetrics, "of", lambda scores, _: given.append(scores))
    mixtures = Soft([SimpleNamespace(waveform=0.01 * clip, targets=(0, 1))])
    measure_naming(classifier, mixtures, separator=separator, progress=False)
    pipe = Pipeline(classifier, separator=separator)
    expected = scores(pipe(0.01 * clip, sample_rate=RATE))
    np.testing.assert_allclose(given[0], [expected], atol=1e-5)


def test_embeddings_are_those_of_raised_clips(classifier, clip):
    pipe = Pipeline(classifier)
    expected = pipe.embed(clip, sample_rate=RATE)
    torch.testing.assert_close(
        pipe.embed([clip, 0.01 * clip], sample_rate=RATE),
        expected.expand(2, -1),
        atol=1e-4,
        rtol=1e-4,
    )


def test_silence_is_judged_before_a_clip_is_raised(classifier, clip):
    soft = 1e-3 * clip
    soft[: RATE // 2] *= 0.01
    power = 10 * float(soft[RATE:].square().mean().log10())
    pipe = Pipeline(classifier, silence_db=power - 1)
    assert pipe(soft, sample_rate=RATE).is_known
    assert not Pipeline(classifier, silence_db=-50.0)(soft, sample_rate=RATE).is_known


def test_an_exported_model_raises_too(classifier, clip, tmp_path):
    pytest.importorskip("onnxruntime")
    from soundsep.export import OnnxClassifier, export_onnx

    export_onnx(classifier, tmp_path / "model.onnx")
    soft = 0.01 * clip
    expected = scores(Pipeline(classifier)(soft, sample_rate=RATE))
    for pipe in (
        Pipeline(OnnxClassifier(tmp_path / "model.onnx")),
        Pipeline(classifier, runtime="onnx"),
    ):
        assert scores(pipe(soft, sample_rate=RATE)) == pytest.approx(expected, abs=1e-4)


def test_saving_keeps_the_level_and_old_files_have_none(classifier, tmp_path):
    classifier.save_pretrained(tmp_path / "new")
    assert Classifier.from_pretrained(tmp_path / "new").config.clip_level_db == LEVEL_DB
    settings = classifier.config.to_dict()
    del settings["clip_level_db"]
    assert ClassifierConfig.from_dict(settings).clip_level_db is None
