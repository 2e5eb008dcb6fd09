"""Ray Data: recordings tagged by a pool of workers."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from soundsep.errors import ConfigError, DependencyError
from soundsep.pipeline import Pipeline
from soundsep.pipeline.results import ClipResult

__all__ = ["Tagger"]


class Tagger:
    """Tags batches of recordings; a callable class for ``ray.data.Dataset.map_batches``.

    Each worker of the pool loads the model once. An error of a recording is reported in its own
    row, and does not affect the others.

    Args:
        model: A published name, a folder, or ``org/repo``, as for `Pipeline.from_pretrained`.
        path_column: Column of the paths of the recordings.
        bytes_column: Column of the contents of their files, to be used instead of the paths.
        top_k: Largest number of labels per recording.
        batch_size: Windows per forward pass.
        device: Device of the model, such as ``"cpu"`` or ``"cuda"``.
        runtime: Runtime of its network, ``"torch"`` or ``"onnx"``.

    Raises:
        ConfigError: the model or device does not exist, or an option is out of range.
        WeightsError: the model's files are not available, or are not what they claim to be.
        DependencyError: pyarrow, which Ray Data is built on, is not installed, or the extra
            ``onnx``, if asked for.

    Examples:
        ::

            ray.data.from_items([{"path": "a.flac"}, {"path": "b.flac"}]).map_batches(
                Tagger,
                fn_constructor_args=["esc50-mn04"],
                batch_size=64,
                compute=ray.data.ActorPoolStrategy(size=2),
            )
    """

    def __init__(
        self,
        model: str | Path,
        *,
        path_column: str = "path",
        bytes_column: str | None = None,
        top_k: int = 5,
        batch_size: int = 16,
        device: str = "cpu",
        runtime: Literal["torch", "onnx"] = "torch",
    ) -> None:
        try:
            self._arrow: Any = importlib.import_module("pyarrow")
        except ImportError as error:
            raise DependencyError(
                f"Tagger needs pyarrow, which cannot be imported: {error}; install it with: pip "
                'install "soundsep[ray]"'
            ) from error
        self.audio_column = path_column if bytes_column is None else bytes_column
        self.bytes_column = bytes_column
        self.pipe = Pipeline.from_pretrained(model, device=device, runtime=runtime)
        self._options: dict[str, Any] = {"top_k": top_k, "batch_size": batch_size}
        self.pipe([], **self._options)  # refuses invalid options now, not in every recording

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> Any:
        """Tag one batch.

        Args:
            batch: A column of paths or of bytes, and any others, each (rows,).

        Returns:
            A ``pyarrow.Table`` with a row for each, in the same order. It has the columns of the
            batch without the bytes, and ``labels`` (list of strings, best first), ``scores`` (list
            of floats, 0 to 1) and ``error`` (string). Of a recording that cannot be tagged both
            lists are empty, of any other ``error`` is null. The types are the same in every batch.

        Raises:
            ConfigError: the batch does not have the column.
        """
        if self.audio_column not in batch:
            raise ConfigError(
                f"the batch has no column {self.audio_column!r}, only {sorted(batch)}; "
                "path_column and bytes_column name it"
            )
        results = self._results(batch[self.audio_column].tolist())
        arrow = self._arrow
        kept = {name: column for name, column in batch.items() if name != self.bytes_column}
        labels = [[p.label for p in result.predictions] for result in results]
        scores = [[p.score for p in result.predictions] for result in results]
        return arrow.table(
            kept
            | {
                "labels": arrow.array(labels, arrow.list_(arrow.string())),
                "scores": arrow.array(scores, arrow.list_(arrow.float32())),
                "error": arrow.array([result.error for result in results], arrow.string()),
            }
        )

    def _results(self, recordings: list[Any]) -> list[ClipResult]:
        try:
            results: list[ClipResult] = self.pipe(
                recordings, progress=False, errors="return", **self._options
            )
            return results
        except Exception as error:  # an unforeseen one: find the recording that caused it
            if len(recordings) == 1:
                return [ClipResult(error=f"{type(error).__name__}: {error}")]
            return [result for one in recordings for result in self._results([one])]
