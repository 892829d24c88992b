"""Exported programs of any signature as graphs: names, open sizes, and what is refused of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from onnx.helper import (
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_tensor_value_info,
)
from torch import Tensor, nn

from nas_service.compilation.uploads.inspect import inspect_signature
from nas_service.compilation.uploads.same_answers import same
from nas_service.errors import InvalidData
from tests.recorded_models import CLASSES, HIDDEN, tagger_program


def _saved(network: nn.Module, path: Path, *example: Tensor, **keywords: Tensor) -> Path:
    torch.export.save(torch.export.export(network.eval(), example, keywords), path)
    return path


def test_names_types_and_open_sizes_are_those_of_the_program(tmp_path: Path) -> None:
    path = tagger_program(tmp_path / "tagger.pt2")
    told = inspect_signature(path, tmp_path / "ready.onnx")
    signature = told["signature"]
    shapes = {one["name"]: (one["dtype"], one["shape"]) for one in signature["inputs"]}
    assert shapes == {
        "words": ("int64", [1, None]),
        "state": ("float32", [1, HIDDEN]),
        "gain": ("float32", []),
    }
    assert [one["name"] for one in signature["outputs"]] == ["scores", "next_state"]
    session = onnxruntime.InferenceSession(str(tmp_path / "ready.onnx"))
    words = np.arange(5)[None]
    state, gain = np.full((1, HIDDEN), 0.1, np.float32), np.float32(1.5)
    got = session.run(None, {"words": words, "state": state, "gain": np.asarray(gain)})
    with torch.no_grad():
        wanted = torch.export.load(path).module()(
            torch.from_numpy(words), torch.from_numpy(state), torch.tensor(1.5)
        )
    assert got[0].shape == (1, 5, CLASSES)
    assert np.allclose(got[0], wanted["scores"], atol=1e-5)
    assert np.allclose(got[1], wanted["next_state"], atol=1e-5)


def test_outputs_without_names_are_numbered(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x + 1, x * 2

    path = _saved(Two(), tmp_path / "two.pt2", torch.zeros(1, 4))
    told = inspect_signature(path, tmp_path / "ready.onnx")
    assert [one["name"] for one in told["signature"]["outputs"]] == ["output", "output_1"]


def test_a_state_of_the_same_name_on_both_sides_is_told_apart(tmp_path: Path) -> None:
    class State(nn.Module):
        def forward(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
            return {"y": x + h, "h": torch.tanh(x * h)}

    path = _saved(State(), tmp_path / "state.pt2", torch.zeros(1, 4), torch.zeros(1, 4))
    signature = inspect_signature(path, tmp_path / "ready.onnx")["signature"]
    assert [one["name"] for one in signature["inputs"]] == ["x", "h"]
    assert [one["name"] for one in signature["outputs"]] == ["y", "h_out"]


def test_an_input_that_is_given_back_is_named(tmp_path: Path) -> None:
    class Back(nn.Module):
        def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            return x + 1, h

    path = _saved(Back(), tmp_path / "back.pt2", torch.zeros(1, 4), torch.zeros(1, 4))
    with pytest.raises(InvalidData, match="returns its input h as it was given"):
        inspect_signature(path, tmp_path / "ready.onnx")


def test_an_example_that_has_gradients_is_no_fault(tmp_path: Path) -> None:
    example = torch.zeros(1, 4, requires_grad=True)
    path = _saved(nn.Linear(4, 2), tmp_path / "grad.pt2", example)
    assert inspect_signature(path, tmp_path / "ready.onnx")["form"] == "onnx"


def test_strided_maps_of_open_sizes_are_taken(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU()).eval()
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    program = torch.export.export(network, (torch.zeros(1, 3, 16, 12),), dynamic_shapes=(sides,))
    torch.export.save(program, tmp_path / "maps.pt2")
    told = inspect_signature(tmp_path / "maps.pt2", tmp_path / "ready.onnx")
    assert told["signature"]["inputs"][0]["shape"] == [1, 3, None, None]
    session = onnxruntime.InferenceSession(str(tmp_path / "ready.onnx"))
    (found,) = session.run(
        None, {session.get_inputs()[0].name: np.ones((1, 3, 20, 30), np.float32)}
    )
    assert found.shape == (1, 4, 10, 15)


def test_numbers_are_held_against_the_scale_of_their_column() -> None:
    expected = np.zeros((1, 5, 40))
    expected[0, :4], expected[0, 4] = 600.0, 0.5
    found = expected.copy()
    assert same(found, expected)
    found[0, 0] += 0.3  # half a thousandth of a box's number
    assert same(found, expected)
    found[0, 4] += 0.1  # a score
    assert not same(found, expected)
    endless = expected.copy()
    endless[0, 0, 0] = np.inf
    assert same(endless, endless)
    assert not same(expected, endless)
    other = endless.copy()
    other[0, 4] = 0.9
    assert not same(other, endless)
    assert not same(np.full(3, 0.2), np.zeros(3))


class _Named(nn.Module):
    def forward(self, x: Tensor, *, scale: Tensor) -> Tensor:
        return x * scale


class _Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


@pytest.mark.parametrize(
    ("network", "example", "keywords", "said"),
    [
        (_Named(), (torch.zeros(1, 4),), {"scale": torch.ones(1)}, "takes scale by keyword"),
        (nn.Identity(), (torch.zeros(1, 4) + 1j,), {}, "its input input is complex"),
        (_Noisy(), (torch.zeros(1, 4),), {}, "draws random numbers"),
        (nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), (torch.zeros(1, 4),), {}, None),
    ],
    ids=["keyword", "complex", "random", "taken"],
)
def test_what_cannot_be_written_as_a_graph_is_refused(
    network: nn.Module,
    example: tuple[Tensor, ...],
    keywords: dict[str, Tensor],
    said: str | None,
    tmp_path: Path,
) -> None:
    path = _saved(network, tmp_path / "program.pt2", *example, **keywords)
    if said is None:
        assert inspect_signature(path, tmp_path / "ready.onnx")["form"] == "onnx"
        return
    with pytest.raises(InvalidData, match=said):
        inspect_signature(path, tmp_path / "ready.onnx")


def test_a_program_in_training_mode_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).train()
    torch.export.save(torch.export.export(network, (torch.zeros(1, 4),)), tmp_path / "t.pt2")
    with pytest.raises(InvalidData, match="it is in training mode"):
        inspect_signature(tmp_path / "t.pt2", tmp_path / "ready.onnx")


def _graph(path: Path, outputs: list[str], weight: float) -> Path:
    values = numpy_helper.from_array(np.full((4, 4), weight, np.float32), "w")
    named = [make_tensor_value_info(one, TensorProto.FLOAT, [1, 4]) for one in ("x", *outputs)]
    node = make_node("MatMul", ["x", "w"], ["y"])
    graph = make_graph([node], "g", named[:1], named[1:], [values])
    onnx.save(make_model(graph, opset_imports=[make_opsetid("", 18)], ir_version=10), path)
    return path


@pytest.mark.parametrize(
    ("outputs", "weight", "said"),
    [
        (["y", "y"], 1.0, "its output y is there 2 times"),
        (["y"], float("nan"), "its weight w has values that are no numbers"),
        (["y"], float("-inf"), None),
    ],
)
def test_a_graph_says_each_output_once_and_has_numbers_for_weights(
    outputs: list[str], weight: float, said: str | None, tmp_path: Path
) -> None:
    """Infinities mask something out, as in attention."""
    path = _graph(tmp_path / "graph.onnx", outputs, weight)
    if said is None:
        assert inspect_signature(path, tmp_path / "ready.onnx")["form"] == "onnx"
        return
    with pytest.raises(InvalidData, match=said):
        inspect_signature(path, tmp_path / "ready.onnx")


def test_a_program_that_keeps_a_state_is_refused_with_its_name(tmp_path: Path) -> None:
    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("hidden", torch.zeros(1, 4))

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = x + self.hidden
            self.hidden.copy_(x)
            return answer

    path = _saved(Stateful(), tmp_path / "state.pt2", torch.zeros(1, 4))
    with pytest.raises(InvalidData, match="it changes its buffer hidden whenever it runs"):
        inspect_signature(path, tmp_path / "ready.onnx")
