"""Demucs' safetensors files, read as data.

Demucs' own loader imports whatever class a file names. Here a name only chooses from a literal
table, the arguments are plain numbers, words and lists, and the network that they describe may not
take more memory than the weights that the file holds.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.overrides import TorchFunctionMode

from soundsep.checkpoints.files import read_weights
from soundsep.devices import forked_rng
from soundsep.errors import WeightsError
from soundsep.separator.demucs.package import demucs_module

__all__ = ["read_network"]

CLASSES = ("demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs", "demucs.demucs.Demucs")
METADATA = {"klass", "args", "kwargs"}
DTYPES = ("F16", "BF16", "F32")
MAX_TEXT = 1 << 16  # characters of JSON
MAX_NUMBER = 10**6
MAX_LAYERS = 32  # demucs itself has 4 to 7
SLACK = 10**6  # numbers that a network may hold beside its weights


def read_network(path: Path) -> nn.Module:
    """The network in one ``.safetensors`` of demucs, in evaluation mode.

    Raises:
        WeightsError: the file is missing, damaged or quantised, or names a class, an argument or
            a weight that no network of demucs has.
    """
    metadata, shapes = _header(path)
    network = _built(path, metadata, sum(map(math.prod, shapes.values())))
    expected = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    if shapes != expected:
        differing = sorted(
            name
            for name in shapes.keys() | expected.keys()
            if shapes.get(name) != expected.get(name)
        )
        raise WeightsError(
            f"{path} does not hold the network that it describes: {differing[0]!r} is "
            f"{shapes.get(differing[0])}, expected {expected.get(differing[0])} (None: not there), "
            f"and {len(differing) - 1} more differ"
        )
    network.load_state_dict(read_weights(path))
    ready: nn.Module = network.eval()
    return ready


def _header(path: Path) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """Metadata, and the shape of each tensor."""
    if not path.is_file():
        raise WeightsError(f"{path} is missing or not a file")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # no dict
            dtypes = {part.get_dtype() for part in slices.values()}
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged or not a safetensors file: {error}") from error
    if "structure" in metadata:
        raise WeightsError(
            f"{path} is quantised with diffq, which is not read here; the models called mdx and "
            "mdx_extra are not quantised"
        )
    if lacking := METADATA - metadata.keys():
        raise WeightsError(
            f"{path} is not a model of demucs: its metadata lack {', '.join(sorted(lacking))}"
        )
    if not dtypes <= set(DTYPES):
        raise WeightsError(f"{path} holds {', '.join(sorted(dtypes))}; expected {DTYPES}")
    return metadata, shapes


class _Budget(TorchFunctionMode):
    """Limits how many numbers all tensors may hold together."""

    def __init__(self, n_numbers: int) -> None:
        super().__init__()
        self._n_left = n_numbers

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (torch.empty, torch.zeros, torch.ones):
            size = args or (kwargs["size"],)
            self._n_left -= math.prod(size[0] if isinstance(size[0], Sequence) else size)
            if self._n_left < 0:
                raise ValueError("the network is larger than the weights in the file")
        return func(*args, **(kwargs or {}))


def _built(path: Path, metadata: dict[str, str], n_numbers: int) -> Any:
    """The network, with random weights."""
    name = metadata["klass"]
    if name not in CLASSES:
        raise WeightsError(
            f"{path} names the class {name[:80]!r}, which is not loaded; expected one of "
            f"{', '.join(CLASSES)}"
        )
    args, kwargs = (_arguments(path, key, metadata[key]) for key in ("args", "kwargs"))
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise WeightsError(f"{path}: args must be a list and kwargs an object")
    build = _demucs_class(name)
    try:
        given = inspect.signature(build).bind(*args, **kwargs).arguments
    except TypeError as error:
        raise WeightsError(f"{path}: {name} does not take its arguments: {error}") from error
    for key, value in given.items():
        is_count = key.endswith(("depth", "layers"))
        if is_count and not (isinstance(value, int) and 0 <= value <= MAX_LAYERS):
            raise WeightsError(f"{path}: {key} is {value!r}; expected 0 to {MAX_LAYERS}")
    try:
        # The weights drawn here are replaced at once.
        with forked_rng(), _Budget(n_numbers + SLACK):
            network = build(*args, **kwargs)
    except Exception as error:  # there is no end to what senseless arguments can raise
        reason = str(error) or type(error).__name__
        raise WeightsError(
            f"{path}: {name} cannot be built from its arguments: {reason}"
        ) from error
    if type(network.samplerate) is not int or not isinstance(
        network.segment, (int, float, Fraction)
    ):
        raise WeightsError(f"{path}: samplerate and segment must be numbers")
    return network


def _demucs_class(name: str) -> Any:
    _, module, kind = name.split(".")  # of CLASSES
    return getattr(demucs_module(module), kind)


def _arguments(path: Path, key: str, text: str) -> Any:
    try:
        if len(text) > MAX_TEXT:
            raise ValueError(f"it has {len(text)} characters, expected at most {MAX_TEXT}")
        content = json.loads(text, parse_constant=_refuse)
        if isinstance(content, dict):
            return {name: _plain(value) for name, value in content.items()}
        return _plain(content)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: cannot take {key} of its metadata: {error}") from error


def _plain(value: Any) -> Any:
    """A number of moderate size, a word, or a list of them; fractions are written as objects."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        if len(value) > MAX_LAYERS:
            raise ValueError(f"a list of {len(value)}; expected at most {MAX_LAYERS}")
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        above, below = value.get("numerator"), value.get("denominator")
        is_fraction = value == {"_type": "fraction", "numerator": above, "denominator": below}
        if not is_fraction or type(above) is not int or type(below) is not int or below == 0:
            raise ValueError(f"an object that is not a fraction: {str(value)[:80]}")
        value = Fraction(above, below)
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise ValueError(f"{str(value)[:40]} is out of range")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")
