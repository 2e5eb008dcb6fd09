#!/usr/bin/env python3
"""Make the example recordings that the wheel holds, with the truth about each, from code alone.

    python tools/make_examples.py [FOLDER]     by default into src/soundsep/examples

Each is a scene of sounds of examples/synthesise_sounds.py over a soft background; no recording is
among them. tests/unit/examples holds what the default model must hear in them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from soundsep.audio import resample
from soundsep.datasets import write_truth
from soundsep.pipeline import Event

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "src" / "soundsep" / "examples"
sys.path.insert(0, str(REPOSITORY / "examples"))

import synthesise_sounds as sounds  # noqa: E402  # no package

OUTPUT_RATE = 24_000  # Hz
COMPRESSION = 0.6  # of Vorbis, from 0 to 1; more distorts what models listen to
BACKGROUND_DB = -55.0  # of full scale, mean power
Sound = Callable[[np.random.Generator, float], sounds.Signal]


class Placed(NamedTuple):
    """A sound of a scene; the level is its peak in dB of full scale."""

    label: str
    sound: Sound
    start_seconds: float
    end_seconds: float
    peak_db: float = -6.0
    fade_seconds: float = 0.3  # at either end


SCENES: dict[str, tuple[float, tuple[Placed, ...]]] = {
    "knock": (5.0, (Placed("door_wood_knock", sounds.door_knock, 0.0, 5.0),)),
    "street": (
        20.0,
        (
            Placed("siren", sounds.siren, 0.5, 11.0, fade_seconds=2.5),
            Placed("church_bells", sounds.church_bells, 9.5, 20.0),
        ),
    ),
    "night": (
        20.0,
        (
            Placed("crickets", sounds.crickets, 0.0, 20.0, -20.0),
            Placed("door_wood_knock", sounds.door_knock, 7.4, 15.0),
        ),
    ),
    "morning": (
        18.0,
        (
            Placed("rain", sounds.rain, 0.0, 18.0, -16.0),
            Placed("clock_alarm", sounds.clock_alarm, 8.0, 18.0, -10.0),
        ),
    ),
}


def scene(seconds: float, placed: tuple[Placed, ...], seed: int) -> sounds.Signal:
    """The samples of a scene at the rate of the sounds."""
    rng = np.random.default_rng(seed)
    out = 10 ** (BACKGROUND_DB / 20) * sounds.band_noise(rng, 40, 1000, seconds)
    for part in placed:
        length = part.end_seconds - part.start_seconds
        samples = part.sound(rng, length)
        time = sounds.times(length)
        samples *= np.minimum(1, np.minimum(time, length - time) / part.fade_seconds)
        samples *= 10 ** (part.peak_db / 20) / np.abs(samples).max()
        first = int(part.start_seconds * sounds.RATE)
        out[first : first + samples.size] += samples
    return out


def main(folder: Path) -> None:
    """Write all scenes: NAME.ogg and NAME.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (seconds, placed)) in enumerate(SCENES.items()):
        waveform = torch.from_numpy(scene(seconds, placed, seed)).float()
        samples = resample(waveform, sounds.RATE, OUTPUT_RATE).numpy()
        path = folder / f"{name}.ogg"
        soundfile.write(path, samples, OUTPUT_RATE, subtype="VORBIS", compression_level=COMPRESSION)
        events = [Event(p.start_seconds, p.end_seconds, p.label, 1.0) for p in placed]
        write_truth(events, path.with_suffix(".csv"), duration_seconds=seconds)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, metavar="FOLDER")
    main(parser.parse_args().folder)
