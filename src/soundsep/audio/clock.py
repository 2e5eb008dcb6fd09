"""When a recording began: by its name, as recorders write it, or by its header."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import PurePath

from soundsep.audio.file import AudioFile
from soundsep.audio.headers import chunks
from soundsep.errors import AudioError, ConfigError
from soundsep.names import path_text

__all__ = ["NAME_PATTERNS", "recording_start"]

_DAY = r"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)"
_SHORT_DAY = r"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)"
_TIME = r"(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
_FRACTION = r"(?:[._](?P<fraction>\d{3}|\d{6})(?!\d))?"
_ZONE = r"(?P<zone>Z(?![A-Za-z])|[+-]\d\d:?\d\d)(?!\d)"
# The first pattern that fits and holds a time that exists counts. No digit may precede or follow
# it, so that a serial number of 20 digits holds no date. Times are those of the recorder's clock,
# with the offset from UTC (`zone`) if the name states it; a name with the group `utc` is in UTC.
NAME_PATTERNS: Mapping[str, re.Pattern[str]] = {
    recorder: re.compile(rf"(?<!\d){pattern}")
    for recorder, pattern in {
        "Frontier Labs": rf"{_DAY}T{_TIME}{_FRACTION}{_ZONE}",
        "AudioMoth, Song Meter": rf"{_DAY}[_T$ -]{_TIME}(?!\d){_FRACTION}"
        rf"(?:(?:_|(?=[+Z])){_ZONE})?",
        "Anabat, phones": r"(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)"
        r"(?:[_T ]|-(?:birdnet-)?(?:RTSP_\d+-)?)"
        rf"(?P<hour>\d\d)(?P<to>[-:._])(?P<minute>\d\d)(?P=to)(?P<second>\d\d)(?!\d){_FRACTION}(?:{_ZONE})?",
        "Pixel": rf"(?P<utc>PXL)_{_DAY}_{_TIME}(?P<fraction>\d{{3}})(?!\d)",
        "cameras": rf"{_DAY}{_TIME}(?!\d)",
        "Zoom": rf"{_SHORT_DAY}[_-]{_TIME}(?!\d)",
        "SoundTrap": rf"(?<=\d\.){_SHORT_DAY}{_TIME}(?!\d)",
    }.items()
}
# The first firmware of AudioMoth named files by the Unix time, as eight hexadecimal digits.
_UNIX_TIME = re.compile(r"(?=.*[A-F])[0-9A-F]{8}")
_UNIX_TIMES = range(0x56000000, 0x68000000)  # October 2015, before there were any, to April 2025

_AUDIOMOTH = re.compile(
    r"Recorded at (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{3}))? "
    r"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d{4})"
    r"(?: \(UTC(?P<zone>[+-]\d\d?(?::?\d\d)?)?\))? by "
)
_GUANO = re.compile(
    r"(?m)^Timestamp: *(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[T ]"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6})\d*)?"
    r" *(?P<zone>Z|[+-]\d\d:?\d\d)?"
)
# An entry of a Song Meter's chunk: 5 for the time, its length in four bytes, and the text.
_WAMD = re.compile(
    r"\x05\0[\x13-\x40]\0\0\0(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d) "
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6})\d*)?"
    r" *(?P<zone>[+-]\d\d:?\d\d)?"
)
_BEXT = re.compile(
    r"(?P<year>\d{4})[-_:. /](?P<month>\d\d)[-_:. /](?P<day>\d\d)"
    r"(?P<hour>\d\d)[-_:. ](?P<minute>\d\d)[-_:. ](?P<second>\d\d)"
)
# Chunks of a WAV that state the time, the best first.
_HEADERS = {b"guan": _GUANO, b"LIST": _AUDIOMOTH, b"wamd": _WAMD, b"bext": _BEXT}
_BEXT_DATE, _BEXT_LENGTH = 320, 18  # bytes: where the date stands, and its length with the time
_MAX_TEXT = 2**16  # bytes of a chunk that are looked at
_MAX_OFFSET = timedelta(hours=14)
_YEARS = range(1860, 2200)  # from the first recording on; others are damage

# The letters of `strftime` as regular expressions.
_DIRECTIVES = {
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<year>\d\d)",
    "m": r"(?P<month>\d\d)",
    "d": r"(?P<day>\d\d)",
    "H": r"(?P<hour>\d\d)",
    "M": r"(?P<minute>\d\d)",
    "S": r"(?P<second>\d\d)",
    "f": r"(?P<fraction>\d{1,6})",
    "z": r"(?P<zone>Z|[+-]\d\d:?\d\d)",
    "%": "%",
}


def recording_start(path: str | os.PathLike[str], *, pattern: str | None = None) -> datetime | None:
    """When a recording began, by the recorder's own clock.

    The file name takes precedence, as one of `NAME_PATTERNS`: people who cut or copy a recording
    rename it, while its header stays as it was. Without a time in the name, the header of a WAV
    file is read: GUANO, the comment of an AudioMoth, the metadata of a Song Meter (``wamd``), or
    the origination time of a Broadcast WAV (``bext``). If both state the same moment, the header
    adds the zone that the name lacks.

    Args:
        path: Path of the recording; a file that cannot be read has no header.
        pattern: Format of the time in the name, such as ``"%d.%m.%Y_%Hh%M"``, with the numeric
            letters of `datetime.strftime` (Y, y, m, d, H, M, S, f, z). Then nothing else is used.
            A pattern with a slash is searched in the whole path.

    Returns:
        The time, with a zone if the recorder stated one; ``None`` if there is no time.

    Raises:
        ConfigError: ``pattern`` holds other letters, or not a whole date; or ``path`` is no path.

    Examples:
        >>> recording_start("SITE1_20240519_033000.wav").isoformat()
        '2024-05-19T03:30:00'
        >>> recording_start("20240519T033000+1000_REC.flac").isoformat()
        '2024-05-19T03:30:00+10:00'
        >>> recording_start("12.5.2024 early.wav", pattern="%d.%m.%Y") is None
        True
    """
    pure = PurePath(path_text(path))
    if pattern is not None:
        whole = pure.as_posix() if "/" in pattern else pure.name
        return _found(_compiled(pattern), whole)
    named, written = _by_name(pure), _by_header(path)
    if named is None or written is None:
        return named or written
    if named.tzinfo is None and written.tzinfo is not None:
        is_same = written.replace(tzinfo=None, microsecond=named.microsecond) == named
        as_utc = written.astimezone(timezone.utc).replace(tzinfo=None)
        if is_same or as_utc.replace(microsecond=named.microsecond) == named:
            return written
    return named


def _by_name(path: PurePath) -> datetime | None:
    for pattern in NAME_PATTERNS.values():
        if found := _found(pattern, path.name):
            return found
    if _UNIX_TIME.fullmatch(path.stem) and (seconds := int(path.stem, 16)) in _UNIX_TIMES:
        return datetime.fromtimestamp(seconds, timezone.utc)
    return None


def _by_header(path: str | os.PathLike[str]) -> datetime | None:
    texts = {}
    try:
        file = AudioFile(path)
        try:
            if file.peek(0, 4) not in (b"RIFF", b"RF64", b"BW64"):
                return None
            for name, at, n_bytes in chunks(file, 12, "little"):
                if name in _HEADERS:
                    data = file.peek(at, min(n_bytes, _MAX_TEXT))
                    if name == b"bext":
                        data = data[_BEXT_DATE : _BEXT_DATE + _BEXT_LENGTH]
                    texts[name] = data.decode("utf-8", "replace")
        finally:
            file.close()
    except AudioError:
        return None
    for name, pattern in _HEADERS.items():
        if found := _found(pattern, texts.get(name, "")):
            if name == b"LIST" and found.tzinfo is None:
                return found.replace(tzinfo=timezone.utc)  # the first firmware had no other
            return found
    return None


def _found(pattern: re.Pattern[str], text: str) -> datetime | None:
    """The first time in a text that exists: no month 13, no year 9999."""
    for match in pattern.finditer(text):
        part = match.groupdict()
        units = ("year", "month", "day", "hour", "minute", "second")
        year, month, day, hour, minute, second = (int(part.get(unit) or 0) for unit in units)
        year += 2000 if year < 100 else 0
        fraction = int((part.get("fraction") or "").ljust(6, "0"))
        zone = timezone.utc if part.get("utc") else _zone(part.get("zone"))
        if year not in _YEARS:
            continue
        try:
            return datetime(year, month, day, hour, minute, second, fraction, zone)
        except ValueError:
            continue
    return None


def _zone(text: str | None) -> timezone | None:
    """The zone of an offset such as +0530, +5:30 or Z; ``None`` if it cannot be an offset."""
    if not text:
        return None
    if text == "Z":
        return timezone.utc
    digits = text[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset > _MAX_OFFSET or int(minutes) % 15:
        return None  # a number of something else
    return timezone(-offset if text[0] == "-" else offset)


def _compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern for `datetime.strftime`."""
    parts, given = "", set[str]()
    for literal, letter in re.findall(r"([^%]+)|%(.?)", pattern, re.DOTALL):
        if literal:
            parts += re.escape(literal)
        elif letter not in _DIRECTIVES or letter in given - {"%"}:
            what = (
                "a second time" if letter in given else f"of {', %'.join(['', *_DIRECTIVES])[2:]}"
            )
            raise ConfigError(
                f"a pattern of names holds %Y, %m, %d, %H, %M, %S, %f, %z each once, such as "
                f'"%Y-%m-%d_%Hh%M"; in {pattern!r} stands %{letter} ({what})'
            )
        else:
            parts, given = parts + _DIRECTIVES[letter], given | {letter}
    if not given & {"Y", "y"} or not given >= {"m", "d"} or {"Y", "y"} <= given:
        raise ConfigError(f"the pattern {pattern!r} needs a whole date: %Y (or %y), %m and %d")
    return re.compile(("(?<!\\d)" if pattern[0] == "%" else "") + parts)
