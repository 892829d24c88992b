"""A network of one's own made elastic: against masks, modules written by hand, and counts."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.segmentation.shape import MaskedImageShape
from nas_service.networks.build import build, count_macs
from nas_service.networks.elastic.analysis import Elastic, make_elastic
from nas_service.networks.elastic.groups import INPUTS, OUTPUTS, find_groups
from nas_service.networks.elastic.members import Plan, cut_out, shapes_of
from nas_service.networks.elastic.rebuild import rebuild
from nas_service.networks.elastic.regions import find_regions
from nas_service.networks.elastic.shared import ElasticSupernet
from nas_service.networks.export import export
from nas_service.space.base import ImageShape, IntArray, SearchSpace, input_size, lower
from nas_service.space.elastic.description import DEPTH, KERNEL, WIDTH, ElasticDescription
from nas_service.space.elastic.space import ElasticSpace, OwnModel
from nas_service.space.sampling import uniform
from nas_service.space.testing import SearchSpaceContract
from tests.nas_service.networks.own_networks import (
    IMAGE,
    SIGNAL,
    Images,
    Joined,
    Residual,
    Signals,
    Tied,
    Tokens,
    WideTokens,
    program_of,
    rebuilt,
    seeded,
)

NETWORKS = [
    (Images, IMAGE),
    (Joined, IMAGE),
    (Tokens, IMAGE),
    (WideTokens, IMAGE),
    (Signals, SIGNAL),
]
each_network = pytest.mark.parametrize(
    ("kind", "shape"), NETWORKS, ids=[kind.__name__ for kind, _ in NETWORKS]
)


@cache
def _made(kind: type[nn.Module], shape: tuple[int, ...] = IMAGE) -> Elastic:
    program = program_of(seeded(kind), shape)
    return make_elastic(program, name="elastic-test", model_sha256="none")


def _space(kind: type[nn.Module], tmp_path: Path, shape: tuple[int, ...] = IMAGE) -> ElasticSpace:
    made = _made(kind, shape)
    file = tmp_path / "model.pt2"
    torch.export.save(program_of(seeded(kind), shape), file)
    plain = json.loads(json.dumps(made.description.as_dict()))
    model = OwnModel(file.read_bytes(), made.cuts())
    return ElasticSpace(ElasticDescription.from_dict(plain), ImageShape(16, 3, 4), model)


def _noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def _input(space: SearchSpace, row: IntArray, shape: tuple[int, ...]) -> Tensor:
    size = input_size(space, row)
    return _noise(5, *shape[1:2], *(size for _ in shape[2:]))


@each_network
def test_rebuilt_a_network_answers_as_before_for_any_batch(
    kind: type[nn.Module], shape: tuple[int, ...]
) -> None:
    original = seeded(kind)
    made = rebuilt(original, shape)
    x = _noise(5, *shape[1:])
    with torch.no_grad():
        assert torch.allclose(made(x), original(x), atol=1e-6)


@each_network
def test_the_largest_member_is_the_network(
    kind: type[nn.Module], shape: tuple[int, ...], tmp_path: Path
) -> None:
    space = _space(kind, tmp_path, shape)
    x = _input(space, space.largest(), shape)
    with torch.no_grad():
        assert torch.allclose(build(space, space.largest())(x), seeded(kind)(x), atol=1e-6)


@each_network
def test_pieces_have_as_many_products_as_the_member_that_is_cut_out(
    kind: type[nn.Module], shape: tuple[int, ...], tmp_path: Path
) -> None:
    space = _space(kind, tmp_path, shape)
    for row in uniform(space, 12, np.random.default_rng(0)):
        member = build(space, row).eval()
        counted = count_macs(member, _input(space, row, shape)[:1])
        layers = ("traced_conv", "traced_linear")
        told = sum(one.macs for one in lower(space, row) if one.kind in layers)
        assert told == counted


@each_network
def test_members_export_and_run_the_same(
    kind: type[nn.Module], shape: tuple[int, ...], tmp_path: Path
) -> None:
    space = _space(kind, tmp_path, shape)
    ends = [space.smallest(), space.largest()]
    for number, row in enumerate([*ends, *uniform(space, 4, np.random.default_rng(1))]):
        member, x = build(space, row).eval(), _input(space, row, shape)[:1]
        export(member, tmp_path / f"{number}.onnx", tuple(x.shape))
        session = onnxruntime.InferenceSession(tmp_path / f"{number}.onnx")
        (found,) = session.run(None, {"input": x.numpy()})
        with torch.no_grad():
            assert np.abs(found - member(x).numpy()).max() < 1e-4


def test_a_member_answers_as_the_network_with_those_channels_masked() -> None:
    """Masks stand where channels were removed: after every layer whose outputs are cut."""
    network = rebuilt(seeded(Images))
    groups, _ = find_groups(network, torch.zeros(IMAGE))
    x = _noise(5, *IMAGE[1:])
    channels = {one.name: one.size // 2 for one in groups if one.name != "head"}
    member, _ = cut_out(network, groups, Plan(channels))
    hooks = []
    for group in groups:
        gone = set(group.order[channels.get(group.name, group.size) :])
        for cut in group.cuts:
            places = [p for p, c in zip(cut.places, cut.channels, strict=True) if c in gone]
            if cut.side == OUTPUTS and places:

                def masked(_: nn.Module, __: object, y: Tensor, at: list[int] = places) -> Tensor:
                    y = y.clone()
                    y[:, at] = 0.0
                    return y

                layer = network.get_submodule(cut.layer)
                hooks.append(layer.register_forward_hook(masked))
    assert hooks
    with torch.no_grad():
        assert torch.allclose(member.eval()(x), network(x), atol=1e-5)
        for hook in hooks:
            hook.remove()
        assert not torch.allclose(member(x), network(x), atol=1e-2)


def test_without_a_region_the_network_goes_on_as_if_its_block_were_not_there() -> None:
    original = seeded(Images)
    network = rebuilt(original)
    regions = find_regions(network, shapes_of(network, IMAGE))
    assert [one.name for one in regions] == ["first", "second"]
    member, _ = cut_out(network, [], Plan({}, regions[:1]))
    assert isinstance(original, Images)
    original.first = nn.Identity()  # type: ignore[assignment]  # the block's place
    x = _noise(3, *IMAGE[1:])
    with torch.no_grad():
        assert torch.allclose(member(x), original(x), atol=1e-6)


def test_a_transformers_block_has_two_regions_and_its_heads_stay() -> None:
    made = _made(Tokens)
    depths = [one.name for one in made.description.choices if one.about == DEPTH]
    assert len(depths) == 2
    layers = {one.layer: one for one in made.layers}
    assert "width.fc1" in layers["fc1"].decisions
    assert "width.fc1" in layers["fc2"].decisions
    assert "width.patches" in layers["qkv"].decisions
    # what attention reshapes by number can only go as a whole
    cut = {(cut.layer, cut.side) for group in made.groups for cut in group.cuts}
    assert ("qkv", INPUTS) in cut
    assert ("qkv", OUTPUTS) not in cut


def test_the_channels_of_the_largest_norm_stay() -> None:
    network = seeded(Joined)
    assert isinstance(network, Joined)
    with torch.no_grad():
        for number in range(16):
            network.left.weight[number] = 0.01
        for number in (3, 11, 5):
            network.left.weight[number] = 5.0 + number
    groups, _ = find_groups(rebuilt(network), torch.zeros(IMAGE))
    (left,) = [one for one in groups if one.name == "left"]
    assert left.order[:3] == (11, 5, 3)
    assert sorted(left.order) == list(range(16))


def test_a_cropped_kernel_is_the_middle_of_the_whole_one() -> None:
    original = seeded(Images)
    network = rebuilt(original)
    member, _ = cut_out(network, [], Plan({}, [], {"first_depthwise": 3}))
    assert isinstance(original, Images)
    with torch.no_grad():  # the same as a kernel whose edge is zero
        edge = torch.ones(5, 5)
        edge[1:4, 1:4] = 0.0
        original.first.depthwise.weight.mul_(1.0 - edge)
        x = _noise(3, *IMAGE[1:])
        assert torch.allclose(member(x), original(x), atol=1e-5)
    assert member.get_submodule("first_depthwise").weight.shape == (64, 1, 3, 3)
    made = _made(Images).description.choices
    assert [(c.name, c.values) for c in made if c.about == KERNEL] == [
        ("kernel.first_depthwise", (3, 5)),
        ("kernel.second_depthwise", (3, 5)),
    ]


def test_a_shared_member_answers_as_the_one_that_is_cut_out(tmp_path: Path) -> None:
    space = _space(Images, tmp_path)
    shared = ElasticSupernet(space).eval()
    for row in uniform(space, 5, np.random.default_rng(3)):
        x = _input(space, row, IMAGE)
        with torch.no_grad():
            assert torch.allclose(shared(x, row), shared.subnet(row).eval()(x), atol=1e-6)


def test_only_what_a_member_uses_learns_from_it(tmp_path: Path) -> None:
    space = _space(Images, tmp_path)
    shared = ElasticSupernet(space).train()
    row = space.smallest()
    shared(_input(space, row, IMAGE), row).square().mean().backward()
    reached = {
        name: one.grad.abs().sum().item()
        for name, one in shared.named_parameters()
        if one.grad is not None
    }
    assert reached["network.stem_0.weight"] > 0.0
    stem = dict(shared.named_parameters())["network.stem_0.weight"].grad
    assert stem is not None
    untouched = (stem.flatten(1).abs().sum(1) == 0.0).sum().item()
    assert untouched == 32 - 8  # a quarter of the stream is kept
    assert "network.first_expand.weight" not in reached  # the smallest leaves that block out


def test_the_original_stays_as_it_came_while_shared_weights_change(tmp_path: Path) -> None:
    space = _space(Images, tmp_path)
    shared = ElasticSupernet(space)
    with torch.no_grad():
        for one in shared.parameters():
            one.add_(1.0)
    x, teacher = _noise(3, *IMAGE[1:]), shared.original()
    assert teacher is not None
    with torch.no_grad():
        assert torch.allclose(teacher(x), seeded(Images)(x), atol=1e-6)


def test_what_a_left_out_region_holds_is_no_choice_any_more(tmp_path: Path) -> None:
    space = _space(Images, tmp_path)
    names = [one.name for one in space.decisions]
    row = space.largest()
    row[names.index("depth.first")] = 0
    canonical = space.canonical(row[None])[0]
    inside = [place for place, one in enumerate(names) if one.startswith("width.first")]
    assert len(inside) == 2  # expanded channels, and those of the gate
    assert all(canonical[place] == 0 for place in inside)
    assert canonical[names.index("width.second_expand")] > 0


def test_a_region_before_an_activation_can_be_left_out() -> None:
    """What was joined to nothing in the whole network is joined to nothing in a member."""

    class PreActivation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 32, 3, padding=1)
            self.branch = nn.Conv2d(32, 32, 3, padding=1)
            self.head = nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.stem(x)
            y = torch.relu(y + self.branch(torch.sigmoid(y)))
            logits: Tensor = self.head(y.mean((2, 3)))
            return logits

    made = make_elastic(program_of(PreActivation()), name="x", model_sha256="")
    assert [one.name for one in made.description.choices if one.about == DEPTH] == ["depth.branch"]


def test_a_space_is_for_the_samples_that_its_model_reads() -> None:
    description = _made(Images).description
    description.require_fits(ImageShape(16, 3, 4))
    description.require_fits(ImageShape(64, 3, 2))  # pictures are made as large as it takes them
    with pytest.raises(InvalidSpec, match="gives 4 numbers, the data set asks for 10"):
        description.require_fits(ImageShape(16, 3, 10))
    with pytest.raises(InvalidSpec, match=r"takes \(1, 3, 16, 16\), the data set has samples of"):
        description.require_fits(ImageShape(16, 1, 4))


def test_a_space_of_maps_is_for_masks_of_that_side_and_as_many_classes() -> None:
    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.maps = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.maps(torch.relu(self.inside(x)))
            return found

    description = make_elastic(program_of(Maps()), name="x", model_sha256="").description
    assert (description.answer, description.n_outputs) == ((3, 16, 16), 3 * 16 * 16)
    again = ElasticDescription.from_dict(json.loads(json.dumps(description.as_dict())))
    for one in (description, again):
        one.require_fits(MaskedImageShape(16, 3, 3, 16))
        for sample in (
            MaskedImageShape(16, 3, 2, 16),
            MaskedImageShape(16, 3, 12, 8),
            ImageShape(16, 3, 10),
        ):
            with pytest.raises(InvalidSpec, match=r"gives \(3, 16, 16\), the data set asks for"):
                one.require_fits(sample)
    with pytest.raises(InvalidSpec, match=r"gives \(4,\), the data set asks for \(4, 1, 1\)"):
        _made(Images).description.require_fits(MaskedImageShape(16, 3, 4, 1))


class TestSpace(SearchSpaceContract):
    """A space of a user's own network keeps the contract of spaces."""

    @pytest.fixture(params=[Images, Joined, Tokens, WideTokens], ids=lambda kind: kind.__name__)
    def space(self, request: pytest.FixtureRequest, tmp_path: Path) -> SearchSpace:
        return _space(request.param, tmp_path)


