"""Sound of any length through networks that take one segment at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Cutting", "cut", "overlap_add"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cutting:
    """Where segments begin, and how much is kept around them.

    Attributes:
        segment: Samples of a segment.
        step: Samples from the start of one to the start of the next.
        context: Most samples beyond either end of a segment that a network needs.
        every_step: Begin a segment at every step up to the end of the recording, as demucs does,
            even if the one before has reached the end.
        interchangeable: Order the sources of a segment like those of the segment before.
    """

    segment: int
    step: int
    context: int
    every_step: bool = False
    interchangeable: bool = False


def overlap_add(
    blocks: Iterable[Tensor], hear: Callable[[Tensor, int, int], Tensor], cutting: Cutting
) -> Iterator[Tensor]:
    """Sources of a recording that arrives in blocks, as soon as they are final.

    Segments overlap; where they do, the mean of their sources is taken, weighted by a triangle
    over each segment. The result does not depend on how the recording is cut into blocks.

    Args:
        blocks: Parts of the recording, of any lengths, (channels, time) each.
        hear: Takes a part of the recording (channels, time), the first sample of a segment in it
            and the segment's length, and returns its sources (n_sources, channels, length).
        cutting: Starts and length of the segments.

    Yields:
        The sources of the next part of the recording, (n_sources, channels, time).

    References:
        Défossez et al. (2019), "Music source separation in the waveform domain" (arXiv
        1911.13254), for the triangle.
    """
    segment, step = cutting.segment, cutting.step
    rising = torch.arange(1, segment // 2 + 1, device="cpu")
    weight = torch.cat((rising, torch.arange(segment - segment // 2, 0, -1, device="cpu"))).float()
    weight /= weight.max()
    summed_weight = torch.zeros(segment, dtype=torch.float32, device="cpu")
    summed: Tensor | None = None  # weighted sources from `start` on

    remaining = iter(blocks)
    kept = next(remaining)
    ended = False
    start = 0  # of the segment, in `kept`
    while True:
        # One more sample tells whether the recording continues after the segment.
        needed = start + segment + cutting.context + 1
        more = [kept]
        n_kept = kept.shape[1]
        while not ended and n_kept < needed:
            if (block := next(remaining, None)) is None:
                ended = True
            else:
                more.append(block)
                n_kept += block.shape[1]
        kept = torch.cat(more, dim=1) if len(more) > 1 else kept

        n = min(segment, n_kept - start)
        sources = hear(kept, start, n)
        if summed is None:
            summed = sources.new_zeros(*sources.shape[:2], segment)
        elif cutting.interchangeable:
            n_shared = min(n, segment - step)
            so_far = summed[..., :n_shared] / summed_weight[:n_shared]
            sources = sources[_best_order(so_far, sources[..., :n_shared])]
        summed[..., :n] += weight[:n] * sources
        summed_weight[:n] += weight[:n]
        del sources  # kept any longer, it would fragment the memory of the next segment

        reached = start + (step if cutting.every_step else n)
        is_last = ended and reached >= n_kept
        n_certain = n_kept - start if is_last else step
        yield summed[..., :n_certain] / summed_weight[:n_certain]
        if is_last:
            return
        for rest in (summed, summed_weight):
            rest[..., : segment - step] = rest[..., step:].clone()
            rest[..., segment - step :] = 0.0
        n_past = max(0, start + step - cutting.context)
        kept, start = kept[:, n_past:], start + step - n_past


def cut(recording: Tensor, start: int, length: int) -> Tensor:
    """A span of a recording, with silence beyond its ends.

    Shape:
        recording: (channels, time). Returns (channels, length).
    """
    before, after = max(0, -start), max(0, start + length - recording.shape[1])
    return torch.nn.functional.pad(
        recording[:, start + before : start + length - after], (before, after)
    )


def _best_order(so_far: Tensor, sources: Tensor) -> Tensor:
    """Indices that put ``sources`` in the order of ``so_far``, by the least squared difference."""
    from scipy.optimize import linear_sum_assignment  # slow to import

    # Of two orders only the products differ in the sum of squared differences.
    products = torch.einsum("ict,jct->ij", so_far.double(), sources.double())
    return torch.from_numpy(linear_sum_assignment(products.numpy(), maximize=True)[1])
