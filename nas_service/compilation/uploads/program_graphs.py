"""Exported programs of any inputs and outputs, as ONNX: what is judged on samples is a graph."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.utils import _pytree as pytree

from lookup_tables.graphs import OPSET
from nas_service.compilation.uploads.any_graph import inspect_graph
from nas_service.compilation.uploads.archives import OpenSizes, rewrite
from nas_service.compilation.uploads.programs import require_inference
from nas_service.compilation.uploads.refusal import bad
from nas_service.errors import NasError

_TOLERANCE = 1e-3
"""Of the program's own answers, relative to the largest of them."""


def inspect_program_graph(path: Path, normalised: Path) -> dict[str, Any]:
    """Check a program, write it as a graph; see `inspect_signature`.

    Inputs have the names of the program's, outputs those of a dictionary's keys, or `output`,
    `output_1` and so on. Open sizes stay open.
    """
    with tempfile.TemporaryDirectory() as folder:
        checked, graph = Path(folder) / "checked.pt2", Path(folder) / "graph.onnx"
        try:
            rewrite(path, checked, open_sizes=OpenSizes.ANY)
            program = torch.export.load(checked)
            require_inference(program)
            names, answers = _answers(program)
            _export(program, graph, names)
        except NasError:
            raise
        except Exception as error:  # whatever torch raises on a broken archive, or an operator
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise bad(
                f"it is cut off, or there is no ONNX graph of it: {lines[0][:300]}"
            ) from error
        told = inspect_graph(graph, normalised)
        _require_same(program, normalised, answers)
    notes = [*told["notes"], "an exported program: its ONNX graph is what is compressed"]
    return {**told, "notes": notes}


def _answers(program: Any) -> tuple[list[str], list[torch.Tensor]]:
    """Names of the outputs, and what the program answers to its example."""
    arguments, keywords = program.example_inputs
    if keywords:
        raise bad(f"it takes {', '.join(keywords)} by keyword: export it with arguments by place")
    with torch.no_grad():
        answered = program.module()(*arguments)
    leaves = pytree.tree_leaves(answered)
    if not leaves or not all(isinstance(one, torch.Tensor) for one in leaves):
        raise bad("its outputs are not all tensors")
    if isinstance(answered, dict) and len(answered) == len(leaves):
        return [str(one) for one in answered], leaves
    return ["output", *(f"output_{n}" for n in range(1, len(leaves)))], leaves


def _export(program: Any, path: Path, names: Sequence[str]) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            program,
            (),
            str(path),
            dynamo=True,
            external_data=False,
            verbose=False,
            opset_version=OPSET,
            output_names=list(names),
        )


def _require_same(program: Any, graph: Path, answers: Sequence[torch.Tensor]) -> None:
    """Refuse a graph that answers otherwise than the program to the program's own example."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    tensors = [one for one in program.example_inputs[0] if isinstance(one, torch.Tensor)]
    names = [one.name for one in session.get_inputs()]
    if len(tensors) != len(names):
        raise bad(f"it has {len(tensors)} inputs, its ONNX graph has {len(names)}")
    found = session.run(None, {name: one.numpy() for name, one in zip(names, tensors, strict=True)})
    for name, wanted, got in zip(session.get_outputs(), answers, found, strict=True):
        expected = wanted.detach().numpy()
        allowed = _TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0.0)))
        if got.shape != expected.shape or not np.allclose(got, expected, rtol=0.0, atol=allowed):
            raise bad(f"its ONNX graph answers otherwise than the program does, at {name.name}")
