"""The base of the frozen config dataclasses: checked values, from plain JSON and back."""

from __future__ import annotations

import math
import os
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from soundsep.errors import ConfigError
from soundsep.names import path_text

__all__ = [
    "Config",
    "check_choice",
    "check_kind",
    "check_names",
    "check_number",
    "check_numbers",
    "check_range",
    "check_seed",
    "check_span",
    "check_whole",
]

MAX_SHOWN = 80  # characters of a wrong value in a message

C = TypeVar("C", bound="Config")


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Base of all configs: immutable, made of plain values, strict about unknown keys.

    A field annotated as ``Literal`` holds one of its values; a class's `_check` refuses everything
    else that is invalid. If a field may hold one of several configs, each of these has a ``kind``,
    which is part of its JSON; without it, the first config of the annotation is assumed.
    """

    kind: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: a setting is invalid.
        """
        for field, choices in _choices(type(self)):
            check_choice(f"{type(self).__name__}.{field}", getattr(self, field), choices)
        self._check()

    def _check(self) -> None:
        """Refuse settings that are out of range, or contradict each other."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types only; tuples become lists."""
        kind = {} if self.kind is None else {"kind": self.kind}
        return kind | {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls: type[C], data: Mapping[str, Any]) -> C:
        """Build from plain JSON types.

        Raises:
            ConfigError: a key is unknown or missing, or a value has the wrong type.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"{cls.__name__}: expected a JSON object, got {type(data).__name__}")
        if cls.kind is not None and data.get("kind", cls.kind) != cls.kind:
            raise ConfigError(f"{cls.__name__}: kind is {data['kind']!r}, expected {cls.kind!r}")
        data = {k: v for k, v in data.items() if k != "kind" or cls.kind is None}
        hints = _hints(cls)
        known = {f.name for f in fields(cls)}
        if unknown := sorted(str(key) for key in data if key not in known):
            raise ConfigError(
                f"{cls.__name__}: unknown {', '.join(map(repr, unknown))}; "
                f"known: {', '.join(sorted(known))}"
            )
        values = {k: _typed(f"{cls.__name__}.{k}", v, hints[k]) for k, v in data.items()}
        try:
            return cls(**values)
        except TypeError as error:  # a field without default is missing
            raise ConfigError(f"{cls.__name__}: {error}") from error

    def replace(self: C, **changes: Any) -> C:
        """Copy with some fields changed; validated like any other construction.

        Raises:
            ConfigError: a field is unknown, or its value is invalid.
        """
        known = {f.name for f in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise ConfigError(f"{type(self).__name__}: unknown {', '.join(map(repr, unknown))}")
        return replace(self, **changes)


def check_names(config: Config, field: str) -> None:
    """Refuse a field that does not hold strings, and turn a list of them into a tuple.

    Args:
        config: Config with the field.
        field: Name of the field.

    Raises:
        ConfigError: the field is a single string, or holds anything but strings.
    """
    value = getattr(config, field)
    names = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (None,)
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"{type(config).__name__}.{field} must be a tuple of strings, got {_shown(value)}"
        )
    object.__setattr__(config, field, names)  # the way to set a field of a frozen class


def check_numbers(config: Config, field: str, *, n: int) -> tuple[float, ...] | None:
    """Refuse a field unless it holds one number, ``n`` of them or ``None``; a list becomes a tuple.

    Args:
        config: Config with the field.
        field: Name of the field.
        n: Length of a list.

    Returns:
        ``n`` numbers, even if the field holds one for all; ``None`` for ``None``.

    Raises:
        ConfigError: the field holds something else, or another number of numbers.
    """
    value, where = getattr(config, field), f"{type(config).__name__}.{field}"
    if value is None:
        return None
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
        return (check_number(where, value),) * n
    numbers = tuple(check_number(where, number) for number in value)
    if len(numbers) != n:
        raise ConfigError(f"{where} must hold a number for each of {n}, got {len(numbers)}")
    object.__setattr__(config, field, numbers)  # the way to set a field of a frozen class
    return numbers


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Refuse an option that is not one of a few.

    Args:
        name: Name of the option.
        value: Value to check.
        choices: Values allowed.

    Raises:
        ConfigError: ``value`` is not among ``choices``.
    """
    if value not in tuple(choices):  # a tuple, since a value may be unhashable
        listed = ", ".join(map(repr, choices))
        raise ConfigError(f"{name} must be one of {listed}; got {_shown(value)}")


def check_seed(seed: Any) -> int:
    """Refuse a seed that the generators of NumPy or torch do not take.

    Args:
        seed: Value to check.

    Raises:
        ConfigError: ``seed`` is not an integer from 0 to 2 ** 64 - 1.
    """
    return check_whole("seed", seed, least=0, most=2**64 - 1)


def check_range(config: Config, *fields: str, **bounds: float) -> None:
    """Refuse fields that do not hold a number within bounds.

    If the annotation says so, it must be an integer, or may be ``None``.

    Args:
        config: Config with the fields.
        fields: Names of the fields.
        bounds: Bounds as for `check_number`; ``least`` and ``most`` for integers.

    Raises:
        ConfigError: a field holds something else.
    """
    hints = _hints(type(config))
    for field in fields:
        options = get_args(hints[field]) or (hints[field],)
        value, where = getattr(config, field), f"{type(config).__name__}.{field}"
        if value is None and type(None) in options:
            continue
        if int in options:
            most = int(bounds["most"]) if "most" in bounds else None
            check_whole(where, value, least=int(bounds["least"]), most=most)
        else:
            check_number(where, value, **bounds)


