"""Signals in CSV or Parquet tables, a row a moment: one file, or a folder of recordings.

Rows of one recording (a value of the group column, or a file) follow each other in time. Windows
are cut from stretches without a gap, and one whose label changes is set aside.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nas_service.datasets.columns import GROUP_NAMES, LABEL_NAMES
from nas_service.datasets.names import PARTS, belongs_to_the_system, part_of
from nas_service.datasets.texts import text_of
from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.signals import times
from nas_service.learning.signals.answers import SignalAnswers
from nas_service.learning.signals.files import as_texts, read_file
from nas_service.learning.signals.read import DRAWN, Windows
from nas_service.learning.signals.recordings import (
    Recording,
    rate_hz,
    require_one_rate,
    usual_step,
    windows_of,
)
from nas_service.learning.single_precision import in_float32

ENDINGS = (".csv", ".parquet")
_LABELS = (*LABEL_NAMES, "activity")
_ANY_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NOTHING = frozenset({"nan", "NaN", "NAN", "null", "NULL", "Null", "NA", "N/A", "n/a", "None"})
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_LEAST_COUNTED = 7
_MOSTLY = 0.5
"""A column of text of which so many cells read as numbers is one of numbers."""


def read_tables(
    source: Path, answers: SignalAnswers, *, numbers: bool, within: Sequence[Path] = ()
) -> Windows:
    """Read the windows of a table or of a folder of them; labels are `numbers` for regression.

    Raises:
        InvalidSpec: an answer is missing; names it.
        InvalidData: says which file, row and column.
    """
    if answers.window is None:
        raise InvalidSpec(
            "window: how many steps of a table make a window? Answer with --window STEPS",
            field="window",
        )
    files = _files(source, within)
    recordings: list[Recording] = []
    names: tuple[str, ...] = ()
    unread: dict[str, None] = {}
    for path in files:
        table = read_file(path)
        place = path.name if path == source else path.relative_to(source).as_posix()
        columns = _columns(table, answers, place)
        texts = (columns.group,) if numbers else (columns.group, columns.label)
        table = as_texts(table, path, texts)
        unread |= dict.fromkeys(columns.unread)
        if names and columns.signals != names:
            raise InvalidData(
                f"{place} has the signals {', '.join(columns.signals)}, {files[0].name} has "
                f"{', '.join(names)}"
            )
        names = columns.signals
        part = _part_of(path, source)
        recordings += _recordings(table, columns, place, part, numbers=numbers)
    counting = _counting(recordings, names)
    unread |= dict.fromkeys(names[channel] for channel in counting)
    names = tuple(one for channel, one in enumerate(names) if channel not in counting)
    recordings = [
        replace(one, values=np.delete(one.values, counting, axis=1)) for one in recordings
    ]
    steps_s = [usual_step(one) for one in recordings if one.times is not None]
    require_one_rate(recordings)
    hop = answers.hop or answers.window
    aside: Counter[str] = Counter()
    cut = [
        (number, window, label)
        for number, one in enumerate(recordings)
        for window, label in windows_of(one, answers.window, hop, aside, numbers=numbers)
    ]
    if not cut:
        longest = max(len(one.values) for one in recordings)
        why = "; ".join(f"{n} {reason}" for reason, n in aside.most_common())
        raise InvalidData(
            f"no window of {answers.window} steps fits: the longest recording has {longest} steps"
            + (f"; {why}" if why else "")
        )
    owners = np.array([number for number, _, _ in cut], dtype=np.int64)
    numbers_of = {name: n for n, name in enumerate(dict.fromkeys(r.group for r in recordings))}
    groups = np.array([numbers_of[recordings[one].group] for one in owners], dtype=np.int64)
    return Windows(
        np.stack([window for _, window, _ in cut]),
        _labels([label for _, _, label in cut]),
        groups,
        np.array([recordings[number].part for number in owners], dtype=np.int64),
        layout="table" if source.is_file() else "recordings",
        channel_names=names,
        rate_hz=rate_hz(steps_s),
        reading=[
            f"windows of {answers.window} steps, one every {hop}",
            f"channels: {', '.join(names)}",
            f"{len(recordings)} recordings of {len(files)} files in {len(numbers_of)} groups, each "
            "of which stays on one side",
        ],
        notes=[f"columns that are not read: {', '.join(unread)}"] if unread else [],
        set_aside=[{"reason": reason, "n": n, "names": []} for reason, n in aside.most_common()],
    )


def _labels(found: Sequence[Any]) -> npt.NDArray[Any]:
    """Labels of windows; texts that are numbers throughout are these, and nothing else beside.

    Among other texts `NA` and `null` are classes, as people call what is none of the others.
    """
    labels = np.array(found)
    if labels.dtype.kind != "U":
        return labels
    different = set(found)
    others = {one for one in different if not _ANY_NUMBER.fullmatch(one)}
    if others <= _NOTHING and len(different) > len(others):
        numbers = {one: np.nan if one in others else float(one) for one in different}
        return np.array([numbers[one] for one in found])
    if lacking := sorted(str(one) for one in others if one.lower() == "nan"):
        n = int((labels == lacking[0]).sum())
        raise InvalidData(f"y has {lacking[0]!r} in {n} windows: no class")
    return labels


def _files(source: Path, within: Sequence[Path]) -> list[Path]:
    """The tables of a folder; links out of the folders `within` are not followed."""
    if source.is_file():
        return [source]
    allowed = [one.resolve() for one in (source, *within)]
    found = sorted(
        one
        for one in source.rglob("*")
        if one.suffix.lower() in ENDINGS
        and not any(belongs_to_the_system(part) for part in one.relative_to(source).parts)
        and any(one.resolve().is_relative_to(folder) for folder in allowed)
    )
    if not found:
        raise InvalidData(f"there is no CSV and no Parquet file in {source.name}")
    return found


def _part_of(path: Path, source: Path) -> int:
    """The part that a folder's name says; drawn where none does."""
    for folder in path.relative_to(source).parts[:-1] if path != source else ():
        named = part_of(folder)
        if named in PARTS:
            return PARTS.index(named)
    return DRAWN


