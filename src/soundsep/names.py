"""Names from files: safe to print, valid as labels, and safe as names of new files."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from soundsep.errors import ConfigError

__all__ = [
    "MAX_LABEL",
    "did_you_mean",
    "is_reserved",
    "label_fault",
    "local_path",
    "look_alikes",
    "meant",
    "path_text",
    "printable",
    "safe_name",
    "same_looking",
    "unknown_labels",
]

MAX_LABEL = 200  # characters
_MAX_TOLD = 60  # labels that a message lists: all of most models, not the 527 of AudioSet
# Control characters, invisible formats (of no width, or for the direction of text), halves of
# characters, and line separators: a terminal obeys them, or shows nothing.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters without ink
# Windows opens devices by these names, with any suffix.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)")
_INK = ("L", "N", "P", "S")


def printable(text: str, *, keep: str = "") -> str:
    r"""Escape characters that are invisible or that a terminal would obey.

    Args:
        text: Text of unknown origin, such as the name of a file.
        keep: Characters that are not escaped.

    Examples:
        >>> printable("a\x1b[31m.wav"), printable("sirène 1.wav")
        ('a\\x1b[31m.wav', 'sirène 1.wav')
    """
    if text.isprintable():
        return text
    return "".join(
        ascii(c)[1:-1] if unicodedata.category(c) in _UNSEEN and c not in keep else c for c in text
    )


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A hint for the end of a sentence about an unknown name; empty if no known one is similar.

    The only name that holds the unknown one as a word counts too.

    Examples:
        >>> did_you_mean("esc50-mn4", ["esc50-mn04", "urban11-mn04"])
        ", did you mean 'esc50-mn04'?"
        >>> did_you_mean("Siren", ["dog", "siren"]), did_you_mean("x", ["dog"])
        (", did you mean 'siren'?", '')
        >>> did_you_mean("knock", ["door_wood_knock", "dog"])
        ", did you mean 'door_wood_knock'?"
    """
    asked, names = str(name).casefold(), {other.casefold(): other for other in known}
    close = difflib.get_close_matches(asked, names, n=1, cutoff=0.6)
    if not close:
        close = [other for other in names if _is_word_of(asked, other)]
    return f", did you mean {names[close[0]]!r}?" if len(close) == 1 else ""


def _is_word_of(word: str, name: str) -> bool:
    """Whether a name of several words holds one, in the singular or with an s."""
    parts = (part for part in re.split(r"\W|_", name) if len(part) > 2)
    return word.removesuffix("s") in {part.removesuffix("s") for part in parts}


def unknown_labels(unknown: Iterable[str], known: Sequence[str]) -> str:
    """What is wrong with labels that a model does not have, and which it has.

    Examples:
        >>> unknown_labels(["whale"], ["dog", "siren"])
        "the model knows no label 'whale'; it knows dog; siren"
        >>> unknown_labels(["sirn"], [f"class {i}" for i in range(50)] + ["siren"])
        "the model knows no label 'sirn', did you mean 'siren'?"
    """
    asked = sorted(unknown, key=str)
    hints = [did_you_mean(label, known) for label in asked]
    told = [f"{label!r}{hint}" for label, hint in zip(asked, hints, strict=True)]
    more = f" and {len(told) - 5} more" if len(told) > 5 else ""
    message = f"the model knows no label {'; '.join(told[:5])}{more}"
    if all(hints):
        return message
    rest = len(known) - _MAX_TOLD
    others = f" and {rest} more: `soundsep models NAME` lists them" if rest > 0 else ""
    return f"{message}; it knows {'; '.join(known[:_MAX_TOLD])}{others}"


def meant(name: str, known: Iterable[str]) -> str:
    """The only known name that differs in case, hyphens, underscores and spaces; else the name.

    Examples:
        >>> meant("Dog", ["dog", "cat"]), meant("door-wood knock", ["door_wood_knock"])
        ('dog', 'door_wood_knock')
        >>> meant("bird", ["dog", "cat"])
        'bird'
    """
    names = list(known)
    alike = [other for other in names if _plain(other) == _plain(name)]
    return name if name in names or len(alike) != 1 else alike[0]


