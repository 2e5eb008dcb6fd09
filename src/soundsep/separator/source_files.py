"""Files of the separated sources: either whole or absent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType

from torch import Tensor

from soundsep.errors import ConfigError
from soundsep.files import replacing, sweep
from soundsep.names import local_path
from soundsep.separator.wav import FloatWavWriter

__all__ = ["SourceFiles"]


class SourceFiles:
    """One WAV file per source, written as the sources arrive; a context manager.

    The files get their names when the ``with`` block succeeds; otherwise they are removed.

    Args:
        folder: Created if it does not exist.
        names: Names of the sources.
        sample_rate: Rate of the sources, in Hz.
        n_channels: Channels of each file.
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
        try:
            self._check_free()
        except OSError as error:  # too long, or no permission to look
            raise self._failed(error) from error

    def _check_free(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"{self.folder} is a file; expected a folder, or a new name")
        for path in self.paths.values():
            if path.exists() and not self._overwrite:
                raise ConfigError(
                    f"{path} exists already; name another folder, or pass overwrite=True "
                    "(--overwrite) to replace files"
                )

    def __enter__(self) -> SourceFiles:
        """Open the files, under temporary names."""
        self._open = ExitStack()
        sweep(self.folder)  # sources are large, and a killed run leaves part of them
        try:
            temporary = self._open.enter_context(replacing(*self.paths.values(), sync=True))
            self._streams = [self._open.enter_context(p.open("wb")) for p in temporary]
            self._writers = [
                FloatWavWriter(s, sample_rate=self._sample_rate, n_channels=self._n_channels)
                for s in self._streams
            ]
        except OSError as error:
            self._discard(error)
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
        if error is not None:
            self._discard(error)
            return
        try:
            for writer in self._writers:
                writer.finish()
            self._check_free()  # hours may have passed
            self._open.close()  # a full network disk may tell only now
        except BaseException as failure:
            self._discard(failure)
            if isinstance(failure, OSError):
                raise self._failed(failure) from failure
            raise

    def _discard(self, error: BaseException) -> None:
        with suppress(OSError):  # a full disk refuses again what closing writes
            self._open.__exit__(type(error), error, error.__traceback__)

    def _failed(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"cannot write the sources to {self.folder}: {error.strerror or error}; none "
            "was kept. Free some space, or name another folder"
        )
