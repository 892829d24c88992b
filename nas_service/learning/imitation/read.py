"""Samples of a model's inputs and its answers, in an `.npz`: `x` (n, ...) and `y` (n, k)."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.names import PARTS, part_numbers
from nas_service.datasets.report import Report
from nas_service.datasets.sound import require_sound
from nas_service.datasets.splits import split_of
from nas_service.datasets.stored_arrays import given_parts
from nas_service.datasets.texts import group_of
from nas_service.errors import InvalidData
from nas_service.learning.base import Progress
from nas_service.learning.imitation.shape import ArrayShape
from nas_service.learning.single_precision import require_float32

_KNOWN = ("x", "y", "groups", "split")
_LEAST = 20
_MOST_RANK = 3
_UNASSIGNED = -1


@dataclass(frozen=True)
class Recorded:
    """Inputs `(n, ...)` with answers `(n, k)` and the part that each is in."""

    inputs: npt.NDArray[np.float32]
    answers: npt.NDArray[np.float32]
    part: npt.NDArray[np.int64]
    digest: str
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """See `Ingested.nbytes`."""
        return int(self.inputs.nbytes + self.answers.nbytes)

    def facts(self) -> dict[str, Any]:
        """See `Ingested.facts`."""
        counts = np.bincount(self.part, minlength=len(PARTS))
        return {
            **shape_of(self.inputs, self.answers.shape[1]).as_dict(),
            **{f"n_{part}": int(n) for part, n in zip(PARTS, counts, strict=True)},
            "report": dict(self.report),
        }

    def save(self, path: Path) -> None:
        """See `Ingested.save`."""
        with path.open("wb") as stream:
            np.savez(stream, inputs=self.inputs, targets=self.answers, part=self.part)


def shape_of(inputs: npt.NDArray[np.float32], outputs: int) -> ArrayShape:
    """What enters and leaves a network on such inputs."""
    axes = inputs.shape[1:]
    channels = axes[0] if len(axes) > 1 else 1
    rows = axes[1] if len(axes) > 2 else 1
    return ArrayShape(axes[-1], outputs, len(axes), channels, rows)


def read_recorded(path: Path, *, tell: Progress) -> Recorded:
    """Read an `.npz`; nothing in it is unpickled. Parts are those of `split`, or drawn by `groups`.

    Raises:
        InvalidData: says which array, and where in it.
    """
    tell(0.1, "reading")
    arrays = _arrays(path)
    inputs, answers = numbers(arrays, "x"), numbers(arrays, "y")
    require_float32(arrays["x"], "x")  # `y` is what a model answered, whatever it differs by
    if answers.ndim == 1:
        answers = answers[:, None]
    if len(answers) != len(inputs):
        raise InvalidData(f"y has {len(answers)} answers to {len(inputs)} samples in x", field="y")
    if not 2 <= inputs.ndim <= 1 + _MOST_RANK:
        raise InvalidData(
            f"x is {inputs.shape}; samples have one to {_MOST_RANK} axes, (n, ...)", field="x"
        )
    answers = answers.reshape(len(answers), -1)
    if len(inputs) < _LEAST:
        raise InvalidData(f"x has {len(inputs)} samples, {_LEAST} at least are needed", field="x")
    if float(np.ptp(answers, axis=0).max()) == 0.0:
        raise InvalidData("y is the same for every sample: there is nothing to imitate", field="y")
    groups = _groups(arrays, len(inputs))
    digest = hashlib.sha256(inputs.tobytes() + answers.tobytes()).hexdigest()
    tell(0.6, f"{len(inputs):,} samples; drawing parts")
    part = split_of(
        inputs,  # type: ignore[arg-type]  # read only where groups are not given
        np.zeros(len(inputs), dtype=np.int64),
        _parts(arrays, len(inputs)),
        int(digest[:12], 16),
        groups=groups,
    )
    for name, n in zip(PARTS, np.bincount(part, minlength=len(PARTS)), strict=True):
        if n < 2:
            raise InvalidData(f"{n} samples are for {name}, 2 at least are needed")
    return Recorded(inputs, answers, part, digest, _report(inputs, answers).as_dict())


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an `.npz` that are read, as far as they are there; `x` has to be.

    Raises:
        InvalidData: it is damaged, or something else.
    """
    try:
        require_sound(path)
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise InvalidData(f"{path.name} is one array; an .npz with x is needed")
        with stored:
            found = {name: stored[name] for name in _KNOWN if name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidData(
            f"{path.name} cannot be read: it is damaged, or has Python objects in place of numbers"
        ) from error
    if "x" not in found:
        raise InvalidData(f"{path.name} has no array x: samples of the model's inputs, (n, ...)")
    return found


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    found = load_arrays(path)
    if "y" not in found:
        raise InvalidData(
            f"{path.name} has no array y: say whose answers are learned (--teacher MODEL), or "
            "record them as y (n, outputs)"
        )
    return found


def numbers(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[np.float32]:
    """An array as finite numbers; `InvalidData` says what else it has."""
    values = arrays[name]
    if 0 in values.shape or values.ndim == 0:
        raise InvalidData(f"{name} is {values.shape}: there is nothing in it", field=name)
    if values.dtype.kind not in "fiu":
        raise InvalidData(f"{name} has {values.dtype}; numbers are needed", field=name)
    numbers = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(numbers).all():
        first = int(np.flatnonzero(~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1))[0])
        raise InvalidData(f"{name}[{first}] has a number that is not finite", field=name)
    return numbers


def _groups(arrays: Mapping[str, npt.NDArray[Any]], n: int) -> npt.NDArray[np.int64]:
    if "groups" not in arrays:
        return np.arange(n, dtype=np.int64)
    groups = arrays["groups"]
    if groups.shape != (n,):
        raise InvalidData(f"groups is {groups.shape}, x has {n} samples", field="groups")
    named = [group_of(one) for one in groups]
    of_their_own = [f"sample {n}" if one is None else f"group {one}" for n, one in enumerate(named)]
    return np.asarray(np.unique(of_their_own, return_inverse=True)[1].ravel(), dtype=np.int64)


def _parts(arrays: Mapping[str, npt.NDArray[Any]], n: int) -> npt.NDArray[np.int64]:
    """The part that `split` names for each sample; `_UNASSIGNED` without it."""
    if "split" not in arrays:
        return np.full(n, _UNASSIGNED, dtype=np.int64)
    return part_numbers(given_parts(arrays["split"], n, "sample"))


def _report(inputs: npt.NDArray[np.float32], answers: npt.NDArray[np.float32]) -> Report:
    shape = " x ".join(map(str, inputs.shape[1:]))
    notes = []
    dead = int((np.ptp(answers, axis=0) == 0.0).sum())
    if dead:
        notes.append(f"{dead} of {answers.shape[1]} outputs never change on these samples")
    reading = (f"samples of {shape}, {answers.shape[1]} outputs",)
    return Report("arrays", (), {}, reading, tuple(notes), ())
