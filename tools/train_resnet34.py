"""Train ``esc50-resnet34`` with an accelerator: ``python tools/train_resnet34.py --esc50 DIR ...``.

The student hears 2.5 s crops, then whole clips of the four other folds; of a fold held out, its
teachers have heard nothing either: the mean of ``esc50-mn04-foldK`` and ``scenes50-mn04-foldK``.
Several folds take turns on one device, one that is named twice has twice as many turns::

    python tools/train_resnet34.py --esc50 ESC-50 --folds 5 --minutes 8.5 --device cuda --output OUT

writes to OUT/fold5 ``model.safetensors`` and ``config.json`` (averaged weights, float16),
``metrics.jsonl`` (the learning curve; nothing is chosen by it), ``recipe.json``, ``test.json``
(accuracy on the fold held out: as it is, quieter, in noise, in rooms) and ``logits.npz`` (what the
saved weights answer to each of its clips). With ``--minutes`` the schedule follows the clock, and
all is written when that time is over.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

BEGAN = time.monotonic()  # before torch, whose import takes seconds

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from soundsep import Classifier  # noqa: E402
from soundsep.datasets import ESC50, Clip  # noqa: E402
from soundsep.datasets.subsets import few_of_each  # noqa: E402
from soundsep.devices import to_device  # noqa: E402
from soundsep.errors import SoundsepError  # noqa: E402
from soundsep.files import write_json, write_json_lines  # noqa: E402
from soundsep.training import fit_temperature  # noqa: E402
from soundsep.training.autocast import bfloat16_for  # noqa: E402
from soundsep.training.batched import BatchedRun, Stopwatch, whole_windows  # noqa: E402
from soundsep.training.batched_augment import add_coloured_noise, limit_band, reverberate  # noqa: E402
from soundsep.training.batched_recipe import BatchedRecipe  # noqa: E402
from soundsep.training.clip_bank import ClipBank  # noqa: E402
from turns import (  # noqa: E402
    RATE,
    Member,
    add_arguments,
    load,
    name_of,
    pace_of,
    settings_of,
    take_turns,
    wait,
)

SAVE_EVERY = 5  # reports
BATCH = 100  # of whole clips that are only answered; divides a fold's 400
END_SECONDS = 4.0  # to measure and save one fold
Answer = Callable[[Tensor], Tensor]


class PartTimes(Stopwatch):
    """Milliseconds of each part of a step; the device is waited for, so the whole is slower."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what is done in it."""
        wait(self.device)
        began = time.perf_counter()
        yield
        wait(self.device)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


class HeldOut:
    """Whole clips of one fold on the device, and what classifiers are worth on them."""

    def __init__(self, clips: Sequence[Clip], waveforms: Tensor) -> None:
        self.clips, self.waveforms = clips, waveforms
        self.targets = torch.tensor([clip.target for clip in clips])

    @torch.inference_mode()
    def answers(self, answer: Answer, change: Answer | None = None) -> Tensor:
        """What is answered to every clip, (n_clips, n_labels) on the CPU."""
        batches = torch.split(self.waveforms, BATCH)
        return torch.cat([answer(b if change is None else change(b)) for b in batches]).cpu()

    def accuracy(self, answers: Tensor) -> float:
        """Share of the clips that are named rightly."""
        return float((answers.argmax(dim=1) == self.targets).double().mean())

    def under_conditions(self, answer: Answer) -> dict[str, float]:
        """Accuracy on the clips as they are, and changed in a few ways; always the same changes."""
        generator = torch.Generator(self.waveforms.device)
        found = {}
        for name, change in changes(generator).items():
            generator.manual_seed(0)
            found[name] = round(self.accuracy(self.answers(answer, change)), 4)
        return found


def changes(generator: torch.Generator) -> dict[str, Answer | None]:
    """Quieter, in noise, in a room, by telephone."""

    def each(x: Tensor, value: float) -> Tensor:
        return torch.full((len(x),), value, device=x.device)

    def noise(snr_db: float, colour: float) -> Answer:
        return lambda x: add_coloured_noise(
            x, snr_db=each(x, snr_db), colour=each(x, colour), generator=generator
        )

    def room(t60_seconds: float) -> Answer:
        return lambda x: reverberate(
            x,
            t60_seconds=each(x, t60_seconds),
            direct_db=each(x, 0.0),
            sample_rate=RATE,
            max_seconds=t60_seconds,
            generator=generator,
        )

    return {
        "as it is": None,
        "40 dB softer": lambda x: x * 0.01,
        "white noise, 20 dB": noise(20.0, 0.0),
        "white noise, 10 dB": noise(10.0, 0.0),
        "pink noise, 10 dB": noise(10.0, 1.0),
        "pink noise, 0 dB": noise(0.0, 1.0),
        "room, 0.4 s": room(0.4),
        "room, 1 s": room(1.0),
        "300 to 3400 Hz": lambda x: limit_band(
            x, low_hz=each(x, 300.0), high_hz=each(x, 3_400.0), sample_rate=RATE
        ),
    }


