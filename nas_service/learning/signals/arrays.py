"""Signals in an `.npz`: `x` (n, channels, steps), `y` (n,); groups and parts where there are."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.names import part_numbers
from nas_service.datasets.sound import require_sound
from nas_service.datasets.stored_arrays import given_parts, numbers_of_hot
from nas_service.datasets.texts import text_of
from nas_service.errors import InvalidData
from nas_service.learning.signals.read import DRAWN, IntArray, Windows, require_finite
from nas_service.learning.single_precision import require_float32

_KNOWN = ("x", "y", "groups", "split", "channel_names", "rate_hz")
_LEAST_STEPS = 8


def read_arrays(path: Path, *, numbers: bool) -> Windows:
    """Read the windows of an `.npz`; nothing in it is unpickled.

    Labels that are no `numbers` for regression may be one 1 among 0s in each row.

    Raises:
        InvalidData: says which array, and where in it.
    """
    try:
        require_sound(path)
        arrays = np.load(path, allow_pickle=False)
        if isinstance(arrays, np.ndarray):
            raise InvalidData(f"{path.name} is one array; an .npz with x and y is needed")
        with arrays:
            found = {name: arrays[name] for name in arrays.files if name in _KNOWN}
            others = sorted(set(arrays.files) - set(_KNOWN))
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidData(
            f"{path.name} cannot be read: it is damaged, or has Python objects in place of numbers "
            "and texts"
        ) from error
    for name in ("x", "y"):
        if name not in found:
            raise InvalidData(f"{path.name} has no array {name}; x (n, channels, steps) and y (n,)")
    inputs = _inputs(found["x"])
    labels = _labels(found["y"], len(inputs), numbers=numbers)
    if labels.shape != (len(inputs),):
        raise InvalidData(f"y is {labels.shape}, x has {len(inputs)} windows: (n,) is needed")
    groups = None
    if "groups" in found:
        groups = _numbered("groups", found["groups"], len(inputs))
    part = np.full(len(inputs), DRAWN, dtype=np.int64)
    if "split" in found:
        part = part_numbers(given_parts(found["split"], len(inputs), "window"))
    named = found.get("channel_names", np.empty(0, dtype=str))
    if named.ndim != 1:
        raise InvalidData(f"channel_names is {named.shape}; (channels,) is needed")
    names = tuple(text_of(one) for one in named)
    if names and len(names) != inputs.shape[1]:
        raise InvalidData(f"channel_names has {len(names)} names for {inputs.shape[1]} channels")
    notes = [f"arrays that are not read: {', '.join(others)}"] if others else []
    if inputs.shape[2] < inputs.shape[1]:
        notes.append(
            f"x is read as {inputs.shape[1]} channels of {inputs.shape[2]} steps; if it is the "
            "other way round, swap its last two axes"
        )
    rate = _rate(found["rate_hz"]) if "rate_hz" in found else None
    return Windows(
        inputs,
        labels,
        groups,
        part,
        layout="arrays",
        channel_names=names or tuple(f"channel {n}" for n in range(inputs.shape[1])),
        rate_hz=rate,
        notes=notes,
    )


def _labels(y: npt.NDArray[Any], n: int, *, numbers: bool) -> npt.NDArray[Any]:
    """One a window; of texts what does not show is left out."""
    if y.shape == (n, 1):
        y = y[:, 0]
    if y.ndim == 2 and len(y) == n and y.dtype.kind in "biuf" and not numbers:
        return numbers_of_hot(y, "y", "window")
    if y.dtype.kind in "US":
        return np.array([text_of(one) for one in y.ravel()]).reshape(y.shape)
    return y


def _rate(value: npt.NDArray[np.generic]) -> float:
    if value.size != 1 or value.dtype.kind not in "iuf" or not 0 < float(value.ravel()[0]) < np.inf:
        raise InvalidData(
            f"rate_hz is {value.tolist()!r}; a number above 0 is needed", field="rate_hz"
        )
    return float(value.ravel()[0])


def _inputs(x: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    if x.ndim == 2:
        x = x[:, None, :]
    if x.ndim != 3 or 0 in x.shape:
        raise InvalidData(f"x is {x.shape}; windows are (n, channels, steps)", field="x")
    if not np.issubdtype(x.dtype, np.number) or np.issubdtype(x.dtype, np.complexfloating):
        raise InvalidData(f"x has {x.dtype}; numbers are needed", field="x")
    if x.shape[2] < _LEAST_STEPS:
        raise InvalidData(
            f"x has windows of {x.shape[2]} steps, at least {_LEAST_STEPS} are needed", field="x"
        )
    inputs = np.ascontiguousarray(x, dtype=np.float32)
    require_finite(inputs, "x")
    require_float32(x, "x")
    return inputs


def _numbered(name: str, values: npt.NDArray[np.generic], n: int) -> IntArray:
    if values.shape != (n,):
        raise InvalidData(f"{name} is {values.shape}, x has {n} windows", field=name)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        window = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InvalidData(f"{name}[{window}] is not a number", field=name)
    if values.dtype.kind in "US":
        values = np.array([text_of(one) for one in values])
    numbers = np.unique(values, return_inverse=True)[1]
    return np.asarray(numbers.ravel(), dtype=np.int64)
