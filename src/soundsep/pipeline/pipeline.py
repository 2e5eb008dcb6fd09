"""`Pipeline`: from any recording to named, scored labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from numbers import Real
from pathlib import Path
from typing import Any, Literal, Protocol, overload

import torch
from torch import Tensor

from soundsep.audio import AudioInput, is_array, load_audio, resample
from soundsep.audio.inputs import name_of, path_of, unpack
from soundsep.audio.mixdown import check_channel, to_mono
from soundsep.classifier import Classifier
from soundsep.classifier.scoring import (
    MAX_SHIFTS,
    clip_windows,
    embed_waveforms,
    is_silent,
    score_waveforms,
)
from soundsep.config import check_choice, check_kind, check_number, check_whole
from soundsep.devices import to_device
from soundsep.errors import AudioError, ConfigError
from soundsep.pipeline.events import silence_error
from soundsep.pipeline.long_recordings import Listener
from soundsep.pipeline.mixtures import MIXTURE, audible_sources, merge_scores
from soundsep.pipeline.results import ClipResult, Prediction
from soundsep.progress import progress_bar
from soundsep.separator import Separation, Separator

__all__ = ["Pipeline"]


class Column(Protocol):
    """A column of a table, such as a pandas Series."""

    def to_list(self) -> list[Any]:
        """What is in it."""
        ...


class Pipeline(Listener):
    """Names what is to be heard in recordings of any format, rate and length.

    A recording is downmixed and resampled to the classifier's rate, cut into overlapping windows,
    and its scores are the mean over its windows, or of a classifier that names any number of sounds
    (``activation="sigmoid"``) each label's highest; windows of digital silence do not count. What a
    recording is answered never depends on the others of the call.

    With a separator, the recording is taken apart first, and the recording itself and every source
    of it that is not near silence are classified; a label's score is its best among them, where
    those of sources count half.

    Args:
        classifier: The model.
        separator: Takes recordings apart; without one they are classified as they are.
        unknown: Name no sound whose best score is below ``classifier.config.unknown_below``: its
            label is ``None``, and it is no event.
        silence_db: Level in dBFS (mean power) below which nothing is to be heard: such windows do
            not count, and a recording of nothing else, digital silence included, has the label
            ``None`` and no predictions. By default digital silence is an error.
        device: Where the classifier runs, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: ``classifier`` is a name and no `Classifier` (see `from_pretrained`), there is
            no such device here, ``silence_db`` is above 0, or ``unknown`` is asked of a classifier
            of which nobody has measured it.
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
        check_kind("Pipeline", classifier, Classifier)
        if unknown and classifier.config.unknown_below is None:
            raise ConfigError(
                "the classifier's config has no unknown_below: a score to be chosen on sounds that "
                "it should not name"
            )
        if silence_db is not None:
            check_number("silence_db", silence_db, most=0)
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

    @overload  # of those that overlap the first is meant, for a str is a Sequence, too
    def __call__(  # type: ignore[overload-overlap]
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
        channel: int | None = ...,
    ) -> ClipResult: ...

    @overload
    def __call__(
        self,
        audio: Sequence[AudioInput] | Column,
        *,
        sample_rate: int | None = ...,
        top_k: int | None = ...,
        batch_size: int = ...,
        n_shifts: int = ...,
        progress: bool = ...,
        keep_sources: bool | None = ...,
        errors: Literal["raise", "return"] = ...,
        channel: int | None = ...,
    ) -> list[ClipResult]: ...

    @overload
    def __call__(
        self,
        audio: Iterator[AudioInput],  # any Iterable will do, but to mypy an array of Any is one
        *,
        sample_rate: int | None = ...,
        top_k: int | None = ...,
        batch_size: int = ...,
        n_shifts: int = ...,
        progress: bool = ...,
        keep_sources: bool | None = ...,
        errors: Literal["raise", "return"] = ...,
        channel: int | None = ...,
    ) -> Iterator[ClipResult]: ...

    def __call__(
        self,
        audio: AudioInput | Sequence[AudioInput] | Column | Iterable[AudioInput],
        *,
        sample_rate: int | None = None,
        top_k: int | None = None,
        batch_size: int = 16,
        n_shifts: int = 1,
        progress: bool = True,
        keep_sources: bool | None = None,
        errors: Literal["raise", "return"] = "raise",
        channel: int | None = None,
    ) -> ClipResult | list[ClipResult] | Iterator[ClipResult]:
        """Classify one recording, or many.

        Args:
            audio: Whatever `soundsep.load_audio` takes, or a list, a tuple or a pandas Series of
                that, or an iterator over it, such as a generator or ``Path.glob``. A 2-D array is
                one recording, (channels, time).
            sample_rate: Rate of arrays, in Hz; without it they are taken to be at the pipeline's
                own `sample_rate`, which is said once. Files carry theirs.
            top_k: Keep only so many labels of each; all by default.
            batch_size: Most windows per forward pass; fewer where these would need too much memory.
            n_shifts: Hear every window so many times, its end moved to its front in equal steps,
                and average the scores. It takes as many times longer; `docs/models.md` says what
                it is worth.
            progress: Show a progress bar over many recordings, where there is a terminal.
            keep_sources: Keep the separated audio in the result's ``separation``; by default where
                there is one recording, for that of a long list could fill the memory.
            errors: ``"raise"`` stops at the first bad recording, ``"return"`` reports it in its
                own result's ``error`` and goes on.
            channel: Number of the only channel that is heard, from 0; by default all are mixed.

        Returns:
            One result, or a list of them in the order of the input. For an iterator an iterator:
            recordings are read, and results come, ``batch_size`` at a time.

        Raises:
            AudioError: a recording cannot be read, is shorter than one analysis frame, or is
                digital silence.
            ConfigError: an option is out of range.

        Warns:
            SoundsepWarning: an array came without ``sample_rate``; once per pipeline.
        """
        check_choice("errors", errors, ("raise", "return"))
        if sample_rate is not None:
            check_number("sample_rate", sample_rate)
        many, lazily = _is_many(audio)
        options = _Options(
            sample_rate=sample_rate,
            channel=check_channel(channel),
            top_k=None if top_k is None else check_whole("top_k", top_k, least=1),
            batch_size=check_whole("batch_size", batch_size, least=1),
            n_shifts=check_whole("n_shifts", n_shifts, least=1, most=MAX_SHIFTS),
            keeps=not many if keep_sources is None else keep_sources,
            stops=errors == "raise",
        )
        items: Iterable[Any] = audio if many else [audio]  # type: ignore[assignment]  # by _is_many
        shown = progress_bar(items, progress=progress and many, unit="clip", desc="classifying")
        if lazily:
            return self._lazily(iter(shown), options)
        results = list(self._classified(shown, options))
        return results if many else results[0]

    def embed(
        self,
        audio: AudioInput | Sequence[AudioInput] | Column | Iterable[AudioInput],
        *,
        sample_rate: int | None = None,
        batch_size: int = 16,
        progress: bool = True,
        channel: int | None = None,
    ) -> Tensor:
        """Embeddings of recordings: the input of the model's final layer, to search or group by.

        That of a recording is the mean over its windows; windows of digital silence do not count.
        A separator is not asked.

        Args:
            audio: As the pipeline itself takes it.
            sample_rate: Likewise; so are the others.
            batch_size: Most windows per forward pass.
            progress: Show a progress bar over many recordings, where there is a terminal.
            channel: Number of the only channel that is heard.

        Shape:
            Returns (embedding_dim,) for one recording, else (n_recordings, embedding_dim), on the
            CPU.

        Raises:
            AudioError: a recording cannot be read, is too short, or is digital silence.
            ConfigError: an option is out of range.
        """
        many, _ = _is_many(audio)
        channel = check_channel(channel)
        items: Iterable[Any] = audio if many else [audio]  # type: ignore[assignment]  # by _is_many
        shown = progress_bar(items, progress=progress and many, unit="clip", desc="embedding")
        rows = [
            *embed_waveforms(
                self.classifier,
                (self._waveform(item, sample_rate, channel) for item in shown),
                batch_size=check_whole("batch_size", batch_size, least=1),
            )
        ]
        if not many:
            return rows[0].clone()
        return torch.stack(rows) if rows else torch.empty(0, self.classifier.network.embedding_dim)

    def _lazily(self, items: Iterator[Any], options: _Options) -> Iterator[ClipResult]:
        for first in items:
            batch = chain([first], islice(items, options.batch_size - 1))
            yield from self._classified(batch, options)

    def _classified(self, items: Iterable[Any], options: _Options) -> Iterator[ClipResult]:
        """The results of some recordings, once all of them were read, and the first failure."""
        results: list[ClipResult] = []
        heard: list[tuple[str, ...]] = []  # of each clip without an error
        failure: AudioError | None = None

        def waveforms() -> Iterator[Tensor]:
            # Lazy: of a long list only the clips of one batch are in memory.
            nonlocal failure
            for item in items:
                path = path_of(item)
                try:
                    parts, separation = self._parts(item, options)
                except AudioError as error:
                    if options.stops:
                        failure = error
                        return
                    results.append(ClipResult(path=path, error=str(error)))
                    continue
                result = ClipResult(
                    path=path,
                    duration_seconds=parts[MIXTURE].shape[0] / self.sample_rate,
                    separation=separation if options.keeps else None,
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
                batch_size=options.batch_size,
                n_shifts=options.n_shifts,
                silence_db=self.silence_db,
            )
        )
        rows, names = iter(scores), iter(heard)
        for result in results:
            if result.error is not None or not result.is_known:
                yield result
            else:
                yield self._named(result, rows, next(names), options.top_k)
        if failure is not None:
            raise failure

    def _parts(
        self, audio: AudioInput, options: _Options
    ) -> tuple[dict[str, Tensor], Separation | None]:
        """All that is classified of a recording, (time,) each, by name; and its separation."""
        if self.separator is None:
            return {MIXTURE: self._waveform(audio, options.sample_rate, options.channel)}, None
        rate, channel = self._rate_of(audio, options.sample_rate), options.channel
        # The separator hears the recording itself, not what the classifier's rate leaves of it.
        is_mono = self.separator.config.n_channels == 1
        heard, rate = load_audio(audio, sample_rate=rate, mono=is_mono, channel=channel)
        waveform = self._checked(resample(to_mono(heard, rate), rate, self.sample_rate), audio)
        if self._is_unheard(waveform):
            return {MIXTURE: waveform}, None
        separation = self.separator(heard, rate, progress=False)
        sources = audible_sources(separation, self.sample_rate)
        loud = {name: part for name, part in sources.items() if not self._is_unheard(part)}
        return {MIXTURE: waveform, **loud}, separation

    def _waveform(self, audio: AudioInput, sample_rate: int | None, channel: int | None) -> Tensor:
        """A recording as the classifier hears it, (time,)."""
        rate = self._rate_of(audio, sample_rate)
        waveform, _ = load_audio(
            audio, sample_rate=rate, target_rate=self.sample_rate, channel=channel
        )
        return self._checked(waveform, audio)

    def _checked(self, waveform: Tensor, audio: AudioInput) -> Tensor:
        shortest = self.classifier.config.frontend.win_length
        if waveform.shape[0] < shortest:
            raise AudioError(
                f"{name_of(audio)} is too short to analyse: "
                f"{waveform.shape[0] / self.sample_rate:.4f} s, at least "
                f"{shortest / self.sample_rate:.3f} s are needed"
            )
        if self.silence_db is None and is_silent(waveform):
            raise silence_error(audio)
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
        best = scores.topk(len(self.labels))
        order = best.indices.tolist()
        ranked = tuple(
            Prediction(
                self.labels[index],
                score,
                None if self.separator is None else heard[int(where[index])],
            )
            for index, score in zip(order, best.values.tolist(), strict=True)
        )
        least = self.classifier.config.unknown_below if self.unknown else None
        # What was heard in a source counts less, but not because it was heard any worse.
        own = alone.gather(0, where.unsqueeze(0))[0]
        is_known = least is None or float(own[order[0]]) >= least
        named = None
        if self.classifier.config.activation == "sigmoid":
            reach = own >= own.new_tensor(self.classifier.config.label_thresholds)
            named = tuple(p for p, index in zip(ranked, order, strict=True) if reach[index])
            is_known &= bool(named)
        return replace(result, predictions=ranked[:top_k], is_known=is_known, named=named)

    def __repr__(self) -> str:
        """The network, the number of labels and the rate."""
        config = self.classifier.config
        return f"Pipeline({config.network}, {len(self.labels)} labels, {self.sample_rate} Hz)"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Options:
    """Those of one call, checked."""

    sample_rate: int | None
    channel: int | None
    top_k: int | None
    batch_size: int
    n_shifts: int
    keeps: bool  # the separated sources
    stops: bool  # at the first bad recording


def _is_many(audio: Any) -> tuple[bool, bool]:
    """Whether these are several recordings, and whether they come one after the other."""
    is_one = isinstance(audio, (str, bytes, bytearray, memoryview, Mapping)) or is_array(audio)
    if is_one or not isinstance(audio, Iterable) or hasattr(audio, "read"):
        return False, False
    if isinstance(audio, (tuple, list)) and len(audio) == 2 and isinstance(audio[1], Real):
        unpack(audio, None)  # a pair (samples, rate) is refused with a hint
    return True, not (isinstance(audio, Sequence) or hasattr(audio, "to_list"))
