"""Mixtures of clips with their sources, made on the fly and reproducibly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from soundsep.config import Config, check_range, check_seed, check_whole
from soundsep.datasets.clip import checked_targets
from soundsep.errors import DatasetError

__all__ = ["Mixture", "MixtureConfig", "Mixtures"]

SILENCE_RMS = 1e-3  # -60 dBFS: a crop below it holds nothing that could be separated
N_TRIES = 200  # for one mixture


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureConfig(Config):
    """How clips are mixed.

    Attributes:
        n_sources: Clips per mixture, 1 to 4.
        level_db: Largest difference of a clip's level from that of the first clip, drawn uniformly
            in dB. Levels are the mean power of the whole crop, including silence.
        sample_rate: Rate of the clips, in Hz.
        seconds: Length of a mixture. Longer clips are cropped, shorter ones padded with silence.
        is_rolled: Shift every clip circularly by a random time before it is cropped; for
            training, where this makes new overlaps.

    Examples:
        The protocol of Tzinis et al. (2020), "Sudo rm -rf", arXiv 2007.06833:

        >>> MixtureConfig(sample_rate=8_000, seconds=4.0).n_samples
        32000
    """

    n_sources: int = 2
    level_db: float = 5.0
    sample_rate: int = 16_000
    seconds: float = 5.0
    is_rolled: bool = False

    def _check(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: a value is out of range.
        """
        check_range(self, "n_sources", least=1, most=4)
        check_range(self, "level_db", least=0, most=60)
        check_range(self, "seconds", least=0.1, most=60)
        check_range(self, "sample_rate", least=1_000, most=192_000)

    @property
    def n_samples(self) -> int:
        """Length in samples."""
        return round(self.seconds * self.sample_rate)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Mixture:
    """Clips that sound at once.

    Attributes:
        sources: The sources, as loud as in the mixture, (n_sources, time).
        targets: Index of the class of each source.
        clips: Index of the clip of each source.
    """

    sources: Tensor = field(repr=False)
    targets: tuple[int, ...]
    clips: tuple[int, ...]

    @property
    def waveform(self) -> Tensor:
        """Sum of the sources, (time,)."""
        return self.sources.sum(dim=0)


class Mixtures(Sequence[Mixture], Dataset[Mixture]):
    """A list of mixtures, each made when it is accessed.

    The clips of a mixture are of different classes. The clips, their levels and their crops depend
    only on the seed and the mixture's index, so a list is the same on every machine. ESC-50 pads
    short recordings with silence; a crop that holds nothing else is drawn again, while silence
    inside a crop stays, as part of what a separator has to get right.

    Give the clips of the training folds to one list and those of the test fold to another, as
    `FoldedClips.split` divides them.

    Args:
        examples: Waveform (time,) at ``config.sample_rate`` and class of every clip, as
            `load_examples` returns them.
        n_mixtures: Length of the list.
        seed: Seed of all random numbers.
        config: Settings of the mixtures.

    Raises:
        DatasetError: there are fewer classes than a mixture has clips.
        ConfigError: the seed is invalid.
    """

    def __init__(
        self,
        examples: Sequence[tuple[Tensor, int]],
        *,
        n_mixtures: int,
        seed: int = 0,
        config: MixtureConfig | None = None,
    ) -> None:
        check_seed(seed)
        check_whole("n_mixtures", n_mixtures, least=0)
        self.examples = examples
        self._targets = checked_targets("Mixtures", examples)
        self.n_mixtures, self.seed = n_mixtures, seed
        self.config = config or MixtureConfig()
        n_classes = len({*self._targets})
        if n_classes < self.config.n_sources:
            raise DatasetError(
                f"a mixture of {self.config.n_sources} classes cannot be made from clips of "
                f"{n_classes}"
            )

    def __repr__(self) -> str:
        """Number of mixtures, what they are made of, and the seed."""
        what = f"{len(self)} of {self.config.n_sources} sources"
        return f"Mixtures({what}, {self.config.seconds} s each, seed {self.seed})"

    def __len__(self) -> int:
        return self.n_mixtures

    def __getitem__(self, index: int) -> Mixture:  # type: ignore[override]  # slices are not taken
        """The mixture at an index of the list.

        Raises:
            IndexError: the index is out of range.
            DatasetError: the clips hold hardly anything but silence.
        """
        if not 0 <= index < self.n_mixtures:
            raise IndexError(f"there are {self.n_mixtures} mixtures, got {index}")
        rng = np.random.default_rng((self.seed, index))
        chosen: list[int] = []
        sources: list[Tensor] = []
        for _ in range(N_TRIES):
            clip = int(rng.integers(len(self.examples)))
            crop = self._crop(self.examples[clip][0], rng)
            is_known = self._targets[clip] in {self._targets[i] for i in chosen}
            if is_known or crop.square().mean().sqrt() < SILENCE_RMS:
                continue
            chosen.append(clip)
            sources.append(self._scaled(crop, sources, rng))
            if len(sources) == self.config.n_sources:
                break
        else:
            raise DatasetError(
                f"mixture {index} cannot be made: {N_TRIES} draws gave hardly anything but silence "
                "or clips of one class"
            )
        mixed = torch.stack(sources)
        # Loud parts that meet may exceed full scale, which a file could not hold.
        mixed /= mixed.sum(dim=0).abs().max().clamp(min=1.0)
        targets = tuple(self._targets[i] for i in chosen)
        return Mixture(sources=mixed, targets=targets, clips=tuple(chosen))

    def _crop(self, waveform: Tensor, rng: np.random.Generator) -> Tensor:
        n_samples, length = waveform.shape[0], self.config.n_samples
        if self.config.is_rolled:
            waveform = waveform.roll(int(rng.integers(n_samples)))
        start = int(rng.integers(max(0, n_samples - length) + 1))
        crop = waveform[start : start + length]
        return torch.nn.functional.pad(crop, (0, length - crop.shape[0]))

    def _scaled(self, crop: Tensor, others: Sequence[Tensor], rng: np.random.Generator) -> Tensor:
        """As loud as the first clip of the mixture, up to the level drawn."""
        if not others:
            return crop
        level = float(rng.uniform(-self.config.level_db, self.config.level_db))
        gain = others[0].square().mean().sqrt() / crop.square().mean().sqrt()
        return crop * (gain * 10 ** (level / 20))
