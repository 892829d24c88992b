"""The front as it was measured: each file surely more accurate than every cheaper one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def with_front(rows: Sequence[Row], objectives: Sequence[str]) -> list[dict[str, Any]]:
    """Result rows, each with `on_front` and, where it is not, `outdone_by`.

    A published file is outdone by one on the front that costs no more in any of the search's
    `objectives` and is not surely less accurate: by no more than the standard error of their
    difference. So the files on a front of one cost differ by more than their standard errors, and
    what another millisecond buys is more than chance. `on_front` is None for files that
    were not published.
    """
    order = sorted(
        (number for number, row in enumerate(rows) if row["published"]),
        key=lambda number: (_costs(rows[number], objectives), -rows[number]["measured_accuracy"]),
    )
    front: list[int] = []
    outdone: dict[int, int] = {}
    for number in order:
        better = [one for one in front if _outdoes(rows[one], rows[number], objectives)]
        if better:
            outdone[number] = max(better, key=lambda one: rows[one]["measured_accuracy"])
        else:
            front.append(number)
    return [
        {
            **row,
            "on_front": number in front if row["published"] else None,
            "outdone_by": _name(rows[outdone[number]]) if number in outdone else None,
        }
        for number, row in enumerate(rows)
    ]


def _outdoes(one: Row, other: Row, objectives: Sequence[str]) -> bool:
    costs = zip(_costs(one, objectives), _costs(other, objectives), strict=True)
    if not all(a <= b for a, b in costs):  # never where one of them is not known
        return False
    errors = (row["measured_accuracy_standard_error"] for row in (one, other))
    lead = float(other["measured_accuracy"]) - float(one["measured_accuracy"])
    return lead <= math.hypot(*errors)


def _costs(row: Row, objectives: Sequence[str]) -> tuple[float, ...]:
    found = (_cost(row, name) for name in objectives)
    return tuple(math.nan if value is None else float(value) for value in found)


def _cost(row: Row, name: str) -> float | None:
    """As measured, or as counted; costs on other devices are not known."""
    if f"measured_{name}" in row:  # latency as its certificate has it
        value: float | None = row[f"measured_{name}"]
        return value
    measured, counted = row.get("measurements", {}).get(name), row.get(name)
    return counted if measured is None else measured


def _name(row: Row) -> dict[str, Any]:
    return {"rank": row["rank"], "precision": row["precision"]}
