"""A data set of signals as it is stored, with parts in which no group stands on both sides."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.report import Report
from nas_service.datasets.splits import notes_on_groups, split_of
from nas_service.errors import InvalidData
from nas_service.learning.base import Progress
from nas_service.learning.signals import arrays, tables
from nas_service.learning.signals.answers import SignalAnswers
from nas_service.learning.signals.labels import Labelling, named
from nas_service.learning.signals.read import DRAWN, IntArray, Windows

PARTS = ("train", "validation", "test")
_LEAST_A_PART = 2
_LEAST_DRAWN = 5
_QUANTILES = 5
"""Numbers are drawn into parts as classes of so many equal shares."""
_UNEVEN = 10.0


@dataclass(frozen=True)
class Signals:
    """Windows with targets: class numbers of `classes`, or, without any, numbers."""

    windows: Windows
    targets: npt.NDArray[Any]
    classes: tuple[str, ...]
    digest: str
    report: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    """Facts of the task's own."""

    @property
    def nbytes(self) -> int:
        """Bytes of the stored windows."""
        return int(self.windows.inputs.nbytes)

    def facts(self) -> dict[str, Any]:
        """See `Ingested.facts`."""
        _, channels, steps = self.windows.inputs.shape
        counts = np.bincount(self.windows.part, minlength=len(PARTS))
        named = {"classes": list(self.classes)} if self.classes else {}
        return {
            "size": steps,
            "channels": channels,
            "channel_names": list(self.windows.channel_names),
            "rate_hz": self.windows.rate_hz,
            **named,
            **{f"n_{part}": int(n) for part, n in zip(PARTS, counts, strict=True)},
            **self.told,
            "report": dict(self.report),
        }

    def save(self, path: Path) -> None:
        """See `Ingested.save`."""
        found = self.windows
        with path.open("wb") as stream:
            np.savez(stream, inputs=found.inputs, targets=self.targets, part=found.part)


def read(
    source: Path,
    answers: SignalAnswers,
    *,
    numbers: bool,
    tell: Progress,
    within: Sequence[Path],
) -> Signals:
    """Read a source into parts; labels are `numbers` for regression, else names of classes.

    Raises:
        InvalidData, InvalidSpec: say what is at fault, and where.
    """
    labelling = Labelling.NUMBERS if numbers else Labelling.CLASSES
    found = windows_of(source, answers, labelling, tell=tell, within=within)
    targets: npt.NDArray[Any]
    classes, targets = ((), _numbers(found.labels)) if numbers else named(found.labels)
    digest = digest_of(found, targets, classes)
    found = replace(found, part=parts_of(found, targets, digest, numbers=numbers))
    told: dict[str, Any] = {}
    if numbers:
        targets, told = _standardised(targets, found.part)
    report = report_of(found, targets, classes).as_dict()
    return Signals(found, targets, classes, digest, report, told)


def windows_of(
    source: Path,
    answers: SignalAnswers,
    labelling: Labelling,
    *,
    tell: Progress,
    within: Sequence[Path],
) -> Windows:
    """The windows of a source, with the parts that are given; see `read`."""
    tell(0.1, "reading")
    if source.suffix.lower() == ".npz":
        found = arrays.read_arrays(source, numbers=labelling is Labelling.NUMBERS)
    else:
        found = tables.read_tables(source, answers, labelling=labelling, within=within)
    tell(0.6, f"{len(found):,} windows; drawing parts")
    if answers.draws_parts:
        found = replace(found, part=np.full(len(found), DRAWN, dtype=np.int64))
    return found


