"""Texts of cells and arrays as people mean them: stripped, accents composed, bytes decoded."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from nas_service.datasets.names import PARTS, normal, part_of
from nas_service.errors import InvalidData

_WHOLE = re.compile(r"([+-]?\d+)\.0*")


def text_of(value: Any) -> str:
    """A cell as text; whole numbers are the same however they are written (`1.0` is `1`).

    Raises:
        InvalidData: it is of bytes that are no UTF-8.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidData(f"{value[:40]!r} is not UTF-8: {error}") from error
    text = normal(str(value).strip())
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def group_of(value: Any) -> str | None:
    """What a cell says stays together; None where it is empty, or no number."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    return text_of(value) or None


def part_named(value: Any) -> str | None:
    """The part that a cell names, in any spelling; None where it names none."""
    text = text_of(value)
    found = text if text in PARTS else part_of(text)
    return found if found in PARTS else None
