"""Recorded samples: a file of arrays by name, one sample after the other, each with its own sizes.

In the file, samples that follow each other and have the same sizes are one array: `GROUP/NAME`,
`(n, ...)`. Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Named = Mapping[str, Array]
"""Arrays of one sample: what a model reads in one run, or what it gave."""


def save_recorded(path: Path, samples: Sequence[Named]) -> Path:
    """Write samples with the same names each."""
    arrays = {}
    for number, (_, group) in enumerate(groupby(samples, key=_sizes)):
        some = list(group)
        for name in some[0]:
            arrays[f"{number}/{name}"] = np.stack([one[name] for one in some])
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    return path


def read_recorded(path: Path) -> list[dict[str, Array]]:
    """What `save_recorded` wrote."""
    return list(_read(path))


def _read(path: Path) -> Iterator[dict[str, Array]]:
    with np.load(path, allow_pickle=False) as arrays:
        groups: dict[int, dict[str, Array]] = {}
        for key in arrays.files:
            number, _, name = key.partition("/")
            groups.setdefault(int(number), {})[name] = arrays[key]
    for number in sorted(groups):
        group = groups[number]
        for row in range(len(next(iter(group.values())))):
            # a row of numbers without axes is an array, too
            yield {name: np.asarray(values[row]) for name, values in group.items()}


def by_place(answers: Sequence[Array]) -> Named:
    """Outputs in a model's order, each called by its place: files of a runtime rename them."""
    return {str(place): np.asarray(one) for place, one in enumerate(answers)}


def is_recorded(path: Path) -> bool:
    """Whether a file of samples has arrays by name, rather than `inputs` alone."""
    with np.load(path, allow_pickle=False) as arrays:
        return all("/" in name for name in arrays.files)


def _sizes(sample: Named) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, values.shape) for name, values in sample.items()]