@dataclass(frozen=True)
class _Columns:
    signals: tuple[str, ...]
    label: str
    time: str | None
    group: str | None
    unread: tuple[str, ...]


def _columns(table: pa.Table, answers: SignalAnswers, name: str) -> _Columns:
    there = table.column_names
    label = _named("label_column", answers.label_column, _labels_in(there), there, name)
    if label is None:
        raise InvalidData(
            f"which column of {name} is the label? It has {', '.join(there)}: answer with "
            "--label-column NAME",
            field="label_column",
        )
    known = _known(times.NAMES, there)
    usual = [one for one in known if times.plain(one) in times.USUAL]
    time = _named("time_column", answers.time_column, usual or known, there, name)
    groups = [one for one in _known(GROUP_NAMES, there) if one != label]
    group = _named("group_column", answers.group_column, groups, there, name)
    others = [one for one in there if one not in {label, time, group}]
    if pa.types.is_nested(table[label].type):
        raise InvalidData(
            f"{name}: column {label!r} is {table[label].type}; a label is a number or a text",
            field="label_column",
        )
    counting = {one for one in others if _numbers_rows(one)}
    signals = tuple(
        one for one in others if times.is_number(table[one].type) and one not in counting
    )
    for one in others:
        if one not in signals and one not in counting:
            _require_no_numbers(table[one], one, name)
    if not signals:
        raise InvalidData(f"{name} has no column of numbers beside time, label and group")
    unread = tuple(one for one in others if one not in signals)
    return _Columns(signals, label, time, group, unread)


def _numbers_rows(name: str) -> bool:
    """Whether a column's name says that it numbers rows, as tables are saved with."""
    return name == "" or name.lower() == "index" or name.startswith("Unnamed:")


def _counting(recordings: Sequence[Recording], names: Sequence[str]) -> list[int]:
    """Channels that go up by one from row to row, in all recordings.

    They number rows, and would tell a network the order of these.
    """
    found = list(range(len(names)))
    for one in recordings:
        steps = np.diff(one.values[:, found], axis=0)
        counts = (steps == 1.0).all(axis=0) & (len(steps) >= _LEAST_COUNTED)
        found = [channel for channel, does in zip(found, counts, strict=True) if does]
    return found if len(found) < len(names) else []


