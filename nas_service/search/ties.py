"""Winners that a test part cannot tell apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas_service.learning.base import LearningTask


def tied(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two result rows differ by no more than the standard error of their difference."""
    one, other = (float(row["measured_accuracy_standard_error"]) for row in (first, second))
    apart = abs(float(first["measured_accuracy"]) - float(second["measured_accuracy"]))
    return apart <= math.hypot(one, other)


def with_ties(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Result rows, each with `tied_with`: ranks of the winners it is tied with in its precision."""
    return [
        {
            **row,
            "tied_with": sorted(
                other["rank"]
                for other in rows
                if other["rank"] != row["rank"]
                and other["precision"] == row["precision"]
                and row["measured_accuracy"] is not None
                and other["measured_accuracy"] is not None
                and tied(row, other)
            ),
        }
        for row in rows
    ]


def verdict(rows: Sequence[Mapping[str, Any]], n_test: int, task: LearningTask) -> dict[str, Any]:
    """What the test part can tell of these winners: numbers and a sentence."""
    measured = [row for row in rows if row["measured_accuracy"] is not None]
    if not measured:
        return {"n_test": n_test, "resolution": None, "n_tied": 0, "n_front": 0, "text": ""}
    metric = task.metric(measured[0].get("metric", ""))
    what = "accuracies" if metric.label == "accuracy" else f"values of {metric.label}"
    usual = float(np.median([row["measured_accuracy_standard_error"] for row in measured]))
    apart = math.sqrt(2.0) * usual
    ranks = {row["rank"] for row in measured}
    n_tied = len({row["rank"] for row in measured if row["tied_with"]})
    values = apart * abs(metric.best - metric.worst)
    by = f"{values:.3g} {metric.unit}" if metric.unit else f"{100 * apart:.1f} points"
    text = f"{n_test} test {task.samples} tell {what} apart that differ by {by}"
    if n_tied:
        text += f"; {n_tied} of {len(ranks)} winners are ties with another one"
        if n_tied == len(ranks) and len(ranks) > 1:
            text += ": a larger test part is needed to choose between them"
    text += task.remark(metric, measured)
    n_front = sum(bool(row.get("on_front")) for row in rows)
    if n_front:
        text += (
            f"; files on the measured front: {n_front}, each more accurate than every cheaper one "
            "by more than the standard error"
        )
    return {
        "n_test": n_test,
        "resolution": round(apart, 5),
        "n_tied": n_tied,
        "n_front": n_front,
        "text": text,
    }
