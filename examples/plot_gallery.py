#!/usr/bin/env python3
"""Draw one picture of every kind that `soundsep.plots` knows.

    python examples/synthesise_sounds.py examples/sounds
    python examples/plot_gallery.py examples/sounds gallery [SOUND.wav]

SOUND.wav (by default the siren of the folder) is drawn in every way a recording can be. For the
curves and the confusion matrix a small network is trained for 10 epochs to tell the folder's
sounds apart, by the first seconds of each, and asked about the last ones. It shows the pictures;
what such a network knows of sounds that it has half heard says nothing of recordings.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from soundsep import Pipeline, example, load_audio, plots
from soundsep.checkpoints import DEFAULT_EVENT_MODEL, DEFAULT_MODEL
from soundsep.classifier import Classifier
from soundsep.classifier.scoring import score_waveforms
from soundsep.evaluation import Evaluation
from soundsep.training import Example, Recipe, Stage, train

RECIPE = Recipe(
    name="gallery",
    description="a small network, for the sake of its curves",
    network="cnn-mel",
    window_seconds=0.5,
    stages=(Stage(epochs=10),),
    batch_size=12,
    ema_decay=0.0,
    report_every=1,
)


def draw_sound(sound: Path, folder: Path) -> None:
    """Every picture of one recording."""
    plots.plot_waveform(sound, path=folder / "waveform.png")
    plots.plot_stft(sound, path=folder / "stft.png")
    plots.plot_mel(sound, path=folder / "mel.png")
    plots.plot_mfcc(sound, path=folder / "mfcc.png")
    plots.plot_gammatone(sound, path=folder / "gammatone.png")
    plots.plot_3d(sound, path=folder / "3d.png")


def draw_events(folder: Path) -> None:
    """What happens in a night, by a published model."""
    night = example("night")
    events = list(Pipeline.from_pretrained(DEFAULT_EVENT_MODEL).events(night))
    plots.plot_events(night, events, path=folder / "events.png")


def draw_probabilities(sounds: list[Path], folder: Path) -> None:
    """What a published model hears in all sounds, one after the other."""
    rate = RECIPE.frontend.sample_rate
    waveform = torch.cat([load_audio(sound, target_rate=rate)[0] for sound in sounds])
    plots.plot_probabilities(
        waveform, sample_rate=rate, title="all sounds in turn", path=folder / "probabilities.png"
    )


def draw_separation(first: Path, second: Path, folder: Path) -> None:
    """Two sounds at once, and what the published separator makes of them."""
    pipe = Pipeline.from_pretrained(DEFAULT_MODEL, separator="esc50-mix2")
    sounds = [load_audio(sound, target_rate=pipe.sample_rate)[0] for sound in (first, second)]
    mixture = sum(sound / sound.square().mean().sqrt() for sound in sounds)
    result = pipe(0.05 * mixture, sample_rate=pipe.sample_rate)
    titles: dict[str, str] = {}
    for best in reversed(result.top(2)):
        name = best.heard_in or "mixture"
        titles[name] = f"{name}: {best.label} ({best.score:.2f})"
    plots.plot_separation(result.separation, titles=titles, path=folder / "separation.png")


def draw_training(sounds: list[Path], folder: Path) -> None:
    """The curves of a training run, and what its network confuses."""
    labels = tuple(sound.stem.removeprefix("synthetic_") for sound in sounds)
    learnt: list[Example] = []
    kept: list[Example] = []
    for target, sound in enumerate(sounds):
        waveform, rate = load_audio(sound, target_rate=RECIPE.frontend.sample_rate)
        pieces = waveform.split(round(RECIPE.window_seconds * rate))
        learnt += [(piece, target) for piece in pieces[:6]]
        kept += [(piece, target) for piece in pieces[6:]]
    run = folder / "run"
    progress = sys.stderr.isatty()
    model, _ = train(
        RECIPE, labels=labels, training=learnt, held_out=kept, output=run, progress=progress
    )
    plots.plot_curves(run, title="10 epochs on half-second pieces", path=folder / "curves.png")
    plots.plot_confusion(evaluate(model, kept), path=folder / "confusion.png")


def evaluate(model: Classifier, clips: list[Example]) -> Evaluation:
    """The model's answers to waveforms; for files there is `soundsep.evaluation.evaluate`."""
    keyed = ((target, clip) for clip, target in clips)
    scored = [*score_waveforms(model, keyed, batch_size=16)]
    scores = torch.stack([scores for _, scores in scored])
    best = scores.max(dim=1)
    return Evaluation(
        labels=model.labels,
        targets=np.array([target for target, _ in scored]),
        answers=best.indices.numpy(),
        scores=best.values.double().numpy(),
    )


def main(sounds: Path, folder: Path, sound: Path | None = None) -> None:
    """Write all pictures to ``folder``."""
    files = sorted(sounds.glob("*.wav"))
    if len(files) < 2:
        sys.exit(f"{sounds} holds no wav files; examples/synthesise_sounds.py writes some")
    draw_sound(sound or sounds / "synthetic_siren.wav", folder)
    draw_events(folder)
    draw_probabilities(files, folder)
    draw_separation(sounds / "synthetic_wind.wav", sounds / "synthetic_crickets.wav", folder)
    draw_training(files, folder)
    print(f"wrote {len([*folder.glob('*.png')])} pictures to {folder}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
