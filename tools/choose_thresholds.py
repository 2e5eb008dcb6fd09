#!/usr/bin/env python3
"""Raise the thresholds of models of scenes until synthetic noise is hardly ever named.

    python tools/choose_thresholds.py NAME...

plays every model noise, hum, tones, room tone, clicks and chords of `world_sounds`, of other seeds
than `measure_world` plays, and writes into its config.json the score that each label has to reach:
one half, or as much as leaves one in a hundred of any kind of noise with that label. No clip of a
data set is heard. Run `python tools/publish.py` afterwards, which writes the new digests into the
registry.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
from numpy.typing import NDArray

from results_file import REPOSITORY
from soundsep import Pipeline
from soundsep.classifier.checks import reaches
from soundsep.classifier.config import DEFAULT_THRESHOLD
from world_sounds import KINDS, RATE, computed

SEEDS = range(100, 105)  # 300 sounds of each kind
FALSE_ALARMS = 0.01  # share of each kind that may get a certain label
STEP = 0.05  # thresholds are rounded up to it


def scores_of_noise(pipe: Pipeline, kind: str) -> NDArray[np.float64]:
    """Of every label, (n_sounds, n_labels)."""
    waveforms = [waveform for seed in SEEDS for waveform in computed(kind, seed=seed)]
    results = pipe(waveforms, sample_rate=RATE, progress=False)
    rows = [{one.label: one.score for one in result.predictions} for result in results]
    return np.array([[row[label] for label in pipe.labels] for row in rows])


def least_thresholds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lowest multiples of `STEP` that at most so many of these reach, (n_labels,).

    Shape:
        scores: (n_sounds, n_labels).
    """
    steps = np.round(np.arange(STEP, 1 + 2 * STEP, STEP), 2)  # none reaches the last
    n_reaching = reaches(scores, steps[:, None, None]).sum(axis=1)
    return np.asarray(steps[np.argmax(n_reaching <= FALSE_ALARMS * len(scores), axis=0)])


def choose(pipe: Pipeline) -> list[float]:
    """The threshold of each label."""
    least = [least_thresholds(scores_of_noise(pipe, kind)) for kind in KINDS]
    return [*map(float, np.clip(np.max(least, axis=0), DEFAULT_THRESHOLD, 1.0))]


def main() -> None:
    """Write the config of every model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME")
    for name in parser.parse_args().names:
        path = REPOSITORY / "weights" / name / "config.json"
        pipe = Pipeline.from_pretrained(path.parent)
        if pipe.classifier.config.activation != "sigmoid":
            sys.exit(f"{name} names exactly one sound: thresholds are for models of several")
        thresholds = choose(pipe)
        content = json.loads(path.read_text(encoding="utf-8"))
        pairs = zip(pipe.labels, thresholds, strict=True)
        raised = {label: value for label, value in pairs if value > DEFAULT_THRESHOLD}
        content["classifier"]["thresholds"] = thresholds if raised else None
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{name}: {raised or 'nothing is raised'}")


if __name__ == "__main__":
    main()
