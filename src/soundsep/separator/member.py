"""One network of a separator, and its share of the sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from soundsep.audio.level import offset_of
from soundsep.audio.silence import is_silent
from soundsep.devices import told_of_precision
from soundsep.errors import AudioError, ShapeError
from soundsep.separator.overlap import cut

__all__ = ["Member"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A network that separates a segment.

    Attributes:
        network: Takes (batch, channels, time), returns (batch, n_sources, channels, time).
        shares: Share of each source, (n_sources,); the shares of all members sum to 1.
        length: Maps the length of a segment to the length of the network's input, in samples.
        centred: If the input is longer than the segment, extend it equally on both sides;
            otherwise to the front, as far as the recording goes.
    """

    network: nn.Module
    shares: Tensor
    length: Callable[[int], int]
    centred: bool = False

    @torch.no_grad()
    def hear(self, recording: Tensor, start: int, n: int, device: torch.device) -> Tensor:
        """Its share of the sources of ``recording[:, start : start + n]``.

        The network does not hear the constant offset that cheap sound cards add: it is no sound,
        but would drown soft ones. Each source gets an equal part of it, so that sources that sum to
        the recording still do.

        Shape:
            recording: (channels, time). Returns (n_sources, channels, n), on the CPU.

        Raises:
            AudioError: the output holds NaN or Inf.
            ConfigError: the network fails, and its weights are not float32.
            ShapeError: the output is no floating-point tensor, or has the wrong shape.
        """
        length = self.length(n)
        before = (length - n) // 2 if self.centred else min(length - n, start)
        first = start - before
        part = recording[:, max(0, first) : first + length]
        expected = (1, len(self.shares), len(part), length)
        if is_silent(part):
            return part.new_zeros(*expected[1:3], n)
        offset = offset_of(part)
        heard = cut(part - offset, min(0, first), length)  # beyond the ends, the offset goes on
        with told_of_precision(self.network):
            answer = self.network(heard.unsqueeze(0).to(device))
        is_sound = isinstance(answer, Tensor) and answer.is_floating_point()
        if not is_sound or tuple(answer.shape) != expected:
            given = type(answer).__name__
            if isinstance(answer, Tensor):
                given = f"{tuple(answer.shape)} of {answer.dtype}"
            raise ShapeError(
                f"the network gave {given} for {(1, *heard.shape)}; expected a floating-point "
                f"tensor (batch, n_sources, channels, time): {expected}"
            )
        sources: Tensor = answer[0, ..., before : before + n].float().cpu()
        if not sources.isfinite().all():
            raise AudioError(
                "the network's output holds NaN or infinite samples; check the level of the "
                f"recording, which in this segment reaches {heard.abs().max().item():g}"
            )
        return (sources + offset / len(sources)) * self.shares[:, None, None]
