"""Signals with anomalies: training sees normal windows alone, the other parts see both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.base import Progress
from nas_service.learning.signals.answers import SignalAnswers
from nas_service.learning.signals.ingested import (
    PARTS,
    Signals,
    digest_of,
    named,
    parts_of,
    report_of,
    windows_of,
)
from nas_service.learning.signals.read import DRAWN, IntArray, Windows

NORMAL, ANOMALOUS = "normal", "anomalous"
_SOUND_NORMAL = ("normal", "ok", "good", "healthy", "0", "false")
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
    found = windows_of(source, answers, numbers=False, tell=tell, within=within)
    names, codes = named(found.labels)
    normal = _normal(names, answers.normal)
    flags = (codes != names.index(normal)).astype(np.int64)
    digest = digest_of(found, flags, (normal,))
    part = _parts(found, flags, digest)
    aside = (part == _TRAIN) & (flags == 1)
    kept = ~aside
    others = [name for name in names if name != normal]
    windows = replace(
        found,
        inputs=found.inputs[kept],
        labels=found.labels[kept],
        groups=None if found.groups is None else found.groups[kept],
        part=part[kept],
        reading=(*found.reading, f"normal is {normal!r}; anomalies are {', '.join(others)}"),
        set_aside=(*found.set_aside, *_set_aside(found, aside)),
    )
    flags = flags[kept]
    _require_both(windows.part, flags)
    report = report_of(windows, flags, (NORMAL, ANOMALOUS))
    report = replace(report, notes=tuple(one for one in report.notes if "in train" not in one))
    told = {"normal": normal, "n_anomalous": int(flags.sum())}
    return Signals(windows, flags, (), digest, report.as_dict(), told)


def _normal(names: Sequence[str], given: str | None) -> str:
    if given is not None:
        if given not in names:
            raise InvalidSpec(
                f"normal: no window is labelled {given!r}; labels are {', '.join(names)}",
                field="normal",
            )
        return given
    sounding = [one for one in names if one.lower() in _SOUND_NORMAL]
    if len(sounding) != 1:
        raise InvalidSpec(
            f"normal: which label is that of normal windows? {', '.join(names)}; answer with "
            "--normal LABEL",
            field="normal",
        )
    return sounding[0]


def _parts(found: Windows, flags: IntArray, digest: str) -> IntArray:
    """Parts as they are given; drawn, anomalies without a group go where networks are judged."""
    free = found.part == DRAWN
    if found.groups is not None or not free.all():
        return parts_of(found, flags, digest, numbers=False)
    part = np.empty(len(found), dtype=np.int64)
    usual = flags == 0
    calm = replace(
        found, inputs=found.inputs[usual], labels=found.labels[usual], part=found.part[usual]
    )
    part[usual] = parts_of(calm, flags[usual], digest, numbers=False)
    odd = np.flatnonzero(~usual)
    np.random.default_rng(int(digest[:12], 16)).shuffle(odd)
    part[odd[::2]], part[odd[1::2]] = _TEST, _VALIDATION
    return part


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
                    "to judge by"
                )
    if not (part == _TRAIN).any():
        raise InvalidData("no normal window is left to train on")
