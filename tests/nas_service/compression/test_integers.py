"""Passes that round: in training, and on graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from nas_service.compression import graph_samples, quantization
from nas_service.compression.apply import apply
from nas_service.compression.base import PassContext
from nas_service.compression.quantization_aware import RoundedWeight
from nas_service.compression.recipe import Recipe, Step
from nas_service.errors import InvalidSpec
from nas_service.learning.base import Data
from nas_service.plugins import TORCH_PASSES, load
from nas_service.training.loop import score

ContextOf = Callable[..., PassContext]


def test_weights_are_rounded_to_their_channels_scale() -> None:
    weight = torch.tensor([[127.0, -63.6, 0.4], [1.27, 0.004, 0.0]])
    expected = torch.tensor([[127.0, -64.0, 0.0], [1.27, 0.0, 0.0]])
    torch.testing.assert_close(RoundedWeight()(weight), expected)


@pytest.mark.slow
def test_training_for_integers_recovers_what_rounding_costs(
    trained: nn.Module, context_of: ContextOf, data: Data
) -> None:
    context = context_of("qat", epochs=2)
    taught = load(TORCH_PASSES, "qat")().apply(trained, context)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in taught.modules())
    assert score(taught, data, data.test, context.size) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["static_int8", "mixed_int8", "dynamic_int8", "fp16"])
def test_passes_on_graphs_keep_the_network(
    name: str, trained: nn.Module, context_of: ContextOf, data: Data, tmp_path: Path
) -> None:
    context = context_of(name)
    made = apply(Recipe((Step(name),)), trained, context, tmp_path)
    assert made.exported.read_bytes() != made.final.read_bytes()
    if name != "mixed_int8":
        assert made.final.stat().st_size < made.exported.stat().st_size * 1.6
    session = ort.InferenceSession(str(made.final), providers=["CPUExecutionProvider"])
    images = data.prepared(data.test.inputs[:100], context.size).contiguous().numpy()
    answers = [session.run(None, {"input": images[i : i + 1]})[0][0] for i in range(100)]
    right = (np.array(answers).argmax(1) == data.test.targets[:100].numpy()).mean()
    assert right > 0.85


@pytest.mark.slow
def test_the_faster_activations_are_taken_where_one_is_clearly_so(
    trained: nn.Module,
    context_of: ContextOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made(activations: str, folder: str) -> bytes:
        (tmp_path / folder).mkdir()
        recipe = Recipe.of([{"static_int8": {"activations": activations, "n_images": 16}}])
        context = context_of("static_int8")
        return apply(recipe, trained, context, tmp_path / folder).final.read_bytes()

    plain = {kind: made(kind, kind) for kind in ("uint8", "int8")}
    assert plain["uint8"] != plain["int8"]
    assert made("measured", "here") in plain.values()
    # whichever this machine prefers: what is measured decides
    for number, (int8_ms, wanted) in enumerate([(0.5, "int8"), (0.99, "uint8"), (2.0, "uint8")]):
        times = {"uint8": 1.0, "int8": int8_ms}

        class Told:
            times_ms = times

            def measure(self, models: dict[str, Path], *_: object, **__: object) -> Any:
                return {kind: SimpleNamespace(p50_ms=self.times_ms[kind]) for kind in models}

        monkeypatch.setattr(quantization, "LocalProfiler", Told)
        assert made("measured", f"told{number}") == plain[wanted]


@pytest.mark.slow
def test_layers_alone_are_in_int8_where_that_is_clearly_faster(
    trained: nn.Module,
    context_of: ContextOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = apply(Recipe(()), trained, context_of("fp16"), tmp_path).final

    def made(layers_ms: float | None) -> int:
        """Tensors quantised, where layers alone take so long and all operators 1 ms."""
        times = {"trial": 1.0, "layers": layers_ms}

        class Told:
            def measure(self, models: dict[str, Path], *_: object, **__: object) -> Any:
                assert layers_ms is not None, "nothing is timed unless it is asked for"
                return {kind: SimpleNamespace(p50_ms=times[kind]) for kind in models}

        monkeypatch.setattr(quantization, "LocalProfiler", Told)
        context = context_of("mixed_int8", n_images=16, max_loss=1.0, fastest=layers_ms is not None)
        quantization.MixedInt8Pass().apply(
            source, tmp_path / "mixed.onnx", graph_samples.graph_context(context)
        )
        return _n_quantised(tmp_path / "mixed.onnx")

    def plain(operators: str) -> int:
        context = context_of("static_int8", n_images=16, operators=operators)
        quantization.StaticInt8Pass().apply(
            source, tmp_path / "static.onnx", graph_samples.graph_context(context)
        )
        return _n_quantised(tmp_path / "static.onnx")

    every, layers = plain("all"), plain("layers")
    assert every != layers
    assert (made(None), made(0.99), made(0.5)) == (every, every, layers)


def _n_quantised(graph: Path) -> int:
    return sum(one.op_type == "QuantizeLinear" for one in onnx.load(graph).graph.node)


@pytest.mark.slow
def test_layers_without_names_are_told_apart(
    trained: nn.Module,
    context_of: ContextOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def right(_: object, graph: Path) -> float:  # as if fewer than two layers in float cost much
        made = onnx.load(graph).graph
        names = {one.name for one in made.initializer}
        weights = [n for n in made.node if n.op_type in {"Conv", "Gemm", "MatMul"}]
        return float(sum(one.input[1] in names for one in weights) >= 2)

    monkeypatch.setattr(graph_samples.DataSamples, "score", right)
    context = context_of("mixed_int8", n_images=16, max_loss=0.0)
    source = apply(Recipe(()), trained, context, tmp_path).final
    model = onnx.load(source)
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, source)
    quantization.MixedInt8Pass().apply(
        source, tmp_path / "mixed.onnx", graph_samples.graph_context(context)
    )
    mixed = onnx.load(tmp_path / "mixed.onnx").graph
    plain = {one.name for one in mixed.initializer}
    layers = [n for n in mixed.node if n.op_type in {"Conv", "Gemm", "MatMul"}]
    assert sum(one.input[1] in plain for one in layers) == 2  # the fewest that are enough
    assert len(layers) > 4


def test_more_images_than_fit_are_refused_by_name(
    context_of: ContextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of("static_int8")
    side = context.size
    room = 100 * 4 * side * side  # a hundred images of a channel, four bytes a value
    monkeypatch.setattr("nas_service.learning.base.MAX_PREPARED_BYTES", room)
    assert len(graph_samples.calibration_inputs(context, 100)) == 100
    named = rf"101 images of 1 x {side} x {side} .* at most 100 fit"
    with pytest.raises(InvalidSpec, match=named) as found:
        graph_samples.calibration_inputs(context, 101)
    assert found.value.as_dict()["field"] == "n_images"
