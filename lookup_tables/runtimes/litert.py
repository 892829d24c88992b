"""LiteRT's interpreter with XNNPACK."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lookup_tables.model import Array, Input, Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.target import Target


class LiteRt(Runtime):
    """Reads .tflite."""

    name = "litert"
    package = "ai-edge-litert"
    searched = ("fp32", "int8")

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        return LiteRtModel(path, target)


class LiteRtModel:
    """An interpreter; integers at the borders are converted by the file's own scales."""

    def __init__(self, path: Path, target: Target) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=target.threads)
        self._interpreter.allocate_tensors()
        details = self._interpreter.get_input_details()
        self._places = {one["name"]: one for one in details}
        self._outputs = self._interpreter.get_output_details()
        self.inputs = {
            one["name"]: Input(tuple(int(v) for v in one["shape"]), np.dtype(one["dtype"]))
            for one in details
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        for name, values in feeds.items():
            place = self._places[name]
            self._interpreter.set_tensor(place["index"], _to_integers(values, place))
        self._interpreter.invoke()
        return [
            _to_floats(self._interpreter.get_tensor(one["index"]), one) for one in self._outputs
        ]


def _to_integers(values: Array, place: Mapping[str, Any]) -> Array:
    """Floats as a quantised input takes them, by the file's own scale; others as they are."""
    kind = np.dtype(place["dtype"])
    if kind.kind == "f" or values.dtype == kind:
        return values
    scale, zero = place["quantization"]
    limits = np.iinfo(kind)
    rounded = np.clip(np.rint(values / scale) + zero, limits.min, limits.max)
    return np.asarray(rounded, dtype=kind)


def _to_floats(values: Array, place: Mapping[str, Any]) -> Array:
    """What a quantised output stands for; others as they are."""
    scale, zero = place["quantization"]
    if values.dtype.kind == "f" or not scale:
        return values
    return np.asarray((values.astype(np.float32) - zero) * np.float32(scale))
