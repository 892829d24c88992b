"""Winners that a test part cannot tell apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas_service.training.metrics import METRICS, share_error, unequal


def resolution(accuracy: float, n_test: int) -> float:
    """How far two accuracies near `accuracy` have to be apart to differ by their standard error.

    Of the difference of two shares of `n_test` images each: the root of two times that of one.
    """
    return float(np.sqrt(2.0) * share_error(accuracy, n_test))


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


def _balance(rows: Sequence[Mapping[str, Any]]) -> str:
    """What is to be said where accuracy tells little, as classes of the test part are unequal."""
    told = [row["classification"] for row in rows if row.get("classification")]
    if not told or rows[0].get("metric", "accuracy") != "accuracy":
        return ""
    counts = {str(number): sum(row) for number, row in enumerate(told[0]["confusion"] or [])}
    apart = unequal(counts)
    if apart is None:
        return ""
    low, high = (pick(one["balanced_accuracy"] for one in told) for pick in (min, max))
    return (
        f"; its classes are unequal ({apart[0]} to {apart[1]} images), so look at balanced "
        f"accuracy: {100 * low:.1f} to {100 * high:.1f} % (a search may maximise it)"
    )


def verdict(rows: Sequence[Mapping[str, Any]], n_test: int) -> dict[str, Any]:
    """What the test part can tell of these winners: numbers and a sentence."""
    measured = [row for row in rows if row["measured_accuracy"] is not None]
    if not measured:
        return {"n_test": n_test, "resolution": None, "n_tied": 0, "n_front": 0, "text": ""}
    label = METRICS[measured[0].get("metric", "accuracy")].label
    what = "accuracies" if label == "accuracy" else f"values of {label}"
    usual = float(np.median([row["measured_accuracy_standard_error"] for row in measured]))
    apart = math.sqrt(2.0) * usual
    ranks = {row["rank"] for row in measured}
    n_tied = len({row["rank"] for row in measured if row["tied_with"]})
    text = f"{n_test} test images tell {what} apart that differ by {100 * apart:.1f} points"
    if n_tied:
        text += f"; {n_tied} of {len(ranks)} winners are ties with another one"
        if n_tied == len(ranks) and len(ranks) > 1:
            text += ": a larger test part is needed to choose between them"
    text += _balance(measured)
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
