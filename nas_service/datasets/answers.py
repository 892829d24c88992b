"""What a user says about a source where it can be read in more than one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import ImageColor

from nas_service.datasets.names import PARTS
from nas_service.errors import InvalidSpec

FOLDERS, TABLE, PARQUET, ARRAYS = LAYOUTS = ("folders", "table", "parquet", "arrays")
IGNORE, DRAW = "ignore", "draw"
LEAF, TOP, GROUPS, PATH, FLAT = NESTED = ("leaf", "top", "groups", "path", "flat")
"""How classes are named in folders within folders: by the innermost folder, by the outermost
(`groups`: below it are groups that stay on one side), by both; `flat`: names that sound like
parts are classes."""
MIN_SIZE, MAX_SIZE = 8, 1024
_OF_SIGNALS = ("time_column", "window", "hop", "normal")


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to an import's questions; None, or empty, where the source speaks for itself.

    `split` says for names found in the source which part they are (`train`, `validation`, `test`,
    or `ignore`), or, with the one key `*`, that parts are drawn anew. `value_range` is what is
    black and what is white in numbers beyond 8 bits.
    """

    image_size: int | None = None
    layout: str | None = None
    split: Mapping[str, str] = field(default_factory=dict)
    classes: str | None = None
    background: tuple[int, int, int] | None = None
    value_range: tuple[float, float] | None = None
    allow_unreadable: float = 0.0
    image_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None

    @property
    def draws_parts(self) -> bool:
        """Whether given parts are put together and drawn anew."""
        return self.split.get("*") == DRAW

    def as_dict(self) -> dict[str, Any]:
        """What `parse` takes; without what was not answered."""
        written = {
            "image_size": self.image_size,
            "layout": self.layout,
            "split": ",".join(
                value if name == "*" else f"{name}={value}" for name, value in self.split.items()
            ),
            "classes": self.classes,
            "background": None if self.background is None else "#" + bytes(self.background).hex(),
            "value_range": None
            if self.value_range is None
            else f"{self.value_range[0]!r},{self.value_range[1]!r}",
            "allow_unreadable": f"{100 * self.allow_unreadable:g}%"
            if self.allow_unreadable
            else None,
            "image_column": self.image_column,
            "label_column": self.label_column,
            "group_column": self.group_column,
        }
        return {name: value for name, value in written.items() if value not in {None, ""}}


def parse(values: Mapping[str, Any]) -> Answers:
    """Answers from what users type: `split` as `Testing=test,extra=ignore` or `draw`.

    Raises:
        InvalidSpec: names the field whose value cannot be.
    """
    for name in _OF_SIGNALS:
        if values.get(name) is not None:
            raise InvalidSpec(f"{name}: pictures are read without it", field=name)
    size = values.get("image_size")
    if size is not None and not MIN_SIZE <= int(size) <= MAX_SIZE:
        raise InvalidSpec(
            f"image_size: {size} is not between {MIN_SIZE} and {MAX_SIZE}", field="image_size"
        )
    return Answers(
        image_size=None if size is None else int(size),
        layout=_one_of("layout", values.get("layout"), LAYOUTS),
        split=_split(values.get("split")),
        classes=_one_of("classes", values.get("classes"), NESTED),
        background=_colour(values.get("background")),
        value_range=_range(values.get("value_range")),
        allow_unreadable=_share(values.get("allow_unreadable")),
        **{
            name: values.get(name) or None
            for name in ("image_column", "label_column", "group_column")
        },
    )


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> str | None:
    if value is None or value in known:
        return None if value is None else str(value)
    raise InvalidSpec(f"{name}: {value!r} is none of {', '.join(known)}", field=name)


def _split(text: Any) -> dict[str, str]:
    if not text:
        return {}
    if text == DRAW:
        return {"*": DRAW}
    found = {}
    for pair in str(text).split(","):
        name, _, part = pair.rpartition("=")
        if not name or part not in (*PARTS, IGNORE):
            raise InvalidSpec(
                f"split: {pair!r} is not of the form NAME=PART, where PART is one of "
                f"{', '.join((*PARTS, IGNORE))} ({DRAW!r} alone draws parts anew)",
                field="split",
            )
        found[name.strip()] = part
    return found


def _colour(text: Any) -> tuple[int, int, int] | None:
    if not text:
        return None
    try:
        red, green, blue = ImageColor.getrgb(str(text))[:3]
    except ValueError as error:
        raise InvalidSpec(
            f"background: {text!r} is no colour (white, black, #rrggbb)", field="background"
        ) from error
    return red, green, blue


def _range(text: Any) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        low, high = (float(value) for value in str(text).split(","))
    except ValueError as error:
        raise InvalidSpec(
            f"value_range: {text!r} is not of the form LOW,HIGH", field="value_range"
        ) from error
    if not (-1e30 < low < high < 1e30):
        raise InvalidSpec(f"value_range: {text!r} is not a range", field="value_range")
    return low, high


def _share(text: Any) -> float:
    if not text:
        return 0.0
    try:
        written = str(text).strip()
        share = float(written.rstrip("% ")) / (100.0 if written.endswith("%") else 1.0)
    except ValueError as error:
        raise InvalidSpec(
            f"allow_unreadable: {text!r} is no share (1%, 0.01)", field="allow_unreadable"
        ) from error
    if not 0.0 <= share < 1.0:
        raise InvalidSpec(
            f"allow_unreadable: {text!r} is not between 0 and 100 %", field="allow_unreadable"
        )
    return share