def look_alikes(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in what `meant` takes for the same.

    Examples:
        >>> look_alikes(["Dog", "cat", "dog"])
        [('Dog', 'dog')]
    """
    first = dict[str, str]()
    return [
        (other, name) for name in names if (other := first.setdefault(_plain(name), name)) != name
    ]


def _plain(name: str) -> str:
    name = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def same_looking(path: Path) -> str:
    r"""A file of the same folder that looks like one that is not there; empty if there is none.

    Some systems take names for the same that differ in case, or in how accents are written: macOS
    writes é as two characters. They are told apart by their codes.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(folder, "cafe\u0301.wav").write_bytes(b"")
        ...     same_looking(Path(folder, "caf\u00e9.wav"))
        "'cafe\\u0301.wav', which differs in case or in how accents are written"
    """
    stem, suffix = path.stem, path.suffix
    spelled = [unicodedata.normalize(form, path.name) for form in ("NFC", "NFD")]
    spelled += [stem + suffix.lower(), stem + suffix.upper(), path.name.lower(), path.name.upper()]
    try:  # a few names: to list a large folder for each of many missing files takes hours
        alike = [n for n in spelled if n != path.name and path.with_name(n).exists()]
    except (OSError, ValueError):
        return ""
    how = "which differs in case or in how accents are written"
    return f"{alike[0]!a}, {how}" if alike else ""


def label_fault(label: str) -> str | None:
    r"""The reason why a text cannot be a label; ``None`` if it can.

    Examples:
        >>> label_fault("dog")
        >>> label_fault("god\u202e")
        "'god\\u202e' holds what cannot be printed (U+202E)"
    """
    if len(label) > MAX_LABEL:
        return f"'{printable(label[:20])}...' has {len(label)} characters, at most {MAX_LABEL} fit"
    for c in label:
        if unicodedata.category(c) in _UNSEEN or c in _BLANK:
            return f"'{printable(label)}' holds what cannot be printed (U+{ord(c):04X})"
    if not any(unicodedata.category(c).startswith(_INK) for c in label):
        return f"'{label}' is empty: nothing of it can be seen"
    if label != label.strip():  # tables are read without them
        return f"'{label}' begins or ends with a blank"
    return None


def path_text(path: str | os.PathLike[str]) -> str:
    """A path as text, a plain string also of one of NumPy.

    Args:
        path: Path as the user gave it, also one of another library, which may fetch a file for it.

    Raises:
        ConfigError: it gives no path, whatever it raises instead.
    """
    try:
        return str(os.fsdecode(path))
    except Exception as error:
        reason = printable(str(error))
        raise ConfigError(f"expected a path, got {type(path).__name__}: {reason}") from error


def local_path(path: str | os.PathLike[str]) -> Path:
    """Expand ``~`` to a home folder, unless a file of that name exists.

    A `Path` does not know that it was written ``./~ann/a.wav``, so in a path only ``~/`` is
    expanded, and in a string also the home of another user.

    Args:
        path: Path as the user gave it.

    Raises:
        ConfigError: there is no such user, or no home folder; or it is no path.
    """
    literal = Path(path_text(path))
    first = literal.parts[0] if literal.parts else ""
    is_home = first == "~" or (isinstance(path, str) and path.startswith("~"))
    if not is_home or os.path.lexists(literal):
        return literal
    try:
        return literal.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{printable(str(literal))}: {error}; write the folder out") from error


def safe_name(text: str, max_bytes: int = 100) -> str:
    r"""Turn any text into a part of a file name that is valid on every system.

    Letters and digits of any script, dots, hyphens and underscores stay; all else becomes an
    underscore.

    Args:
        text: Text of unknown origin, such as a label of an untrusted model.
        max_bytes: Largest length in UTF-8; longer text is cut.

    Examples:
        >>> safe_name("Bark, bow-wow"), safe_name("../../etc/passwd\n"), safe_name("con.wav")
        ('Bark_bow-wow', 'etc_passwd', '_con.wav')
        >>> safe_name("...")
        '_'
    """
    kept = (
        c if c.isalnum() or c in "-." or unicodedata.category(c).startswith("M") else "_"
        for c in unicodedata.normalize("NFC", text)
    )
    name = re.sub("__+", "_", "".join(kept)).encode()[:max_bytes].decode("utf-8", "ignore")
    name = name.strip("._ -") or "_"
    return f"_{name}" if is_reserved(name) else name


def is_reserved(name: str) -> bool:
    """Whether Windows opens a device by a file name, with any suffix, in every folder.

    Examples:
        >>> is_reserved("nul.wav"), is_reserved("Com1"), is_reserved("nullarbor.wav")
        (True, True, False)
    """
    return bool(_RESERVED.match(name))
