"""Waveforms through a classifier, window by window, in full batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from soundsep.audio.windows import pad_to, split_windows
from soundsep.classifier.classifier import Classifier
from soundsep.errors import WeightsError

__all__ = [
    "SILENCE",
    "WindowScorer",
    "clip_windows",
    "embed_waveforms",
    "is_silent",
    "score_waveforms",
]

# Of a batch, by the estimate of its config. Larger ones are hardly any faster.
BATCH_BYTES, BATCH_BYTES_ELSEWHERE = 2**29, 2**32  # on the CPU; on an accelerator
SILENCE = 2.0**-23  # one step of 24-bit audio: a window that never exceeds it holds no sound


def batch_limit(classifier: Classifier, batch_size: int) -> int:
    """As many windows as were asked for, or as fit into the budget of memory, but at least one."""
    is_cpu = next(classifier.parameters()).device.type == "cpu"
    budget = BATCH_BYTES if is_cpu else BATCH_BYTES_ELSEWHERE
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
    """Scores of whole clips, in order: the mean over each clip's windows.

    Args:
        classifier: The model; it is put into evaluation mode.
        waveforms: Each (time,), mono, at the classifier's rate.
        batch_size: Windows a forward pass.
        n_shifts: Every window is heard so many times, its end moved to its front in equal steps.
        silence_db: Windows of a lower level do not count, in dBFS.

    Yields:
        One tensor (n_labels,) a clip, on the CPU.

    Raises:
        WeightsError: the network's answer is not finite.
    """
    return _mean_over_windows(
        classifier,
        classifier.predict,
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
    return _mean_over_windows(
        classifier, classifier.embed, waveforms, batch_size=batch_size, n_shifts=1
    )


def _mean_over_windows(
    classifier: Classifier,
    forward: Callable[[Tensor], Tensor],
    waveforms: Iterable[Tensor],
    *,
    batch_size: int,
    n_shifts: int,
    silence_db: float | None = None,
) -> Iterator[Tensor]:
    """One row a clip; the windows of several clips share a forward pass.

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
        rows.extend(_finite(forward(batch).cpu()))

    def finished() -> Iterator[Tensor]:
        while counts and len(rows) >= counts[0]:
            n = counts.pop(0)
            yield torch.stack(rows[:n]).mean(dim=0)
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


def _finite(scores: Tensor) -> Tensor:
    if not scores.isfinite().all():
        raise WeightsError(
            "the network's answer holds NaN or infinite numbers: its weights are damaged, or its "
            "training diverged"
        )
    return scores


class WindowScorer:
    """Scores of the windows of one signal that comes in blocks.

    The windows are those of `soundsep.audio.windows.split_windows`; each is scored once it is
    complete. A window of digital silence has the score 0 for every label.

    Args:
        classifier: The model; it is put into evaluation mode.
        hop: Step between windows, in samples, 1 to a window's length.
        batch_size: Most windows of a forward pass.
        wait: Score only full batches until the signal ends.
        silence_db: Windows of a lower level, in dBFS, score 0 as well.

    Attributes:
        window: Length of a window, in samples.
        hop: Step between windows, in samples.
        n_samples: Length of the signal so far.
        peak: Largest magnitude of all that came, of earlier signals, too.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        hop: int,
        batch_size: int,
        wait: bool,
        silence_db: float | None = None,
    ) -> None:
        self._classifier = classifier.eval()
        self._silence_db = silence_db
        self._device = next(classifier.parameters()).device
        self._batch_size, self._wait = batch_limit(classifier, batch_size), wait
        self.window = round(classifier.config.window_seconds * classifier.sample_rate)
        self.hop = hop
        self.peak = 0.0
        self._reset()

    def _reset(self) -> None:
        self.n_samples = 0
        self._pieces: list[Tensor] = []  # the end of the signal, at least a window of it
        self._next = 0  # where the next window starts
        self._queue: list[tuple[int, Tensor]] = []  # windows that wait for a full batch

    def push(self, waveform: Tensor) -> list[tuple[int, Tensor]]:
        """Take the next samples, (time,), at the classifier's rate.

        Returns:
            The first sample of each window that was scored, and its scores (n_labels,) on the CPU.
        """
        self._pieces.append(waveform)
        self.n_samples += len(waveform)
        if len(waveform):
            self.peak = max(self.peak, float(waveform.abs().max()))
        if self.n_samples < self._next + self.window:
            return []
        held = torch.cat(self._pieces)
        first = self.n_samples - len(held)
        while self._next + self.window <= self.n_samples:
            at = self._next - first
            self._queue.append((self._next, held[at : at + self.window]))
            self._next += self.hop
        self._pieces = [held[-self.window :].clone()]
        return self._scored(self._batch_size if self._wait else 1)

    def flush(self) -> list[tuple[int, Tensor]]:
        """Score what is left of the signal; what is pushed next begins another one.

        Returns:
            As `push`; nothing for a signal shorter than one analysis frame.
        """
        config = self._classifier.config
        last = max(0, self.n_samples - self.window)
        if self.n_samples >= config.frontend.win_length and last > self._next - self.hop:
            held = pad_to(torch.cat(self._pieces), self.window, padding=config.padding)
            self._queue.append((last, held[-self.window :]))
        rows = self._scored(1)
        self._reset()
        return rows

    @torch.inference_mode()
    def _scored(self, least: int) -> list[tuple[int, Tensor]]:
        """Empty the queue in batches, of at least ``least`` windows."""
        rows: list[tuple[int, Tensor]] = []
        while len(self._queue) >= least:
            batch = self._queue[: self._batch_size]
            del self._queue[: self._batch_size]
            scores = torch.zeros(len(batch), len(self._classifier.labels))
            heard = [
                i for i, (_, window) in enumerate(batch) if not is_silent(window, self._silence_db)
            ]
            if heard:
                windows = torch.stack([batch[i][1] for i in heard]).to(self._device)
                scores[heard] = _finite(self._classifier.predict(windows).float().cpu())
            rows += zip((start for start, _ in batch), scores, strict=True)
        return rows
