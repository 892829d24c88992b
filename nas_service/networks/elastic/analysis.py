"""From an exported program to a search space: what is elastic, what is frozen, and why."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from nas_service.errors import InvalidData
from nas_service.networks.elastic.describe import (
    Described,
    describe,
    layer_kinds,
    trainable_everywhere,
)
from nas_service.networks.elastic.groups import INPUTS, OUTPUTS, ChannelGroup, Cut
from nas_service.networks.elastic.options import Options, Tell, find_options
from nas_service.networks.elastic.rebuild import rebuild
from nas_service.networks.elastic.regions import Region
from nas_service.space.elastic.description import ElasticDescription

_N_TRIED = 4


@dataclass(frozen=True)
class LayerReport:
    """A layer with weights: the decisions that change it, or why nothing does."""

    layer: str
    kind: str
    decisions: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class Elastic:
    """A space, what its members are cut by, and a report of every layer."""

    description: ElasticDescription
    groups: tuple[ChannelGroup, ...]
    regions: tuple[Region, ...]
    layers: tuple[LayerReport, ...]
    notes: tuple[str, ...]

    def report(self) -> dict[str, Any]:
        """What users are told, as plain JSON values."""
        return {
            "layers": [asdict(one) for one in self.layers],
            "notes": list(self.notes),
            "n_elastic": sum(bool(one.decisions) for one in self.layers),
        }

    def cuts(self) -> bytes:
        """Groups and regions, as `read_cuts` reads them."""
        plain = {
            "groups": [asdict(one) for one in self.groups],
            "regions": [asdict(one) for one in self.regions],
        }
        return json.dumps(plain, separators=(",", ":")).encode()


def make_elastic(
    program: Any,
    *,
    name: str,
    model_sha256: str,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    tell: Tell = lambda *_: None,
) -> Elastic:
    """The space of an exported program.

    Raises:
        InvalidData: it cannot be trained again, or nothing in it can be chosen.
    """
    network = rebuild(program)
    arguments, _ = program.example_inputs
    shape = (1, *arguments[0].shape[1:])
    options = find_options(network, shape, lambda done, note: tell(0.6 * done, note))
    if not options.n_choices:
        raise InvalidData(
            "nothing of the model is elastic: "
            + "; ".join(f"{one.name}: {one.reason}" for one in options.frozen[:8]),
            field="model",
        )
    described = describe(options, lambda done, note: tell(0.6 + 0.3 * done, note))
    tell(0.9, "training steps of the largest, the smallest and random members")
    trainable_everywhere(described.options, _N_TRIED)
    settled = described.options
    with torch.no_grad():
        answer = tuple(network(torch.zeros(shape)).shape[1:])
    made = ElasticDescription(
        name,
        model_sha256,
        described.choices,
        described.pieces,
        described.bypasses,
        shape[1:],
        math.prod(answer),
        mean,
        std,
        answer if len(answer) > 1 else (),
    )
    return Elastic(
        made,
        tuple(settled.groups),
        settled.regions,
        _layers(settled, described),
        _notes(described),
    )


def _notes(described: Described) -> tuple[str, ...]:
    notes = [f"{one.name}: {one.reason}" for one in described.options.frozen if " " in one.name]
    if described.unknown:
        known = ", ".join(described.unknown)
        notes.append(f"priced as copies of their outputs, as no block stands for them: {known}")
    return tuple(notes)


def _layers(options: Options, described: Described) -> tuple[LayerReport, ...]:
    """Every layer, elastic or frozen with the reason."""
    decisions: dict[str, list[str]] = {}
    for width in options.widths:
        for group in width.groups:
            for layer in {cut.layer for cut in group.cuts}:
                decisions.setdefault(layer, []).append(width.name)
    first_depth = len(options.widths)
    layer_of = {
        node.name: str(node.target)
        for node in options.network.graph.nodes
        if node.op == "call_module"
    }
    for number, region in enumerate(options.regions):
        name = described.choices[first_depth + number].name
        for layer in {layer_of[one] for one in region.inside if one in layer_of}:
            decisions.setdefault(layer, []).append(name)
    for kernel in options.kernels:
        decisions.setdefault(kernel.layer, []).append(f"kernel.{kernel.layer}")
    for swap in options.swaps:
        decisions.setdefault(swap.layer, []).append(f"swap.{swap.layer}")
    reasons = {one.name: one.reason for one in reversed(options.frozen)}
    whole = next((one.reason for one in options.frozen if one.name == "all layers"), "")
    return tuple(
        LayerReport(
            layer,
            kind,
            tuple(decisions.get(layer, ())),
            ""
            if layer in decisions
            else reasons.get(layer) or whole or "no group of channels runs through it alone",
        )
        for layer, kind in layer_kinds(options.network).items()
    )


def read_cuts(content: bytes) -> tuple[list[ChannelGroup], list[Region]]:
    """The inverse of `Elastic.cuts`."""
    plain = json.loads(content)
    groups = [
        ChannelGroup(
            one["name"],
            tuple(one["order"]),
            tuple(
                Cut(
                    cut["layer"],
                    OUTPUTS if cut["side"] == OUTPUTS else INPUTS,
                    tuple(cut["places"]),
                    tuple(cut["channels"]),
                    cut["axis"],
                )
                for cut in one["cuts"]
            ),
        )
        for one in plain["groups"]
    ]
    regions = [
        Region(one["name"], one["entry"], one["exit"], tuple(one["inside"]))
        for one in plain["regions"]
    ]
    return groups, regions
