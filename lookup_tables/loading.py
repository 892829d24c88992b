"""Whether ONNX Runtime loads a graph, asked of a process of its own where it may break.

python -m lookup_tables.loading < {"path": ..., "target": ...}

It ends its process on some graphs of branches, loops and recurrent layers, once these are in fp16
or int8 and its own passes have gone over them.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import onnx

from lookup_tables.errors import LookupTableError
from lookup_tables.runtimes.registry import load
from lookup_tables.target import Target

_LONGEST_S = 300.0
_PLAIN = frozenset(
    {
        *("Conv", "ConvTranspose", "Gemm", "MatMul", "Relu", "Clip", "LeakyRelu", "PRelu", "Elu"),
        *("Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softmax", "Add", "Sub", "Mul", "Div"),
        *("AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "Concat"),
        *("Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Pad", "Resize"),
        *("BatchNormalization", "Identity", "Constant", "Cast", "QuantizeLinear"),
        "DequantizeLinear",
    }
)
"""Operators of graphs that are loaded where they are asked for."""


def may_break(graph: Path) -> bool:
    """Whether a graph has operators beyond those that networks of pictures are made of."""
    operators = {node.op_type for node in onnx.load(graph, load_external_data=False).graph.node}
    return not operators <= _PLAIN


def require_loads(graph: Path, target: Target) -> None:
    """Load a graph as measuring does.

    Raises:
        LookupTableError: ONNX Runtime breaks on it, or does not end.
        Exception: what it raises where it does not take the graph.
    """
    if not may_break(graph):
        load(graph, target)
        return
    try:
        done = subprocess.run(  # our own interpreter
            [sys.executable, "-m", "lookup_tables.loading"],
            input=json.dumps({"path": str(graph), "target": target.as_dict()}),
            text=True,
            capture_output=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LookupTableError(f"it takes more than {_LONGEST_S:.0f} s") from error
    if done.returncode < 0:
        raise LookupTableError(f"it was ended by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise LookupTableError(
            said[-1].replace(str(graph), graph.name) if said else "no word of why"
        )


def main() -> None:
    """Read a request, and load the graph."""
    request = json.load(sys.stdin)
    load(Path(request["path"]), Target(**request["target"]))


if __name__ == "__main__":
    main()
