"""ExecuTorch files: what the XNNPACK graphs in them hold, and weighted layers outside of them.

python -m nas_service.compilation.shares.xnnpack FILE PRECISION
"""

from __future__ import annotations

import json
import os
import re
import struct
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import as_file, files
from math import prod
from pathlib import Path
from typing import Any

from nas_service.compilation.process import Limits, run_limited
from nas_service.compilation.shares.base import Layer, Shares, counted

_LAYERS = {"XNNConv2d", "XNNDepthwiseConv2d", "XNNFullyConnected", "XNNConvTranspose2d"}
_LIMITS = Limits(time_s=120.0)
_MAGIC = b"XH00"
_INTEGER = {
    *("xnn_datatype_qint8", "xnn_datatype_quint8", "xnn_datatype_qcint8", "xnn_datatype_qcint4"),
}
_OUTSIDE = ("convolution", "addmm", "mm", "linear")
"""Names of kernels with weights that run outside of XNNPACK, in float or not: then in float."""


def of_executorch(path: Path, precision: str) -> Shares | None:
    """The shares of a `.pte`, read in a process of its own; None where ExecuTorch is not there."""
    command = [sys.executable, "-m", "nas_service.compilation.shares.xnnpack", str(path), precision]
    told = json.loads(run_limited(command, "reading it", _LIMITS).splitlines()[-1])
    return None if told is None else counted(Layer(*one) for one in told)


def main() -> None:
    """Print the layers as JSON; null where ExecuTorch is not installed."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what its packages print on import
    path, precision = sys.argv[1:]
    try:
        told: list[Layer] | None = _layers_of(Path(path), precision)
    except ImportError:
        told = None
    answers.write(json.dumps(told) + "\n")
    answers.close()


def _layers_of(path: Path, precision: str) -> list[Layer]:
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary(path.read_bytes()).program
    layers: list[Layer] = []
    for plan in program.execution_plan:
        for delegate in plan.delegates:
            if delegate.id == "XnnpackBackend":
                blob = program.backend_delegate_data[delegate.processed.index].data
                layers += _layers(_graph(bytes(blob)), precision)
        for operator in plan.operators:
            kernel = operator.name.partition("::")[2]
            if kernel in _OUTSIDE:
                layers.append(Layer(kernel, 0, precision == "fp32", precision == "fp32"))
    return layers


def _graph(blob: bytes) -> dict[str, Any]:
    """The graph of one delegate: behind a header that says where it lies."""
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    if blob[4:8] == _MAGIC:
        start, size = struct.unpack_from("<II", blob, 10)
        blob = blob[start : start + size]
    schema = files("executorch.backends.xnnpack.serialization") / "schema.fbs"
    with tempfile.TemporaryDirectory() as name, as_file(schema) as given:
        folder = Path(name)
        (folder / "graph.bin").write_bytes(blob)
        _flatc_decompile(name, str(given), str(folder / "graph.bin"))
        text = (folder / "graph.json").read_text()
        # bounds of activations may be infinite, which flatc writes as no JSON does
        text = re.sub(r": (-?)inf\b", r": \1Infinity", text)
        found: dict[str, Any] = json.loads(text)
        return found


def _layers(graph: dict[str, Any], precision: str) -> Iterator[Layer]:
    values = {}
    for one in graph["xvalues"]:
        union = one["xvalue_union"]
        tensor = union.get("tensor_value", union)
        values[tensor.get("id_out", 0)] = tensor
    for number, node in enumerate(graph["xnodes"]):
        kind = node["xnode_union_type"]
        if kind not in _LAYERS:
            continue
        weight = values[node["xnode_union"]["filter_id"]]
        integer = weight.get("datatype") in _INTEGER
        inside = integer if precision == "int8" else not integer
        yield Layer(f"{kind} {number}", prod(weight.get("dims", [])), inside, inside)


if __name__ == "__main__":
    main()
