"""Run a recipe on a network, with the export between its two parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from nas_service.compression.base import OnnxPass, PassContext, TorchPass
from nas_service.compression.graph_samples import graph_context
from nas_service.compression.masks import bake
from nas_service.compression.recipe import Recipe, Step
from nas_service.networks.export import export
from nas_service.plugins import ONNX_PASSES, TORCH_PASSES, load
from nas_service.training.device import CPU


@dataclass(frozen=True, slots=True)
class Compressed:
    """The module after the torch passes, its graph, and the graph after the ONNX passes."""

    network: nn.Module
    exported: Path
    final: Path


def apply_torch(step: Step | None, network: nn.Module, context: PassContext) -> nn.Module:
    """One step on a module; None ends the steps: what it gives has plain weights."""
    if step is None:
        return bake(network).eval()
    torch_pass: TorchPass = load(TORCH_PASSES, step.name)()
    try:
        return torch_pass.apply(network, replace(context, options=step.options))
    finally:
        if context.teacher_network is not None:  # it went where the samples it answered were
            context.teacher_network.to(CPU)


def apply(
    recipe: Recipe,
    network: nn.Module,
    context: PassContext,
    folder: Path,
    *,
    on_step: Callable[[str], None] | None = None,
) -> Compressed:
    """Run the steps in order; files are written below `folder`."""
    for step in recipe.torch_steps:
        if on_step is not None:
            on_step(step.name)
        network = apply_torch(step, network, context)
    network = apply_torch(None, network, context)
    exported = folder / "fp32.onnx"
    export(network, exported, context.data.example(context.size))
    final = exported
    for onnx_step in recipe.onnx_steps:
        if on_step is not None:
            on_step(onnx_step.name)
        onnx_pass: OnnxPass = load(ONNX_PASSES, onnx_step.name)()
        destination = folder / f"{onnx_step.name}.onnx"
        onnx_pass.apply(final, destination, graph_context(context, onnx_step.options))
        final = destination
    return Compressed(network, exported, final)
