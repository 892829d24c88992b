"""Make every graph that a network of a search ships as: each recipe once, each form of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from lookup_tables.target import PLAIN_RUNTIME, Deployment
from nas_service.compression.apply import apply_torch
from nas_service.compression.base import OnnxPass, PassContext
from nas_service.compression.catalogue import PASSES
from nas_service.compression.graph_samples import graph_context
from nas_service.compression.searched import SearchedRecipe
from nas_service.errors import Unsupported
from nas_service.networks.export import export
from nas_service.plugins import ONNX_PASSES, TORCH_PASSES, load


@dataclass(frozen=True, slots=True)
class Shipped:
    """A recipe's name and passes, the module that it gives, and its graphs by their names."""

    recipe: str
    passes: Mapping[str, Mapping[str, Any]]
    network: nn.Module
    graphs: Mapping[str, Path]


def ship(
    wanted: Sequence[str],
    network: nn.Module,
    context: PassContext,
    folder: Path,
    finetune: Mapping[str, Any],
) -> Iterator[Shipped]:
    """Graphs named as `Deployment.graph` does, recipe by recipe; files lie below `folder`.

    Recipes that begin alike share what they begin with: a network is fine-tuned once, then trained
    for integers.
    """
    made: dict[str, nn.Module] = {}
    for recipe in dict.fromkeys(one.rpartition(".")[0] for one in wanted):
        forms = [one.rpartition(".")[2] for one in wanted if one.rpartition(".")[0] == recipe]
        parsed = SearchedRecipe.of(Deployment(PLAIN_RUNTIME, "int8", recipe))
        so_far, done = network, ""
        steps = parsed.torch_steps(finetune)
        for step in steps:
            done += repr(step)
            if done not in made:
                _require_keeps_sizes(step.name)
                made[done] = apply_torch(step, so_far, context)
            so_far = made[done]
        shipped = apply_torch(None, so_far, context)
        graphs = {}
        prefix = f"{recipe}." if recipe else ""
        plain = folder / f"{prefix}fp32.onnx"
        export(shipped, plain, context.data.example(context.size))
        if "fp32" in forms:
            graphs[f"{prefix}fp32"] = plain
        if "int8" in forms:
            quantiser: OnnxPass = load(ONNX_PASSES, "static_int8")()
            graphs[f"{prefix}int8"] = folder / f"{prefix}int8.onnx"
            quantiser.apply(plain, graphs[f"{prefix}int8"], graph_context(context))
        passes = {step.name: step.options for step in steps}
        yield Shipped(recipe, passes, shipped, graphs)


def _require_keeps_sizes(name: str) -> None:
    """Raise `Unsupported` where a pass of another package may change what a search has priced."""
    if name not in PASSES and not getattr(load(TORCH_PASSES, name), "keeps_sizes", False):
        raise Unsupported(
            f"pass {name} does not say that it keeps sizes (keeps_sizes = True): a search cannot "
            "price what it makes",
            field="precisions",
        )
