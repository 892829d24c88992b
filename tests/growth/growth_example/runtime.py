"""The reference evaluator of the package `onnx` as a runtime of its own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lookup_tables.model import Array, Input, Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.target import Target


class OnnxReference(Runtime):
    """Reads `.ref` files: ONNX graphs in plain numpy."""

    name = "onnx-reference"
    package = "onnx"
    searched = ("fp32",)

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        del target
        return _Evaluated(path)


class _Evaluated:
    def __init__(self, path: Path) -> None:
        import onnx
        from onnx.reference import ReferenceEvaluator

        model = onnx.load_model_from_string(path.read_bytes())
        self._evaluator = ReferenceEvaluator(model)
        self.inputs = {
            one.name: Input(
                tuple(d.dim_value for d in one.type.tensor_type.shape.dim), np.dtype(np.float32)
            )
            for one in model.graph.input
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        return [np.asarray(one) for one in self._evaluator.run(None, dict(feeds))]
