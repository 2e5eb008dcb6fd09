"""Decibels, and what is done to them; each clip on its own, whatever else is in the batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Scaling", "limit_range", "power_to_db", "scale", "standardize"]

Scaling = Literal["none", "standardize", "image"]


def power_to_db(power: Tensor, *, multiplier: float = 10.0, amin: float = 1e-10) -> Tensor:
    """Decibels relative to 1: ``multiplier * log10(max(power, amin))``.

    Args:
        power: Any shape.
        multiplier: 10 for power, 20 for amplitude.
        amin: Smallest value before the logarithm.
    """
    return multiplier * torch.log10(torch.clamp(power, min=amin))


def limit_range(db: Tensor, top_db: float | None) -> Tensor:
    """Raise what is further below the clip's maximum than ``top_db``; ``None`` leaves all."""
    if top_db is None:
        return db
    return torch.maximum(db, db.amax(dim=(-2, -1), keepdim=True) - top_db)


def scale(features: Tensor, scaling: Scaling) -> Tensor:
    """Bring every clip's features into the range that a network expects.

    Args:
        features: (batch, bands, frames).
        scaling: Scaling of the values, one of those of `MelConfig`.
    """
    if scaling == "standardize":
        # Below 0.01 dB there is rounding noise, which must not be blown up.
        return standardize(features, min_deviation=1e-2)
    return _to_image(features) if scaling == "image" else features


def standardize(features: Tensor, *, min_deviation: float) -> Tensor:
    """Mean 0, standard deviation 1 over the last two axes; a constant clip becomes all zeros.

    Args:
        features: (batch, bands, frames).
        min_deviation: A clip that varies less than this is divided by this instead.
    """
    centred = features - features.mean(dim=(-2, -1), keepdim=True)
    variance = centred.square().mean(dim=(-2, -1), keepdim=True)
    return centred / variance.clamp(min=min_deviation**2).sqrt()


def _to_image(db: Tensor) -> Tensor:
    """Whole numbers 0 to 255 within each clip; the gradient passes through the rounding."""
    low = db.amin(dim=(-2, -1), keepdim=True)
    span = (db.amax(dim=(-2, -1), keepdim=True) - low).clamp(min=1e-2)
    scaled = 255.0 * (db - low) / span
    return scaled + (scaled.floor() - scaled).detach()