def test_tied_weights_are_frozen_and_said_to_be() -> None:
    made = _made(Tied)
    reasons = {one.layer: one.reason for one in made.layers if not one.decisions}
    assert "tied" in reasons["same"]
    assert [one.groups for one in made.description.choices if one.about == WIDTH] == [("wide",)]


def test_every_layer_is_elastic_or_has_a_reason() -> None:
    for kind, shape in NETWORKS:
        for layer in _made(kind, shape).layers:
            assert bool(layer.decisions) != bool(layer.reason), layer


class TestRefused:
    """Each message names what stands in the way; nothing else is given."""

    def test_nothing_to_choose(self) -> None:
        class Fixed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.only = nn.Linear(3 * 16 * 16, 32)

            def forward(self, x: Tensor) -> Tensor:
                y: Tensor = self.only(x.flatten(1))
                return y

        with pytest.raises(InvalidData, match=r"nothing of the model is elastic: only: it is what"):
            make_elastic(program_of(Fixed()), name="x", model_sha256="")

    def test_a_baked_in_batch(self) -> None:
        class Baked(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.conv = nn.Conv2d(3, 16, 3, padding=1)
                self.gru = nn.GRU(16, 16, batch_first=True)
                self.head = nn.Linear(16, 4)

            def forward(self, x: Tensor) -> Tensor:
                y, _ = self.gru(self.conv(x).flatten(2).transpose(1, 2))
                logits: Tensor = self.head(y[:, -1])
                return logits

        with pytest.warns(UserWarning, match="assigned during export"):  # torch, of a GRU
            program = program_of(Baked())
        with pytest.raises(InvalidData, match="the batch of its example is baked in"):
            rebuild(program)

    def test_normalisation_in_training_mode(self) -> None:
        program = torch.export.export(Images().train(), (torch.zeros(2, *IMAGE[1:]),))
        with pytest.raises(InvalidData, match="batch normalisation is in training mode"):
            rebuild(program)

    def test_what_cannot_be_delivered(self) -> None:
        class Pooled(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.conv = nn.Conv2d(3, 32, 3, stride=4)
                self.head = nn.Linear(32 * 49, 4)

            def forward(self, x: Tensor) -> Tensor:
                y = nn.functional.adaptive_avg_pool2d(self.conv(x), 7)
                logits: Tensor = self.head(y.flatten(1))
                return logits

        with pytest.raises(InvalidData, match=r"torch does not write it as an ONNX graph \(Uns"):
            make_elastic(program_of(Pooled()), name="x", model_sha256="")

    def test_several_inputs(self) -> None:
        class Two(nn.Module):
            def forward(self, a: Tensor, b: Tensor) -> Tensor:
                return a + b

        program = torch.export.export(Two(), (torch.zeros(1, 3), torch.zeros(1, 3)))
        with pytest.raises(InvalidData, match="something else than one tensor"):
            rebuild(program)

    def test_a_network_whose_answers_cannot_be_rebuilt(self) -> None:
        class Random(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.block = Residual(3, 16)

            def forward(self, x: Tensor) -> Tensor:
                y: Tensor = self.block(x)
                return y + torch.randn(y.shape)

        with pytest.raises(InvalidData, match="answers otherwise"):
            rebuild(program_of(Random()))
