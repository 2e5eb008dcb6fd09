"""The result of a separator."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from soundsep.audio.level import without_offset
from soundsep.audio.silence import is_silent
from soundsep.errors import ConfigError
from soundsep.separator.source_files import SourceFiles

__all__ = ["Separation"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Separation:
    """The sources of one recording, by name.

    Iterating yields one tensor (channels, time) per source; ``separation["name"]`` is one by name.

    Attributes:
        sources: Names of the sources.
        audio: The sources, (n_sources, channels, time).
        sample_rate: Rate of sources and mixture, in Hz.
        mixture: The recording as it was separated, (channels, time), with the rate and channels
            of the sources. ``audio.sum(dim=0)`` can be compared with it.

    Examples:
        >>> import torch
        >>> audio = torch.tensor([[[0.5, -0.5]], [[0.0, 0.0]]])
        >>> result = Separation(
        ...     sources=("dog", "rain"), audio=audio, sample_rate=16_000, mixture=audio.sum(0)
        ... )
        >>> result["dog"]
        tensor([[ 0.5000, -0.5000]])
        >>> print(result)
        2 sources, 0.0 s, 16000 Hz, 1 channel
          dog   -6.0 dBFS
          rain  silent
    """

    sources: tuple[str, ...]
    audio: Tensor
    sample_rate: int
    mixture: Tensor

    def __len__(self) -> int:
        """Number of sources."""
        return len(self.sources)

    def __iter__(self) -> Iterator[Tensor]:
        """The sources, (channels, time) each."""
        return iter(self.audio)

    def __getitem__(self, name: str) -> Tensor:
        """One source, (channels, time).

        Raises:
            ConfigError: no source has that name.
        """
        if name not in self.sources:
            raise ConfigError(f"no source {name!r}; there are {', '.join(self.sources)}")
        return self.audio[self.sources.index(name)]

    @property
    def duration_seconds(self) -> float:
        """Length of the recording."""
        return self.mixture.shape[-1] / self.sample_rate

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> dict[str, Path]:
        """Write one 32-bit float WAV file per source, ``NAME.wav``; samples are not clipped.

        Args:
            folder: Created if it does not exist.
            overwrite: Replace files of those names.

        Returns:
            The path of each source.

        Raises:
            ConfigError: a file exists, or the disk is full or cannot be written; no file is left
                then.
        """
        files = SourceFiles(
            folder,
            self.sources,
            sample_rate=self.sample_rate,
            n_channels=self.audio.shape[1],
            overwrite=overwrite,
        )
        with files:
            files.write(self.audio)
        return files.paths

    def __str__(self) -> str:
        """The sources and their levels, in which a constant offset does not count."""
        width = max(map(len, self.sources))
        rows = (
            f"  {name:<{width}}  {_level(source)}"
            for name, source in zip(self.sources, self.audio, strict=True)
        )
        n_channels = self.audio.shape[1]
        title = (
            f"{len(self)} sources, {self.duration_seconds:.1f} s, {self.sample_rate} Hz, "
            f"{n_channels} channel{'s' if n_channels > 1 else ''}"
        )
        return "\n".join((title, *rows))

    def __repr__(self) -> str:
        """Short: tensors are long."""
        return (
            f"Separation({', '.join(self.sources)}; {self.duration_seconds:.1f} s, "
            f"{self.sample_rate} Hz)"
        )


def _level(waveform: Tensor) -> str:
    if is_silent(waveform):
        return "silent"
    return f"{10 * math.log10(without_offset(waveform).square().mean()):.1f} dBFS"
