"""Samples as a user gives them: an `.npz` of arrays by the names of a model's inputs."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from nas_service.errors import InvalidData, NasError
from nas_service.recorded.feeds import Array, Named
from nas_service.recorded.signature import OPEN, Signature, Tensor

MAX_ARRAYS = 1000
MAX_BYTES = 2 * 1024**3
"""Of a file of samples, unpacked."""
TARGETS = "targets"
"""What would be right, beside the inputs: `(n, ...)`."""


@dataclass(frozen=True)
class Given:
    """Samples, and what would be right for each where that was given."""

    samples: tuple[Named, ...]
    targets: tuple[Array, ...] | None = None

    def __len__(self) -> int:
        return len(self.samples)


def read_given(
    paths: Sequence[Path], signature: Signature, field: str, *, names: Sequence[str] = ()
) -> Given:
    """Samples of one or more files; a file's samples are of the same sizes.

    An input's array is `(n, *shape)`; where the model's own first axis is 1 or open, also
    `(n, *shape[1:])`. One whole input, or a sole row, stands for every sample of its file.

    Raises:
        InvalidData: names the file (as it is called in `names`, where those are given), the array
            and what is wrong with it; `field` is what gave it.
    """
    samples: list[Named] = []
    targets: list[Array] = []
    for path, name in zip(paths, names or [one.name for one in paths], strict=True):
        arrays = _arrays(path, name, field)
        found, right = _of_file(arrays, signature, name, field)
        samples += found
        targets += right
    if targets and len(targets) != len(samples):
        raise InvalidData(f"{TARGETS} are in some of the files and not in others", field=field)
    return Given(tuple(samples), tuple(targets) if targets else None)


def _arrays(path: Path, name: str, field: str) -> dict[str, Array]:
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            return {
                one.filename.removesuffix(".npy"): _array(archive, one, name, field)
                for one in _members(archive, name, field)
            }
    except NasError:
        raise
    except Exception as error:  # of whatever damage: zip, compression and header raise their own
        raise InvalidData(
            f"{name} cannot be read as .npz: it is damaged, something else, or has Python "
            "objects in place of numbers",
            field=field,
        ) from error


def _members(archive: zipfile.ZipFile, file: str, field: str) -> list[zipfile.ZipInfo]:
    """Arrays of an archive, as many and as large as are taken."""
    members = archive.infolist()
    unpacked = sum(one.file_size for one in members)
    if len(members) > MAX_ARRAYS or unpacked > MAX_BYTES:
        raise InvalidData(
            f"{file} has {len(members)} arrays of {unpacked:,} bytes unpacked; at most "
            f"{MAX_ARRAYS} of {MAX_BYTES:,} bytes are taken",
            field=field,
        )
    return members


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: str, field: str) -> Array:
    """One array, if its header says no more than what is there."""
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
    told = math.prod(shape) * dtype.itemsize
    if told > member.file_size:
        raise InvalidData(
            f"{file}: {member.filename} says {told:,} bytes and has {member.file_size:,}",
            field=field,
        )
    with archive.open(member) as stream:
        found: Array = npy.read_array(stream, allow_pickle=False)
    return found


def _of_file(
    arrays: Mapping[str, Array], signature: Signature, file: str, field: str
) -> tuple[list[Named], list[Array]]:
    names = [one.name for one in signature.inputs]
    missing = [name for name in names if name not in arrays]
    strange = sorted(set(arrays) - {*names, TARGETS})
    if missing or strange:
        has = ", ".join(sorted(arrays)) or "nothing"
        raise InvalidData(
            f"{file} has {has}; the model reads {', '.join(one.shown for one in signature.inputs)}"
            + (f"; {', '.join(missing)} is missing" if missing else "")
            + (f"; {', '.join(strange)} is none of its inputs" if strange else ""),
            field=field,
        )
    rows = {one.name: _rows(arrays[one.name], one, file, field) for one in signature.inputs}
    n = max(len(some) for some in rows.values())
    for name, some in rows.items():
        if len(some) not in (1, n):
            raise InvalidData(
                f"{file}: {name} has {len(some)} samples, others have {n}", field=field
            )
    right: list[Array] = []
    if TARGETS in arrays:
        told = arrays[TARGETS]
        if told.ndim == 0 or told.dtype.kind not in "fiub":
            raise InvalidData(
                f"{file}: {TARGETS} is {told.dtype} {told.shape}; numbers (n, ...) are taken",
                field=field,
            )
        if told.dtype.kind == "f" and not np.isfinite(told).all():
            at = ", ".join(map(str, np.argwhere(~np.isfinite(told))[0]))
            raise InvalidData(f"{file}: {TARGETS}[{at}] is not finite", field=field)
        right = list(told)
        if len(right) != n:
            raise InvalidData(f"{file}: {TARGETS} are {len(right)} of {n} samples", field=field)
    found: list[Named] = [
        {name: some[row if len(some) == n else 0] for name, some in rows.items()}
        for row in range(n)
    ]
    return found, right


def _rows(values: Array, tensor: Tensor, file: str, field: str) -> list[Array]:
    """What an input is in each sample; a sole row where it is the same in all of them."""
    shape, rank = tensor.shape, len(tensor.shape)
    where = f"{file}: {tensor.name} is {values.dtype} {values.shape}"
    takes = f"the model takes {tensor.shown}"
    if values.ndim == rank + 1:
        rows = list(values)
    elif values.ndim == rank and rank and shape[0] in (1, OPEN):
        rows = [values[at : at + 1] for at in range(len(values))]
    elif values.ndim == rank:
        rows = [values]
    else:
        raise InvalidData(
            f"{where}; {takes}: give (n, {', '.join('?' if s is OPEN else str(s) for s in shape)})",
            field=field,
        )
    if not rows:
        raise InvalidData(f"{where}: there is no sample", field=field)
    for axis, (size, own) in enumerate(zip(rows[0].shape, shape, strict=True)):
        if size == 0 or own not in (OPEN, size):
            raise InvalidData(
                f"{where}, a sample {rows[0].shape}; {takes}: axis {axis}", field=field
            )
    wanted = np.dtype(tensor.dtype)
    with np.errstate(invalid="ignore", over="ignore"):  # what does not fit is told below
        cast = values.astype(wanted) if values.dtype.kind in "fiub" else None
    if cast is None or not _same_values(values, cast):
        raise InvalidData(f"{where}, which cannot be made {tensor.dtype}; {takes}", field=field)
    if cast.dtype.kind == "f" and not np.isfinite(cast).all():
        at = np.argwhere(~np.isfinite(cast))[0]
        raise InvalidData(
            f"{file}: {tensor.name}[{', '.join(map(str, at))}] is not finite", field=field
        )
    return [np.array(row, wanted, order="C") for row in rows]


def _same_values(values: Array, cast: Any) -> bool:
    """Whether a type holds the numbers: floats are rounded, whole numbers stay what they are."""
    if cast.dtype.kind == "f" and values.dtype.kind == "f":
        return bool((np.isfinite(cast) == np.isfinite(values)).all())
    return bool(np.array_equal(cast.astype(np.float64), values.astype(np.float64)))
