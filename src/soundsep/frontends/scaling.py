"""Decibels and their scaling; no clip depends on the others of its batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from soundsep.devices import check_tensor

__all__ = ["Scaling", "limit_range", "power_to_db", "scale", "standardize"]

Scaling = Literal["none", "standardize", "image"]


def power_to_db(power: Tensor, *, multiplier: float = 10.0, amin: float = 1e-10) -> Tensor:
    """Decibels relative to 1: ``multiplier * log10(max(power, amin))``.

    Args:
        power: Power, or amplitude.
        multiplier: 10 for power, 20 for amplitude.
        amin: Smallest value before the logarithm, above 0.

    Shape:
        power: (...). Returns the same.

    Raises:
        ShapeError: it is no floating-point tensor.
    """
    check_tensor("power_to_db", power, "(...)")
    # In place only where no gradient needs what was there.
    power = torch.clamp(power, min=amin)
    return (power.log10() if power.requires_grad else power.log10_()).mul_(multiplier)


def limit_range(db: Tensor, top_db: float | None) -> Tensor:
    """Raise values further below the clip's maximum than ``top_db``, in dB; ``None`` raises none.

    Shape:
        db: (..., bands, frames). Returns the same.
    """
    if top_db is None:
        return db
    return torch.maximum(db, db.amax(dim=(-2, -1), keepdim=True) - top_db)


def scale(features: Tensor, scaling: Scaling) -> Tensor:
    """Bring every clip's features into the range that a network expects.

    Args:
        features: Decibels, or coefficients.
        scaling: As in `MelConfig`.

    Shape:
        features: (batch, bands, frames). Returns the same.
    """
    if scaling == "standardize":
        # Below 0.01 dB there is rounding noise, which must not be amplified.
        return standardize(features, min_deviation=1e-2)
    return _to_image(features) if scaling == "image" else features


def standardize(features: Tensor, *, min_deviation: float) -> Tensor:
    """Mean 0, standard deviation 1 over the last two axes; a constant clip becomes all zeros.

    Args:
        features: Values of any unit.
        min_deviation: Smallest divisor, in that unit: a clip that varies less is divided by this.

    Shape:
        features: (batch, bands, frames). Returns the same.
    """
    centred = features - features.mean(dim=(-2, -1), keepdim=True)
    variance = centred.square().mean(dim=(-2, -1), keepdim=True)
    return centred / variance.clamp(min=min_deviation**2).sqrt()


def _to_image(db: Tensor) -> Tensor:
    """Integers from 0 to 255 within each clip; the gradient passes through the rounding."""
    low = db.amin(dim=(-2, -1), keepdim=True)
    span = (db.amax(dim=(-2, -1), keepdim=True) - low).clamp(min=1e-2)
    scaled = 255.0 * (db - low) / span
    return scaled + (scaled.floor() - scaled).detach()
