"""Which files of a folder were cut from one recording, by their names."""

from __future__ import annotations

import re

__all__ = ["recording_in_name"]

# Names that programs give to parts of a recording; the first group is the recording.
CUT = tuple(
    re.compile(pattern)
    for pattern in (
        r"(.+)_\d{2,}h\d\dm\d\d\.\d\ds_.+_\d\.\d{3}(?:_\d+)?",  # soundsep events --clips
        r"(?:\d\.\d+_(?:\d+_)?)?(.+?)_\d+(?:\.\d+)?s?[-_]\d+(?:\.\d+)?s",  # BirdNET's segments
        r"\d-(\d+)-[A-Z]-\d+",  # ESC-50
        r"(\d+)-\d-\d+-\d+",  # UrbanSound8K
    )
)
# A number of more digits is a date, a time or the running number of a recorder.
COUNTED = re.compile(r"(.*?)[ ._#(-]+\d{1,3}\)?")
WORD = re.compile(r"[^\W\d_]+")
# Beside the name of the class: what says nothing about the recording.
# fmt: off
PLAIN = frozenset((
    "audio", "clip", "export", "file", "memo", "new", "rec", "record", "recorded", "recording",
    "sample", "snd", "sound", "take", "test", "track", "untitled", "voice", "wav",
))
# fmt: on
MIN_DIGITS = 6  # of a name without words, to be that of a recording: a date or a time


def recording_in_name(stem: str, label: str) -> str | None:
    """The recording that a file was cut from, if its name tells.

    A number behind another name than that of the class, or one as general, counts parts:
    ``garden_2``. Behind the class it counts recordings: ``bee_2``.

    Args:
        stem: Name of the file, without its suffix.
        label: Name of its class.

    Examples:
        >>> recording_in_name("garden_2", "bee"), recording_in_name("bee_2", "bee")
        ('garden', None)
        >>> recording_in_name("night_00h03m12.50s_bee_0.912", "bee")
        'night'
    """
    for pattern in CUT:
        if match := pattern.fullmatch(stem):
            return match.group(1)
    match = COUNTED.fullmatch(stem)
    if match is None:
        return None
    name = match.group(1)
    words = set(WORD.findall(name.casefold()))
    of_class = {word.rstrip("s") for word in WORD.findall(label.casefold())}
    if not words:
        return name if sum(map(str.isdigit, name)) >= MIN_DIGITS else None
    if words <= PLAIN or of_class & {word.rstrip("s") for word in words}:
        return None
    return name
