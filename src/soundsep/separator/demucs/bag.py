"""Bags of demucs: which models are averaged, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundsep.errors import WeightsError

__all__ = ["DemucsBag", "read_bag"]

MAX_BYTES = 1 << 16
MAX_MODELS = 16
MAX_NUMBER = 10**6
NUMBERS = (int, float)  # no bool
_SIGNATURE = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DemucsBag:
    """Models whose sources are averaged.

    Attributes:
        signatures: Names of their files.
        weights: Weight of each model in each source; ``None`` for equal weights.
        segment: Length of a segment, in seconds; ``None`` for the models' own.
    """

    signatures: tuple[str, ...]
    weights: list[list[float]] | None = None
    segment: float | None = None


def read_bag(path: Path) -> DemucsBag:
    """Read a ``.yaml`` of demucs.

    Raises:
        WeightsError: the file is missing, or not a list of models, weights and a segment.
    """
    import yaml

    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise WeightsError(f"{path} is too large: expected at most {MAX_BYTES} bytes")
        content = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise WeightsError(f"{path} cannot be read as a bag of demucs: {error}") from error
    if not isinstance(content, dict) or not set(content) <= {"models", "weights", "segment"}:
        raise WeightsError(f"{path}: expected models, weights and segment, and nothing else")
    names, weights, segment = (content.get(key) for key in ("models", "weights", "segment"))
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_MODELS:
        raise WeightsError(f"{path}: expected a list of 1 to {MAX_MODELS} models")
    for name in names:
        if not isinstance(name, str) or not _SIGNATURE.fullmatch(name):
            # Only strings are shown: a list may contain itself many times over.
            shown = repr(name[:80]) if isinstance(name, str) else f"a {type(name).__name__}"
            raise WeightsError(
                f"{path}: {shown} is not a model; expected 8 digits from 0 to f, quoted"
            )
    if weights is not None and not _is_table(weights, n_rows=len(names)):
        raise WeightsError(
            f"{path}: expected one row of non-negative weights per model, with no all-zero column"
        )
    if segment is not None and not (type(segment) in NUMBERS and 0 < segment <= MAX_NUMBER):
        raise WeightsError(f"{path}: segment is not above 0 and up to {MAX_NUMBER} seconds")
    return DemucsBag(
        signatures=tuple(names),
        weights=weights,
        segment=None if segment is None else float(segment),
    )


def _is_table(rows: Any, *, n_rows: int) -> bool:
    if not isinstance(rows, list) or len(rows) != n_rows:
        return False
    if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        return False
    if not all(type(x) in NUMBERS and 0 <= x <= MAX_NUMBER for row in rows for x in row):
        return False
    return all(sum(column) > 0 for column in zip(*rows, strict=True))
