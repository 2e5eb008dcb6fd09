"""Files of the separated sources: whole under their names, or not there."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType

from torch import Tensor

from soundsep.errors import ConfigError
from soundsep.names import local_path
from soundsep.separator.wav import FloatWavWriter

__all__ = ["StemFiles"]


class StemFiles:
    """One WAV file a source, written as the sources come; a context manager.

    They get their names when the ``with`` block ends well; otherwise nothing is left of them.

    Args:
        folder: Made where it does not exist.
        names: Of the sources.
        sample_rate: In Hz.
        n_channels: Of each file.
        overwrite: Replace files of those names.

    Raises:
        ConfigError: a file exists, or the disk is full or cannot be written.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        names: Sequence[str],
        *,
        sample_rate: int,
        n_channels: int,
        overwrite: bool,
    ) -> None:
        self.folder = local_path(folder)
        self.paths = {name: self.folder / f"{name}.wav" for name in names}
        self._sample_rate = sample_rate
        self._n_channels = n_channels
        self._overwrite = overwrite
        self._temporary = [
            path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp") for path in self.paths.values()
        ]
        self._made = [p for p in (self.folder, *self.folder.parents) if not p.exists()]
        self._check_free()

    def _check_free(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder} is a file; expected a folder, or nothing yet")
        for path in self.paths.values():
            if path.is_dir() or (path.exists() and not self._overwrite):
                raise ConfigError(
                    f"{path} exists already; name another folder, or pass overwrite=True "
                    "(--overwrite) to replace files"
                )

    def __enter__(self) -> StemFiles:
        """Open them, under temporary names."""
        self._open = ExitStack()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._streams = [self._open.enter_context(p.open("wb")) for p in self._temporary]
            self._writers = [
                FloatWavWriter(s, sample_rate=self._sample_rate, n_channels=self._n_channels)
                for s in self._streams
            ]
        except OSError as error:
            self._discard()
            raise self._failed(error) from error
        return self

    def write(self, sources: Tensor) -> None:
        """Append sources, (n_sources, channels, time)."""
        try:
            for writer, samples in zip(self._writers, sources, strict=True):
                writer.write(samples)
        except OSError as error:
            raise self._failed(error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the files their names, or remove them."""
        try:
            if kind is None:
                self._commit()
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            self._discard()

    def _commit(self) -> None:
        for writer, stream in zip(self._writers, self._streams, strict=True):
            writer.finish()
            stream.flush()
            os.fsync(stream.fileno())  # a full network disk may tell only now
        self._open.close()
        self._check_free()  # hours may have passed
        for temporary, path in zip(self._temporary, self.paths.values(), strict=True):
            os.replace(temporary, path)

    def _discard(self) -> None:
        with suppress(OSError):  # closing writes what is buffered, which a full disk refuses again
            self._open.close()
        for path in self._temporary:
            with suppress(OSError):
                path.unlink()
        for folder in self._made:
            with suppress(OSError):  # it holds something
                folder.rmdir()

    def _failed(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"cannot write the sources to {self.folder}: {error.strerror or error}; nothing of "
            "them was kept. Free some space, or name another folder"
        )
