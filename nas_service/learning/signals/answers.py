"""What a user says about a source of signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas_service.errors import InvalidSpec

_OWN = ("time_column", "label_column", "group_column", "window", "hop", "split", "normal")
_LEAST_WINDOW, _MOST_WINDOW = 8, 65_536


@dataclass(frozen=True, slots=True)
class SignalAnswers:
    """How tables are cut into windows; arrays need none of it.

    A window has `window` steps, the next one begins `hop` steps later (`window` unless given).
    `draws_parts` puts given parts together and draws them anew. `normal` is the label of windows
    that are none of the anomalies.
    """

    time_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    window: int | None = None
    hop: int | None = None
    draws_parts: bool = False
    normal: str | None = None


def parse(values: Mapping[str, Any]) -> SignalAnswers:
    """Answers from what users type.

    Raises:
        InvalidSpec: names the field that signals do not have, or whose value cannot be.
    """
    for name, value in values.items():
        if name not in _OWN and value is not None:
            raise InvalidSpec(f"{name}: signals are read without it", field=name)
    split = values.get("split")
    if split not in (None, "", "draw"):
        raise InvalidSpec(
            f"split: {split!r}; parts of signals come from names of folders and files, or "
            "from the array split, and 'draw' draws them anew",
            field="split",
        )
    window = _whole("window", values.get("window"), _LEAST_WINDOW, _MOST_WINDOW)
    return SignalAnswers(
        time_column=values.get("time_column") or None,
        label_column=values.get("label_column") or None,
        group_column=values.get("group_column") or None,
        window=window,
        hop=_whole("hop", values.get("hop"), 1, _MOST_WINDOW),
        draws_parts=split == "draw",
        normal=values.get("normal") or None,
    )


def _whole(name: str, value: Any, least: int, most: int) -> int | None:
    if value is None:
        return None
    if not least <= int(value) <= most:
        raise InvalidSpec(f"{name}: {value} is not between {least} and {most}", field=name)
    return int(value)
