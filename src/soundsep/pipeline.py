"""`Pipeline`: from any recording to named, scored labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import Tensor
from tqdm.auto import tqdm

from soundsep.audio import AudioInput, is_array, load_audio
from soundsep.classifier import Classifier, to_device
from soundsep.errors import AudioError, ConfigError
from soundsep.results import ClipResult, Prediction
from soundsep.windows import split_windows

__all__ = ["Pipeline", "embed_waveforms", "score_waveforms"]

SILENCE = 2.0**-23  # one step of 24-bit audio: a window that never exceeds it holds no sound


class Pipeline:
    """Names what is to be heard in recordings of any format, rate and length.

    A recording is downmixed and resampled to the classifier's rate, cut into overlapping windows,
    and its scores are the mean over its windows; windows of digital silence do not count. What a
    recording is answered never depends on the others of the call.

    Args:
        classifier: The model.
        device: Where it runs, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: there is no such device here.
    """

    def __init__(self, classifier: Classifier, *, device: str | torch.device = "cpu") -> None:
        self.classifier = to_device(classifier, device).eval()

    @classmethod
    def from_pretrained(
        cls, name_or_dir: str | Path, *, device: str | torch.device = "cpu"
    ) -> Pipeline:
        """A pipeline around `Classifier.from_pretrained`.

        Args:
            name_or_dir: A published name (``soundsep models`` lists them), a folder written by
                `Classifier.save_pretrained`, or ``org/repo`` on the Hugging Face Hub.
            device: Where it runs.

        Raises:
            ConfigError: there is no such name.
            WeightsError: the files cannot be had, or are not what they claim to be.
        """
        return cls(Classifier.from_pretrained(name_or_dir), device=device)

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label it can give."""
        return self.classifier.labels

    @property
    def sample_rate(self) -> int:
        """Rate the model hears, in Hz; recordings of any other are resampled."""
        return self.classifier.sample_rate

    @overload
    def __call__(
        self,
        audio: AudioInput,
        *,
        sample_rate: int | None = ...,
        top_k: int | None = ...,
        batch_size: int = ...,
        n_shifts: int = ...,
        progress: bool | None = ...,
        errors: Literal["raise", "return"] = ...,
    ) -> ClipResult: ...

    @overload
    def __call__(
        self,
        audio: list[Any] | tuple[Any, ...],
        *,
        sample_rate: int | None = ...,
        top_k: int | None = ...,
        batch_size: int = ...,
        n_shifts: int = ...,
        progress: bool | None = ...,
        errors: Literal["raise", "return"] = ...,
    ) -> list[ClipResult]: ...

    def __call__(
        self,
        audio: AudioInput | list[Any] | tuple[Any, ...],
        *,
        sample_rate: int | None = None,
        top_k: int | None = None,
        batch_size: int = 16,
        n_shifts: int = 1,
        progress: bool | None = None,
        errors: Literal["raise", "return"] = "raise",
    ) -> ClipResult | list[ClipResult]:
        """Classify one recording, or a list of them.

        Args:
            audio: Whatever `soundsep.load_audio` takes, or a list or tuple of that. A 2-D array is
                one recording, (channels, time).
            sample_rate: Rate of arrays, in Hz; without it they are taken to be at the pipeline's
                own `sample_rate`. Files carry theirs.
            top_k: Keep only so many labels of each; all by default.
            batch_size: Windows a forward pass.
            n_shifts: Hear every window so many times, its end moved to its front in equal steps,
                and average the scores. It takes as many times longer; `docs/models.md` says what
                it is worth.
            progress: Show a progress bar; by default for a list, on a terminal.
            errors: ``"raise"`` stops at the first bad recording, ``"return"`` reports it in its
                own result's ``error`` and goes on.

        Returns:
            One result, or a list of them in the order of the input.

        Raises:
            AudioError: a recording cannot be read, is shorter than one analysis frame, or is
                digital silence.
            ConfigError: an option is out of range.
        """
        if top_k is not None and top_k < 1:
            raise ConfigError(f"top_k must be at least 1, got {top_k}")
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        if not 1 <= n_shifts <= 64:
            raise ConfigError(f"n_shifts must be from 1 to 64, got {n_shifts}")
        if errors not in ("raise", "return"):
            raise ConfigError(f'errors must be "raise" or "return", got {errors!r}')
        many = isinstance(audio, (list, tuple))
        items = audio if isinstance(audio, (list, tuple)) else [audio]
        hidden = not progress if progress is not None else (None if many else True)

        results: list[ClipResult] = []

        def waveforms() -> Iterator[Tensor]:
            # Lazy: of a long list only the clips of one batch are in memory.
            for item in tqdm(items, disable=hidden, unit="clip", desc="classifying"):
                source = _name(item)
                try:
                    waveform = self._load(item, sample_rate)
                except AudioError as error:
                    if errors == "raise":
                        raise
                    results.append(ClipResult(source=source, error=str(error)))
                    continue
                seconds = waveform.shape[0] / self.sample_rate
                results.append(ClipResult(source=source, duration_seconds=seconds))
                yield waveform

        scores = list(
            score_waveforms(self.classifier, waveforms(), batch_size=batch_size, n_shifts=n_shifts)
        )
        remaining = iter(scores)
        results = [
            r if r.error is not None else replace(r, predictions=self._rank(next(remaining), top_k))
            for r in results
        ]
        return results if many else results[0]

    def _load(self, audio: AudioInput, sample_rate: int | None) -> Tensor:
        waveform, _ = load_audio(audio, sample_rate=sample_rate, target_rate=self.sample_rate)
        name = _name(audio) or ("the array" if is_array(audio) else "the recording")
        shortest = self.classifier.config.frontend.win_length
        if waveform.shape[0] < shortest:
            raise AudioError(
                f"{name} is too short to analyse: {waveform.shape[0] / self.sample_rate:.4f} s, at "
                f"least {shortest / self.sample_rate:.3f} s are needed"
            )
        if waveform.abs().max() <= SILENCE:
            raise AudioError(
                f"{name} is digital silence, in which there is nothing to name; check the "
                "recorder, and whether two opposite channels cancel each other"
            )
        return waveform

    def _rank(self, scores: Tensor, top_k: int | None) -> tuple[Prediction, ...]:
        best = scores.topk(min(top_k or len(self.labels), len(self.labels)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return tuple(Prediction(self.labels[index], score) for index, score in pairs)

    def __repr__(self) -> str:
        """The network, the number of labels and the rate."""
        config = self.classifier.config
        return f"Pipeline({config.network}, {len(self.labels)} labels, {self.sample_rate} Hz)"


def score_waveforms(
    classifier: Classifier,
    waveforms: Iterable[Tensor],
    *,
    batch_size: int,
    n_shifts: int = 1,
) -> Iterator[Tensor]:
    """Scores of whole clips, in order: the mean over each clip's windows.

    Args:
        classifier: The model, in evaluation mode.
        waveforms: Each (time,), mono, at the classifier's rate.
        batch_size: Windows a forward pass.
        n_shifts: Every window is heard so many times, its end moved to its front in equal steps.

    Yields:
        One tensor (n_labels,) a clip, on the CPU.
    """
    return _mean_over_windows(
        classifier, classifier.predict, waveforms, batch_size=batch_size, n_shifts=n_shifts
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
) -> Iterator[Tensor]:
    """One row a clip; the windows of several clips share a forward pass.

    Of windows that hold digital silence none counts, unless the clip has no other.
    """
    config = classifier.config
    device = next(classifier.parameters()).device
    window = round(config.window_seconds * classifier.sample_rate)
    hop = round(config.hop_seconds * classifier.sample_rate)
    shifts = [window * i // n_shifts for i in range(n_shifts)]
    queue: list[Tensor] = []  # windows that wait for a full batch
    counts: list[int] = []  # windows of each clip that has not been answered
    rows: list[Tensor] = []  # one a window

    @torch.inference_mode()
    def run(n: int) -> None:
        batch = torch.stack(queue[:n]).to(device)
        del queue[:n]
        rows.extend(forward(batch).cpu())

    def finished() -> Iterator[Tensor]:
        while counts and len(rows) >= counts[0]:
            n = counts.pop(0)
            yield torch.stack(rows[:n]).mean(dim=0)
            del rows[:n]

    for waveform in waveforms:
        windows = split_windows(waveform, window=window, hop=hop, padding=config.padding)
        windows = [w for w in windows if w.abs().max() > SILENCE] or windows
        queue.extend(w.roll(shift) if shift else w for w in windows for shift in shifts)
        counts.append(len(windows) * n_shifts)
        while len(queue) >= batch_size:
            run(batch_size)
        yield from finished()
    while queue:
        run(min(batch_size, len(queue)))
    yield from finished()


def _name(audio: object) -> str | None:
    if isinstance(audio, (str, os.PathLike)):
        return os.fspath(audio) if isinstance(audio, str) else str(audio)
    name = getattr(audio, "name", None)
    return name if isinstance(name, str) else None
