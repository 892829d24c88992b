"""How a model is refused, and what is told of one that is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData

MAX_BYTES = 1024**3


def bad(why: str) -> InvalidData:
    """The error of a model that is not taken."""
    return InvalidData(f"the model is not taken: {why}", field="model")


def require_answers(first: npt.NDArray[np.float32], again: npt.NDArray[np.float32]) -> None:
    """Refuse a model whose answers are no numbers, or that answers otherwise the second time.

    Raises:
        InvalidData: says which.
    """
    if not np.isfinite(first).all():
        raise bad("it answers a picture of noise with numbers that are not finite")
    if not np.allclose(first, again, rtol=1e-3, atol=1e-5):
        raise bad(
            "the same picture gives another answer each time: it draws random numbers or is in "
            "training mode; call model.eval() before the export"
        )


def require_shape(own: Sequence[int], asked: Sequence[int] | None) -> None:
    """Refuse a shape `(channels, height, width)` that is not the model's own fixed one.

    Raises:
        InvalidData: names both.
    """
    if asked is not None and list(own) != list(asked):
        raise InvalidData(
            f"the model takes images of {shown(own)}, which cannot be made {shown(asked)}",
            field="shape",
        )


def shown(shape: Sequence[int]) -> str:
    """`(channels, height, width)` as it is written: `3x224x224`."""
    return "x".join("?" if side < 0 else str(side) for side in shape)


def answer(
    form: str, image: tuple[int, ...], logits: tuple[int, ...], operators: list[str]
) -> dict[str, Any]:
    """What `inspect` tells of a model.

    Raises:
        InvalidData: it is no classifier of square images.
    """
    if len(logits) != 2 or logits[0] != 1:
        raise bad(f"its output is {logits}, not (1, classes)")
    _, channels, height, width = image
    if height != width:
        raise bad(f"it takes images of {height} x {width}; only square ones are taken")
    return {
        "form": form,
        "channels": channels,
        "size": height,
        "classes": logits[1],
        "operators": operators,
    }
