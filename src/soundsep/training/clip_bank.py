"""Training clips on the device, cut into whole batches of views by a few gathers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from soundsep.errors import ConfigError, DatasetError
from soundsep.training.examples import Example

__all__ = ["ClipBank"]


class ClipBank:
    """Clips of one rate in one tensor, for networks so fast that a processor cannot feed them.

    `views` does for a batch what `soundsep.augment.loudest_view` does for a clip, without waiting
    for the device: random numbers come from a generator there.

    Args:
        examples: Clips of any length, and their targets.
        device: Device that holds them, with 12 bytes per sample.

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
        # In float64, so that the energy of a span is the difference of two sums.
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
        """A random part of each clip, whose end is joined to its beginning, at a random speed.

        Values between samples are interpolated by a cubic through four of them (Catmull and Rom),
        which keeps more of the highs than straight lines do.

        Args:
            rows: Numbers of the clips.
            n_samples: Length of the views, in samples.
            generator: Source of the random numbers, on the same device.
            n_candidates: Random starts of which the one with the most energy is taken.
            max_speed: Largest speed, at least 1; drawn log-uniformly from 1 / max_speed to
                max_speed. Pitch and tempo change together.

        Shape:
            rows: (batch,). Returns (batch, n_samples).

        Raises:
            ConfigError: ``n_samples``, ``n_candidates`` or ``max_speed`` is below 1.
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
        """Energy of parts of the clips, (batch, n_candidates)."""
        clips = rows.unsqueeze(1)
        length, ends = self.lengths[clips], starts + n_samples
        rounds = torch.div(ends, length, rounding_mode="floor") * self._energy[clips, -1]
        return rounds + self._energy[clips, ends % length] - self._energy[clips, starts]
