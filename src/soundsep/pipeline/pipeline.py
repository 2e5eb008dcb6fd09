"""`Pipeline`: from any recording to named, scored labels."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence, Set, ValuesView
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, cast, overload

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from soundsep.audio import AudioInput
from soundsep.audio.inputs import recordings_in
from soundsep.audio.mixdown import check_channel
from soundsep.classifier import Classifier, ClassifierLike
from soundsep.classifier.checks import check_classifier
from soundsep.classifier.inference import InferenceCopy, fold_batch_norm
from soundsep.classifier.scoring import MAX_SHIFTS, embed_windows
from soundsep.config import check_choice, check_number, check_whole
from soundsep.devices import to_device
from soundsep.errors import ConfigError
from soundsep.forks import leave_lost_threads
from soundsep.models import Network
from soundsep.pipeline.call import Call
from soundsep.pipeline.hearing import hear
from soundsep.pipeline.long_recordings import Listener
from soundsep.pipeline.mixtures import MIXTURE
from soundsep.pipeline.results import ClipResult
from soundsep.progress import progress_bar
from soundsep.separator import Separator

__all__ = ["Pipeline"]

# Covariant: whoever takes a `Pipeline` of anything that scores takes one of a `Classifier` too.
Model_co = TypeVar("Model_co", bound=ClassifierLike, covariant=True, default=ClassifierLike)


class Column(Protocol):
    """A column of a table, such as a pandas Series."""

    def to_list(self) -> list[Any]:
        """Its values."""
        ...


class Pipeline(Listener, Generic[Model_co]):
    """Identifies the sounds in recordings of any format, rate and length.

    A recording is downmixed, resampled to the classifier's rate and cut into overlapping windows.
    Its scores are the mean over its windows or, for a classifier that names any number of sounds
    (``activation="sigmoid"``), each label's highest; windows of digital silence do not count. Soft
    recordings are raised first, all windows by one gain, for models whose config says so
    (``clip_level_db``); events, scores and streams hear them as they are. A recording's result
    never depends on the other recordings in the call.

    With a separator, recordings are separated first, and the recording itself and each of its
    sources that is not near silence are classified. A label's score is its best among them, where
    the scores of sources count half.

    Args:
        classifier: The model: a `Classifier`, a `soundsep.export.OnnxClassifier`, or anything else
            that scores waveforms (`soundsep.classifier.ClassifierLike`).
        separator: Separates recordings first; by default they are classified as they are.
        unknown: Leave a sound unnamed if its best score is below
            ``classifier.config.unknown_below``: its label is ``None``, and it is not an event. A
            classifier that names any number of sounds (sigmoid) does so by its thresholds anyway.
        silence_db: Level in dBFS (mean power without a constant offset, before a recording is
            raised) below which sound counts as silence: such windows do not count, and a recording
            of nothing else, digital silence included, has the label ``None`` and no predictions. By
            default digital silence is an error.
        device: Device of a torch classifier, such as ``"cpu"`` or ``"cuda"``.
        runtime: Runtime of a `Classifier`'s network. ``"onnx"`` is ONNX Runtime (extra
            ``onnx``): faster on a CPU, and scores differ by less than 1e-4. All else,
            the separator too, runs in PyTorch.

    Raises:
        ConfigError: ``classifier`` or ``separator`` is a name (see `from_pretrained`) or otherwise
            none, the classifier's settings do not fit its labels, the device does not exist,
            ``silence_db`` is above 0, ``unknown`` is no bool, or requested of a softmax classifier
            without ``unknown_below``, or
            ``runtime="onnx"`` of another device than the CPU or of what is not a `Classifier`.
        DependencyError: ``runtime="onnx"``, and the extra is not installed.
        ExportError: ONNX cannot express the network.
    """

    def __init__(
        self,
        classifier: Model_co,
        *,
        separator: Separator | None = None,
        unknown: bool = False,
        silence_db: float | None = None,
        device: str | torch.device = "cpu",
        runtime: Literal["torch", "onnx"] = "torch",
    ) -> None:
        leave_lost_threads()
        check_classifier("Pipeline", classifier)
        if not isinstance(unknown, bool):
            raise ConfigError(
                f"unknown must be True or False, for the score is in the classifier's config, got "
                f"{unknown!r:.80}"
            )
        check_choice("runtime", runtime, ("torch", "onnx"))
        if runtime == "onnx":
            _check_onnx(classifier, device)
        if separator is not None:
            _check_separator(separator)
        config = classifier.config
        # With sigmoid nothing below its label's threshold is named in any case.
        if unknown and config.activation == "softmax" and config.unknown_below is None:
            raise ConfigError(
                "the classifier's config has no unknown_below, a score to be chosen on sounds that "
                "it should not name"
            )
        if silence_db is not None:
            check_number("silence_db", silence_db, most=0)
        if isinstance(classifier, nn.Module):
            to_device(classifier, device).eval()
        elif str(device) != "cpu":
            raise ConfigError(
                f"{type(classifier).__name__} is not a torch module and cannot be moved to "
                f"{str(device)!r}; leave out the device"
            )
        self.classifier: Model_co = classifier
        self.separator = separator
        self.unknown, self.silence_db = unknown, silence_db
        self.runtime = runtime
        self._inference = InferenceCopy(_folded if runtime == "torch" else _in_onnx)
        if runtime == "onnx":
            _ = self._model  # what is missing for it is said now

    @property
    def _model(self) -> ClassifierLike:
        leave_lost_threads()
        classifier: ClassifierLike = self.classifier
        # A subclass may do anything with its network.
        return self._inference.of(classifier) if type(classifier) is Classifier else classifier

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path,
        *,
        separator: str | Path | Separator | None = None,
        unknown: bool = False,
        silence_db: float | None = None,
        device: str | torch.device = "cpu",
        runtime: Literal["torch", "onnx"] = "torch",
    ) -> Pipeline[Classifier]:
        """A pipeline around `Classifier.from_pretrained`, and `Separator.from_pretrained`.

        Args:
            name_or_dir: A published name (``soundsep models`` lists them), a folder written by
                `Classifier.save_pretrained`, or ``org/repo`` on the Hugging Face Hub.
            separator: A separator, or what `Separator.from_pretrained` takes, such as
                ``"esc50-mix2"``.
            unknown: Leave sounds unnamed if the model is not sure.
            silence_db: Level below which sound counts as silence, in dBFS.
            device: Device of both; a separator object stays where it is.
            runtime: Runtime of the classifier's network, ``"torch"`` or ``"onnx"``.

        Raises:
            ConfigError: the name is unknown, or options contradict each other.
            DependencyError: ``runtime="onnx"``, and the extra ``onnx`` is not installed.
            ExportError: ``runtime="onnx"``, and ONNX cannot express the network.
            WeightsError: the files are not available, or are not what they claim to be.
        """
        leave_lost_threads()
        if separator is not None and not isinstance(separator, Separator):
            separator = Separator.from_pretrained(separator, device=device)
        of_any: type[Pipeline[Any]] = cls  # a subclass may be of one kind of classifier
        return of_any(
            Classifier.from_pretrained(name_or_dir),
            separator=separator,
            unknown=unknown,
            silence_db=silence_db,
            device=device,
            runtime=runtime,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels of the classifier."""
        return self.classifier.labels

    @property
    def sample_rate(self) -> int:
        """Rate of the model, in Hz; recordings at other rates are resampled."""
        return self.classifier.sample_rate

    @overload  # a str is a Sequence too; of overlapping ones the first holds
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
        # any Iterable will do, but to mypy an array of Any is one
        audio: Iterator[AudioInput] | Set[AudioInput] | ValuesView[AudioInput],
        *,
        sample_rate: int | None = ...,
        top_k: int | None = ...,
        batch_size: int = ...,
        n_shifts: int = ...,
        progress: bool = ...,
        keep_sources: bool | None = ...,
        errors: Literal["raise", "return"] = ...,
        channel: int | None = ...,
    ) -> Generator[ClipResult]: ...

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
    ) -> ClipResult | list[ClipResult] | Generator[ClipResult]:
        """Classify one recording, or many.

        Args:
            audio: Anything `soundsep.load_audio` takes; a list, tuple or pandas Series of such
                recordings; or an iterator over them, such as a generator or ``Path.glob``. A 2-D
                array is one recording, (channels, time).
            sample_rate: Rate of arrays, in Hz; by default the pipeline's own `sample_rate`, with
                one warning. Files state theirs.
            top_k: Labels to keep per recording; all by default.
            batch_size: Most windows per forward pass; fewer if these would need too much memory.
            n_shifts: Test-time augmentation: score ``n_shifts`` circular shifts of every window
                and average the scores. It takes ``n_shifts`` times as long; `docs/models.md` has
                the gain.
            progress: Show a progress bar over many recordings, if there is a terminal.
            keep_sources: Keep the separated audio in the result's ``separation``; by default only
                for a single recording, since that of a long list could fill the memory.
            errors: ``"raise"`` stops at the first bad recording, ``"return"`` reports it in its
                own result's ``error`` and continues.
            channel: Use this channel only, counted from 0; by default all are mixed.

        Returns:
            One result, or a list in the order of the input. For an iterator, an iterator that
            yields results ``batch_size`` at a time. Of lists and iterators, as many files again (at
            most 64 and 256 MiB) are read ahead in threads.

        Raises:
            AudioError: a recording cannot be read, is shorter than one analysis frame, or is
                digital silence.
            ConfigError: an option is out of range.

        Warns:
            SoundsepWarning: an array was given without ``sample_rate``, once per pipeline; or the
                process was forked from one that had computed with a model, and torch now computes
                in one thread.
        """
        check_choice("errors", errors, ("raise", "return"))
        if sample_rate is not None:
            check_number("sample_rate", sample_rate)
        items, many, is_lazy = recordings_in(audio)
        call = Call(
            classifier=self._model,
            separator=self.separator,
            unknown=self.unknown,
            silence_db=self.silence_db,
            rate_of=lambda item: self._rate_of(item, sample_rate),
            channel=check_channel(channel),
            top_k=None if top_k is None else check_whole("top_k", top_k, least=1),
            batch_size=check_whole("batch_size", batch_size, least=1),
            n_shifts=check_whole("n_shifts", n_shifts, least=1, most=MAX_SHIFTS),
            keeps_sources=not many if keep_sources is None else keep_sources,
            stops=errors == "raise",
            reads_ahead=many,
            bar=partial(progress_bar, progress=progress and many, unit="clip", desc="classifying"),
        )
        if is_lazy:
            return call.lazily(items)
        results = list(call.results(items))
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
        """Embeddings of recordings: the input of the model's final layer, for search or clustering.

        A recording's embedding is the mean over its windows; windows of digital silence do not
        count. The separator is not used.

        Args:
            audio: One recording or many, as for calling the pipeline.
            sample_rate: Rate of arrays, in Hz; by default the pipeline's own `sample_rate`.
            batch_size: Most windows per forward pass.
            progress: Show a progress bar over many recordings, if there is a terminal.
            channel: Use this channel only, counted from 0; by default all are mixed.

        Shape:
            Returns (embedding_dim,) for one recording, else (n_recordings, embedding_dim), on the
            CPU.

        Raises:
            AudioError: a recording cannot be read, is too short, or is digital silence.
            ConfigError: an option is out of range, or the classifier has no embeddings.
        """
        classifier, channel = self._model, check_channel(channel)
        if not isinstance(classifier, Classifier):
            raise ConfigError(f"{type(classifier).__name__} has scores, but no embeddings")
        items, many, _ = recordings_in(audio)
        shown = progress_bar(items, progress=progress and many, unit="clip", desc="embedding")

        def windows() -> Iterator[tuple[int, list[Tensor]]]:
            for number, item in enumerate(shown):
                heard = hear(
                    item,
                    classifier,
                    separator=None,
                    silence_db=None,
                    sample_rate=self._rate_of(item, sample_rate),
                    channel=channel,
                )
                yield number, heard.windows[MIXTURE]

        rows = [row for _, row in embed_windows(classifier, windows(), batch_size=batch_size)]
        if not many:
            return rows[0].clone()
        return (
            torch.stack(rows)
            if rows
            else torch.empty(0, classifier.network.embedding_dim, dtype=torch.float32, device="cpu")
        )

    def __repr__(self) -> str:
        """The network, the number of labels and the rate."""
        model = self.classifier
        name = model.config.network if isinstance(model, Classifier) else type(model).__name__
        runtime = ", ONNX Runtime" if self.runtime == "onnx" else ""
        return f"Pipeline({name}{runtime}, {len(self.labels)} labels, {self.sample_rate} Hz)"


def _check_separator(separator: object) -> None:
    if isinstance(separator, Separator):
        return
    hint = "; a network and its SeparatorConfig make one: Separator(network, config)"
    if isinstance(separator, (str, Path)):
        name = str(separator)
        hint = f"; Separator.from_pretrained({name!r}) and Pipeline.from_pretrained load one"
    raise ConfigError(f"separator must be a Separator, got {type(separator).__name__}{hint}")


def _check_onnx(classifier: ClassifierLike, device: str | torch.device) -> None:
    """Refuse a classifier or a device that ONNX Runtime does not run here."""
    if type(classifier) is not Classifier:
        raise ConfigError(
            f'runtime="onnx" runs a soundsep.Classifier, not a {type(classifier).__name__}, which '
            "is run as it is; leave out the runtime"
        )
    if str(device) != "cpu":
        raise ConfigError(
            f'runtime="onnx" runs on the CPU, not on {str(device)!r}; leave out the device, or the '
            "runtime"
        )


def _in_onnx(classifier: Classifier) -> Network:
    from soundsep.export.network import onnx_network  # few need it

    return onnx_network(classifier)


def _folded(classifier: Classifier) -> Network:
    return cast(Network, fold_batch_norm(cast(nn.Module, classifier.network)))
