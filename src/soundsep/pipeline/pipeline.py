"""`Pipeline`: from any recording to named, scored labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import Tensor

from soundsep.audio import AudioInput, is_array, load_audio, resample
from soundsep.classifier import Classifier
from soundsep.classifier.scoring import clip_windows, is_silent, score_waveforms
from soundsep.devices import to_device
from soundsep.errors import AudioError, ConfigError
from soundsep.names import printable
from soundsep.pipeline.long_recordings import Listener, source_name
from soundsep.pipeline.mixtures import MIXTURE, audible_sources, merge_scores
from soundsep.pipeline.results import ClipResult, Prediction
from soundsep.progress import progress_bar
from soundsep.separator import Separation, Separator

__all__ = ["Pipeline"]

MAX_SHIFTS = 64


class Pipeline(Listener):
    """Names what is to be heard in recordings of any format, rate and length.

    A recording is downmixed and resampled to the classifier's rate, cut into overlapping windows,
    and its scores are the mean over its windows; windows of digital silence do not count. What a
    recording is answered never depends on the others of the call.

    With a separator, the recording is taken apart first, and the recording itself and every source
    of it that is not near silence are classified; a label's score is its best among them, where
    those of sources count half.

    Args:
        classifier: The model.
        separator: Takes recordings apart; without one they are classified as they are.
        unknown: Name no sound whose best score is below ``classifier.config.unknown_below``: its
            label is ``None``.
        silence_db: Level in dBFS (mean power) below which nothing is to be heard: such windows do
            not count, and a recording of nothing else, digital silence included, has the label
            ``None`` and no predictions. By default digital silence is an error.
        device: Where the classifier runs, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: there is no such device here, ``silence_db`` is above 0, or ``unknown`` is
            asked of a classifier of which nobody has measured it.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        separator: Separator | None = None,
        unknown: bool = False,
        silence_db: float | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        if unknown and classifier.config.unknown_below is None:
            raise ConfigError(
                "the classifier's config has no unknown_below: a score to be chosen on sounds that "
                "it should not name"
            )
        if silence_db is not None and not -math.inf < silence_db <= 0:
            raise ConfigError(f"silence_db must be at most 0, such as -60, got {silence_db}")
        self.classifier = to_device(classifier, device).eval()
        self.separator = separator
        self.unknown, self.silence_db = unknown, silence_db

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path,
        *,
        separator: str | Path | Separator | None = None,
        unknown: bool = False,
        silence_db: float | None = None,
        device: str | torch.device = "cpu",
    ) -> Pipeline:
        """A pipeline around `Classifier.from_pretrained`, and `Separator.from_pretrained`.

        Args:
            name_or_dir: A published name (``soundsep models`` lists them), a folder written by
                `Classifier.save_pretrained`, or ``org/repo`` on the Hugging Face Hub.
            separator: A separator, or what `Separator.from_pretrained` takes, such as
                ``"esc50-mix2"``.
            unknown: Name no sound that the model is not sure of.
            silence_db: Level below which nothing is to be heard, in dBFS.
            device: Where both run; a separator that is given stays where it is.

        Raises:
            ConfigError: there is no such name.
            WeightsError: the files cannot be had, or are not what they claim to be.
        """
        if separator is not None and not isinstance(separator, Separator):
            separator = Separator.from_pretrained(separator, device=device)
        classifier = Classifier.from_pretrained(name_or_dir)
        return cls(
            classifier,
            separator=separator,
            unknown=unknown,
            silence_db=silence_db,
            device=device,
        )

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
        progress: bool = ...,
        keep_sources: bool | None = ...,
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
        progress: bool = ...,
        keep_sources: bool | None = ...,
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
        progress: bool = True,
        keep_sources: bool | None = None,
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
            progress: Show a progress bar over a list, where there is a terminal.
            keep_sources: Keep the separated audio in the result's ``sources``; by default where
                there is one recording, for that of a long list could fill the memory.
            errors: ``"raise"`` stops at the first bad recording, ``"return"`` reports it in its
                own result's ``error`` and goes on.

        Returns:
            One result, or a list of them in the order of the input.

        Raises:
            AudioError: a recording cannot be read, is shorter than one analysis frame, or is
                digital silence.
            ConfigError: an option is out of range.
        """
        if top_k is not None and (not _is_whole(top_k) or top_k < 1):
            raise ConfigError(f"top_k must be a whole number of at least 1, got {top_k!r}")
        if not _is_whole(batch_size) or batch_size < 1:
            raise ConfigError(
                f"batch_size must be a whole number of at least 1, got {batch_size!r}"
            )
        if not _is_whole(n_shifts) or not 1 <= n_shifts <= MAX_SHIFTS:
            raise ConfigError(f"n_shifts must be from 1 to {MAX_SHIFTS}, got {n_shifts!r}")
        if errors not in ("raise", "return"):
            raise ConfigError(f'errors must be "raise" or "return", got {errors!r}')
        many = isinstance(audio, (list, tuple))
        items = audio if isinstance(audio, (list, tuple)) else [audio]
        shown = progress and many

        keeps = not many if keep_sources is None else keep_sources
        results: list[ClipResult] = []
        heard: list[tuple[str, ...]] = []  # of each clip without an error

        def waveforms() -> Iterator[Tensor]:
            # Lazy: of a long list only the clips of one batch are in memory.
            for item in progress_bar(items, progress=shown, unit="clip", desc="classifying"):
                source = source_name(item)
                try:
                    parts, separation = self._parts(item, sample_rate)
                except AudioError as error:
                    if errors == "raise":
                        raise
                    results.append(ClipResult(source=source, error=str(error)))
                    continue
                result = ClipResult(
                    source=source,
                    duration_seconds=parts[MIXTURE].shape[0] / self.sample_rate,
                    sources=separation if keeps else None,
                )
                if self._is_unheard(parts[MIXTURE]):
                    results.append(replace(result, is_known=False))
                    continue
                results.append(result)
                heard.append(tuple(parts))
                yield from parts.values()

        scores = list(
            score_waveforms(
                self.classifier,
                waveforms(),
                batch_size=batch_size,
                n_shifts=n_shifts,
                silence_db=self.silence_db,
            )
        )
        rows, names = iter(scores), iter(heard)
        results = [
            r if r.error is not None or not r.is_known else self._named(r, rows, next(names), top_k)
            for r in results
        ]
        return results if many else results[0]

    def _parts(
        self, audio: AudioInput, sample_rate: int | None
    ) -> tuple[dict[str, Tensor], Separation | None]:
        """All that is classified of a recording, (time,) each, by name; and its separation."""
        if self.separator is None:
            waveform, _ = load_audio(audio, sample_rate=sample_rate, target_rate=self.sample_rate)
            return {MIXTURE: self._checked(waveform, audio)}, None
        # The separator hears the recording itself, not what the classifier's rate leaves of it.
        rate = self.sample_rate if sample_rate is None else sample_rate
        is_mono = self.separator.config.n_channels == 1
        heard, rate = load_audio(audio, sample_rate=rate, mono=is_mono)
        mono = heard if is_mono else heard.mean(dim=0)
        waveform = self._checked(resample(mono, rate, self.sample_rate), audio)
        if self._is_unheard(waveform):
            return {MIXTURE: waveform}, None
        separation = self.separator(heard, rate, progress=False)
        sources = audible_sources(separation, self.sample_rate)
        loud = {name: part for name, part in sources.items() if not self._is_unheard(part)}
        return {MIXTURE: waveform, **loud}, separation

    def _checked(self, waveform: Tensor, audio: AudioInput) -> Tensor:
        name = "the array" if is_array(audio) else "the recording"
        name = printable(source_name(audio) or name)
        shortest = self.classifier.config.frontend.win_length
        if waveform.shape[0] < shortest:
            raise AudioError(
                f"{name} is too short to analyse: {waveform.shape[0] / self.sample_rate:.4f} s, at "
                f"least {shortest / self.sample_rate:.3f} s are needed"
            )
        if self.silence_db is None and is_silent(waveform):
            raise AudioError(
                f"{name} is digital silence, in which there is nothing to name; check the "
                "recorder, and whether two opposite channels cancel each other"
            )
        return waveform

    def _is_unheard(self, waveform: Tensor) -> bool:
        """Whether all windows are softer than the pipeline is told to listen."""
        if self.silence_db is None:
            return False
        windows = clip_windows(self.classifier, waveform)
        return all(is_silent(window, self.silence_db) for window in windows)

    def _named(
        self, result: ClipResult, rows: Iterator[Tensor], heard: tuple[str, ...], top_k: int | None
    ) -> ClipResult:
        """With the next scores, those of all that was heard of the recording."""
        alone = torch.stack([*islice(rows, len(heard))])
        scores, where = merge_scores(alone)
        best = scores.topk(min(top_k or len(self.labels), len(self.labels)))
        predictions = tuple(
            Prediction(
                self.labels[index],
                score,
                None if self.separator is None else heard[int(where[index])],
            )
            for index, score in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )
        least = self.classifier.config.unknown_below if self.unknown else None
        first = int(best.indices[0])
        # What was heard in a source counts less, but not because it was heard any worse.
        is_known = least is None or float(alone[where[first], first]) >= least
        return replace(result, predictions=predictions, is_known=is_known)

    def __repr__(self) -> str:
        """The network, the number of labels and the rate."""
        config = self.classifier.config
        return f"Pipeline({config.network}, {len(self.labels)} labels, {self.sample_rate} Hz)"


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
