"""Train ``esc50-mix2`` with an accelerator: ``python tools/train_separator.py --esc50 DIR ...``.

The networks named take turns on one device, one that is named twice has twice as many turns::

    python tools/train_separator.py --esc50 ESC-50 --held-out 5 --minutes 8.5 --output OUT

writes to OUT/NETWORK ``model.safetensors`` and ``config.json`` (averaged weights, float16),
``metrics.jsonl`` (the learning curve; nothing is chosen by it), ``recipe.json`` and ``test.json``
(the mixtures of the fold held out, as ``soundsep evaluate-mixtures`` draws them). With
``--minutes`` the schedule follows the clock, and all is written when that time is over. With
``--initial`` one network goes on from the weights of a separator, at a rate that rises anew.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

BEGAN = time.monotonic()  # before torch, whose import takes seconds

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from soundsep.datasets import ESC50, Mixture, MixtureConfig, Mixtures  # noqa: E402
from soundsep.datasets.subsets import few_of_each  # noqa: E402
from soundsep.errors import SoundsepError  # noqa: E402
from soundsep.files import write_json, write_json_lines  # noqa: E402
from soundsep.metrics import permutation_invariant, si_sdr  # noqa: E402
from soundsep.separator import Separator  # noqa: E402
from soundsep.training.batched_separator import (  # noqa: E402
    BatchedSeparation,
    BatchedSeparationRecipe,
)
from soundsep.training.clip_bank import ClipBank  # noqa: E402
from soundsep.training.separator import SeparationRecipe, separator_config  # noqa: E402
from turns import (  # noqa: E402
    Member,
    add_arguments,
    load,
    name_of,
    pace_of,
    settings_of,
    take_turns,
    wait,
)

BATCH = 25  # of mixtures that are only separated
N_CURVE = 100  # mixtures of a point of the learning curve
SAVE_EVERY = 5  # reports; every one of the last fifth
END_SECONDS = 6.0  # to measure and save one network


class HeldOut:
    """Mixtures of one fold on the device, and what separating them is worth."""

    def __init__(self, mixtures: Sequence[Mixture], device: torch.device) -> None:
        self.sources = torch.stack([mixture.sources for mixture in mixtures]).to(device)

    @torch.inference_mode()
    def improvements(
        self, network: nn.Module, n: int | None = None, *, bfloat16: bool = False
    ) -> Tensor:
        """`soundsep.metrics.si_sdr_improvement` of the first mixtures, (n, n_sources)."""
        found = []
        tuned = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = False  # it would cost more than it gains here
        for sources in torch.split(self.sources[:n], BATCH):
            mixture = sources.sum(dim=1, keepdim=True)
            with torch.autocast(sources.device.type, torch.bfloat16, enabled=bfloat16):
                estimates = network(mixture)[:, :, 0].float()
            after, _ = permutation_invariant(estimates, sources)
            found.append(after - si_sdr(mixture.expand_as(sources), sources))
        torch.backends.cudnn.benchmark = tuned
        return torch.cat(found).cpu()


class Training(Member):
    """The training of one network, its learning curve and its files."""

    def __init__(self, run: BatchedSeparation, held_out: HeldOut, folder: Path) -> None:
        self.run, self.held_out, self.folder = run, held_out, folder
        self.name, self.rows = run.recipe.network, []

    @property
    def n_heard(self) -> int:
        """Mixtures so far."""
        return self.run.n_mixtures

    @property
    def n_steps(self) -> int:
        """Steps so far."""
        return self.run.n_steps

    def is_over(self, share: float) -> bool:
        """Not without a single step."""
        return share >= 1 and self.run.n_steps > 0

    def step(self, share: float) -> None:
        """Learn from one batch."""
        self.run.step(share)

    def report(self, share: float, seconds: float, per_second: float) -> bool:
        """Add a row to the learning curve; says whether the training is still one."""
        if self.rows and self.rows[-1]["step"] == self.run.n_steps:
            loss = self.rows[-1]["training_loss"]
        else:
            loss = self.run.loss()
        enabled = self.run.recipe.bfloat16
        improvements = self.held_out.improvements(self.run.ema, N_CURVE, bfloat16=enabled)
        row = {
            "share": round(share, 4),
            "step": self.run.n_steps,
            "mixtures": self.run.n_mixtures,
            "seconds": round(seconds, 1),
            "mixtures_per_second": round(per_second),
            "training_loss": round(loss, 4),
            "steps_lost": int(self.run.n_skipped),
            "held_out_improvement_db": round(float(improvements.mean()), 3),
        }
        self.rows.append(row)
        write_json_lines(self.folder / "metrics.jsonl", self.rows)
        print(json.dumps({"network": self.run.recipe.network, **row}), flush=True)
        if not math.isfinite(loss):
            return False
        if len(self.rows) % SAVE_EVERY == 0 or share > 0.8:  # for the case that it is killed
            self.save()
        return True

    def save(self) -> None:
        """Write the averaged weights as a separator."""
        recipe = self.run.recipe
        config = separator_config(
            SeparationRecipe(network=recipe.network, mixtures=recipe.mixtures)
        )
        # A copy: a separator moves its network.
        Separator(copy.deepcopy(self.run.ema), config).save_pretrained(self.folder, half=True)

    def finish(self, *, seconds: float) -> float:
        """Save, and measure what was saved; returns the mean improvement."""
        self.save()
        device = self.held_out.sources.device
        saved = Separator.from_pretrained(self.folder, device=device).network
        improvements = self.held_out.improvements(saved)
        each = improvements.mean(dim=1)
        write_json(
            self.folder / "test.json",
            {
                "n_mixtures": len(each),
                "si_sdr_improvement_mean_db": round(float(each.mean()), 3),
                "si_sdr_improvement_median_db": round(float(each.median()), 3),
                "share_of_mixtures_made_worse": round(float((each < 0).float().mean()), 4),
                "training_loss": self.rows[-1]["training_loss"] if self.rows else None,
                "parameters": sum(p.numel() for p in saved.parameters()),
                "steps": self.run.n_steps,
                "mixtures": self.run.n_mixtures,
                "steps_lost": int(self.run.n_skipped),
                "training_seconds": round(seconds, 1),
                "device": name_of(device),
            },
        )
        return float(each.mean())


def main() -> None:
    """Load, train, measure, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_arguments(parser, n_threads=2)
    parser.add_argument("--held-out", type=int, default=5, metavar="FOLD")
    parser.add_argument("--network", nargs="+", default=["mask-unet-wide"], help="in turns")
    parser.add_argument("--mixtures", type=int, default=10_000_000, help="a network, at most")
    parser.add_argument("--test-mixtures", type=int, default=500)
    parser.add_argument("--initial", metavar="MODEL", help="a separator to go on from")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    device = torch.device(args.device)
    recipe = BatchedSeparationRecipe.from_dict(settings_of(args))
    if args.batch_size:
        recipe = recipe.replace(batch_size=args.batch_size)
    training, test = (few_of_each(s, args.limit) for s in ESC50(args.esc50).split(args.held_out))
    bank = ClipBank(load(training, args.threads), device)
    mixtures = Mixtures(
        load(test, args.threads),
        n_mixtures=args.test_mixtures,
        config=MixtureConfig(
            n_sources=recipe.mixtures.n_sources,
            sample_rate=recipe.mixtures.sample_rate,
            seconds=recipe.mixtures.seconds,
        ),
    )
    held_out = HeldOut([*mixtures], device)
    print(f"{time.monotonic() - BEGAN:.1f} s: {len(bank)} clips on {device}", flush=True)

    initial = Separator.from_pretrained(args.initial).network.state_dict() if args.initial else None
    trainings = {}
    for name in dict.fromkeys(args.network):
        run = BatchedSeparation(
            recipe.replace(network=name), bank, range(len(bank)), seed=args.seed, initial=initial
        )
        trainings[name] = Training(run, held_out, args.output / name)
        notes = {
            "recipe": run.recipe.to_dict(),
            "training_clips": len(bank),
            "arguments": {k: str(v) for k, v in vars(args).items()},
        }
        write_json(args.output / name / "recipe.json", notes)
    n_steps = math.ceil(args.mixtures / recipe.batch_size)
    pace = pace_of(args, n_steps, began=BEGAN, end_seconds=END_SECONDS * len(trainings))
    take_turns(trainings, args.network, pace, args.reports)
    wait(device)
    trained = pace.elapsed

    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # the figures are those of float32
    found = {}
    for name, one in trainings.items():
        if not one.rows:  # it failed before there was anything to save
            continue
        try:
            found[name] = round(one.finish(seconds=trained), 3)
        except SoundsepError as error:  # of one network, which others should not be lost for
            print(f"{name}: {error}", flush=True)
    summary = {
        "improvement_db": found,
        "training_loss": {n: t.rows[-1]["training_loss"] for n, t in trainings.items() if t.rows},
        "training_seconds": round(trained, 1),
        "all_seconds": round(time.monotonic() - BEGAN, 1),
    }
    if device.type == "cuda":
        summary["peak_gib"] = round(torch.cuda.max_memory_allocated(device) / 2**30, 2)
    write_json(args.output / "summary.json", summary)
    print(json.dumps(summary), flush=True)
    if not found:
        raise SystemExit("no network was trained")


if __name__ == "__main__":
    main()