class Fold(Member):
    """The training of one fold, its learning curve and its files."""

    def __init__(
        self, number: int, run: BatchedRun, held_out: HeldOut, folder: Path, *, keep: bool
    ) -> None:
        self.number, self.run, self.held_out, self.folder = number, run, held_out, folder
        self.keep = keep  # the weights
        self.name, self.rows = f"fold {number}", []

    @property
    def n_heard(self) -> int:
        """Clips so far."""
        return self.run.n_clips

    @property
    def n_steps(self) -> int:
        """Steps so far."""
        return self.run.n_steps

    def is_over(self, share: float) -> bool:
        """Not without a step of whole clips."""
        return share >= 1 and self.run.n_whole > 0

    def step(self, share: float) -> None:
        """Learn from one batch."""
        self.run.step(share)

    @property
    def epochs(self) -> float:
        """Times that every clip was heard, on average."""
        return self.run.n_clips / len(self.run.rows)

    def report(self, share: float, seconds: float, per_second: float) -> bool:
        """Add a row to the learning curve; says whether the training is still one."""
        loss, distance = self.run.losses()
        if self.rows and self.rows[-1]["step"] == self.run.n_steps:
            loss, distance = (self.rows[-1][f"{k}_loss"] for k in ("training", "embedding"))
        ema = self.run.averaged()

        def answer(x: Tensor) -> Tensor:
            features = ema.features(x)
            with bfloat16_for(features, enabled=self.run.recipe.bfloat16):
                return ema.network(features).float()

        row = {
            "fold": self.number,
            "share": round(share, 4),
            "step": self.run.n_steps,
            "epoch": round(self.epochs, 1),
            "seconds": round(seconds, 1),
            "clips_per_second": round(per_second),
            "training_loss": round(loss, 4),
            "embedding_loss": round(distance, 4),
            "held_out_accuracy": round(self.held_out.accuracy(self.held_out.answers(answer)), 4),
        }
        self.rows.append(row)
        write_json_lines(self.folder / "metrics.jsonl", self.rows)
        print(json.dumps(row), flush=True)
        if not math.isfinite(loss):
            return False
        if self.keep and len(self.rows) % SAVE_EVERY == 0:  # for the case that it is killed
            ema.save_pretrained(self.folder, half=True)
        return True

    def finish(self, *, compared: dict[str, Classifier], seconds: float) -> float:
        """Save, and measure what was saved; returns the accuracy."""
        device = self.held_out.waveforms.device
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.folder if self.keep else Path(temporary)
            self.run.averaged().save_pretrained(folder, half=True)
            student = to_device(Classifier.from_pretrained(folder), device)
        logits = self.held_out.answers(student)
        np.savez_compressed(
            self.folder / "logits.npz",
            logits=logits.numpy(),
            targets=self.held_out.targets.numpy(),
            paths=np.array([clip.path.name for clip in self.held_out.clips]),
        )

        def teacher(x: Tensor) -> Tensor:
            logits: Tensor = self.run.teacher(x, bfloat16=False)[0]
            return logits

        models: dict[str, Answer] = {"student": student, "teacher": teacher}
        models |= {name: to_device(model, device) for name, model in compared.items()}
        accuracy = self.held_out.accuracy(logits)
        loss = float(nn.functional.cross_entropy(logits, self.held_out.targets))
        write_json(
            self.folder / "test.json",
            {
                "fold": self.number,
                "n_clips": len(logits),
                "accuracy": accuracy,
                "loss": round(loss, 4),
                "temperature_of_these_clips": round(
                    fit_temperature(logits, self.held_out.targets), 4
                ),
                "accuracy_under": {n: self.held_out.under_conditions(m) for n, m in models.items()},
                "steps": self.run.n_steps,
                "steps_of_whole_clips": self.run.n_whole,
                "clips": self.run.n_clips,
                "epochs": round(self.epochs, 1),
                "training_seconds": round(seconds, 1),
                "device": name_of(device),
            },
        )
        return accuracy


