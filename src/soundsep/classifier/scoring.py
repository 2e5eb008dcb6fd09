"""Waveforms through a classifier, window by window, in full batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from soundsep.audio.windows import split_windows
from soundsep.classifier.classifier import Classifier
from soundsep.config import check_whole
from soundsep.errors import WeightsError

__all__ = [
    "MAX_SHIFTS",
    "SILENCE",
    "batch_limit",
    "check_finite",
    "clip_windows",
    "embed_waveforms",
    "is_silent",
    "score_waveforms",
]

# Of a batch, by the estimate of its config. Larger ones are hardly any faster.
MAX_BATCH_BYTES, MAX_BATCH_BYTES_ELSEWHERE = 2**29, 2**32  # on the CPU; on an accelerator
MAX_SHIFTS = 64
SILENCE = 2.0**-23  # one step of 24-bit audio: a window that never exceeds it holds no sound


def batch_limit(classifier: Classifier, batch_size: int) -> int:
    """As many windows as were asked for, or as fit into the budget of memory, but at least one."""
    is_cpu = next(classifier.parameters()).device.type == "cpu"
    budget = MAX_BATCH_BYTES if is_cpu else MAX_BATCH_BYTES_ELSEWHERE
    return min(batch_size, max(1, budget // classifier.config.window_bytes))


def is_silent(waveform: Tensor, silence_db: float | None = None) -> bool:
    """Whether there is nothing to name: digital silence, or a level below ``silence_db``.

    The level is the mean power in dB, of which a full-scale square wave has 0 and a sine -3.
    """
    if waveform.abs().max() <= SILENCE:
        return True
    if silence_db is None:
        return False
    return bool(10 * waveform.square().mean().log10() < silence_db)


def clip_windows(classifier: Classifier, waveform: Tensor) -> list[Tensor]:
    """What the classifier hears of a clip (time,), one tensor (window,) after the other."""
    config = classifier.config
    return split_windows(
        waveform,
        window=round(config.window_seconds * classifier.sample_rate),
        hop=round(config.hop_seconds * classifier.sample_rate),
        padding=config.padding,
    )


def score_waveforms(
    classifier: Classifier,
    waveforms: Iterable[Tensor],
    *,
    batch_size: int,
    n_shifts: int = 1,
    silence_db: float | None = None,
) -> Iterator[Tensor]:
    """Scores of whole clips, in order.

    With softmax they are the mean over each clip's windows. With sigmoid they are each label's
    highest: a sound in one window of many is in the clip.

    Args:
        classifier: The model; it is put into evaluation mode.
        waveforms: Each (time,), mono, at the classifier's rate.
        batch_size: Windows a forward pass.
        n_shifts: Every window is heard so many times, its end moved to its front in equal steps.
        silence_db: Windows of a lower level do not count, in dBFS.

    Yields:
        One tensor (n_labels,) a clip, on the CPU.

    Raises:
        ConfigError: ``batch_size`` or ``n_shifts`` is out of range.
        WeightsError: the network's answer is not finite.
    """
    check_whole("batch_size", batch_size, least=1)
    check_whole("n_shifts", n_shifts, least=1, most=MAX_SHIFTS)
    is_any = classifier.config.activation == "sigmoid"
    return _over_windows(
        classifier,
        classifier.predict,
        _highest if is_any else _mean,
        waveforms,
        batch_size=batch_size,
        n_shifts=n_shifts,
        silence_db=silence_db,
    )


def embed_waveforms(
    classifier: Classifier, waveforms: Iterable[Tensor], *, batch_size: int
) -> Iterator[Tensor]:
    """Embeddings of whole clips, in order, otherwise as `score_waveforms`.

    Yields:
        One tensor (embedding_dim,) a clip, on the CPU.
    """
    check_whole("batch_size", batch_size, least=1)
    return _over_windows(
        classifier, classifier.embed, _mean, waveforms, batch_size=batch_size, n_shifts=1
    )


def _mean(rows: Tensor) -> Tensor:
    """(n_windows, n_shifts, n) to (n,)."""
    return rows.flatten(0, 1).mean(dim=0)


def _highest(rows: Tensor) -> Tensor:
    """(n_windows, n_shifts, n) to (n,)."""
    return rows.mean(dim=1).amax(dim=0)


def _over_windows(
    classifier: Classifier,
    forward: Callable[[Tensor], Tensor],
    pool: Callable[[Tensor], Tensor],
    waveforms: Iterable[Tensor],
    *,
    batch_size: int,
    n_shifts: int,
    silence_db: float | None = None,
) -> Iterator[Tensor]:
    """One row a clip, pooled; the windows of several clips share a forward pass.

    Of windows that are silent none counts, unless the clip has no other.
    """
    classifier.eval()  # else batch normalisation would hear a clip's neighbours, and learn them
    device = next(classifier.parameters()).device
    batch_size = batch_limit(classifier, batch_size)
    window = round(classifier.config.window_seconds * classifier.sample_rate)
    shifts = [window * i // n_shifts for i in range(n_shifts)]
    queue: list[tuple[Tensor, int]] = []  # windows that wait for a full batch, and their shifts
    counts: list[int] = []  # windows of each clip that has not been answered
    rows: list[Tensor] = []  # one a window

    @torch.inference_mode()
    def run(n: int) -> None:
        batch = torch.stack([w.roll(shift) if shift else w for w, shift in queue[:n]]).to(device)
        del queue[:n]
        rows.extend(check_finite(forward(batch).cpu()))

    def finished() -> Iterator[Tensor]:
        while counts and len(rows) >= counts[0]:
            n = counts.pop(0)
            yield pool(torch.stack(rows[:n]).reshape(n // n_shifts, n_shifts, -1))
            del rows[:n]

    for waveform in waveforms:
        windows = clip_windows(classifier, waveform)
        windows = [w for w in windows if not is_silent(w, silence_db)] or windows
        queue.extend((w, shift) for w in windows for shift in shifts)
        counts.append(len(windows) * n_shifts)
        while len(queue) >= batch_size:
            run(batch_size)
        yield from finished()
    while queue:
        run(min(batch_size, len(queue)))
    yield from finished()


def check_finite(scores: Tensor) -> Tensor:
    """The scores, where they are numbers.

    Raises:
        WeightsError: one is NaN or infinite.
    """
    if not scores.isfinite().all():
        raise WeightsError(
            "the network's answer holds NaN or infinite numbers: its weights are damaged, or its "
            "training diverged"
        )
    return scores
