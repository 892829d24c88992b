"""Signals with anomalies: training sees normal windows alone, the other parts see both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData
from nas_service.learning.base import Progress
from nas_service.learning.signals.answers import SignalAnswers
from nas_service.learning.signals.ingested import (
    PARTS,
    Signals,
    digest_of,
    parts_of,
    report_of,
    windows_of,
)
from nas_service.learning.signals.labels import Labelling, named, normal_of
from nas_service.learning.signals.read import DRAWN, IntArray, Windows

NORMAL, ANOMALOUS = "normal", "anomalous"
_LEAST = 2
"""Windows of each kind that a network is judged on."""
_TRAIN, _VALIDATION, _TEST = range(3)


def read_anomalies(
    source: Path, answers: SignalAnswers, *, tell: Progress, within: Sequence[Path]
) -> Signals:
    """Windows with whether each is an anomaly `(n,)`: 0 for the label that is `normal`, else 1.

    Raises:
        InvalidData, InvalidSpec: say what is at fault, and where.
    """
    found = windows_of(source, answers, Labelling.ANOMALIES, tell=tell, within=within)
    names, codes = named(found.labels)
    normal = normal_of(names, answers.normal)
    flags = (codes != names.index(normal)).astype(np.int64)
    digest = digest_of(found, flags, (normal,))
    part = _parts(found, flags, digest)
    aside = (part == _TRAIN) & (flags == 1)
    kept = ~aside
    others = [name for name in names if name != normal]
    # parts of a part have both kinds, however the source was sorted
    order = np.random.default_rng(int(digest[:12], 16)).permutation(np.flatnonzero(kept))
    windows = replace(
        found,
        inputs=found.inputs[order],
        labels=found.labels[order],
        groups=None if found.groups is None else found.groups[order],
        part=part[order],
        reading=(*found.reading, f"normal is {normal!r}; anomalies are {', '.join(others)}"),
        set_aside=(*found.set_aside, *_set_aside(found, aside)),
    )
    flags = flags[order]
    _require_both(windows.part, flags)
    report = report_of(windows, flags, (NORMAL, ANOMALOUS))
    report = replace(report, notes=tuple(one for one in report.notes if "in train" not in one))
    told = {"normal": normal, "n_anomalous": int(flags.sum())}
    return Signals(windows, flags, (), digest, report.as_dict(), told)


def _parts(found: Windows, flags: IntArray, digest: str) -> IntArray:
    """Parts as they are given; drawn, anomalies without a group go where networks are judged."""
    generator = np.random.default_rng(int(digest[:12], 16))
    units = np.arange(len(found)) if found.groups is None else found.groups
    free = found.part == DRAWN
    if not free.all():
        part = _with_validation(found.part, flags, units, generator)
        return parts_of(replace(found, part=part), flags, digest, numbers=False)
    # what has no normal window can teach nothing
    with_normal = np.isin(units, units[flags == 0])
    part = np.empty(len(found), dtype=np.int64)
    part[~with_normal] = _halved(units[~with_normal], generator)
    calm = replace(
        found,
        inputs=found.inputs[with_normal],
        labels=found.labels[with_normal],
        groups=None if found.groups is None else found.groups[with_normal],
        part=found.part[with_normal],
    )
    part[with_normal] = parts_of(calm, flags[with_normal], digest, numbers=False)
    return part


def _with_validation(
    part: IntArray, flags: IntArray, units: IntArray, generator: np.random.Generator
) -> IntArray:
    """Given parts; half of what is for testing where nothing else has anomalies to choose by."""
    known = set(part.tolist())
    if _VALIDATION in known or _TEST not in known or (flags[part != _TEST] == 1).any():
        return part
    found = part.copy()
    # kind by kind where each window is by itself, else whole groups
    alone = len(np.unique(units)) == len(units)
    kinds = flags if alone else np.zeros_like(flags)
    for kind in np.unique(kinds):
        rows = (part == _TEST) & (kinds == kind)
        found[rows] = _halved(units[rows], generator)
    return found


def _halved(units: IntArray, generator: np.random.Generator) -> IntArray:
    """Testing for half of the units, validation for the others, whole ones: `(n,)`."""
    every = generator.permutation(np.unique(units))
    return np.where(np.isin(units, every[::2]), _TEST, _VALIDATION)


def _set_aside(found: Windows, aside: npt.NDArray[np.bool_]) -> list[dict[str, object]]:
    n = int(aside.sum())
    if not n:
        return []
    kinds = sorted({str(one) for one in found.labels[aside]})
    return [{"reason": "anomalies in the training part", "n": n, "names": kinds}]


def _require_both(part: IntArray, flags: IntArray) -> None:
    for number in (_VALIDATION, _TEST):
        for kind, name in enumerate((NORMAL, ANOMALOUS)):
            n = int(((part == number) & (flags == kind)).sum())
            if n < _LEAST:
                raise InvalidData(
                    f"{n} {name} windows are for {PARTS[number]}, {_LEAST} at least are needed "
                    "to judge by: give more of them, or draw parts that are given anew "
                    "(`--split draw`)"
                )
    n = int((part == _TRAIN).sum())
    if n < _LEAST:
        raise InvalidData(f"{n} normal windows are left to train on, {_LEAST} at least are needed")
