"""Cheaper layers in the place of layers: what they begin as, and what they are set to."""

from __future__ import annotations

import io
import itertools
import json

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from nas_service.networks.elastic.analysis import make_elastic
from nas_service.networks.elastic.members import Plan, cut_out
from nas_service.networks.elastic.pairs import LOW_RANK, SEPARABLE, pair
from nas_service.networks.elastic.settling import settle
from nas_service.networks.elastic.shared import ElasticSupernet
from nas_service.networks.elastic.swaps import Swap, add_swaps, find_swaps
from nas_service.space.base import ImageShape
from nas_service.space.elastic.description import SWAP, ElasticDescription
from nas_service.space.elastic.space import ElasticSpace, OwnModel
from tests.nas_service.networks.own_networks import (
    IMAGE,
    Images,
    WideTokens,
    program_of,
    rebuilt,
    seeded,
)


def _noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(16, 24, 3, stride=2, padding=1), (2, 16, 9, 9)),
        (nn.Conv2d(16, 16, (3, 5), padding=(2, 4), dilation=2, bias=False), (2, 16, 9, 9)),
        (nn.Conv1d(16, 24, 5, stride=2, padding=2), (2, 16, 21)),
    ],
)
def test_what_is_separable_is_met_exactly(layer: nn.Module, shape: tuple[int, ...]) -> None:
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    with torch.no_grad():  # kernels of an input are one kernel times a number
        taps = torch.randn(1, *layer.weight.shape[1:])
        layer.weight.copy_(taps * torch.randn(*layer.weight.shape[:2], *[1] * (taps.ndim - 2)))
        depthwise, pointwise = pair(layer)
        assert torch.allclose(
            pointwise(depthwise(_noise(*shape))), layer(_noise(*shape)), atol=1e-4
        )


def test_what_has_the_rank_is_met_exactly() -> None:
    layer = nn.Linear(96, 64)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(64, 8) @ torch.randn(8, 96))
        down, up = pair(layer)
        assert down.weight.shape == (8, 96)
        assert torch.allclose(up(down(_noise(5, 7, 96))), layer(_noise(5, 7, 96)), atol=1e-2)


def test_no_pair_of_kernels_is_nearer() -> None:
    """The best of a channel is its matrix's first singular value: what is left are the others."""
    layer = nn.Conv2d(16, 16, 3, bias=False)
    depthwise, pointwise = pair(layer)
    weight = layer.weight.detach()
    together = (depthwise.weight.transpose(0, 1) * pointwise.weight).detach()
    for channel in range(16):
        kernels = weight[:, channel].flatten(1)
        missed = (kernels - together[:, channel].flatten(1)).square().sum()
        others = torch.linalg.svdvals(kernels)[1:].square().sum()
        assert float(missed) == pytest.approx(float(others), rel=1e-4)


def _settled_error(network: fx.GraphModule, swap: Swap, x: Tensor) -> float:
    member, _ = cut_out(network, [], Plan({}, swaps=[swap]))
    with torch.no_grad():
        return float((member.eval()(x) - network(x)).square().mean())


def test_a_pair_is_set_to_answer_as_its_layer_does() -> None:
    network = rebuilt(seeded(Images))
    swap = Swap("stride", SEPARABLE)
    add_swaps(network, [swap])
    x = _noise(64, *IMAGE[1:])
    before = _settled_error(network, swap, x)
    settle(network, [swap], x)
    assert _settled_error(network, swap, x) < 0.8 * before
    # by least squares there is nothing better: of the same rows, by another library
    seen: list[Tensor] = []
    layer = network.get_submodule("stride")
    hook = layer.register_forward_hook(lambda _, given, answered: seen.extend([*given, answered]))
    with torch.no_grad():
        network(x)
        hook.remove()
        given = network.get_submodule("stride__depthwise")(seen[0])
        rows = given.flatten(2).transpose(1, 2).reshape(-1, given.shape[1]).numpy()
        wanted = seen[1].flatten(2).transpose(1, 2).reshape(-1, seen[1].shape[1]).numpy()
        found = network.get_submodule("stride__pointwise")(given)
    ours = float((found - seen[1]).square().mean())
    design = np.column_stack([rows, np.ones(len(rows))])
    solved, *_ = np.linalg.lstsq(design, wanted, rcond=None)
    best = float(np.square(design @ solved - wanted).mean())
    assert best <= ours < 1.02 * best


