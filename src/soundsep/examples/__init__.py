"""Recordings to try, with the truth about each, synthesised by `tools/make_examples.py`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from soundsep.checkpoints.cache import folder_of_this_process
from soundsep.errors import ConfigError
from soundsep.files import write_bytes
from soundsep.names import did_you_mean

__all__ = ["ABOUT", "example", "list_examples"]

# The sounds of each recording, by name.
ABOUT = {
    "street": "a siren comes and goes, then church bells",
    "night": "crickets, and in the middle knocks at a door",
    "morning": "rain, and an alarm clock over it",
    "knock": "knocks at a door",
}
SUFFIXES = (".ogg", ".csv")


def list_examples() -> tuple[str, ...]:
    """The names that `example` knows."""
    return tuple(ABOUT)


def example(name: str = "street") -> Path:
    """Path of a short recording to try.

    It is synthetic and comes with the package, so it may be used for anything. A csv file beside it
    lists its sounds and their times, for `soundsep.datasets.read_truth`.

    Args:
        name: One of `list_examples`.

    Raises:
        ConfigError: the name is unknown.

    Examples:
        >>> from soundsep.datasets import read_truth
        >>> path = example("street")
        >>> for event in read_truth(path.with_suffix(".csv")):
        ...     print(event.start_seconds, event.end_seconds, event.label)
        0.5 11.0 siren
        9.5 20.0 church_bells
    """
    if name not in ABOUT:
        raise ConfigError(
            f"no example is called {name!r}{did_you_mean(name, ABOUT)}: expected one of "
            f"{', '.join(ABOUT)}"
        )
    held = resources.files("soundsep") / "examples"
    if isinstance(held, Path):
        return held / f"{name}.ogg"
    # The package is imported from a zip archive.
    folder = folder_of_this_process() / "examples"
    for suffix in SUFFIXES:
        if not (path := folder / f"{name}{suffix}").is_file():
            write_bytes(path, (held / path.name).read_bytes())
    return folder / f"{name}.ogg"
