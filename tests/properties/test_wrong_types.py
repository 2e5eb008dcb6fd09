"""What people pass by mistake is an error that names what was expected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import soundsep
from soundsep.audio import (
    StreamingResampler,
    audio_blocks,
    find_recordings,
    recording_start,
    resample,
)
from soundsep.augment import (
    Augment,
    Gain,
    Mask,
    add_noise,
    loudest_view,
    mask,
    mixup,
    random_gain,
    shift_pitch,
    stretch_time,
)
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.datasets import (
    ESC50,
    AudioFolder,
    AudioTable,
    Clip,
    Mixtures,
    Soundscapes,
    balanced_order,
    check_leakage,
    crosswalk,
    find_near_duplicates,
    load_examples,
    load_recordings,
    read_truth,
    write_truth,
)
from soundsep.devices import move
from soundsep.errors import ConfigError, ShapeError
from soundsep.evaluation import evaluate, measure_naming
from soundsep.export import OnnxClassifier, export_onnx
from soundsep.frontends import MelFrontend, power_to_db
from soundsep.metrics import permutation_invariant, si_sdr, si_sdr_improvement, snr
from soundsep.pipeline import Pipeline, cut_clips, read_events, to_csv
from soundsep.plots import plot_curves, plot_waveform
from soundsep.report import write_report
from soundsep.separator import Separator
from soundsep.training import fit

ARRAY = np.ones((1, 2, 8_000), dtype=np.float32)
TENSOR = torch.from_numpy(ARRAY)
CLIP = Clip(path=Path("a.wav"), label="dog", target=0, fold=1, origin="1")
EVENT = soundsep.Event(0.0, 1.0, "dog", 0.9)
EXAMPLES = [(torch.ones(16_000), 0), (torch.ones(16_000), 1)]


def pipe() -> Pipeline:
    return Pipeline(Classifier(ClassifierConfig(labels=("dog", "rain"), network="resnet18")))


@pytest.mark.parametrize(
    "call",
    [
        lambda array: resample(array, 16_000, 8_000),
        lambda array: resample(array, 16_000, 16_000),
        lambda array: StreamingResampler(16_000, 8_000).push(array),
        lambda array: si_sdr(array, array),
        lambda array: snr(TENSOR, array),
        lambda array: si_sdr_improvement(TENSOR, TENSOR, array),
        lambda array: permutation_invariant(array, array),
        lambda array: power_to_db(array),
        lambda array: shift_pitch(array, 1.0),
        lambda array: stretch_time(array, 1.5),
        lambda array: Augment([Gain()])(array),
        lambda array: Augment([Mask()])(array),
    ],
)
@pytest.mark.parametrize("array", [ARRAY, ARRAY.tolist()])
def test_an_array_is_no_tensor(call, array):
    with pytest.raises(ShapeError, match=r"expects a tensor \(.*; torch.as_tensor makes one"):
        call(array)


INTEGERS = torch.randint(-(2**15), 2**15, (2, 8_000), dtype=torch.int16)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    "call",
    [
        lambda waves: resample(waves, 16_000, 8_000),
        lambda waves: StreamingResampler(16_000, 8_000).push(waves),
        lambda waves: si_sdr(waves, waves),
        lambda waves: snr(waves, waves),
        lambda waves: permutation_invariant(waves[None], waves[None]),
        lambda waves: power_to_db(waves),
        lambda waves: shift_pitch(waves, 1.0),
        lambda waves: stretch_time(waves, 1.5),
        lambda waves: random_gain(waves, max_db=3.0, rng=rng()),
        lambda waves: add_noise(waves, snr_db=3.0, rng=rng()),
        lambda waves: mixup(waves, torch.eye(2), probability=1.0, rng=rng()),
        lambda waves: mask(waves[None], dim=-1, max_width=3, n_masks=1, rng=rng()),
        lambda waves: loudest_view(waves[0], 100, rng=rng()),
        lambda waves: Augment([Gain()])(waves),
        lambda waves: MelFrontend()(waves),
        lambda waves: Mixtures([(waves[0], 0), (waves[1], 1)], n_mixtures=1),
    ],
)
@pytest.mark.parametrize("dtype", [torch.int16, torch.int64, torch.bool])
def test_integers_are_no_waveform(call, dtype):
    with pytest.raises(ShapeError, match=r"expects a floating-point tensor \(.*, got one of"):
        call(INTEGERS.to(dtype))


FEATURES, WAVES, TARGETS = torch.ones(2, 8, 9), torch.ones(2, 800), torch.eye(2)


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: random_gain(WAVES, max_db=3.0, rng=rng),
        lambda rng: add_noise(WAVES, snr_db=3.0, rng=rng),
        lambda rng: mixup(WAVES, TARGETS, probability=1.0, rng=rng),
        lambda rng: mask(FEATURES, dim=-1, max_width=3, n_masks=1, rng=rng),
        lambda rng: loudest_view(WAVES[0], 100, rng=rng),
        lambda rng: balanced_order([0, 1], rng),
        lambda rng: Augment([Gain()])(WAVES, rng=rng),
    ],
)
def test_a_seed_is_no_generator(call):
    with pytest.raises(ConfigError, match=r"such as numpy.random.default_rng\(0\), got 3"):
        call(3)
    for wrong in (0.5, "3", np.random):
        with pytest.raises(ConfigError, match=r"rng must be a numpy.random.Generator"):
            call(wrong)
    call(np.random.default_rng(3))


@pytest.mark.parametrize("unknown", [0.5, 1.0, 0, "yes", None])
def test_a_score_is_no_answer_to_unknown(unknown):
    with pytest.raises(ConfigError, match="unknown must be True or False"):
        Pipeline(pipe().classifier, unknown=unknown)


@pytest.mark.parametrize(
    "call",
    [
        lambda paths: load_examples(paths, sample_rate=16_000),
        lambda paths: evaluate(pipe(), paths),
        lambda paths: check_leakage([CLIP], paths),
        lambda paths: check_leakage(paths, [CLIP]),
        lambda paths: find_near_duplicates(paths),
        lambda paths: find_near_duplicates([], paths),
        lambda paths: crosswalk(paths, {"dog": "dog"}, ["dog"]),
        lambda paths: fit(paths),
    ],
)
@pytest.mark.parametrize("paths", [[Path("a.wav")], ["a.wav"]])
def test_paths_are_no_clips(call, paths):
    with pytest.raises(
        ConfigError, match=r"clips such as .* got a list with \w+ in it.*AudioTable"
    ):
        call(paths)


@pytest.mark.parametrize("kind", [Soundscapes, Mixtures])
@pytest.mark.parametrize("given", [[CLIP], ["ab"], [(EXAMPLES[0][0],)], [EXAMPLES[0][0]]])
def test_clips_are_no_examples(kind, given):
    count = {"n_scenes" if kind is Soundscapes else "n_mixtures": 1}
    with pytest.raises(ConfigError, match=r"takes pairs of a waveform \(time,\).*load_examples"):
        kind(given, **count)
    for wrong in ((np.ones(16_000, np.float32), 0), (0, EXAMPLES[0][0])):
        with pytest.raises(ShapeError, match=r"expects a tensor \(time,\)"):
            kind([wrong], **count)


class Loading(list[tuple[torch.Tensor, int]]):
    """Examples that are loaded when they are asked for."""

    n_loaded = 0

    def __iter__(self):
        for example in super().__iter__():
            self.n_loaded += 1
            yield example


@pytest.mark.parametrize("kind", [Soundscapes, Mixtures])
def test_examples_are_looked_at_once(kind):
    examples = Loading(EXAMPLES)
    kind(examples, **{"n_scenes" if kind is Soundscapes else "n_mixtures": 1})
    assert examples.n_loaded == len(EXAMPLES)


def test_a_pipeline_is_no_classifier():
    with pytest.raises(ConfigError, match="measure_naming takes a Classifier"):
        measure_naming(pipe(), Mixtures(EXAMPLES, n_mixtures=1), progress=False)


@pytest.mark.parametrize("device", [3.5, torch.float64, torch.ones(1).double(), "warp", None])
def test_what_is_no_device_does_not_change_the_type_of_the_weights(device):
    module = torch.nn.Linear(1, 1)
    with pytest.raises(ConfigError, match="cannot use the device"):
        move(module, device)
    assert module.weight.dtype == torch.float32


def test_the_rate_of_a_file_is_not_changed_without_a_word():
    path = soundsep.example("knock")
    with pytest.warns(soundsep.SoundsepWarning, match="pass target_rate=16000"):
        _, rate = soundsep.load_audio(path, sample_rate=16_000)
    assert rate == 24_000
    with pytest.warns(soundsep.SoundsepWarning, match="pass target_rate=16000"):
        soundsep.load_audio({"path": str(path), "bytes": None}, sample_rate=16_000)


@pytest.mark.filterwarnings("error::soundsep.errors.SoundsepWarning")
def test_a_rate_that_is_that_of_the_file_or_of_arrays_beside_it_needs_no_word():
    path = soundsep.example("knock")
    soundsep.load_audio(path, sample_rate=24_000)
    soundsep.load_audio(path, sample_rate=44_100, target_rate=16_000)
    soundsep.load_audio(np.ones(16_000), sample_rate=16_000)
    pipe()([path, np.random.default_rng(0).normal(size=16_000)], sample_rate=16_000)


class Cloud:
    """A path that fetches its file, and cannot."""

    def __fspath__(self) -> str:
        raise OSError("the bucket is gone")


@pytest.mark.parametrize(
    "call",
    [
        soundsep.load_audio,
        audio_blocks,
        lambda path: pipe()(path),
        lambda path: list(pipe().events(path)),
        lambda path: pipe().scores(path),
        recording_start,
        find_recordings,
        Pipeline.from_pretrained,
        Separator.from_pretrained,
        Pipeline,
        lambda path: pipe().classifier.save_pretrained(path),
        AudioFolder,
        AudioTable,
        ESC50,
        read_truth,
        lambda path: write_truth([], path, duration_seconds=1.0),
        lambda path: list(read_events(path)),
        lambda path: to_csv([], path),
        lambda path: cut_clips(path, [EVENT], "clips"),
        lambda path: cut_clips("a.wav", [EVENT], path),
        lambda path: write_report({path: []}, "a.html"),
        lambda path: write_report({}, path),
        lambda path: export_onnx(pipe().classifier, path),
        OnnxClassifier,
        lambda path: load_recordings(path, sample_rate=16_000),
        plot_waveform,
        lambda path: plot_waveform(np.ones(16_000), sample_rate=16_000, path=path),
        plot_curves,
    ],
)
def test_a_path_that_raises_instead_is_an_error_of_ours(call):
    with pytest.raises(soundsep.SoundsepError, match="got Cloud: the bucket is gone"):
        call(Cloud())


def test_a_path_that_raises_costs_the_other_recordings_nothing():
    bad, good = pipe()([Cloud(), soundsep.example("knock")], errors="return")
    assert "the bucket is gone" in bad.error
    assert bad.path is None
    assert good.error is None
