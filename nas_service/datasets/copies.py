"""Equal pictures in several given parts: which of them stays, and when that has to be asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas_service.datasets.names import PARTS
from nas_service.datasets.report import Alternative, Question

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def on_one_side(given: IntArray, copy_of: IntArray) -> BoolArray:
    """Which pictures stay where equal ones are in several parts: `(n,)`.

    `given` `(n,)` are parts, -1 where they are drawn; `copy_of` `(n,)` the first picture equal to
    each. Those of the part that judges most stay: test before validation before training.
    """
    last = np.full(len(given), -1, dtype=np.int64)
    np.maximum.at(last, copy_of, given)
    return np.asarray(given == last[copy_of])


def mostly_elsewhere(
    labels: IntArray, given: IntArray, kept: BoolArray, classes: Sequence[str]
) -> Question | None:
    """A question where leaving out copies takes most of a class away from a part."""
    for part, name in enumerate(PARTS):
        inside = given == part
        before = np.bincount(labels[inside], minlength=len(classes))
        after = np.bincount(labels[inside & kept], minlength=len(classes))
        short = np.flatnonzero((before > 0) & (2 * after < before))
        if len(short):
            label = int(short[0])
            text = (
                f"{before[label] - after[label]} of {before[label]} pictures of class "
                f"{classes[label]!r} in the {name} part stand in another part too"
            )
            draw = Alternative("draw", "put all parts together and draw them anew, copies together")
            return Question("split", text, (draw,))
    return None
