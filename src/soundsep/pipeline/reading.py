"""Dictionaries of results become results again, or are refused in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from soundsep.errors import ConfigError

__all__ = ["reading", "text", "texts"]


@contextmanager
def reading(kind: type, data: object) -> Iterator[None]:
    """Say what was expected where reading a dictionary fails.

    Raises:
        ConfigError: reading it fails.
    """
    try:
        yield
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        fault = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"expected what {kind.__name__}.to_dict gives, got a {type(data).__name__}: {fault}"
        ) from error


def text(value: object) -> str:
    """The value if it is a text.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.50} is no text")
    return value


def texts(value: object) -> list[str]:
    """The values if they are texts.

    Raises:
        TypeError: they are something else, or one text.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"{value!r:.50} is no list of texts")
    return [text(one) for one in value]
