"""The sha256 of texts, tensors, code and files."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep._version import __version__

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["code_digest", "digest", "file_digest", "named_parts"]


def digest(*parts: str | bytes | Tensor) -> str:
    """The sha256 of all parts joined, as 64 hexadecimal digits.

    Args:
        parts: Texts count as UTF-8, tensors (...) as their numbers in order, without type and
            shape.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(part.encode())
        elif isinstance(part, bytes):
            total.update(part)
        else:
            total.update(part.detach().cpu().reshape(-1).contiguous().numpy().data)
    return total.hexdigest()


def named_parts(tensors: Mapping[str, Tensor]) -> Iterator[str | Tensor]:
    """Tensors as parts of a `digest` that also tells their names, shapes and types apart.

    Args:
        tensors: Tensors by name, such as the ``state_dict()`` of a network.
    """
    for name, tensor in tensors.items():
        yield f"{name} {tuple(tensor.shape)} {tensor.dtype} "
        yield tensor


@functools.cache
def code_digest(*rooms: str) -> str:
    """A hash that differs between versions of the code in some rooms of soundsep, 64 hex digits.

    A cache that is named after it holds nothing that other code has computed.

    Args:
        rooms: Names of packages below ``soundsep``, such as ``"frontends"``.
    """
    parts: list[str | bytes] = []
    for room in rooms:
        files = (resources.files("soundsep") / room).iterdir()
        for file in sorted(files, key=lambda file: file.name):
            if file.name.endswith(".py"):
                parts += f"{room}/{file.name}\n", file.read_bytes()
    return digest(*(parts or [__version__]))  # some programs are packed without sources


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hexadecimal digits, in little memory.

    Args:
        path: File to read.

    Raises:
        OSError: the file cannot be read.
    """
    total = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()
