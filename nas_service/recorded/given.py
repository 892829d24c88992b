"""Samples as a user gives them: an `.npz` of arrays by the names of a model's inputs."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_service.errors import InvalidData
from nas_service.recorded.feeds import Array, Named
from nas_service.recorded.signature import OPEN, Signature, Tensor

TARGETS = "targets"
"""What would be right, beside the inputs: `(n, ...)`."""


@dataclass(frozen=True)
class Given:
    """Samples, and what would be right for each where that was given."""

    samples: tuple[Named, ...]
    targets: tuple[Array, ...] | None = None

    def __len__(self) -> int:
        return len(self.samples)


def read_given(paths: Sequence[Path], signature: Signature, field: str) -> Given:
    """Samples of one or more files; a file's samples are of the same sizes.

    An input's array is `(n, *shape)`; where the model's own first axis is 1 or open, also
    `(n, *shape[1:])`. One whole input, or a sole row, stands for every sample of its file.

    Raises:
        InvalidData: names the file, the array and what is wrong with it; `field` is what gave it.
    """
    samples: list[Named] = []
    targets: list[Array] = []
    for path in paths:
        arrays = _arrays(path, field)
        found, right = _of_file(arrays, signature, path.name, field)
        samples += found
        targets += right
    if targets and len(targets) != len(samples):
        raise InvalidData(f"{TARGETS} are in some of the files and not in others", field=field)
    return Given(tuple(samples), tuple(targets) if targets else None)


def _arrays(path: Path, field: str) -> dict[str, Array]:
    try:
        with path.open("rb") as stream:
            stored = np.load(stream, allow_pickle=False)
            if isinstance(stored, np.ndarray):
                raise InvalidData(f"{path.name} is one array without a name; save it by np.savez")
            with stored:
                return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidData(
            f"{path.name} cannot be read as .npz: it is damaged, something else, or has Python "
            "objects in place of numbers",
            field=field,
        ) from error


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
        right = list(arrays[TARGETS])
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