def _require_no_numbers(column: pa.ChunkedArray, name: str, file: str) -> None:
    """Refuse a column of text that is meant to be one of numbers: most of it reads as such."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return
    cells = column.to_pylist()
    is_one = [one is not None and _NUMBER.fullmatch(one.strip()) is not None for one in cells]
    if not any(is_one) or sum(is_one) < _MOSTLY * len(cells):
        return
    first = is_one.index(False) if not all(is_one) else is_one.index(True)
    raise InvalidData(
        f"{file}, row {first + 1}, column {name!r} is {cells[first]!r}; other rows have numbers: "
        "write all of them as 1234.5, or leave the column out"
    )


def _labels_in(there: Sequence[str]) -> list[str]:
    """Columns that may be the label by their names; beside `x` or `z`, `y` is an axis."""
    axes = {"x", "z"} & {one.lower() for one in there}
    return [one for one in _known(_LABELS, there) if not (axes and one.lower() == "y")]


def _known(names: Collection[str], there: Sequence[str]) -> list[str]:
    return [one for one in there if times.plain(one) in names]


def _named(
    field: str, answered: str | None, found: Sequence[str], there: Sequence[str], file: str
) -> str | None:
    """The column that was answered, or the one that its name says; None without any.

    Raises:
        InvalidData: the answered one is not there, or more than one may be meant.
    """
    if answered is not None:
        if answered not in there:
            raise InvalidData(
                f"{field}: {file} has no column {answered!r}; it has {', '.join(there)}",
                field=field,
            )
        return answered
    if len(found) > 1:
        raise InvalidData(
            f"which column of {file} is the {field.removesuffix('_column')}, {' or '.join(found)}? "
            f"Answer with --{field.replace('_', '-')} NAME",
            field=field,
        )
    return found[0] if found else None


def _recordings(
    table: pa.Table, columns: _Columns, name: str, part: int, *, numbers: bool
) -> Iterator[Recording]:
    """A file's recordings, in the order in which their groups begin."""
    _require_full(table, (columns.label, columns.group, columns.time, *columns.signals), name)
    values = np.column_stack([times.floats_of(table[one]) for one in columns.signals])
    values = in_float32(values, name, columns.signals)
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = (int(one[0]) for one in np.nonzero(wrong))
        raise InvalidData(
            f"{name}, row {row + 1}, column {columns.signals[column]!r} is not a number; signals "
            "are read without gaps: fill or cut them first"
        )
    labels = np.array(_plain(table[columns.label].to_pylist()))
    if numbers and not np.issubdtype(labels.dtype, np.number):
        raise InvalidData(f"{name}: column {columns.label!r} has text; numbers are needed")
    seconds = (
        None if columns.time is None else times.seconds_of(table[columns.time], name, columns.time)
    )
    keys, groups = np.zeros(len(values), dtype=np.int64), np.array([name])
    if columns.group is not None:
        named = np.array([text_of(one) for one in table[columns.group].to_pylist()])
        groups, keys = np.unique(named, return_inverse=True)
    for key in dict.fromkeys(keys.tolist()):
        rows = np.flatnonzero(keys == key)
        yield Recording(
            name,
            rows + 1,
            values[rows],
            labels[rows],
            None if seconds is None else seconds[rows],
            part,
            str(groups[key]),
        )


def _plain(labels: list[Any]) -> list[Any]:
    """Labels that are texts without what does not show; numbers stay numbers."""
    is_text = any(isinstance(one, str | bytes) for one in labels)
    if is_text:
        return [text_of(one) for one in labels]
    return [float(one) if isinstance(one, Decimal) else one for one in labels]


def _require_full(table: pa.Table, names: Sequence[str | None], file: str) -> None:
    for name in names:
        if name is None or table[name].null_count == 0:
            continue
        row = table[name].is_null().to_pylist().index(True)
        raise InvalidData(
            f"{file}: column {name!r} is empty in {table[name].null_count} of {table.num_rows} "
            f"rows, first in row {row + 1}"
        )
