"""Training clips on the device: whole batches of views are cut by a few gathers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from soundsep.errors import ConfigError, DatasetError
from soundsep.training.examples import Example

__all__ = ["ClipBank"]


class ClipBank:
    """Clips of one rate in one tensor, for networks so quick that a processor cannot feed them.

    What `soundsep.augment.loudest_view` does to a clip, `views` does to a batch, and waits for
    nothing: random numbers come from a generator of the device.

    Args:
        examples: Clips and their targets; they may differ in length.
        device: Where they are kept, 12 bytes a sample.

    Raises:
        DatasetError: there are no clips.
    """

    def __init__(self, examples: Sequence[Example], device: str | torch.device = "cpu") -> None:
        if not examples:
            raise DatasetError("there are no clips")
        lengths = [len(waveform) for waveform, _ in examples]
        waveforms = torch.zeros(len(examples), max(lengths))
        for row, (waveform, _) in zip(waveforms, examples, strict=True):
            row[: len(waveform)] = waveform
        self.waveforms = waveforms.to(device)
        self.lengths = torch.tensor(lengths, device=device)
        self.targets = torch.tensor([target for _, target in examples], device=device)
        # In float64, so that the energy of a stretch is the difference of two sums.
        energy = self.waveforms.double().square_().cumsum_(dim=1)
        self._energy = torch.nn.functional.pad(energy, (1, 0))

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.lengths)

    def views(
        self,
        rows: Tensor,
        n_samples: int,
        *,
        generator: torch.Generator,
        n_candidates: int = 1,
        max_speed: float = 1.0,
    ) -> Tensor:
        """A random stretch of each clip, taken for a ring, at a random speed.

        Between samples a cubic runs through the four around (Catmull and Rom), so that highs lose
        less than on straight lines.

        Args:
            rows: Numbers of the clips.
            n_samples: Length of the views, in samples.
            generator: Source of the random numbers, of the same device.
            n_candidates: Random starts of which the one with the most energy is taken.
            max_speed: Speeds are log-uniform from its inverse to this, at least 1; pitch and tempo
                change together.

        Shape:
            rows: (batch,). Returns (batch, n_samples).

        Raises:
            ConfigError: a count is below 1, or ``max_speed`` is.
        """
        if n_samples < 1 or n_candidates < 1 or not 1 <= max_speed < math.inf:
            raise ConfigError(
                "views need n_samples, n_candidates and max_speed of at least 1, got "
                f"{n_samples}, {n_candidates} and {max_speed}"
            )
        device, n = self.waveforms.device, len(rows)
        exponent = torch.rand(n, 1, generator=generator, device=device, dtype=torch.float64) * 2 - 1
        speed = (exponent * math.log(max_speed)).exp()
        length = self.lengths[rows].unsqueeze(1)
        place = torch.rand(n, n_candidates, generator=generator, device=device, dtype=torch.float64)
        starts = (place * length).long()
        if n_candidates > 1:
            heard = self._energy_of(rows, starts, (n_samples * speed).ceil().long())
            starts = starts.gather(1, heard.argmax(dim=1, keepdim=True))
        position = torch.arange(n_samples, device=device) * speed
        left = position.long()
        first = starts + left

        def sample(offset: int) -> Tensor:
            return self.waveforms[rows.unsqueeze(1), (first + offset) % length]

        if max_speed == 1:
            return sample(0)
        t = (position - left).float()
        before, here, after, later = (sample(offset) for offset in (-1, 0, 1, 2))
        cubic = 3 * (here - after) + later - before
        square = 2 * before - 5 * here + 4 * after - later
        return here + 0.5 * t * (after - before + t * (square + t * cubic))

    def _energy_of(self, rows: Tensor, starts: Tensor, n_samples: Tensor) -> Tensor:
        """Energy of stretches (batch, n_candidates) of the rings."""
        clips = rows.unsqueeze(1)
        length, ends = self.lengths[clips], starts + n_samples
        rounds = torch.div(ends, length, rounding_mode="floor") * self._energy[clips, -1]
        return rounds + self._energy[clips, ends % length] - self._energy[clips, starts]
