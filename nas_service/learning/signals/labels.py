"""What the labels of rows and windows are: classes, numbers, or what is normal and what is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.signals.read import IntArray, Labels

_SOUND_NORMAL = ("normal", "ok", "good", "healthy", "0", "false")
_ANY_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NOTHING = frozenset({"nan", "NaN", "NAN", "null", "NULL", "Null", "NA", "N/A", "n/a", "None"})
_LARGEST_CLASS = 2.0**53
"""Beyond it floats are no longer whole numbers one apart."""


class Labelling(Enum):
    """How the labels of a window's rows make its own."""

    CLASSES = "classes"
    """All have to be the same; else the window is set aside."""
    NUMBERS = "numbers"
    """Their mean."""
    ANOMALIES = "anomalies"
    """The first that is not normal: a window with an anomaly anywhere is one."""

    @property
    def why_none(self) -> str:
        """Why a window is set aside that has no label."""
        lacking = self is Labelling.ANOMALIES
        return f"windows in which {'a label is empty' if lacking else 'the label changes'}"

    def of_rows(self, normal: str | None = None) -> Callable[[Labels], Any]:
        """Gives a window's label by those of its rows `(steps,)`; None where there is none."""
        if self is Labelling.NUMBERS:
            return lambda labels: float(labels.mean())
        if self is Labelling.ANOMALIES:
            return lambda labels: _odd_one(labels.tolist(), str(normal))
        return lambda labels: labels[0] if (labels == labels[0]).all() else None


def _odd_one(labels: Sequence[str], normal: str) -> str | None:
    if "" in labels:
        return None
    return next((one for one in labels if one != normal), normal)


def names_of_rows(labels: Labels) -> npt.NDArray[Any]:
    """Labels of rows `(n,)` as names of classes, empty where there is none.

    Raises:
        InvalidData: see `named`.
    """
    empty = np.zeros(len(labels), dtype=np.bool_)
    if labels.dtype.kind == "f":
        empty = ~np.isfinite(labels)
    elif labels.dtype.kind == "U":
        empty = np.char.strip(labels) == ""
    if empty.all():
        raise InvalidData("no row has a label", field="y")
    names, codes = named(labels[~empty])
    found = np.full(len(labels), "", dtype=np.array(names).dtype)
    found[~empty] = np.array(names)[codes]
    return found


def numbers_or_texts(found: Sequence[Any]) -> npt.NDArray[Any]:
    """Labels; texts that are numbers throughout are these, and nothing else beside.

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


def named(labels: npt.NDArray[Any]) -> tuple[tuple[str, ...], IntArray]:
    """Names of classes, and which of them each label `(n,)` is.

    Raises:
        InvalidData: labels are empty, between whole numbers, or all the same.
    """
    if labels.dtype.kind not in "iufbSU":
        raise InvalidData(f"y has {labels.dtype}; classes are numbers or texts", field="y")
    if np.issubdtype(labels.dtype, np.floating):
        empty = ~np.isfinite(labels)
        if empty.any():
            raise InvalidData(
                f"y is empty in {int(empty.sum())} of {len(labels)} windows, first in window "
                f"{int(np.flatnonzero(empty)[0])}",
                field="y",
            )
        if not (labels == np.round(labels)).all():
            raise InvalidData("y has numbers between whole ones: is it regression?", field="y")
        if (far := np.flatnonzero(np.abs(labels) > _LARGEST_CLASS)).size:
            window = int(far[0])
            raise InvalidData(f"y[{window}] is {labels[window]:g}: no class's number", field="y")
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidData(f"y has text that is not UTF-8: {error}", field="y") from error
    names, codes = np.unique(labels, return_inverse=True)
    if labels.dtype.kind == "U" and not all(one.strip() for one in names.tolist()):
        window = int(np.flatnonzero(np.char.strip(labels) == "")[0])
        raise InvalidData(f"y[{window}] is empty: no class's name", field="y")
    if len(names) < 2:
        raise InvalidData(f"every window is {str(names[0])!r}: two classes are needed", field="y")
    return tuple(str(one) for one in names), codes.ravel().astype(np.int64)


def normal_of(names: Sequence[str], given: str | None) -> str:
    """Which of the names of labels is that of what is normal: as answered, or as it sounds.

    Raises:
        InvalidSpec: there is no such label, or none or several that sound so.
    """
    if given is not None:
        if given not in names and given.removesuffix(".0") in names:
            given = given.removesuffix(".0")
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
