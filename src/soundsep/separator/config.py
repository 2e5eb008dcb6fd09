"""The settings of a separator."""

from __future__ import annotations

import re
from dataclasses import dataclass

from soundsep.config import Config, check_names, check_range
from soundsep.errors import ConfigError
from soundsep.names import is_reserved

__all__ = ["SeparatorConfig"]

# They become file names, on Windows too, and may come from an untrusted checkpoint.
_SOURCE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 _-]{0,62}[A-Za-z0-9])?")
MAX_SOURCES = 64
MAX_SEGMENT_SECONDS = 600.0
MAX_SEGMENT_SAMPLES = 2**26
MAX_SEGMENT_BYTES = 2**30  # estimated need of a forward pass of one segment
# Peak memory of a forward pass, per sample, and per sample and source; as measured.
NETWORK_BYTES = {"mask-unet": (280, 36), "mask-unet-wide": (520, 48)}


@dataclass(frozen=True, kw_only=True, slots=True)
class SeparatorConfig(Config):
    """Everything but the weights.

    Attributes:
        sources: Names of the outputs, in order; letters, digits, spaces, ``_`` and ``-``, and none
            of a device of Windows, such as ``nul``.
        network: Name in `soundsep.models.separation.SEPARATION_NETWORKS`; empty for any other
            network.
        sample_rate: Rate of the network, in Hz.
        n_channels: Channels of the network's input, 1 or 2.
        segment_seconds: Length of a segment.
        overlap: Share of a segment that the next one repeats, from 0 to 0.9.
        interchangeable: Whether the network returns its sources in no fixed order. The sources of
            a segment are then ordered to agree best with the segment before.
    """

    sources: tuple[str, ...]
    sample_rate: int
    n_channels: int
    segment_seconds: float
    network: str = ""
    overlap: float = 0.25
    interchangeable: bool = False

    def _check(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: a source name is invalid or duplicated, or a number is out of range.
        """
        check_names(self, "sources")
        if not 1 <= len(self.sources) <= MAX_SOURCES:
            raise ConfigError(f"SeparatorConfig.sources: expected 1 to {MAX_SOURCES} names")
        for name in self.sources:
            if not _SOURCE_NAME.fullmatch(name) or is_reserved(name):
                raise ConfigError(
                    f"SeparatorConfig.sources: {name[:80]!r} cannot be a file name; "
                    "expected up to 64 letters, digits, spaces, _ and -, and no device of Windows"
                )
        if len({name.casefold() for name in self.sources}) != len(self.sources):
            raise ConfigError(f"SeparatorConfig.sources: a name is duplicated in {self.sources}")
        check_range(self, "sample_rate", least=1_000, most=768_000)
        check_range(self, "n_channels", least=1, most=2)
        check_range(self, "segment_seconds", least=0.01, most=MAX_SEGMENT_SECONDS)
        check_range(self, "overlap", least=0, most=0.9)
        if self.segment_samples > MAX_SEGMENT_SAMPLES:
            raise ConfigError(
                f"SeparatorConfig.segment_seconds: more than {MAX_SEGMENT_SAMPLES} samples"
            )
        if self.network and self.segment_bytes > MAX_SEGMENT_BYTES:
            raise ConfigError(
                f"SeparatorConfig.segment_seconds: one segment of {self.segment_seconds:g} s would "
                f"need about {self.segment_bytes / 2**30:.3g} GiB of memory; expected at most "
                f"{MAX_SEGMENT_BYTES / 2**30:g} GiB: choose a shorter one"
            )
        if self.interchangeable and not self.overlap:
            raise ConfigError("SeparatorConfig.interchangeable needs an overlap to find the order")

    @property
    def segment_bytes(self) -> int:
        """Estimate of the memory that a network of soundsep needs for a segment, in bytes."""
        for_all, for_each = NETWORK_BYTES.get(self.network, max(NETWORK_BYTES.values()))
        return self.segment_samples * (for_all + for_each * len(self.sources))

    @property
    def segment_samples(self) -> int:
        """Samples of a segment."""
        return round(self.segment_seconds * self.sample_rate)

    @property
    def step_samples(self) -> int:
        """Samples from the start of a segment to that of the next."""
        return max(1, int((1 - self.overlap) * self.segment_samples))
