"""Mixtures of clips that are on the device, drawn in whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from soundsep.config import Config, check_range, check_span
from soundsep.datasets import MixtureConfig
from soundsep.datasets.mixtures import SILENCE_RMS
from soundsep.errors import DatasetError
from soundsep.training.batched_augment import add_coloured_noise
from soundsep.training.clip_bank import ClipBank
from soundsep.training.conditions import Conditions

__all__ = ["BatchedMixtures", "MixtureChanges"]

N_CANDIDATES = 3  # starts, of which the loudest is taken: seldom is there silence alone


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureChanges(Config):
    """What is done to a share of the mixtures, so that the few clips there are sound like more.

    Attributes:
        share: Share of the mixtures of every batch that are changed; the others are as
            `soundsep.datasets.Mixtures` makes them.
        max_speed: Random speed of their sources, from its inverse to this.
        reversed_share: Share of their sources that are played backwards.
        conditions: Rooms and bands of their sources, which are part of what is to be separated.
        noise_share: Share of them with noise that belongs to no source.
        snr_db: Range of the power of a mixture over that of its noise.
        colour: Range of the exponent by which the noise's power falls with frequency.
    """

    share: float = 0.6
    max_speed: float = 1.25
    reversed_share: float = 0.25
    conditions: Conditions = field(
        default_factory=lambda: Conditions(
            reverb_share=0.2, noise_share=0.0, band_share=0.2, gain_share=0.0
        )
    )
    noise_share: float = 0.15
    snr_db: tuple[float, float] = (10.0, 40.0)
    colour: tuple[float, float] = (-0.5, 2.0)

    def _check(self) -> None:
        """Check the ranges."""
        check_range(self, "share", "reversed_share", "noise_share", least=0, most=1)
        check_range(self, "max_speed", least=1, most=4)
        check_span(self, "snr_db", "colour")


class BatchedMixtures:
    """What `soundsep.datasets.Mixtures` with ``is_rolled`` draws, a batch at a time.

    Classes of a mixture differ, a class is as likely as it has clips, and levels are those of the
    whole crops. Nothing waits for the device.

    Args:
        bank: Clips at the rate of the mixtures; those shorter than a mixture are repeated.
        rows: Numbers of the clips to draw from; no other is ever heard.
        config: Settings of the mixtures.
        changes: Changes of a share of the mixtures.

    Raises:
        DatasetError: too few classes have a clip that is more than silence.
    """

    def __init__(
        self,
        bank: ClipBank,
        rows: Sequence[int],
        config: MixtureConfig,
        changes: MixtureChanges | None = None,
    ) -> None:
        self.bank, self.config = bank, config
        self.changes = changes or MixtureChanges()
        device = bank.waveforms.device
        chosen = torch.tensor([*rows], dtype=torch.long, device=device)
        lengths = bank.lengths[chosen]
        rms = (bank.waveforms[chosen].square().sum(dim=1) / lengths).sqrt()
        by_class: dict[int, list[int]] = {}
        for row, target, level in zip(
            chosen.tolist(), bank.targets[chosen].tolist(), rms.tolist(), strict=True
        ):
            if level >= SILENCE_RMS:
                by_class.setdefault(target, []).append(row)
        if len(by_class) < config.n_sources:
            raise DatasetError(
                f"a mixture of {config.n_sources} classes cannot be made from clips of "
                f"{len(by_class)}"
            )
        self._counts = torch.tensor([len(c) for c in by_class.values()], device=device)
        widest = max(map(len, by_class.values()))
        table = [c + [c[0]] * (widest - len(c)) for c in by_class.values()]
        self._table = torch.tensor(table, device=device)

    def draw(self, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mixtures and their sources.

        Args:
            n: Number of mixtures.
            generator: Source of the random numbers, of the bank's device.

        Shape:
            Returns (n, time) and (n, n_sources, time); where there is noise, the sources do not
            sum to the mixture.
        """
        n_changed = round(self.changes.share * n)
        rows = self.draw_rows(n, generator=generator)
        parts = []
        if n_changed < n:
            parts.append(self._plain(rows[n_changed:], generator))
        if n_changed:
            parts.append(self._changed(rows[:n_changed], generator))
        sources = self._levelled(torch.cat(parts), generator)
        mixture = sources.sum(dim=1)
        n_noisy = round(self.changes.noise_share * n_changed)
        if n_noisy:  # the last of the changed ones, whose order is random
            noisy = add_coloured_noise(
                mixture[-n_noisy:],
                snr_db=self._uniform(n_noisy, self.changes.snr_db, generator),
                colour=self._uniform(n_noisy, self.changes.colour, generator),
                generator=generator,
            )
            mixture = torch.cat((mixture[:-n_noisy], noisy))
        return mixture, sources

    def draw_rows(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Numbers of clips of different classes, (n, n_sources)."""
        device = self._counts.device
        shape = (n, len(self._counts))
        # Gumbel's trick: the best of these are classes drawn by their numbers of clips.
        luck = torch.rand(shape, generator=generator, device=device).clamp(1e-7, 1 - 1e-7)
        score = self._counts.log() - (-luck.log()).log()
        classes = score.topk(self.config.n_sources, dim=1).indices
        counts = self._counts[classes]
        place = torch.rand(classes.shape, generator=generator, device=device) * counts
        return self._table[classes, torch.minimum(place.long(), counts - 1)]

    def _plain(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        views = self.bank.views(
            rows.flatten(), self.config.n_samples, generator=generator, n_candidates=N_CANDIDATES
        )
        return views.view(*rows.shape, self.config.n_samples)

    def _changed(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        changes = self.changes
        views = self.bank.views(
            rows.flatten(),
            self.config.n_samples,
            generator=generator,
            n_candidates=N_CANDIDATES,
            max_speed=changes.max_speed,
        )
        drawn = torch.rand((len(views), 1), generator=generator, device=views.device)
        views = torch.where(drawn < changes.reversed_share, views.flip(1), views)
        rate = self.config.sample_rate
        views = changes.conditions.record(views, sample_rate=rate, generator=generator)
        return views.view(*rows.shape, self.config.n_samples)

    def _levelled(self, sources: Tensor, generator: torch.Generator) -> Tensor:
        """Each as loud as the first source of its mixture, up to the level drawn."""
        rms = sources.square().mean(dim=-1, keepdim=True).sqrt()
        shape = (*sources.shape[:2], 1)
        level = self.config.level_db * (
            2 * torch.rand(shape, generator=generator, device=sources.device) - 1
        )
        level[:, 0] = 0.0
        wanted = rms[:, :1].clamp(min=SILENCE_RMS)
        # What is silent in spite of all candidates stays so.
        sources = sources * (wanted / rms.clamp(min=SILENCE_RMS)) * 10 ** (level / 20)
        peak = sources.sum(dim=1, keepdim=True).abs().amax(dim=-1, keepdim=True)
        return sources / peak.clamp(min=1.0)

    @staticmethod
    def _uniform(n: int, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
        low, high = bounds
        return low + (high - low) * torch.rand(n, generator=generator, device=generator.device)
