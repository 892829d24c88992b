"""What learning tasks on images share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, ClassVar

from nas_service.errors import InvalidSpec
from nas_service.learning.base import Data, LearningTask

_SQUARE = ("image_size", "split")


def square_answers(values: Mapping[str, Any], what: str, least: int, most: int) -> dict[str, Any]:
    """What is said of pictures with `what`: how large they are, and whether parts are drawn.

    Raises:
        InvalidSpec: names the field that there is not, or whose value cannot be.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if unknown := sorted(set(given) - set(_SQUARE)):
        raise InvalidSpec(f"{unknown[0]}: {what} are read without it", field=unknown[0])
    side = given.get("image_size", least)
    if not least <= int(side) <= most:
        raise InvalidSpec(
            f"image_size: {side} is not between {least} and {most}", field="image_size"
        )
    if given.get("split") not in (None, "", "draw"):
        raise InvalidSpec(
            f"split: {given['split']!r}; parts of pictures with {what} come from the source, and "
            "'draw' draws them anew",
            field="split",
        )
    return given


class ImageTask(LearningTask):
    """Samples are square images of 8 bits; facts have `size`, `channels` and `classes`."""

    samples = "images"
    usual_space = "mbconv"
    cut: ClassVar[str] = "middle square"
    """What of a picture is stored."""

    def stored(self, facts: Mapping[str, Any]) -> str:
        """See `LearningTask.stored`."""
        colours = "grey" if facts["channels"] == 1 else "RGB"
        return f"{facts['size']}x{facts['size']} pixels, {colours}"

    def preprocessing(self, facts: Mapping[str, Any], data: Data, size: int) -> dict[str, Any]:
        """See `LearningTask.preprocessing`; `preprocess.py` carries it out."""
        from nas_service.learning.image_classification.data import Images

        assert isinstance(data, Images)
        reading = facts.get("reading") or {}
        return {
            "size": size,
            "channels": data.example(size)[1],
            "stored_size": int(facts["size"]),
            "background": reading.get("background", "#ffffff"),
            "value_range": reading.get("value_range"),
            "cut": self.cut,
            "resize": "bilinear, antialiased",
            "scale": 1 / 255,
            "mean": list(data.mean),
            "std": list(data.std),
            "layout": "NCHW",
            "code": "preprocess.py",
        }

    def bundle_files(self, facts: Mapping[str, Any]) -> Mapping[str, str]:
        """See `LearningTask.bundle_files`."""
        templates = files("nas_service").joinpath("templates")
        names = ("verify.py", "preprocess.py")
        code = {name: templates.joinpath(name).read_text() for name in names}
        return {"class_names.json": json.dumps(facts["classes"]), **code}
