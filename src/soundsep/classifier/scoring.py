"""Waveforms through a classifier, window by window, in full batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from soundsep.classifier.audible import clip_windows
from soundsep.classifier.checks import scores_of
from soundsep.classifier.classifier import Classifier
from soundsep.classifier.protocol import ClassifierLike, ScoringSettings
from soundsep.config import check_whole
from soundsep.devices import prepare, told_of_precision
from soundsep.errors import WeightsError

__all__ = [
    "MAX_SHIFTS",
    "batch_limit",
    "check_finite",
    "embed_waveforms",
    "embed_windows",
    "forward_in_slices",
    "score_waveforms",
    "score_windows",
]

# Of a batch, by the estimate of its config. Larger ones are hardly any faster.
MAX_BATCH_BYTES, MAX_BATCH_BYTES_ELSEWHERE = 2**29, 2**32  # on the CPU; on an accelerator
# Of what goes through the model at once on a CPU, by the same estimate. The C library gives larger
# tensors back to the system after every layer and asks for them again, which costs more than the
# layer does, and what does not fit the cache is fetched from memory.
MAX_SLICE_BYTES = 2**27
MAX_SHIFTS = 64

K = TypeVar("K")


def batch_limit(config: ScoringSettings, batch_size: int, device: torch.device) -> int:
    """``batch_size``, or as many windows as fit into the memory budget, but at least one."""
    budget = MAX_BATCH_BYTES if device.type == "cpu" else MAX_BATCH_BYTES_ELSEWHERE
    return min(batch_size, max(1, budget // config.window_bytes))


def forward_in_slices(
    classifier: ClassifierLike, forward: Callable[[Tensor], Tensor], windows: Tensor
) -> Tensor:
    """What ``forward``, a method of the classifier, gives; on a CPU a few windows at a time.

    Shape:
        windows: (batch, window). Returns (batch, ...).

    Raises:
        ConfigError: it fails, and its weights are not float32.
    """
    with told_of_precision(classifier):
        if not isinstance(classifier, nn.Module) or windows.device.type != "cpu":
            return forward(windows)
        size = max(1, MAX_SLICE_BYTES // classifier.config.window_bytes)
        n_slices = -(-len(windows) // size)
        if n_slices == 1:
            return forward(windows)
        return torch.cat([forward(part) for part in windows.tensor_split(n_slices)])


def score_waveforms(
    classifier: ClassifierLike, waveforms: Iterable[tuple[K, Tensor]], *, batch_size: int
) -> Iterator[tuple[K, Tensor]]:
    """Scores of whole clips, in order; those of `score_windows`.

    Windows of digital silence do not count, unless a clip has no other.

    Args:
        classifier: The model.
        waveforms: A key of any kind, and the clip (time,), mono, at the classifier's rate.
        batch_size: Windows per forward pass.

    Yields:
        Each key, and its scores (n_labels,) on the CPU.

    Raises:
        WeightsError: the network's output is not finite.
    """
    return score_windows(classifier, _windows(classifier, waveforms), batch_size=batch_size)


def score_windows(
    classifier: ClassifierLike,
    windows: Iterable[tuple[K, list[Tensor]]],
    *,
    batch_size: int,
    n_shifts: int = 1,
) -> Iterator[tuple[K, Tensor]]:
    """Scores of clips that are cut already, in order.

    With softmax they are the mean over each clip's windows. With sigmoid they are each label's
    highest: a sound in one window of many is in the clip.

    Args:
        classifier: The model; a network is put into evaluation mode.
        windows: A key of any kind, and windows (window,), of which each counts. A clip without
            windows has the scores (0,).
        batch_size: Windows per forward pass.
        n_shifts: Number of circular shifts of every window to average.

    Yields:
        Each key, and its scores (n_labels,) on the CPU.

    Raises:
        ConfigError: ``batch_size`` or ``n_shifts`` is out of range.
        WeightsError: the network's output is not finite.
    """
    check_whole("batch_size", batch_size, least=1)
    check_whole("n_shifts", n_shifts, least=1, most=MAX_SHIFTS)
    pool = _highest if classifier.config.activation == "sigmoid" else _mean
    return _over_windows(
        classifier,
        partial(scores_of, classifier),
        pool,
        windows,
        batch_size=batch_size,
        n_shifts=n_shifts,
    )


def embed_waveforms(
    classifier: Classifier, waveforms: Iterable[tuple[K, Tensor]], *, batch_size: int
) -> Iterator[tuple[K, Tensor]]:
    """Embeddings of whole clips, in order, otherwise as `score_waveforms`.

    Yields:
        Each key, and its embedding (embedding_dim,) on the CPU.
    """
    return embed_windows(classifier, _windows(classifier, waveforms), batch_size=batch_size)


def embed_windows(
    classifier: Classifier, windows: Iterable[tuple[K, list[Tensor]]], *, batch_size: int
) -> Iterator[tuple[K, Tensor]]:
    """The mean embedding of each clip's windows, otherwise as `score_windows`.

    Shape:
        windows: (window,) each. Yields (embedding_dim,).
    """
    check_whole("batch_size", batch_size, least=1)
    return _over_windows(
        classifier, classifier.embed, _mean, windows, batch_size=batch_size, n_shifts=1
    )


def _windows(
    classifier: ClassifierLike, waveforms: Iterable[tuple[K, Tensor]]
) -> Iterator[tuple[K, list[Tensor]]]:
    for key, waveform in waveforms:
        yield key, clip_windows(classifier, waveform)


def _mean(rows: Tensor) -> Tensor:
    """(n_windows, n_shifts, n) to (n,)."""
    return rows.flatten(0, 1).mean(dim=0)


def _highest(rows: Tensor) -> Tensor:
    """(n_windows, n_shifts, n) to (n,)."""
    return rows.mean(dim=1).amax(dim=0)


def _over_windows(
    classifier: ClassifierLike,
    forward: Callable[[Tensor], Tensor],
    pool: Callable[[Tensor], Tensor],
    clips: Iterable[tuple[K, list[Tensor]]],
    *,
    batch_size: int,
    n_shifts: int,
) -> Iterator[tuple[K, Tensor]]:
    """One pooled row per clip; the windows of several clips share a forward pass."""
    device = prepare(classifier)
    batch_size = batch_limit(classifier.config, batch_size, device)
    window = classifier.config.window_samples
    shifts = [window * i // n_shifts for i in range(n_shifts)]
    queue: list[tuple[Tensor, int]] = []  # windows waiting for a full batch, and shifts
    asked: list[tuple[K, int]] = []  # clips without results yet, and their rows
    rows: list[Tensor] = []  # one per window and shift

    @torch.inference_mode()
    def run(n: int) -> None:
        batch = torch.stack([w.roll(shift) if shift else w for w, shift in queue[:n]]).to(device)
        del queue[:n]
        found = forward_in_slices(classifier, forward, batch).float().cpu()
        rows.extend(check_finite(found))

    def finished() -> Iterator[tuple[K, Tensor]]:
        while asked and len(rows) >= asked[0][1]:
            key, n = asked.pop(0)
            if n:
                yield key, pool(torch.stack(rows[:n]).reshape(n // n_shifts, n_shifts, -1))
            else:
                yield key, torch.empty(0, device="cpu")
            del rows[:n]

    for key, windows in clips:
        queue.extend((w, shift) for w in windows for shift in shifts)
        asked.append((key, len(windows) * n_shifts))
        while len(queue) >= batch_size:
            run(batch_size)
        yield from finished()
    while queue:
        run(min(batch_size, len(queue)))
    yield from finished()


def check_finite(scores: Tensor) -> Tensor:
    """The scores, if all are finite.

    Shape:
        scores: (...). Returns the same.

    Raises:
        WeightsError: a score is NaN or infinite.
    """
    if not scores.isfinite().all():
        raise WeightsError(
            "the network's output holds NaN or infinite numbers: its weights are damaged, or its "
            "training diverged"
        )
    return scores
