"""Exported programs of any inputs and outputs, as ONNX: what is judged on samples is a graph."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch.utils import _pytree as pytree

from lookup_tables.graphs import OPSET
from nas_service.compilation.uploads.any_graph import inspect_graph
from nas_service.compilation.uploads.archives import OpenSizes, rewrite
from nas_service.compilation.uploads.programs import require_inference
from nas_service.compilation.uploads.refusal import bad
from nas_service.compilation.uploads.same_answers import same
from nas_service.errors import NasError

Array = npt.NDArray[Any]
_GIVEN_BACK = "_orig"
"""Follows the name of an input that is an output as well, in graphs that torch writes."""


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
            _export(program, graph, _names(program))
        except NasError:
            raise
        except Exception as error:  # whatever torch raises on a broken archive, or an operator
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise bad(
                f"it is cut off, or there is no ONNX graph of it: {lines[0][:300]}"
            ) from error
        inspected = inspect_graph(graph, normalised)
        _require_same(program, normalised)
    notes = [*inspected["notes"], "an exported program: its ONNX graph is what is compressed"]
    return {**inspected, "notes": notes}


def _names(program: Any) -> list[str]:
    """Names of the outputs."""
    arguments, keywords = program.example_inputs
    if not all(isinstance(one, torch.Tensor) for one in arguments):
        raise bad("its inputs are not all tensors")
    for name, one in zip(program.graph_signature.user_inputs, arguments, strict=False):
        if one.dtype.is_complex:
            raise bad(f"its input {name} is complex; numbers, whole or not, are taken")
    if keywords:
        raise bad(f"it takes {', '.join(keywords)} by keyword: export it with arguments by place")
    with torch.no_grad():
        answered = program.module()(*arguments)
    leaves = pytree.tree_leaves(answered)
    if not leaves or not all(isinstance(one, torch.Tensor) for one in leaves):
        raise bad("its outputs are not all tensors")
    numbered = ["output", *(f"output_{n}" for n in range(1, len(leaves)))]
    if not isinstance(answered, dict) or len(answered) != len(leaves):
        return numbered
    taken = set(program.graph_signature.user_inputs)
    named = [str(one) or numbered[place] for place, one in enumerate(answered)]
    # a graph has each name once, a recurrent state the same on both sides
    return [f"{one}_out" if one in taken else one for one in named]


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


def _require_same(program: Any, graph: Path) -> None:
    """Refuse a graph that answers otherwise than the program: to its example, and to noise."""
    functional = program.run_decompositions({})  # in which what is changed in place is listed
    if changed := sorted(functional.graph_signature.buffers_to_mutate.values()):
        raise bad(
            f"it changes its buffer {changed[0]} whenever it runs, and a graph keeps nothing: take "
            "that as an input, and return what it becomes"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    asked = list(program.graph_signature.user_inputs)
    names = [one.name for one in session.get_inputs()]
    unchanged = [one for one in asked if f"{one}{_GIVEN_BACK}" in names]
    if unchanged:
        raise bad(
            f"it returns its input {', '.join(unchanged)} as it was given: leave it out of what "
            "forward returns"
        )
    if names != asked:
        raise bad(f"its inputs are {', '.join(asked)}, those of its ONNX graph {', '.join(names)}")
    example = [one.detach() for one in program.example_inputs[0]]
    generator = torch.Generator().manual_seed(0)
    noise = [
        torch.randn(one.shape, generator=generator).to(one.dtype)
        if one.is_floating_point()
        else one
        for one in example
    ]
    for inputs in (example, noise):
        with torch.no_grad():
            answers = pytree.tree_leaves(program.module()(*inputs))
        feeds = {name: one.numpy() for name, one in zip(names, inputs, strict=True)}
        found = session.run(None, feeds)
        for output, answer, of_graph in zip(session.get_outputs(), answers, found, strict=True):
            if not same(np.asarray(of_graph), answer.detach().numpy()):
                raise bad(
                    f"its ONNX graph answers otherwise than the program does, at {output.name}"
                )
