"""An option that is out of range is refused in the same words wherever it can be given."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import pkgutil
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

import soundsep
from soundsep import Classifier, ClassifierConfig, Pipeline, load_audio
from soundsep.audio import audio_blocks
from soundsep.augment import Augment
from soundsep.config import Config
from soundsep.datasets import (
    AudioTable,
    Clip,
    Concatenation,
    MixtureConfig,
    Mixtures,
    SoundscapeConfig,
    Soundscapes,
    check_leakage,
    find_near_duplicates,
)
from soundsep.errors import ConfigError
from soundsep.evaluation import evaluate, measure_events, measure_naming
from soundsep.export import export_onnx
from soundsep.frontends import MelConfig
from soundsep.integrations.ray import Tagger
from soundsep.metrics import calibration_error, calibration_floor
from soundsep.pipeline import to_csv, to_dataframe
from soundsep.pipeline.microphone import Microphone, listen
from soundsep.pipeline.summary import EventSummary
from soundsep.plots import (
    PictureOptions,
    plot_3d,
    plot_events,
    plot_gammatone,
    plot_mel,
    plot_mfcc,
    plot_probabilities,
    plot_scores,
    plot_season,
    plot_stft,
    plot_waveform,
)
from soundsep.report import write_report
from soundsep.separator import Separator, SeparatorConfig
from soundsep.training import (
    SceneModel,
    SceneRecipe,
    SeparationRecipe,
    fit,
    get_recipe,
    probe_classifier,
    train,
    train_recipe,
    train_scenes,
    train_scenes_together,
    train_separator,
)

RATE = 16_000
NOISE = 0.1 * torch.randn(2 * RATE, generator=torch.Generator().manual_seed(0))
RECIPE = get_recipe("esc50-resnet18")

COUNT = (0, -1, 1.5, True, "3", None)
NUMBER = (math.nan, math.inf, "1", True)
BAD: dict[str, tuple[Any, ...]] = {
    "batch_size": COUNT,
    "n_bins": COUNT,
    "n_draws": COUNT,
    "n_folds": (1, *COUNT),
    "n_mixtures": (-1, 1.5, True),
    "n_scenes": (-1, 1.5, True),
    "n_shifts": (*COUNT, 65),
    "top_k": COUNT[:-1],
    "channel": (-1, 1.5, True, "0"),
    "seed": (-1, 2**64, 1.5, True, "0", None),
    "threshold": (0.0, -0.1, 1.1, *NUMBER),
    "hop_seconds": (0.0, -1.0, 1e-6, 1.1, *NUMBER),
    "min_duration_seconds": (-0.1, 3600.0, *NUMBER),
    "merge_gap_seconds": (-0.1, 3600.0, *NUMBER),
    "silence_db": (0.1, *NUMBER),
    "sample_rate": NUMBER,
    "start_seconds": (-0.1, *NUMBER),
    "duration_seconds": (0.0, -1.0, *NUMBER),
    "queue_seconds": (0.0, 3601.0, *NUMBER),
    "tolerance": (-1e-9, *NUMBER),
    "errors": ("ignore", None, True),
    "mode": ("prob", None, ["probe"]),
}


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[..., Any]]:
    """Every public callable that takes one of these options, with all else as it should be."""
    folder = tmp_path_factory.mktemp("options")
    with torch.random.fork_rng(devices=[]):
        model = Classifier(
            ClassifierConfig(
                labels=("dog", "rain"),
                network="mn04",
                frontend=MelConfig(n_mels=32),
                window_seconds=1.0,
                hop_seconds=0.5,
            )
        ).eval()
    model.save_pretrained(folder / "model")
    pipe = Pipeline(model)
    separator = Separator(
        nn.Identity(),
        SeparatorConfig(sources=("a",), sample_rate=RATE, n_channels=1, segment_seconds=1.0),
    )
    clips = [
        Clip(path=folder / f"{i}.wav", label=label, target=target, fold=1, origin=str(i))
        for target, label in enumerate(model.labels)
        for i in (target, target + 2)
    ]
    for clip in clips:
        soundfile.write(clip.path, NOISE.numpy(), RATE)
    rows = ["path,label", *(f"{clip.path.name},{clip.label}" for clip in clips)]
    (folder / "clips.csv").write_text("\n".join(rows))
    table = AudioTable(folder / "clips.csv")
    data: Any = SimpleNamespace(clips=clips)  # with folds
    examples = [(NOISE, 0), (NOISE, 1)]
    mixing, scenes = MixtureConfig(seconds=1.0), SoundscapeConfig(seconds=1.0)
    mixtures = Mixtures(examples, n_mixtures=1, config=mixing)
    soundscapes = Soundscapes(examples, n_scenes=1, config=scenes)
    microphone: Any = SimpleNamespace(sample_rate=RATE)
    scores = pipe.scores(NOISE, sample_rate=RATE, progress=False)
    learning: Any = {"training": examples, "output": folder / "run"}
    season = EventSummary(counts={}, untimed={"a": 1})
    heard = {"audio": NOISE, "sample_rate": RATE}
    with_sound = {
        "Pipeline.__call__": pipe,
        "Pipeline.embed": pipe.embed,
        "Pipeline.events": pipe.events,
        "Pipeline.scores": pipe.scores,
        "load_audio": load_audio,
        "audio_blocks": audio_blocks,
        "Separator.__call__": separator,
        "plot_3d": plot_3d,
        "plot_gammatone": plot_gammatone,
        "plot_mel": plot_mel,
        "plot_mfcc": plot_mfcc,
        "plot_stft": plot_stft,
        "plot_waveform": plot_waveform,
    }
    others: dict[str, Callable[..., Any]] = {
        "Pipeline": lambda **o: Pipeline(model, **o),
        "Pipeline.from_pretrained": lambda **o: Pipeline.from_pretrained(folder / "model", **o),
        "Pipeline.stream": pipe.stream,
        "Separator.separate_to_dir": lambda **o: separator.separate_to_dir(
            **{**heard, "folder": folder / "stems", **o}
        ),
        "Microphone": Microphone,
        "listen": lambda **o: listen(pipe, microphone, **o),
        "Tagger": lambda **o: Tagger(str(folder / "model"), **o),
        "evaluate": lambda **o: evaluate(pipe, clips, **o),
        "measure_events": lambda **o: measure_events(pipe, soundscapes, pipe.labels, **o),
        "measure_naming": lambda **o: measure_naming(model, mixtures, **o),
        "plot_events": lambda **o: plot_events(**{**heard, "events": [], **o}),
        "plot_probabilities": lambda **o: plot_probabilities(**{**heard, "model": pipe, **o}),
        "plot_scores": lambda **o: plot_scores(scores, **o),
        "plot_season": lambda **o: plot_season(season, **o),
        "write_report": lambda **o: write_report(
            {str(clips[0].path): []}, folder / "report.html", **o
        ),
        "to_csv": lambda **o: to_csv([], folder / "table.csv", **o),
        "to_dataframe": lambda **o: to_dataframe([], **o),
        "export_onnx": lambda **o: export_onnx(model, folder / "model.onnx", **o),
        "calibration_error": lambda **o: calibration_error([0.5], [True], **o),
        "calibration_floor": lambda **o: calibration_floor([0.5], **o),
        "Augment": lambda **o: Augment((), **o),
        "Concatenation": lambda **o: Concatenation([clips], **o),
        "Mixtures": lambda **o: Mixtures(examples, **{"n_mixtures": 1, **o}),
        "Soundscapes.of_fold": lambda **o: Soundscapes.of_fold(data, 1, **{"n_scenes": 1, **o}),
        "Soundscapes": lambda **o: Soundscapes(examples, **{"n_scenes": 1, **o}),
        "AudioTable.unlabelled": table.unlabelled,
        "check_leakage": lambda **o: check_leakage(clips, (), **o),
        "find_near_duplicates": lambda **o: find_near_duplicates(clips, **o),
        "fit": lambda **o: fit(clips, backbone=model, **o),
        "probe_classifier": lambda **o: probe_classifier(model, ("a", "b"), examples, **o),
        "train": lambda **o: train(RECIPE, labels=model.labels, held_out=examples, **learning, **o),
        "train_recipe": lambda **o: train_recipe(RECIPE, data, output=folder / "run", **o),
        "train_scenes": lambda **o: train_scenes(
            SceneRecipe(), model, nn.Identity(), clip_tags=torch.zeros(2, 1), **learning, **o
        ),
        "train_scenes_together": lambda **o: train_scenes_together(
            {"": SceneModel(recipe=SceneRecipe(), initial=model)},
            nn.Identity(),
            folds=[1, 1],
            clip_tags=torch.zeros(2, 1),
            **learning,
            **o,
        ),
        "train_separator": lambda **o: train_separator(SeparationRecipe(), **learning, **o),
    }
    return {
        **{name: lambda f=f, **o: f(**{**heard, **o}) for name, f in with_sound.items()},
        **others,
    }


def public_callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions, constructors and methods that the faces of the rooms list; no records."""
    rooms = [room.name for room in pkgutil.iter_modules(soundsep.__path__) if room.ispkg]
    faces = [soundsep, *(importlib.import_module(f"soundsep.{r}") for r in rooms if r != "cli")]
    for face in faces:
        for name in getattr(face, "__all__", ()):
            thing = getattr(face, name)
            if not inspect.isclass(thing):
                if callable(thing):
                    yield name, thing
                continue
            if dataclasses.is_dataclass(thing):
                continue
            yield name, thing.__init__
            for method, function in inspect.getmembers(thing, inspect.isroutine):
                ours = str(getattr(function, "__module__", "")).startswith("soundsep")
                if ours and (not method.startswith("_") or method == "__call__"):
                    yield f"{name}.{method}", function


