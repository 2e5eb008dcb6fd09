"""How far a figure may be from the true one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable

from soundsep.errors import ConfigError

__all__ = ["independent_trials", "wilson_interval"]

Z_95 = 1.959964  # standard deviations of the normal distribution that hold 95 %


def independent_trials(groups: Iterable[Hashable]) -> float:
    """Number of independent trials that tell as much as trials in groups that succeed together.

    It is the number of groups where all are equally large, and less where they are not.

    Args:
        groups: Group of each trial, such as the recording that a clip was cut from.

    References:
        Kish (1965), "Survey Sampling", section 11.7: the effective size of a weighted sample.

    Examples:
        >>> independent_trials(["a", "a", "b", "b"])
        2.0
        >>> independent_trials(["a", "a", "a", "b"])
        1.6
    """
    sizes = Counter(groups).values()
    return sum(sizes) ** 2 / sum(size**2 for size in sizes) if sizes else 0.0


def wilson_interval(share: float, n: float) -> tuple[float, float]:
    """The 95 % confidence interval of a share.

    Args:
        share: Observed share, 0 to 1.
        n: Number of independent trials, at least 1; see `independent_trials`.

    Raises:
        ConfigError: ``share`` is not from 0 to 1, or ``n`` is below 1.

    References:
        Wilson (1927), "Probable inference, the law of succession, and statistical inference",
        Journal of the American Statistical Association.

    Examples:
        >>> low, high = wilson_interval(0.9, 10)
        >>> round(low, 2), round(high, 2)
        (0.6, 0.98)
    """
    if not 0 <= share <= 1 or n < 1:
        raise ConfigError(f"expected a share from 0 to 1 of at least 1 trial, got {share} of {n}")
    z2 = Z_95**2 / n
    middle = (share + z2 / 2) / (1 + z2)
    half = Z_95 / (1 + z2) * math.sqrt(share * (1 - share) / n + z2 / (4 * n))
    # At a share of 0 or 1 the bound is that share, which rounding may miss.
    return max(0.0, middle - half), min(1.0, middle + half)
