#!/usr/bin/env python3
"""Choose the score below which each shipped model had better say that it does not know.

    python tools/choose_unknown.py ESC50 URBANSOUND8K [NAME...]

plays every model, or those named, sounds of classes that it has no label for, from the training
folds of the other data set, and writes into its config.json the score that one in ten of them
reaches. What that is worth on the folds held out, `dev.py results` measures. Run
`python tools/publish.py` afterwards, which writes the new digests into the registry.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from results_file import REPOSITORY
from soundsep import Pipeline
from soundsep.datasets import ESC50, Clip, UrbanSound8K
from soundsep.datasets.crosswalk import ESC50_TO_URBAN11, URBANSOUND8K_TO_URBAN11

FALSE_ALARMS = 0.1  # share of unknown sounds that get a label all the same
# Classes of one data set that a label of the other one names.
IN_BOTH = {"dog", "dog_bark", "car_horn", "siren", "engine", "engine_idling"}
N_CASES, SECONDS, RATE = 200, 5.0, 16_000


def strangers(name: str, esc50: Path, urbansound8k: Path, *, held_out: bool) -> list[Clip]:
    """Clips of classes that a model has no label for.

    Args:
        name: Of the model.
        esc50: Folder of the data set.
        urbansound8k: Likewise.
        held_out: Those of the folds that results are reported on, or those of the others.
    """
    if name.startswith("urbansound8k"):
        clips = [c for c in ESC50(esc50).clips if (c.fold == 5) == held_out]
        return [clip for clip in clips if clip.label not in IN_BOTH]
    clips = [c for c in UrbanSound8K(urbansound8k).clips if (c.fold == 10) == held_out]
    if name.startswith("urban11"):
        others = [c for c in ESC50(esc50).clips if (c.fold == 5) == held_out]
        return [c for c in clips if c.label not in URBANSOUND8K_TO_URBAN11] + [
            c for c in others if c.label not in ESC50_TO_URBAN11
        ]
    return [clip for clip in clips if clip.label not in IN_BOTH]


def noises() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Signals that hold no sound with a name, `N_CASES` of a kind, at levels over 54 dB."""
    n = round(SECONDS * RATE)
    time = np.arange(n) / RATE

    def pink(rng: np.random.Generator) -> NDArray[np.float64]:
        spectrum = np.fft.rfft(rng.standard_normal(n))
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        spectrum[0] = 0
        noise = np.fft.irfft(spectrum, n)
        return np.asarray(noise / np.abs(noise).max())

    kinds: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
        "white noise": lambda rng: rng.uniform(-1, 1, n),
        "pink noise": pink,
        "a pure tone": lambda rng: np.sin(
            2 * math.pi * math.exp(rng.uniform(math.log(50), math.log(7_000))) * time
        ),
        "a constant": lambda _: np.ones(n),
    }
    for kind, make in kinds.items():
        for case in range(N_CASES):
            rng = np.random.default_rng(case)
            gain = 10 ** rng.uniform(-3.0, -0.3)
            yield kind, (gain * make(rng)).astype(np.float32)


def confident_on_noise(pipe: Pipeline) -> dict[str, float]:
    """Share of each kind of noise that gets a score above 0.9."""
    cases = [*noises()]
    pipe = Pipeline(pipe.classifier, silence_db=-200.0)  # a constant has the score 0, and no error
    results = pipe([noise for _, noise in cases], sample_rate=RATE, top_k=1)
    high: dict[str, list[bool]] = {}
    for (kind, _), result in zip(cases, results, strict=True):
        high.setdefault(kind, []).append(result.score > 0.9)
    return {kind: float(np.mean(found)) for kind, found in high.items()}


def best_scores(pipe: Pipeline, clips: list[Clip]) -> NDArray[np.float64]:
    """Of every clip, (n_clips,)."""
    return np.array([r.score for r in pipe([clip.path for clip in clips], top_k=1)])


def main(esc50: Path, urbansound8k: Path, *names: str) -> None:
    """Write every config."""
    for path in sorted((REPOSITORY / "weights").glob("*/config.json")):
        folder = path.parent
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != "soundsep-classifier" or (names and folder.name not in names):
            continue
        clips = strangers(folder.name, esc50, urbansound8k, held_out=False)
        scores = best_scores(Pipeline.from_pretrained(folder), clips)
        least = math.ceil(1e4 * float(np.quantile(scores, 1 - FALSE_ALARMS))) / 1e4
        content["classifier"]["unknown_below"] = least
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{folder.name}: {least}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("esc50", type=Path, metavar="ESC50")
    parser.add_argument("urbansound8k", type=Path, metavar="URBANSOUND8K")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    main(options.esc50, options.urbansound8k, *options.names)