def measure_parts(run: BatchedRun, n_steps: int = 5) -> dict[str, float]:
    """Milliseconds of the parts of a step with crops; the steps count."""
    device = run.bank.waveforms.device
    for _ in range(3):
        run.step(0.0)
    watch = PartTimes(device)
    for _ in range(n_steps):
        run.step(0.0, watch)
    wait(device)
    began = time.perf_counter()
    for _ in range(n_steps):
        run.step(0.0)
    launched = time.perf_counter() - began
    wait(device)
    parts = {name: 1e3 * s / n_steps for name, s in watch.seconds.items()}
    parts["whole step"] = 1e3 * (time.perf_counter() - began) / n_steps
    parts["of it on the processor"] = 1e3 * launched / n_steps
    return {name: round(value, 2) for name, value in parts.items()}


def main() -> None:
    """Load, train, measure, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_arguments(parser, n_threads=3)
    parser.add_argument("--folds", type=int, nargs="+", default=[5], help="held out, in turns")
    parser.add_argument("--weights-of", type=int, nargs="*", help="keep these folds' weights only")
    parser.add_argument("--epochs", type=int, default=3_000, help="of each fold, at most")
    parser.add_argument(
        "--teachers",
        nargs="+",
        default=["esc50-mn04-fold{fold}", "scenes50-mn04-fold{fold}"],
        help="names or folders; their mean is learnt",
    )
    parser.add_argument("--compare", nargs="*", default=[], help="models to measure beside it")
    parser.add_argument("--parts", action="store_true", help="time the parts of a step first")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    device = torch.device(args.device)
    recipe = BatchedRecipe.from_dict(settings_of(args))
    if args.batch_size:  # the noise of Adam's steps stays alike
        rate = recipe.learning_rate * math.sqrt(args.batch_size / recipe.batch_size)
        recipe = recipe.replace(batch_size=args.batch_size, learning_rate=rate)
    esc50 = ESC50(args.esc50)
    numbers = [*dict.fromkeys(args.folds)]
    chosen = {n: [few_of_each(s, args.limit) for s in esc50.split(n)] for n in numbers}
    clips = [*dict.fromkeys(clip for sides in chosen.values() for side in sides for clip in side)]
    examples = load(clips, args.threads)
    index = {clip: i for i, clip in enumerate(clips)}
    bank = ClipBank(examples, device)
    print(f"{time.monotonic() - BEGAN:.1f} s: {len(clips)} clips on {device}", flush=True)

    folds = []
    for number, (training, test) in chosen.items():
        names = [name.format(fold=number) for name in args.teachers]
        teachers = [Classifier.from_pretrained(name) for name in names]
        rows = [index[clip] for clip in training]
        run = BatchedRun(recipe, esc50.labels, bank, rows, teachers, seed=args.seed + number)
        windows = whole_windows([examples[index[c]][0] for c in test], run.model.config)
        folder = args.output / f"fold{number}"
        held_out = HeldOut(test, windows.to(device))
        keep = args.weights_of is None or number in args.weights_of
        folds.append(Fold(number, run, held_out, folder, keep=keep))
        notes = {
            "recipe": recipe.to_dict(),
            "fold": number,
            "teachers": names,
            "training_clips": len(rows),
            "arguments": {k: str(v) for k, v in vars(args).items()},
        }
        write_json(folder / "recipe.json", notes)
    if args.parts:
        print("ms per step:", json.dumps(measure_parts(folds[0].run)), flush=True)
    n_steps = math.ceil(args.epochs * len(folds[0].run.rows) / recipe.batch_size)
    pace = pace_of(args, n_steps, began=BEGAN, end_seconds=END_SECONDS * len(folds))
    n_before = sum(fold.run.n_clips for fold in folds)
    take_turns({fold.number: fold for fold in folds}, args.folds, pace, args.reports)
    wait(device)
    trained = pace.elapsed

    compared = {name: Classifier.from_pretrained(name) for name in args.compare}
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # the figures are those of float32
    accuracies = []
    for fold in folds:
        if not fold.rows:  # it failed before there was anything to measure
            continue
        try:
            accuracies.append(fold.finish(compared=compared, seconds=trained))
        except SoundsepError as error:  # of one fold, which the others should not be lost for
            print(f"fold {fold.number}: {error}", flush=True)
            continue
        print(f"fold {fold.number}: {100 * accuracies[-1]:.2f} %, {fold.epochs:.0f} epochs")
    n_clips = sum(fold.run.n_clips for fold in folds) - n_before
    summary = {
        "folds": numbers,
        "accuracies": accuracies,
        "mean_accuracy": sum(accuracies) / max(1, len(accuracies)),
        "clips_per_second": round(n_clips / trained),
        "training_seconds": round(trained, 1),
        "all_seconds": round(time.monotonic() - BEGAN, 1),
    }
    write_json(args.output / "summary.json", summary)
    print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main()
