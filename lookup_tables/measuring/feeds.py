"""What a file is run on while it is timed: a sample of its own beside it, else random numbers.

Random numbers do for what a network of floats takes; token numbers, masks and recurrent states have
values that a model breaks on, and sizes may be open.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.model import OPEN, Array, Input

_ENDING = ".feeds.npz"
_AT = "input/"
"""Before a name, which may be any, also one of what writes the file."""


def keep_feeds(model: Path, feeds: Mapping[str, Array]) -> None:
    """Put a sample, by names of inputs, beside a model file."""
    save_feeds(_beside(model), feeds)


def save_feeds(path: Path, feeds: Mapping[str, Array]) -> Path:
    """Write one sample, by names of inputs."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{_AT + name: one for name, one in feeds.items()})
    return path


def read_feeds(path: Path) -> dict[str, Array]:
    """What `save_feeds` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name.removeprefix(_AT): arrays[name] for name in arrays.files}


def feeds_beside(model: Path) -> Path | None:
    """The file of the sample beside a model file; None where there is none."""
    found = _beside(model)
    return found if found.is_file() else None


def feeds_for(model: Path, inputs: Mapping[str, Input], seed: int = 0) -> dict[str, Array]:
    """What to run a file on: the sample beside it, or inputs drawn from a seed.

    Raises:
        LookupTableError: there is no sample, and a size of an input is open.
    """
    beside = feeds_beside(model)
    if beside is None:
        return random_inputs(inputs, seed)
    given = read_feeds(beside)
    return {name: given[name] for name in inputs}


def random_inputs(inputs: Mapping[str, Input], seed: int = 0) -> dict[str, Array]:
    """Inputs of these shapes and types.

    Raises:
        LookupTableError: a size is open.
    """
    generator = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name, one in inputs.items():
        if OPEN in one.shape:
            raise LookupTableError(f"input {name} has open sizes: it runs on given samples alone")
        if one.dtype.kind == "f":
            found[name] = generator.standard_normal(one.shape).astype(one.dtype)
        else:
            found[name] = generator.integers(0, 127, one.shape).astype(one.dtype)
    return found


def _beside(model: Path) -> Path:
    return model.with_name(model.name + _ENDING)
