"""One network of a separator, and what it has a say in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from soundsep.errors import AudioError, ShapeError
from soundsep.separator.overlap import cut

__all__ = ["Member"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A network that hears a segment.

    Attributes:
        network: Takes (batch, channels, time), returns (batch, n_sources, channels, time).
        shares: Its share in each source; those of all members sum to 1. (n_sources,).
        length: Samples it is given for a segment of so many.
        centred: Where it is given more than the segment, take as much from either side of it;
            otherwise all from before, as far as the recording goes.
    """

    network: nn.Module
    shares: Tensor
    length: Callable[[int], int]
    centred: bool = False

    @torch.no_grad()
    def hear(self, recording: Tensor, start: int, n: int, device: torch.device) -> Tensor:
        """Its share of the sources of ``recording[:, start : start + n]``.

        Shape:
            recording: (channels, time). Returns (n_sources, channels, n), on the CPU.

        Raises:
            AudioError: the answer holds NaN or Inf.
            ShapeError: the answer has another shape.
        """
        length = self.length(n)
        before = (length - n) // 2 if self.centred else min(length - n, start)
        heard = cut(recording, start - before, length)
        expected = (1, len(self.shares), *heard.shape)
        if not heard.any():
            return heard.new_zeros(*expected[1:3], n)
        answer = self.network(heard.unsqueeze(0).to(device))
        if tuple(answer.shape) != expected:
            raise ShapeError(
                f"the network gave {tuple(answer.shape)} for {(1, *heard.shape)}; expected "
                f"(batch, n_sources, channels, time): {expected}"
            )
        sources: Tensor = answer[0, ..., before : before + n].float().cpu()
        if not sources.isfinite().all():
            raise AudioError(
                "the network's answer holds NaN or infinite samples; look at the level of the "
                f"recording, of which a segment reaches {heard.abs().max().item():g}"
            )
        return sources * self.shares[:, None, None]
