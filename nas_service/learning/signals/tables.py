"""Signals in CSV or Parquet tables, a row a moment: one file, or a folder of recordings.

Rows of one recording (a value of the group column, or a file) follow each other in time. Windows
are cut from stretches without a gap; what their rows' labels make theirs is the task's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nas_service.datasets.names import (
    belongs_to_the_system,
    normal,
)
from nas_service.datasets.texts import text_of
from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.signals import times
from nas_service.learning.signals.answers import SignalAnswers
from nas_service.learning.signals.columns import Columns, columns_of
from nas_service.learning.signals.files import as_texts, read_file
from nas_service.learning.signals.labels import (
    Labelling,
    names_of_rows,
    normal_of,
    numbers_or_texts,
)
from nas_service.learning.signals.parts import parts_of_files, with_groups_whole
from nas_service.learning.signals.read import Windows
from nas_service.learning.signals.recordings import (
    Recording,
    rate_hz,
    require_one_rate,
    usual_step,
    windows_of,
)
from nas_service.learning.single_precision import Rounding

ENDINGS = (".csv", ".parquet")
_LEAST_COUNTED = 7


def read_tables(
    source: Path, answers: SignalAnswers, *, labelling: Labelling, within: Sequence[Path] = ()
) -> Windows:
    """Read the windows of a table or of a folder of them.

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
    recordings, names, unread = _read_all(files, source, answers, labelling)
    recordings, notes = with_groups_whole(recordings, files, source)
    steps_s = [usual_step(one) for one in recordings if one.times is not None]
    require_one_rate(recordings)
    hop = answers.hop or answers.window
    usual = None
    if labelling is Labelling.ANOMALIES:
        recordings, usual = _of_one_kind(recordings, answers.normal)
    aside: Counter[str] = Counter()
    cut = [
        (number, window, label)
        for number, one in enumerate(recordings)
        for window, label in windows_of(one, answers.window, hop, aside, labelling, usual)
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
        numbers_or_texts([label for _, _, label in cut]),
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
            *(
                ["a window with an anomaly in any of its rows is one"]
                if labelling is Labelling.ANOMALIES
                else []
            ),
        ],
        notes=[*notes, *([f"columns that are not read: {', '.join(unread)}"] if unread else [])],
        set_aside=[{"reason": reason, "n": n, "names": []} for reason, n in aside.most_common()],
    )


def _read_all(
    files: Sequence[Path], source: Path, answers: SignalAnswers, labelling: Labelling
) -> tuple[list[Recording], tuple[str, ...], list[str]]:
    """The recordings of all files, names of their channels, and of columns that are not read."""
    recordings: list[Recording] = []
    names: tuple[str, ...] = ()
    unread: dict[str, None] = {}
    roundings: dict[str, Rounding] = {}
    for path, part in zip(files, parts_of_files(files, source), strict=True):
        table = read_file(path)
        place = normal(path.name if path == source else path.relative_to(source).as_posix())
        columns = columns_of(table, answers, place)
        numbers = labelling is Labelling.NUMBERS
        texts = (columns.group,) if numbers else (columns.group, columns.label)
        table = as_texts(table, path, texts)
        unread |= dict.fromkeys(columns.unread)
        if names and columns.signals != names:
            raise InvalidData(
                f"{place} has the signals {', '.join(columns.signals)}, {files[0].name} has "
                f"{', '.join(names)}"
            )
        names = columns.signals
        recordings += _recordings(table, columns, place, part, roundings, numbers=numbers)
    for name, rounding in roundings.items():
        rounding.require_little(f"column {name!r}", name)
    counting = _counting(recordings, names)
    unread |= dict.fromkeys(names[channel] for channel in counting)
    kept = tuple(one for channel, one in enumerate(names) if channel not in counting)
    found = [replace(one, values=np.delete(one.values, counting, axis=1)) for one in recordings]
    return found, kept, list(unread)


def _of_one_kind(
    recordings: Sequence[Recording], answered: str | None
) -> tuple[list[Recording], str]:
    """Recordings whose labels are names that are the same in all of them, and the normal one."""
    rows = [label for one in recordings for label in one.labels.tolist()]
    names = names_of_rows(numbers_or_texts(rows))
    ends = np.cumsum([len(one.labels) for one in recordings])[:-1]
    of_each = np.split(names, ends)
    found = [replace(one, labels=own) for one, own in zip(recordings, of_each, strict=True)]
    return found, normal_of([one for one in np.unique(names).tolist() if one], answered)


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


def _recordings(
    table: pa.Table,
    columns: Columns,
    name: str,
    part: int,
    roundings: dict[str, Rounding],
    *,
    numbers: bool,
) -> Iterator[Recording]:
    """A file's recordings, in the order in which their groups begin."""
    _require_full(table, (columns.label, columns.group, columns.time, *columns.signals), name)
    wide = np.column_stack([times.floats_of(table[one]) for one in columns.signals])
    values = wide.astype(np.float32)
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = (int(one[0]) for one in np.nonzero(wrong))
        raise InvalidData(
            f"{name}, row {row + 1}, column {columns.signals[column]!r} is not a number; signals "
            "are read without gaps: fill or cut them first"
        )
    for channel, signal in enumerate(columns.signals):
        one = roundings.setdefault(signal, Rounding())
        one.add(wide[:, channel], values[:, channel])
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
