"""What a user writes; `test_user_script.py` runs it, and mypy --strict over it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from typing_extensions import assert_type

import soundsep
from soundsep import (
    Classifier,
    ClassifierConfig,
    ClipResult,
    Event,
    Gap,
    Pipeline,
    Prediction,
    Scores,
    Separation,
)
from soundsep.augment import Augment, Gain
from soundsep.classifier import ClassifierLike
from soundsep.datasets import (
    AudioFolder,
    Clip,
    Mixture,
    Mixtures,
    Scene,
    Soundscapes,
    load_examples,
    read_truth,
)
from soundsep.export import ExportReport, OnnxClassifier, export_onnx
from soundsep.frontends import GammatoneFrontend, MelFrontend, MFCCFrontend
from soundsep.models import resnet18
from soundsep.pipeline import listen

path = soundsep.example("street")
assert_type(path, Path)
assert_type(soundsep.list_examples(), tuple[str, ...])
assert_type(soundsep.list_models(), tuple[str, ...])

pipe = Pipeline.from_pretrained(soundsep.list_models()[0])
assert_type(pipe, Pipeline[Classifier])
assert_type(pipe.classifier, Classifier)

# One in, one out: a path, bytes, arrays, a dictionary as data sets of Hugging Face have them.
result = pipe(path)
assert_type(result, ClipResult)
assert_type(pipe(str(path)), ClipResult)
assert_type(pipe(path.read_bytes()), ClipResult)
samples = 0.1 * np.sin(np.arange(32_000, dtype=np.float32) / 10)
assert_type(pipe(samples, sample_rate=32_000), ClipResult)
assert_type(pipe(torch.from_numpy(samples), sample_rate=32_000), ClipResult)
assert_type(pipe({"array": samples, "sampling_rate": 32_000}), ClipResult)
with path.open("rb") as file:
    assert_type(pipe(file), ClipResult)
with tempfile.SpooledTemporaryFile() as upload:
    upload.write(path.read_bytes())
    upload.seek(0)
    assert_type(pipe(upload), ClipResult)
assert_type(pipe(bytearray(path.read_bytes())), ClipResult)
assert_type(pipe(memoryview(path.read_bytes())), ClipResult)

# A list in, a list out; an iterator in, an iterator out.
assert_type(pipe([path, path]), list[ClipResult])
assert_type(pipe((str(path), samples), sample_rate=32_000), list[ClipResult])
assert_type(pipe(path.parent.glob("knock.ogg")), Generator[ClipResult])
assert_type(pipe(soundsep.example(name) for name in ("knock",)), Generator[ClipResult])
assert_type(pipe({path}), Generator[ClipResult])
assert_type(pipe({"street": path}.values()), Generator[ClipResult])
with closing(pipe(iter([path, path]))) as results:
    assert_type(next(results), ClipResult)
with closing(pipe.events(path)) as events:
    assert_type(next(events), Event)

assert_type(result.label, str | None)
assert_type(result.score, float)
assert_type(result.top(3), tuple[Prediction, ...])
assert_type(result.path, str | None)
assert_type(result.separation, Separation | None)
if result.separation is not None:
    assert_type(result.separation.audio, Tensor)

for event in pipe.events(path):
    assert_type(event, Event)
    assert_type(event.label, str)
    assert_type(event.start_seconds, float)
for true in read_truth(path.with_suffix(".csv")):
    assert_type(true, Event)
scores = pipe.scores(path)
assert_type(scores, Scores)
assert_type(scores["siren"], Tensor)

embedding = pipe.embed(path)
assert_type(embedding, Tensor)
assert_type(pipe.embed([path, path]), Tensor)

model = Classifier(ClassifierConfig(labels=("dog", "cat"), network="resnet18"))
assert_type(model(torch.zeros(1, 16_000)), Tensor)
assert_type(model.embed(torch.zeros(1, 16_000)), Tensor)
assert_type(model.labels, tuple[str, ...])

batch = torch.zeros(1, 16_000)
assert_type(MelFrontend()(batch), Tensor)
assert_type(MFCCFrontend()(batch), Tensor)
assert_type(GammatoneFrontend()(batch), Tensor)
assert_type(resnet18(2)(MelFrontend()(batch)), Tensor)
assert_type(Augment([Gain()])(batch), Tensor)


def load(clips: AudioFolder) -> list[tuple[Tensor, int]]:
    assert_type(clips[0], Clip)
    assert_type(clips[:2], tuple[Clip, ...])
    return load_examples(clips, sample_rate=16_000)


def loaders(clips: AudioFolder, scenes: Soundscapes, mixtures: Mixtures) -> None:
    assert_type(DataLoader(clips, batch_size=None), DataLoader[Clip])
    assert_type(DataLoader(scenes, collate_fn=list), DataLoader[Scene])
    assert_type(Subset(mixtures, [1, 2]), Subset[Mixture])


def export(pipe: Pipeline[Classifier], path: Path) -> None:
    assert_type(export_onnx(pipe.classifier, path), ExportReport)
    assert_type(Pipeline(OnnxClassifier(path)), Pipeline[OnnxClassifier])


def any_pipeline(pipe: Pipeline) -> tuple[str, ...]:
    assert_type(pipe.classifier, ClassifierLike)
    return pipe.labels


assert_type(any_pipeline(pipe), tuple[str, ...])

waveform, rate = soundsep.load_audio(path)
assert_type(waveform, Tensor)
assert_type(rate, int)


class Radio:
    """A live input of one's own."""

    sample_rate = 16_000

    def blocks(self, stop: threading.Event) -> Iterator[tuple[int, Tensor]]:
        for _ in range(10):
            yield 0, torch.zeros(1_600)
        yield 800, torch.zeros(1_600)

    def __enter__(self) -> Radio:
        return self

    def __exit__(self, *_: object) -> None:
        pass


heard = list(listen(pipe, Radio(), threshold=0.5))
assert_type(heard, list[Event | Gap])
assert heard == [Gap(1.0, 1.05)]
