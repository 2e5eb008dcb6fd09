"""torch's default dtype and default device change nothing: programs set them for their own sake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import soundfile
import torch
from torch import nn

from soundsep import Classifier, ClassifierConfig, Event, Pipeline, Separator
from soundsep.audio.polyphase import _small
from soundsep.export import OnnxClassifier, export_onnx
from soundsep.frontends import KaldiMelConfig, MelConfig, WaveformConfig
from soundsep.models import NETWORKS, WAVEFORM_NETWORKS
from soundsep.plots import plot_gammatone, plot_mel, plot_mfcc, plot_stft, plot_waveform
from soundsep.report import write_report
from soundsep.separator import SeparatorConfig

RATE = 16_000
CLIP = torch.randn(3 * RATE, generator=torch.Generator().manual_seed(0)) * 0.1


@pytest.fixture
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def elsewhere() -> Iterator[None]:
    torch.set_default_device("meta")  # stands for any accelerator: mixed up with the CPU, it fails
    yield
    torch.set_default_device(None)


def made(network: str) -> Classifier:
    frontend = MelConfig() if network[:2] != "mn" else KaldiMelConfig(sample_rate=RATE, f_max=8e3)
    if network in WAVEFORM_NETWORKS:
        frontend = WaveformConfig()
    config = ClassifierConfig(
        labels=("dog", "rain"),
        network=network,
        frontend=frontend,
        activation="sigmoid",
        window_seconds=1.0,
        hop_seconds=0.5,
    )
    return Classifier(config)


def answers(classifier: Classifier) -> list[torch.Tensor]:
    pipe = Pipeline(classifier)
    half = torch.cat((CLIP, 0 * CLIP))
    found = [pipe.scores(x, sample_rate=8_000).values for x in (CLIP, half)]
    stream = pipe.stream(sample_rate=RATE, keep_scores=True)
    for block in CLIP.split(700):
        stream.push(block)
    stream.flush()
    result = pipe(CLIP, sample_rate=RATE)
    return [
        *found,
        stream.scores().values,
        pipe.embed(CLIP, sample_rate=RATE),
        torch.tensor([result.score], dtype=torch.float32, device="cpu"),
    ]


@pytest.mark.parametrize("network", NETWORKS)
def test_scores_are_those_of_float32(network, request):
    reference = made(network)
    expected = answers(reference)
    request.getfixturevalue("in_float64")
    classifier = made(network)
    classifier.load_state_dict(reference.state_dict())
    for found, wanted in zip(answers(classifier), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)  # dtype too


@pytest.mark.parametrize("network", ["cnn4", "mn04-frames"])
def test_a_model_on_the_cpu_stays_there(network, request):
    classifier = made(network)
    expected = answers(classifier)
    _small.cache_clear()  # of the filter between the rates, which is to be made anew
    request.getfixturevalue("elsewhere")
    for found, wanted in zip(answers(classifier), expected, strict=True):
        torch.testing.assert_close(found, wanted)


class Halves(nn.Module):
    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        return torch.stack((mixture / 2, mixture / 2), dim=1)


@pytest.mark.parametrize("default", ["in_float64", "elsewhere"])
def test_sources_do_not_depend_on_defaults(default, request):
    settings = SeparatorConfig(
        sources=("a", "b"), sample_rate=RATE, n_channels=1, segment_seconds=1.0
    )
    expected = Separator(Halves(), settings)(CLIP, sample_rate=RATE)
    request.getfixturevalue(default)
    found = Separator(Halves(), settings)(CLIP, sample_rate=RATE)
    torch.testing.assert_close(found["a"], expected["a"], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("default", ["in_float64", "elsewhere"])
def test_reports_and_plots_do_not_depend_on_defaults(default, request, tmp_path):
    recording = tmp_path / "night.wav"
    soundfile.write(recording, CLIP.numpy(), RATE)
    events = {str(recording): [Event(0.5, 1.0, "dog", 0.9)]}
    plots = [plot_waveform, plot_stft, plot_mel, plot_gammatone, plot_mfcc]
    pages, pictures = [], []
    for name in (None, default):
        if name:
            request.getfixturevalue(name)
        write_report(events, tmp_path / "page.html", progress=False)
        pages.append((tmp_path / "page.html").read_text(encoding="utf-8"))
        for plot in plots:
            plot(recording, path=tmp_path / "a.png")
            pictures.append((tmp_path / "a.png").read_bytes())
    assert pages[0] == pages[1]
    assert pictures[: len(plots)] == pictures[len(plots) :]


def test_exports_do_not_depend_on_the_default_device(request, tmp_path):
    pytest.importorskip("onnxruntime")
    classifier = made("cnn4")
    expected = Pipeline(classifier)(CLIP, sample_rate=RATE)
    request.getfixturevalue("elsewhere")
    exported = OnnxClassifier(export_onnx(classifier, tmp_path / "a.onnx").path)
    for pipe in (Pipeline(exported), Pipeline(classifier, runtime="onnx")):
        assert pipe(CLIP, sample_rate=RATE).score == pytest.approx(expected.score, abs=1e-5)
