"""A graph on which ONNX Runtime breaks is refused, and takes nobody with it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lookup_tables import loading
from lookup_tables.errors import LookupTableError
from lookup_tables.target import Target

TARGET = Target("here", "onnxruntime", onnxruntime.__version__, "fp32")


def _saved(path: Path, *nodes: Any) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((4, 4), np.float32), "w")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_graphs_that_load_are_taken_in_either_way(tmp_path: Path) -> None:
    product = helper.make_node("MatMul", ["x", "w"], ["h"])
    for name, kind in (("plain", "Relu"), ("apart", "Celu")):
        path = _saved(tmp_path / f"{name}.onnx", product, helper.make_node(kind, ["h"], ["y"]))
        loading.require_loads(path, TARGET)


def test_what_cannot_be_loaded_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _saved(tmp_path / "odd.onnx", helper.make_node("Celu", ["no"], ["y"]))
    with pytest.raises(LookupTableError, match="ONNXRuntimeError"):
        loading.require_loads(path, TARGET)

    def broken(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], -11, "", "")

    monkeypatch.setattr(loading.subprocess, "run", broken)
    with pytest.raises(LookupTableError, match="it was ended by SIGSEGV"):
        loading.require_loads(path, TARGET)