def options_of(function: Callable[..., Any]) -> set[str]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return set()
    is_picture = any(p.annotation == "Unpack[PictureOptions]" for p in parameters.values())
    return {*parameters, *(PictureOptions.__annotations__ if is_picture else ())}


# Made by functions that check; a number that is only written down; rates to be resampled to.
MADE_ELSEWHERE = {"AudioBlocks", "Mixer", "Stream"}
RESAMPLED = {"StreamingResampler", "load_examples", "load_recordings", "resample"}
EXEMPT = MADE_ELSEWHERE | RESAMPLED | {"write_truth"}
TAKERS = {
    name: found
    for name, function in public_callables()
    if name not in EXEMPT and (found := options_of(function) & set(BAD))
}
OPTIONAL = {"n_folds": {"Concatenation"}}  # None stands for a default


def test_every_public_callable_that_takes_an_option_is_tried(calls: dict[str, Any]) -> None:
    assert set(TAKERS) - set(calls) == set()


@pytest.mark.parametrize("option", BAD)
def test_the_same_bad_value_is_refused_in_the_same_words(
    option: str, calls: dict[str, Callable[..., Any]]
) -> None:
    takers = [name for name, options in TAKERS.items() if option in options]
    assert takers
    for value in BAD[option]:
        messages = {}
        for name in takers:
            if value is None and name in OPTIONAL.get(option, ()):
                continue
            with pytest.raises(ConfigError, match=f"^{option} must be ") as caught:
                calls[name](**{option: value})
            messages[name] = str(caught.value)
        if option != "errors":  # whose choices differ
            assert len(set(messages.values())) <= 1, messages


def test_every_option_of_a_config_that_is_one_of_a_few_words_is_checked() -> None:
    """By `Config` itself, which no class may keep from it."""
    ours = [c for c in subclasses(Config) if vars(sys.modules[c.__module__]).get(c.__name__) is c]
    assert len(ours) > 10  # without what a page's example defined, and the first of two with slots
    for config in ours:
        assert "__post_init__" not in vars(config), config


def subclasses(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def test_a_rate_of_numpy_is_a_rate() -> None:
    assert load_audio(NOISE, sample_rate=np.int64(RATE))[1] == RATE  # type: ignore[arg-type]
