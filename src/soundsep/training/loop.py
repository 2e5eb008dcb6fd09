"""The training loop: seeded, resumable after every epoch, with averaged weights."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from soundsep.augment import loudest_view, mask, mixup, random_gain
from soundsep.classifier import Classifier, ClassifierConfig, to_device
from soundsep.errors import ConfigError, DatasetError
from soundsep.pipeline import score_waveforms
from soundsep.training.recipes import Recipe, Stage
from soundsep.training.state import load_state, save_state

__all__ = ["Example", "train"]

Example = tuple[Tensor, int]  # waveform (time,) at the recipe's rate, index of its class


def train(
    recipe: Recipe,
    *,
    labels: Sequence[str],
    training: Sequence[Example],
    held_out: Sequence[Example],
    output: str | Path,
    seed: int = 0,
    device: str | torch.device = "cpu",
    held_out_every: int = 10,
    progress: bool = True,
) -> tuple[Classifier, Classifier]:
    """Train from random initialisation, or go on where a killed run of the same settings stopped.

    All randomness of an epoch follows from the seed and the epoch's number, so a resumed run ends
    with the same weights as one that was never interrupted (same machine, same thread count).
    Nothing is chosen by the held-out accuracy: it is only written down.

    Args:
        recipe: Settings.
        labels: Names of the classes, in the order of the targets.
        training: Clips to learn from.
        held_out: Clips to report on, never learnt from; may be empty.
        output: Folder for ``state.safetensors``, ``metrics.jsonl`` and ``recipe.json``.
        seed: Of the initial weights, the order of the clips and every augmentation.
        device: Where to train.
        held_out_every: Epochs between two reports, at least 1; the last epoch always has one.
        progress: Show progress bars.

    Returns:
        The model after the last step, and the one with exponentially averaged weights.

    Raises:
        ConfigError: ``output`` holds a run with other settings or other clips, there is no such
            device, or ``held_out_every`` is below 1.
        DatasetError: there are fewer than two training clips.
        WeightsError: the state in ``output`` is damaged.
    """
    if len(training) < 2:
        raise DatasetError(f"training needs at least 2 clips, got {len(training)}")
    if held_out_every < 1:
        raise ConfigError(f"held_out_every must be at least 1, got {held_out_every}")
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "labels": list(labels),
        # Without this a run could go on with another fold, and learn what it is judged on.
        "training_sha256": _digest(training),
    }
    with torch.random.fork_rng(devices=[]):  # initialisation draws from the global generator
        torch.manual_seed(seed)
        fresh = Classifier(
            ClassifierConfig(
                labels=tuple(labels),
                network=recipe.network,
                frontend=recipe.frontend,
                window_seconds=recipe.window_seconds,
                hop_seconds=recipe.window_seconds / 2,
            )
        )
    model = to_device(fresh, device)
    ema = copy.deepcopy(model).requires_grad_(requires_grad=False).eval()
    optimizer = _optimizer(model, recipe)
    rows: list[dict[str, Any]] = []
    state = folder / "state.safetensors"
    if state.is_file():
        notes = load_state(state, model=model, ema=ema, optimizer=optimizer)
        if notes.get("settings") != settings:
            raise ConfigError(f"{folder} holds a run with other settings; choose another folder")
        rows = notes["metrics"]
    (folder / "recipe.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    _write_metrics(folder, rows)  # a kill can come between the state and the metrics

    bar = tqdm(
        range(recipe.epochs), initial=len(rows), unit="epoch", disable=not progress, desc="training"
    )
    for epoch in range(len(rows), recipe.epochs):
        began = time.perf_counter()
        loss = _epoch(model, ema, optimizer, recipe, epoch, training, seed, progress)
        row: dict[str, Any] = {"epoch": epoch + 1, "training_loss": round(loss, 6)}
        if held_out and ((epoch + 1) % held_out_every == 0 or epoch + 1 == recipe.epochs):
            row["held_out_accuracy_ema"] = _accuracy(ema, held_out)
            row["held_out_accuracy_last"] = _accuracy(model, held_out)
        row["seconds"] = round(time.perf_counter() - began, 2)
        rows.append(row)
        notes = {"settings": settings, "metrics": rows}
        save_state(state, model=model, ema=ema, optimizer=optimizer, notes=notes)
        _write_metrics(folder, rows)
        bar.set_postfix({k: v for k, v in row.items() if k not in ("epoch", "seconds")})
        bar.update()
    bar.close()
    return model.eval(), ema.requires_grad_(requires_grad=True)


def _digest(examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for waveform, target in examples:
        digest.update(f"{target} {len(waveform)} ".encode())
        digest.update(np.ascontiguousarray(waveform.cpu().numpy()).data)
    return digest.hexdigest()


def _write_metrics(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")


def _epoch(
    model: Classifier,
    ema: Classifier,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    epoch: int,
    training: Sequence[Example],
    seed: int,
    progress: bool,
) -> float:
    rng = np.random.default_rng((seed, epoch))
    stage = recipe.stage_at(epoch)
    order = rng.permutation(len(training))
    n_steps = max(1, len(training) // recipe.batch_size)  # a tiny last batch is left out
    device = next(model.parameters()).device
    total = 0.0
    model.train()
    with torch.random.fork_rng(devices=[]):  # for networks with dropout
        torch.manual_seed(int(rng.integers(2**62)))
        steps = tqdm(range(n_steps), leave=False, disable=not progress, desc=f"epoch {epoch + 1}")
        for step in steps:
            chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            batch = [training[i] for i in chosen]
            _set_rate(optimizer, recipe, (epoch * n_steps + step) / (recipe.epochs * n_steps))
            loss = _loss(model, recipe, stage, batch, rng, device)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
            optimizer.step()
            _average(ema, model, recipe.ema_decay)
            total += loss.item()
    return total / n_steps


def _loss(
    model: Classifier,
    recipe: Recipe,
    stage: Stage,
    batch: Sequence[Example],
    rng: np.random.Generator,
    device: torch.device,
) -> Tensor:
    seconds = stage.crop_seconds or recipe.window_seconds
    waveform = torch.stack(
        [
            loudest_view(
                clip,
                round(seconds * model.sample_rate),
                rng=rng,
                n_candidates=stage.n_candidates,
                max_speed=recipe.max_speed,
            )
            for clip, _ in batch
        ]
    ).to(device)
    hot = nn.functional.one_hot(torch.tensor([t for _, t in batch]), len(model.labels))
    targets = hot.to(waveform)
    waveform = random_gain(waveform, max_db=recipe.gain_db, rng=rng)
    waveform, targets = mixup(waveform, targets, probability=recipe.mixup_probability, rng=rng)
    features = model.frontend(waveform)
    for dim, share in ((-2, recipe.frequency_mask), (-1, recipe.time_mask)):
        width = round(share * features.shape[dim])
        features = mask(features, dim=dim, max_width=width, n_masks=2, rng=rng)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
        logits = model.network(features)
    return nn.functional.cross_entropy(
        logits.float(), targets, label_smoothing=recipe.label_smoothing
    )


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def _set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, progress: float) -> None:
    """One-cycle: a cosine up from a 25th of the peak, then a cosine down to almost nothing."""
    if progress < recipe.warmup:
        low, share = 0.04, (1 - math.cos(math.pi * progress / recipe.warmup)) / 2
    else:
        low = 1e-4
        share = (1 + math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup))) / 2
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * (low + (1 - low) * share)


@torch.no_grad()
def _average(ema: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights, and the batch-norm statistics, towards the current ones."""
    for average, value in zip(ema.state_dict().values(), model.state_dict().values(), strict=True):
        if average.is_floating_point():
            average.lerp_(value, 1 - decay)
        else:
            average.copy_(value)


def _accuracy(model: Classifier, clips: Sequence[Example]) -> float:
    was_training = model.training
    model.eval()
    scores = torch.stack([*score_waveforms(model, (clip for clip, _ in clips), batch_size=32)])
    model.train(was_training)
    right = scores.argmax(dim=1) == torch.tensor([target for _, target in clips])
    return round(float(right.float().mean()), 4)
