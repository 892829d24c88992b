"""Whether an `.npz` from outside is what its members' heads say, before any memory is taken."""

from __future__ import annotations

import math
import tokenize
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from nas_service.errors import InvalidData

_MAX_TIMES, _SMALL_BYTES = 200, 64 * 1024**2
_HEADS_RAISE = (
    MemoryError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    TypeError,
    tokenize.TokenError,
)
"""What reading a head raises beside `ValueError`: it is parsed as Python's literals, may be
encrypted, or packed in a way that is not known."""
_MAGIC = b"PK\x03\x04"
_HEADS: dict[tuple[int, int], Callable[[IO[bytes]], tuple[Any, ...]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def require_sound(path: Path) -> None:
    """Look at the head of every array of an `.npz`; nothing of what it holds is read.

    A file that is no archive is not looked at: numpy says what it is.

    Raises:
        ValueError: a member is no array, has Python objects, or has not as much as its head says.
        zipfile.BadZipFile: the archive is damaged.
    """
    with path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            return
        with zipfile.ZipFile(stream) as archive:
            total = sum(member.file_size for member in archive.infolist())
            require_ratio(total, path)
            for member in archive.infolist():
                try:
                    with archive.open(member) as content:
                        _require_array(member, content)
                except _HEADS_RAISE as error:
                    raise ValueError(f"{member.filename}: {error}") from error


def require_ratio(unpacked_bytes: int, archive: Path) -> None:
    """Refuse what unpacks to many times its size, where that is more than a little.

    Raises:
        InvalidData: it does.
    """
    packed_bytes = archive.stat().st_size
    if unpacked_bytes > max(_SMALL_BYTES, _MAX_TIMES * packed_bytes):
        raise InvalidData(
            f"the archive of {packed_bytes:,} bytes unpacks to more than {_MAX_TIMES} times as many"
        )


def _require_array(member: zipfile.ZipInfo, content: IO[bytes]) -> None:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"{member.filename} is no array")
    version = np.lib.format.read_magic(content)
    read = _HEADS.get(version, np.lib.format.read_array_header_2_0)
    shape, _, dtype = read(content)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} has Python objects")
    held = member.file_size - content.tell()
    said = math.prod(shape) * dtype.itemsize
    if said != held:
        raise ValueError(f"{member.filename} says {said:,} bytes and has {held:,}")
