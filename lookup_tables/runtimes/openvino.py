"""OpenVINO's CPU plug-in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from lookup_tables.model import OPEN, Array, Input, Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.target import Target


class OpenVino(Runtime):
    """Reads ONNX graphs, its own format, and that in a zip of its two files."""

    name = "openvino"
    package = "openvino"
    searched = ("fp32", "bf16", "int8")
    reads_graphs = True
    set_by_precision = True

    def load(self, path: Path, target: Target) -> Model:
        """See `Runtime.load`."""
        return OpenVinoModel(path, target)


class OpenVinoModel:
    """A compiled model with the precision that the target asks for."""

    def __init__(self, path: Path, target: Target) -> None:
        import openvino

        hint = {"fp32": "f32", "int8": "f32", "bf16": "bf16", "fp16": "f16"}[target.precision]
        settings = {
            "INFERENCE_NUM_THREADS": target.threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": hint,
        }
        core = openvino.Core()
        if path.suffix == ".zip":
            with ZipFile(path) as packed:
                model = core.read_model(packed.read("model.xml"), packed.read("model.bin"))
        else:
            model = core.read_model(str(path))
        compiled = core.compile_model(model, "CPU", settings)
        self._request = compiled.create_infer_request()
        self._n_outputs = len(compiled.outputs)
        self.inputs = {
            _name_of(one): Input(
                tuple(size.get_length() if size.is_static else OPEN for size in one.partial_shape),
                np.dtype(one.element_type.to_dtype()),
            )
            for one in compiled.inputs
        }

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Model.run`."""
        self._request.infer(dict(feeds))
        return [self._request.get_output_tensor(i).data for i in range(self._n_outputs)]


def _name_of(port: Any) -> str:
    """What an input was called in the graph: OpenVINO joins it with names that are equal to it."""
    own = str(port.node.friendly_name)
    return own if own in port.names else str(port.any_name)