def _numbers(labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if labels.dtype.kind not in "iuf":
        raise InvalidData(f"y has {labels.dtype}; regression needs numbers", field="y")
    targets = labels.astype(np.float64)
    if not np.isfinite(targets).all():
        window = int(np.flatnonzero(~np.isfinite(targets))[0])
        raise InvalidData(f"y[{window}] is not a number", field="y")
    if float(np.ptp(targets)) == 0.0:
        raise InvalidData("y is the same in every window: there is nothing to learn", field="y")
    return targets[:, None]


def _standardised(
    targets: npt.NDArray[Any], part: IntArray
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Numbers less the mean of those for training, in their standard deviations; and both.

    Raises:
        InvalidData: of a part all are the same: nothing could be learned, or told apart.
    """
    for number, name in enumerate(PARTS):
        if float(np.ptp(targets[part == number])) == 0.0:
            same = float(targets[part == number][0, 0])
            raise InvalidData(f"y is {same:g} in every window for {name}", field="y")
    mean, std = (float(of(targets[part == 0])) for of in (np.mean, np.std))
    return ((targets - mean) / std).astype(np.float32), {"target_mean": mean, "target_std": std}


def digest_of(found: Windows, targets: npt.NDArray[Any], classes: tuple[str, ...]) -> str:
    """A digest of windows, targets and given parts."""
    made = hashlib.sha256()
    for one in (found.inputs, targets, found.part):
        made.update(np.ascontiguousarray(one).tobytes())
    made.update(repr((found.inputs.shape, classes)).encode())
    return made.hexdigest()


def parts_of(found: Windows, targets: npt.NDArray[Any], digest: str, *, numbers: bool) -> IntArray:
    """Parts as they are given; what is not is drawn, whole groups at a time."""
    strata = targets
    if numbers:
        edges = np.quantile(targets, np.linspace(0, 1, _QUANTILES + 1)[1:-1])
        strata = np.searchsorted(edges, targets[:, 0])
    if found.groups is None and len(found) < _LEAST_DRAWN and (found.part == DRAWN).any():
        raise InvalidData(
            f"{len(found)} windows: at least {_LEAST_DRAWN} are needed to draw parts of"
        )
    groups = found.groups if found.groups is not None else np.arange(len(found))
    part = split_of(
        found.inputs,  # type: ignore[arg-type]  # read only where groups are not given
        np.asarray(strata, dtype=np.int64),
        found.part,
        int(digest[:12], 16),
        groups=groups,
    )
    counts = np.bincount(part, minlength=len(PARTS))
    for name, n in zip(PARTS, counts, strict=True):
        if n < _LEAST_A_PART:
            raise InvalidData(f"{n} windows are for {name}, {_LEAST_A_PART} at least are needed")
    return part


def report_of(found: Windows, targets: npt.NDArray[Any], classes: tuple[str, ...]) -> Report:
    """What users are told of the windows in their parts."""
    counts = {
        part: dict(Counter(classes[one] for one in targets[found.part == number].tolist()))
        for number, part in enumerate(PARTS)
        if classes
    }
    _, channels, steps = found.inputs.shape
    rate = "" if found.rate_hz is None else f" at {found.rate_hz:g} Hz"
    reading = (f"{channels} channels of {steps} steps{rate}", *found.reading)
    return Report(
        found.layout,
        classes,
        counts,
        reading,
        (*found.notes, *_notes(found, targets, classes, counts)),
        tuple(found.set_aside),
    )


def _notes(
    found: Windows,
    targets: npt.NDArray[Any],
    classes: tuple[str, ...],
    counts: Mapping[str, Mapping[str, int]],
) -> list[str]:
    """What deserves a look: what tells nothing, what is rare, what stands on both sides."""
    notes = []
    flat = [
        name
        for name, values in zip(found.channel_names, found.inputs.swapaxes(0, 1), strict=True)
        if float(np.ptp(values)) == 0.0
    ]
    if flat:
        notes.append(f"channels that never change: {', '.join(flat)}")
    sizes = [int((targets == number).sum()) for number in range(len(classes))]
    if sizes and max(sizes) >= _UNEVEN * min(sizes):
        notes.append(f"classes are unequal: {min(sizes)} to {max(sizes)} windows")
    for part, of_part in counts.items():
        if missing := [name for name in classes if name not in of_part]:
            notes.append(f"classes without a window in {part}: {', '.join(missing)}")
    notes += notes_on_groups(found.groups, found.part)
    twins = _on_both_sides(found)
    if twins:
        notes.append(
            f"{twins} windows for validation or testing are also among those for training, number "
            "for number: measured quality will be too good"
        )
    return notes


def _on_both_sides(found: Windows) -> int:
    """Windows that are held out and trained on, number for number."""
    keys = np.array([hashlib.sha256(one.tobytes()).hexdigest() for one in found.inputs])
    trained = set(keys[found.part == 0].tolist())
    return sum(one in trained for one in keys[found.part != 0].tolist())
