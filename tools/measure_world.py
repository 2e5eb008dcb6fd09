#!/usr/bin/env python3
"""Measure how a model does on the world and not only on clean clips.

    python tools/measure_world.py MODEL [MODEL...] [--fold 5] [--only LINE...]   measure, and write
    python tools/measure_world.py --table     print what was measured
    python tools/measure_world.py --check     only see that the pages agree with the results file

MODEL is a published name, a folder, or the ``state.safetensors`` of a run of train_scenes.py. The
results file is docs/world.json, one entry per model; docs/scenes.md and cards show it. All is drawn
from --seed: other seeds are other scenes, mixtures and noises. What a model was trained on
(backgrounds and strangers, too) is for the caller to know. Lines of which the folders are not there
are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from results_file import REPOSITORY
from soundsep import Classifier, ClassifierConfig, Pipeline
from soundsep.datasets import (
    ESC50,
    LONG_SCENES,
    Mixtures,
    SoundscapeConfig,
    Soundscapes,
    UrbanSound8K,
    load_examples,
)
from soundsep.evaluation import measure_events, measure_naming
from soundsep.files import write_json
from soundsep.metrics import F1Score
from world_pages import LEVELS_DB, RESULTS, plain_table
from world_sounds import KINDS, MACHINES, RATE, SECONDS, computed, in_room, pieces, recordings

DATA = Path(os.environ.get("SOUNDSEP_TEST_DATA") or REPOSITORY.parent / "shared") / "data"
BASELINE = "esc50-mn04-fold5"  # whose speed others are compared with
BATCH_SIZE = 32
STRANGE = (  # of UrbanSound8K, outside the fifty
    "air_conditioner",
    "children_playing",
    "drilling",
    "gun_shot",
    "jackhammer",
    "street_music",
)
THRESHOLD = 0.5  # of models without their own
KEPT = 0.85  # share of the single clips, for strangers at a stricter threshold
N_MIXTURES, N_SCENES, N_LONG, T60_SECONDS = 500, 300, 5, 0.8
CLEAR_DB = (10.0, 25.0)  # over the background
N_FOLDS = 5  # of ESC-50


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of some clips: scores, and which labels it gives, (n_clips, n_labels)."""

    scores: NDArray[np.float64]
    given: NDArray[np.bool_]

    def named(self) -> float:
        """Share of the clips with any label."""
        return float(self.given.any(axis=1).mean())

    def right(self, targets: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the best label is the true one, (n_clips,)."""
        right: NDArray[np.bool_] = self.scores.argmax(axis=1) == targets
        return right


def answers(pipe: Pipeline, waveforms: list[Tensor]) -> Answers:
    """Of a whole list in batches; a recording without any sound gets no label."""
    index = {label: i for i, label in enumerate(pipe.labels)}
    scores = np.zeros((len(waveforms), len(index)))
    given = np.zeros(scores.shape, bool)
    options: dict[str, Any] = {"batch_size": BATCH_SIZE, "errors": "return"}
    results = pipe(waveforms, sample_rate=RATE, progress=False, **options)
    is_sigmoid = pipe.classifier.config.activation == "sigmoid"
    for row, result in enumerate(results):
        for prediction in result.predictions:
            scores[row, index[prediction.label]] = prediction.score
        if is_sigmoid:  # each by its own threshold
            given[row, [index[label] for label in result.labels]] = True
        else:
            given[row] = scores[row] >= THRESHOLD
    return Answers(scores, given)


@dataclass
class World:
    """All that is played to a model."""

    options: argparse.Namespace

    @cached_property
    def esc50(self) -> ESC50:
        """Only the fold held out."""
        return ESC50(self.options.esc50, folds=[self.options.fold])

    @cached_property
    def examples(self) -> list[tuple[Tensor, int]]:
        """Its clips."""
        cache = self.options.cache
        return load_examples(self.esc50.clips, sample_rate=RATE, cache=cache, progress=False)

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """Their classes."""
        return np.array([target for _, target in self.examples])

    @cached_property
    def backgrounds(self) -> list[Tensor]:
        """Real ones."""
        return [waveform for _, waveform in recordings(*self.options.backgrounds)]

    def single(self, pipe: Pipeline) -> dict[str, float]:
        """Clips as they are and softer, and how many keep their name above threshold."""
        clips = [waveform for waveform, _ in self.examples]
        figures = {}
        for loss_db in (0, 20, 40):
            heard = answers(pipe, [clip * 10 ** (-loss_db / 20) for clip in clips])
            right = heard.right(self.targets)
            figures[f"accuracy_minus_{loss_db}_db" if loss_db else "accuracy"] = right.mean()
            if not loss_db:
                known = heard.given[np.arange(len(clips)), self.targets]
                figures["keep_their_name"] = (right & known).mean()
        return figures

    def reverberation(self, pipe: Pipeline) -> dict[str, float]:
        """Clips in a room."""
        clips = [
            in_room(clip, t60_seconds=T60_SECONDS, seed=self.options.seed + i)
            for i, (clip, _) in enumerate(self.examples)
        ]
        return {"accuracy": answers(pipe, clips).right(self.targets).mean()}

    def noise(self, pipe: Pipeline) -> dict[str, float]:
        """Computed sounds and speech that get a label."""
        seed = self.options.seed
        figures = {kind: answers(pipe, computed(kind, seed=seed)).named() for kind in KINDS}
        if speech := pieces(*self.options.speech):
            figures["speech"] = answers(pipe, speech).named()
        return {
            **figures,
            "worst": max(figures.values()),
            "mean": float(np.mean([*figures.values()])),
        }

    @cached_property
    def strange(self) -> dict[str, list[Tensor]]:
        """Real sounds of none of the labels, by the folder or class they are from."""
        waveforms = {folder.name: pieces(folder) for folder in self.options.strangers}
        if self.options.urbansound8k.is_dir():
            slices = UrbanSound8K(self.options.urbansound8k, folds=[10]).clips
            for name in STRANGE:
                clips = [clip for clip in slices if clip.label == name]
                examples = load_examples(clips, sample_rate=RATE, progress=False)
                waveforms[name] = [waveform for waveform, _ in examples]
        return waveforms

    def strangers(self, pipe: Pipeline) -> dict[str, float]:
        """Real sounds of none of the labels that get one; all classes of UrbanSound8K together.

        Once by the model's thresholds, once by the one with which a certain share of the clips
        keep their name.
        """
        clips = answers(pipe, [waveform for waveform, _ in self.examples])
        scores = np.where(clips.right(self.targets), clips.scores.max(axis=1), 0)
        least = np.sort(scores)[-round(KEPT * len(scores))]
        heard = {name: answers(pipe, waveforms) for name, waveforms in self.strange.items()}
        if classes := [heard[name] for name in STRANGE if name in heard]:
            heard["all"] = Answers(
                np.concatenate([one.scores for one in classes]),
                np.concatenate([one.given for one in classes]),
            )
        stricter = {
            f"{name}_at_{100 * KEPT:.0f}_kept": (one.scores.max(axis=1) >= least).mean()
            for name, one in heard.items()
            if name not in STRANGE
        }
        return {name: one.named() for name, one in heard.items()} | stricter

    def machines(self, pipe: Pipeline) -> dict[str, float]:
        """Computed machines that get a label."""
        return {
            kind: answers(pipe, computed(kind, seed=self.options.seed)).named() for kind in MACHINES
        }

    def mixtures(self, pipe: Pipeline) -> dict[str, float]:
        """Two sounds at once, by the protocol of ``soundsep evaluate-mixtures``."""
        mixtures = Mixtures(self.examples, n_mixtures=N_MIXTURES, seed=self.options.seed)
        figures = measure_naming(pipe.classifier, mixtures, batch_size=BATCH_SIZE, progress=False)
        return figures.to_dict()

    def levels(self, pipe: Pipeline) -> dict[str, dict[str, float]]:
        """One sound in each scene of 5 s, at several levels over a real background."""
        return {str(db): self._at_level(pipe, float(db)) for db in LEVELS_DB}

    def _at_level(self, pipe: Pipeline, db: float) -> dict[str, float]:
        scenes = Soundscapes(
            self.examples,
            n_scenes=N_SCENES,
            seed=self.options.seed,
            config=SoundscapeConfig(
                seconds=5.0,
                n_sounds=(0.0, 1.0),
                snr_db=(db, db),
                silent_share=0.0,
                real_share=1.0,
                reverb_share=0.0,
                device_share=0.0,
            ),
            backgrounds=self.backgrounds,
        )
        made = [scenes[i] for i in range(len(scenes))]
        # Too soft to be an event or not: it is there.
        targets = np.array([(*scene.active, *scene.hidden)[0][0] for scene in made])
        heard = answers(pipe, [scene.waveform for scene in made])
        known = heard.given[np.arange(len(made)), targets]
        return {
            "accuracy": heard.right(targets).mean(),
            "named": known.mean(),
            "others_only": (heard.given.any(axis=1) & ~known).mean(),
        }

    def labels(self, pipe: Pipeline) -> dict[str, float]:
        """Labels of scenes of 5 to 10 s with 0 to 4 sounds."""
        clear = self._labels(pipe, SoundscapeConfig(snr_db=CLEAR_DB))
        return {**self._labels(pipe, SoundscapeConfig()).to_dict(), "clear_f1": clear.f1}

    def heard(self, pipe: Pipeline) -> dict[str, float]:
        """The same of the next fold, whose clips a model was trained on if only one is held out."""
        fold = self.options.fold % N_FOLDS + 1
        other = World(argparse.Namespace(**{**vars(self.options), "fold": fold}))
        return {"fold": fold, **other._labels(pipe, SoundscapeConfig()).to_dict()}

    def _labels(self, pipe: Pipeline, config: SoundscapeConfig) -> F1Score:
        total = F1Score()
        lengths = range(5, 11)
        for seconds in lengths:
            scenes = Soundscapes(
                self.examples,
                n_scenes=N_SCENES // len(lengths),
                seed=self.options.seed,
                config=replace(config, seconds=float(seconds)),
                backgrounds=self.backgrounds,
            )
            made = [scenes[i] for i in range(len(scenes))]
            given = answers(pipe, [scene.waveform for scene in made]).given
            truth = np.zeros(given.shape, bool)
            for row, scene in zip(truth, made, strict=True):
                row[[event.target for event in scene.events]] = True
            total += F1Score(
                n_hits=int((given & truth).sum()),
                n_true=int(truth.sum()),
                n_found=int(given.sum()),
            )
        return total

    def events(self, pipe: Pipeline) -> dict[str, Any]:
        """Events of scenes of ten minutes in real backgrounds."""
        scenes = Soundscapes(
            self.examples,
            n_scenes=N_LONG,
            seed=self.options.seed,
            config=LONG_SCENES,
            backgrounds=self.backgrounds,
        )
        metrics = measure_events(
            pipe, scenes, self.esc50.labels, batch_size=BATCH_SIZE, progress=False
        )
        return metrics.to_dict()

    def elsewhere(self, pipe: Pipeline) -> dict[str, float]:
        """Recordings of a folder, each called by its label."""
        named = [*recordings(*self.options.known)]
        heard = answers(pipe, [waveform for _, waveform in named])
        targets = [pipe.labels.index(name.rstrip("0123456789-_ ")) for name, _ in named]
        return {"accuracy": heard.right(np.array(targets)).mean(), "n_recordings": len(named)}

    def speed(self, pipe: Pipeline) -> dict[str, float]:
        """Seconds of one core per second of sound at 16 kHz, beside the baseline."""
        waveform = torch.cat([clip for clip, _ in self.examples[:12]])
        clips = [*torch.split(waveform, round(SECONDS * RATE))]
        seconds: dict[str, list[float]] = {}
        pipes = {"": pipe, "baseline_": Pipeline.from_pretrained(BASELINE)}
        for _ in range(4):  # in turn, since other work comes and goes
            for name, one in pipes.items():
                began = time.process_time()
                one(clips, sample_rate=RATE, batch_size=12, progress=False)
                middle = time.process_time()
                [*one.events(waveform, sample_rate=RATE, batch_size=12, progress=False)]
                seconds.setdefault(f"{name}clips", []).append(middle - began)
                seconds.setdefault(f"{name}events", []).append(time.process_time() - middle)
        best = {name: min(times) * RATE / len(waveform) for name, times in seconds.items()}
        ratios = {f"{k}_ratio": best[k] / best[f"baseline_{k}"] for k in ("clips", "events")}
        return {**best, **ratios}


LINES: dict[str, Callable[[World, Pipeline], dict[str, Any]]] = {
    "single": World.single,
    "noise": World.noise,
    "strangers": World.strangers,
    "machines": World.machines,
    "mixtures": World.mixtures,
    "levels": World.levels,
    "labels": World.labels,
    "heard": World.heard,
    "events": World.events,
    "elsewhere": World.elsewhere,
    "reverberation": World.reverberation,
    "speed": World.speed,
}
# Folders without which a line is left out.
NEEDS = {"levels": "backgrounds", "events": "backgrounds", "elsewhere": "known"}


def plain(value: Any) -> Any:
    """Without types of NumPy, in few digits."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return round(float(value), 6) if isinstance(value, (float, np.floating)) else value


def load(name: str) -> Classifier:
    """A published model, a folder, or the averaged weights of a training that goes on."""
    if not name.endswith(".safetensors"):
        return Classifier.from_pretrained(name)
    from soundsep.labels import ESC50_LABELS
    from train_scenes import FRONTEND

    prefix = "ema.classifier."
    weights = {
        key.removeprefix(prefix): value
        for key, value in load_file(name).items()
        if key.startswith(prefix)
    }
    config = ClassifierConfig(
        labels=ESC50_LABELS, network="mn04-frames", frontend=FRONTEND, activation="sigmoid"
    )
    classifier = Classifier(config)
    classifier.load_state_dict(weights)
    return classifier.eval()


def main() -> None:
    """Measure and write, or print."""
    parser = RESULTS.parser(__doc__)
    own = DATA / "elsewhere"
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--table", action="store_true", help="only print")
    parser.add_argument("--name", help="what the one model is called in the results")
    parser.add_argument("--fold", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=LINES, default=list(LINES), metavar="LINE")
    parser.add_argument("--esc50", type=Path, default=DATA / "esc50-16k")
    parser.add_argument("--urbansound8k", type=Path, default=DATA / "urbansound8k-mini")
    for folders in ("backgrounds", "strangers", "known", "speech"):
        parser.add_argument(f"--{folders}", type=Path, nargs="*", default=[own / folders])
    parser.add_argument("--cache", type=Path, help="folder for decoded clips")
    parser.add_argument("--output", type=Path, default=RESULTS.path)
    options = parser.parse_args()
    for folders in ("backgrounds", "strangers", "known", "speech"):
        setattr(options, folders, [path for path in getattr(options, folders) if path.is_dir()])
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    if options.output.is_file():
        results = json.loads(options.output.read_text(encoding="utf-8"))
    world = World(options)
    for model in () if options.table else options.models:
        pipe = Pipeline(load(model))
        entry = results.setdefault(options.name or Path(model).name, {})
        entry |= {"fold": options.fold, "seed": options.seed}
        for line in options.only:
            if line in NEEDS and not getattr(options, NEEDS[line]):
                continue
            began = time.perf_counter()
            entry[line] = plain(LINES[line](world, pipe))
            print(f"{model}: {line}, {time.perf_counter() - began:.0f} s", flush=True)
            write_json(options.output, results)
    if options.output == RESULTS.path:
        RESULTS.write(results)
    print(plain_table(results))


if __name__ == "__main__":
    main()
