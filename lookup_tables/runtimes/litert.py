"""LiteRT's interpreter with XNNPACK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lookup_tables.model import Array, Input, Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.target import Target


class LiteRt(Runtime):
    """Reads .tflite."""

    name = "litert"
    package = "ai-edge-litert"
    searched = ("fp32", "int8")
    arena_number_bytes: ClassVar[Mapping[str, int]] = {"fp32": 4, "int8": 1}

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        return LiteRtModel(path, target)

    def peak_memory_bytes(self, paths: Sequence[Path]) -> list[int | None]:
        """See `Runtime.peak_memory_bytes`: the arena of its own kernels, without XNNPACK.

        That is what a microcontroller lays out; XNNPACK has a workspace of its own, whose size it
        does not report.
        """
        return [arena_bytes(path) for path in paths]


def arena_bytes(path: Path) -> int | None:
    """From the first to the last byte of all tensors that are no constants; inputs are among them.

    Constants lie in the file's own bytes, which are handed to the interpreter; where every tensor
    of the others is, is read off after it laid them out.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    content = path.read_bytes()
    begin = int(np.frombuffer(content, np.uint8).__array_interface__["data"][0])
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    spans = []
    for one in interpreter.get_tensor_details():
        try:
            tensor = interpreter.tensor(one["index"])()
        except ValueError:  # without memory: scratch that the kernels of this machine do not use
            continue
        start = int(tensor.__array_interface__["data"][0])
        if tensor.nbytes and not begin <= start < begin + len(content):
            spans.append((start, start + tensor.nbytes))
    if not spans:
        return None
    return int(max(end for _, end in spans) - min(start for start, _ in spans))


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
