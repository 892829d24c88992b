"""What learning tasks on images share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from nas_service.learning.base import Data, LearningTask


class ImageTask(LearningTask):
    """Samples are square images of 8 bits; facts have `size`, `channels` and `classes`."""

    samples = "images"
    usual_space = "mbconv"

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
            "cut": "middle square",
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
