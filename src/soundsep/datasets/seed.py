"""What every random choice starts from."""

from __future__ import annotations

from soundsep.errors import ConfigError

__all__ = ["check_seed"]


def check_seed(seed: int) -> None:
    """See that NumPy's generators and torch's can start from a seed.

    Raises:
        ConfigError: it is below 0, or above 2 ** 64 - 1.
    """
    if not 0 <= seed < 2**64:
        raise ConfigError(f"a seed is a whole number from 0 to 2 ** 64 - 1, got {seed}")