def check_span(config: Config, *fields: str, **bounds: float) -> None:
    """Refuse fields that do not hold (lowest, highest), two numbers within bounds.

    Args:
        config: Config with the fields, of which lists become tuples.
        fields: Names of the fields.
        bounds: Bounds as for `check_number`.

    Raises:
        ConfigError: a field holds something else.
    """
    for field in fields:
        value, where = getattr(config, field), f"{type(config).__name__}.{field}"
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise ConfigError(f"{where} must be (lowest, highest), got {_shown(value)}")
        low, high = (check_number(where, number, **bounds) for number in value)
        if low > high:
            raise ConfigError(f"{where} must be two rising numbers, got {low:g} and {high:g}")
        object.__setattr__(config, field, (low, high))  # the way to set a field of a frozen class


def check_whole(name: str, value: Any, *, least: int, most: int | None = None) -> int:
    """Return an option of any integer type as an int.

    Args:
        name: Name of the option.
        value: Value to check.
        least: Smallest value allowed.
        most: Largest value allowed.

    Raises:
        ConfigError: the value is not an integer (``True`` and ``2.0`` are not), or out of range.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        wanted = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ConfigError(f"{name} must be an integer {wanted}, got {_shown(value)}")
    return int(value)


def check_kind(owner: str, value: Any, kind: type) -> None:
    """Refuse a constructor's argument of another type, such as the name of a published model.

    Args:
        owner: Name of the class that is constructed.
        value: Value to check.
        kind: Type that the constructor takes.

    Raises:
        ConfigError: ``value`` is of another type.
    """
    if isinstance(value, kind):
        return
    hint = ""
    if isinstance(value, (str, os.PathLike)):
        hint = f"; {owner}.from_pretrained({path_text(value)!r}) loads what is called so"
    raise ConfigError(f"{owner} takes a {kind.__name__}, got {_shown(value)}{hint}")


def check_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """Return an option of any real type as a float.

    Args:
        name: Name of the option.
        value: Value to check.
        least: Smallest value allowed.
        most: Largest value allowed.
        above: Bound that it must exceed.
        below: Bound that it must stay below.

    Raises:
        ConfigError: the value is not a number, NaN, infinite or out of range.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
    if not is_number or not (least <= value <= most and above < value < below):
        bounds = {"of at least": least, "above": above, "at most": most, "below": below}
        if math.isfinite(least) and math.isfinite(most):
            bounds = {f"from {least:g} to": most}
        wanted = " and ".join(f"{k} {v:g}" for k, v in bounds.items() if math.isfinite(v))
        raise ConfigError(f"{name} must be a number{wanted and ' '}{wanted}, got {_shown(value)}")
    return float(value)


def _is_finite(number: Real) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that no float holds
        return False


_HINTS: dict[type[Config], dict[str, Any]] = {}


def _hints(config: type[Config]) -> dict[str, Any]:
    """The annotations, which are strings that take a while to evaluate."""
    if config not in _HINTS:
        _HINTS[config] = get_type_hints(config)
    return _HINTS[config]


def _choices(config: type[Config]) -> list[tuple[str, tuple[Any, ...]]]:
    """The fields that hold one of a few values, each with all of these."""
    choices = []
    for field in fields(config):
        hint = _hints(config)[field.name]
        options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        literals = [option for option in options if get_origin(option) is Literal]
        if literals and all(o in literals or o is type(None) for o in options):
            values = tuple(value for option in literals for value in get_args(option))
            choices.append((field.name, values + (None,) * (type(None) in options)))
    return choices


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python does not write out integers of over 4300 digits
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _typed(where: str, value: Any, hint: Any) -> Any:
    """``value`` as the annotated type ``hint``; JSON's lists become tuples."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        options = [option for option in get_args(hint) if option is not type(None)]
        return _typed(where, value, _chosen(where, value, options))
    if origin is Literal:
        check_choice(where, value, get_args(hint))
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, got {_shown(value)}")
        return tuple(_typed(f"{where}[{i}]", v, get_args(hint)[0]) for i, v in enumerate(value))
    if isinstance(hint, type) and issubclass(hint, Config):
        return value if isinstance(value, hint) else hint.from_dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise ConfigError(f"{where}: the number is too large") from error
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where}: expected {hint.__name__}, got {_shown(value)}")
    return value


def _chosen(where: str, value: Any, options: list[Any]) -> Any:
    """The one of several types that ``value`` has or names."""
    if type(value) in options:
        return type(value)
    if isinstance(value, (list, tuple)):
        return next((option for option in options if get_origin(option) is tuple), options[0])
    if len(options) == 1 or not isinstance(value, Mapping) or "kind" not in value:
        return options[0]
    kinds = {option.kind: option for option in options}
    if value["kind"] not in tuple(kinds):  # a tuple, since a kind may be unhashable
        raise ConfigError(f"{where}: no kind {value['kind']!r}; there are {', '.join(kinds)}")
    return kinds[value["kind"]]