def test_pairs_are_cut_where_their_layers_are() -> None:
    """With a layer that its pair meets exactly, a narrow member is the same with either."""
    original = seeded(Images)
    assert isinstance(original, Images)
    with torch.no_grad():
        taps, mix = torch.randn(1, 32, 3, 3), torch.randn(48, 32, 1, 1)
        original.stride.weight.copy_(taps * mix)
    made = make_elastic(program_of(original), name="x", model_sha256="")
    network = rebuilt(original)
    swap = Swap("stride", SEPARABLE)
    add_swaps(network, [swap])
    channels = {one.name: one.size // 2 for one in made.groups}
    x = _noise(3, *IMAGE[1:])
    with torch.no_grad():
        own, _ = cut_out(network, made.groups, Plan(channels))
        swapped, _ = cut_out(network, made.groups, Plan(channels, swaps=[swap]))
        assert swapped.get_submodule("stride__pointwise").weight.shape == (24, 16, 1, 1)
        assert torch.allclose(own.eval()(x), swapped.eval()(x), atol=1e-4)
    assert not hasattr(swapped, "stride")


@pytest.mark.parametrize("side", [8, 32, 64])
def test_a_pair_is_set_on_all_of_a_map(side: int) -> None:
    """Better than by weights alone, whatever the side of the maps: their border is not all."""
    network = rebuilt(seeded(Images))
    swap = Swap("stride", SEPARABLE)
    add_swaps(network, [swap])
    layer = network.get_submodule("stride")
    maps, fresh = (
        torch.relu(torch.randn((32, 32, side, side), generator=torch.Generator().manual_seed(n)))
        for n in range(2)
    )
    inner = fx.GraphModule(network, _only("stride"))
    for name in swap.parts:
        inner.add_module(name, network.get_submodule(name))
    first, second = (network.get_submodule(name) for name in swap.parts)
    with torch.no_grad():
        before = (second(first(fresh)) - layer(fresh)).var() / layer(fresh).var()
        settle(inner, [swap], maps)
        after = (second(first(fresh)) - layer(fresh)).var() / layer(fresh).var()
    assert after < 0.9 * before


def _only(layer: str) -> fx.Graph:
    """A graph that calls one layer."""
    graph = fx.Graph()
    graph.output(graph.call_module(layer, (graph.placeholder("x"),)))
    return graph


def test_layers_that_save_little_are_not_swapped() -> None:
    network = rebuilt(seeded(Images))
    macs = {"stem_0": 10_000, "stride": 10_000, "head": 1_000_000}
    # the stem reads three channels; of the stride .13 would be left, less than 1 % of all
    assert find_swaps(network, macs) == []
    assert find_swaps(network, macs | {"head": 500_000}) == [Swap("stride", SEPARABLE)]


def _space(kind: type[nn.Module]) -> ElasticSpace:
    program = program_of(seeded(kind))
    made = make_elastic(program, name="x", model_sha256="")
    stored = io.BytesIO()
    torch.export.save(program, stored)
    plain = json.loads(json.dumps(made.description.as_dict()))
    model = OwnModel(stored.getvalue(), made.cuts())
    return ElasticSpace(ElasticDescription.from_dict(plain), ImageShape(16, 3, 4), model)


def test_a_transformers_linear_layers_may_be_of_lower_rank() -> None:
    space = _space(WideTokens)
    swaps = {one.name: one.values for one in space.description.choices if one.about == SWAP}
    assert swaps == {f"swap.{name}": (LOW_RANK, "own") for name in ("qkv", "out", "fc1", "fc2")}
    row = space.largest()
    at = [one.name for one in space.decisions].index("swap.fc1")
    row[at] = 0
    names = [slot.name for slot in space.slots]
    own = names.index("fc1")
    assert names[own : own + 3] == ["fc1", "fc1__down", "fc1__up"]
    nodes = {node.block.key for node in space.wire(row)}
    assert any("in_features64-out_features8" in one for one in nodes)
    # what read the layer reads the pair's second
    wired = space.wire(row)
    second = next(n for n, one in enumerate(wired) if "in_features8-" in one.block.key)
    assert any(second in one.inputs for one in wired)


def test_a_pair_of_lower_rank_is_cheaper_at_every_width() -> None:
    space = _space(WideTokens)
    names = [one.name for one in space.decisions]
    at = names.index("swap.fc1")
    widths = [place for place, name in enumerate(names) if name.startswith("width")]
    for values in itertools.product((0, -1), repeat=len(widths)):
        row = space.largest()
        for place, value in zip(widths, values, strict=True):
            row[place] = 0 if value == 0 else row[place]
        macs = []
        for swapped in (1, 0):
            row[at] = swapped
            macs.append(sum(node.block.macs for node in space.wire(row)))
        assert macs[1] < macs[0], (values, macs)


def test_shared_weights_begin_with_pairs_that_are_set() -> None:
    space = _space(Images)
    shared = ElasticSupernet(space)
    row = space.largest()
    row[[one.name for one in space.decisions].index("swap.stride")] = 0
    x = _noise(64, *IMAGE[1:])
    with torch.no_grad():
        expected = shared.eval()(x, space.largest())
        before = (shared(x, row) - expected).square().mean()
        shared.begin(x)
        assert (shared.eval()(x, row) - expected).square().mean() < before
        assert torch.equal(shared(x, space.largest()), expected)


def test_what_stands_in_a_left_out_region_is_no_choice() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 32, 3, padding=1)
            self.branch = nn.Conv2d(32, 32, 3, padding=1)
            self.head = nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.stem(x)
            logits: Tensor = self.head((y + torch.relu(self.branch(y))).mean((2, 3)))
            return logits

    made = make_elastic(program_of(Deep()), name="x", model_sha256="")
    space = ElasticSpace(made.description, ImageShape(16, 3, 4))
    names = [one.name for one in space.decisions]
    row = space.largest()
    row[names.index("depth.branch")] = 0
    assert space.canonical(row[None])[0][names.index("swap.branch")] == 0
    assert not any("groups32" in node.block.key for node in space.wire(row))
    row[names.index("depth.branch")] = 1
    row[names.index("swap.branch")] = 0
    assert any("groups32" in node.block.key for node in space.wire(row))


def test_descriptions_from_before_there_were_swaps_are_read() -> None:
    plain = json.loads(json.dumps(_space(Images).description.as_dict()))
    for one in plain["pieces"]:
        del one["only_at"]
    assert all(one.only_at is None for one in ElasticDescription.from_dict(plain).pieces)
