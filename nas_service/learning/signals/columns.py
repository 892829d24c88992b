"""Which column of a table of signals is the time, the label, the group, and which are channels."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from nas_service.datasets.columns import GROUP_NAMES, LABEL_NAMES
from nas_service.errors import InvalidData
from nas_service.learning.signals import times
from nas_service.learning.signals.answers import SignalAnswers

_LABELS = (*LABEL_NAMES, "activity")
_ODD = ("anomaly", "is_anomaly", "outlier", "is_outlier")
"""Labels where no column has a more usual name."""
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_MOSTLY = 0.5
"""A column of text of which so many cells read as numbers is one of numbers."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns of one table."""

    signals: tuple[str, ...]
    label: str
    time: str | None
    group: str | None
    unread: tuple[str, ...]


def columns_of(table: pa.Table, answers: SignalAnswers, name: str) -> Columns:
    """The columns of a table called `name`, as answered or by the names that people give them.

    Raises:
        InvalidData: one that was answered is not there, more than one may be meant, or none.
    """
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
    return Columns(signals, label, time, group, unread)


def _numbers_rows(name: str) -> bool:
    """Whether a column's name says that it numbers rows, as tables are saved with."""
    return name == "" or name.lower() == "index" or name.startswith("Unnamed:")


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
    usual = [one for one in _known(_LABELS, there) if not (axes and one.lower() == "y")]
    return usual or _known(_ODD, there)


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
