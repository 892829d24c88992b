"""Run a recipe on a network, with the export between its two parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from nas_service.compression.base import OnnxPass, PassContext, TorchPass
from nas_service.compression.masks import bake
from nas_service.compression.recipe import Recipe
from nas_service.networks.export import export
from nas_service.plugins import ONNX_PASSES, TORCH_PASSES, load


@dataclass(frozen=True, slots=True)
class Compressed:
    """The module after the torch passes, its graph, and the graph after the ONNX passes."""

    network: nn.Module
    exported: Path
    final: Path


def apply(
    recipe: Recipe,
    network: nn.Module,
    context: PassContext,
    folder: Path,
    *,
    channels: int,
    on_step: Callable[[str], None] | None = None,
) -> Compressed:
    """Run the steps in order; files are written below `folder`."""
    for step in recipe.torch_steps:
        if on_step is not None:
            on_step(step.name)
        torch_pass: TorchPass = load(TORCH_PASSES, step.name)()
        network = torch_pass.apply(network, replace(context, options=step.options))
    network = bake(network)
    exported = folder / "fp32.onnx"
    export(network, exported, channels=channels, size=context.size)
    final = exported
    for step in recipe.onnx_steps:
        if on_step is not None:
            on_step(step.name)
        onnx_pass: OnnxPass = load(ONNX_PASSES, step.name)()
        destination = folder / f"{step.name}.onnx"
        onnx_pass.apply(final, destination, replace(context, options=step.options))
        final = destination
    return Compressed(network, exported, final)
