"""Shared weights of an elastic network: the user's own, trained on in all members at once.

A member runs on its part of the shared tensors; the original, which stays as it came, teaches.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from nas_service.errors import InvalidSpec
from nas_service.networks.elastic.analysis import read_cuts
from nas_service.networks.elastic.groups import ChannelGroup
from nas_service.networks.elastic.members import Kept, Plan, cut_out
from nas_service.networks.elastic.options import kept
from nas_service.networks.elastic.rebuild import rebuild
from nas_service.networks.elastic.regions import Region
from nas_service.networks.elastic.settling import settle
from nas_service.networks.elastic.swaps import OWN, Swap, add_swaps
from nas_service.networks.sharing import SharedWeights
from nas_service.space.base import IntArray
from nas_service.space.elastic.description import DEPTH, KERNEL, SWAP, WIDTH
from nas_service.space.elastic.space import ElasticSpace

_REMEMBERED = 64
"""Members whose structure is kept: sampled ones come once, the ends at every step."""


class OwnNetwork:
    """The network behind a space, and how its members are cut out of it."""

    def __init__(self, space: ElasticSpace, *, pairs: bool = True) -> None:
        if space.model is None:
            raise InvalidSpec(f"the model of space {space.name} is not at hand", field="space")
        self._choices, self._canonical = space.description.choices, space.canonical
        program = torch.export.load(io.BytesIO(space.model.program))
        self.network = rebuild(program)
        groups, regions = read_cuts(space.model.groups)
        self._groups: list[ChannelGroup] = groups
        self._size = {one.name: one.size for one in groups}
        self._regions: Mapping[str, Region] = {one.name: one for one in regions}
        self.swaps = {
            one.name: Swap(one.name.removeprefix("swap."), str(one.values[0]))
            for one in self._choices
            if one.about == SWAP
        }
        if pairs:
            add_swaps(self.network, list(self.swaps.values()))

    def plan(self, genotype: IntArray) -> Plan:
        """What the member of a genotype `(d,)` keeps."""
        channels: dict[str, int] = {}
        without: list[Region] = []
        kernels: dict[str, int] = {}
        swaps: list[Swap] = []
        for choice, index in zip(self._choices, genotype, strict=True):
            value = choice.values[int(index)]
            if choice.about == WIDTH:
                for group in choice.groups:
                    channels[group] = kept(self._size[group], float(value))
            elif choice.about == DEPTH and not value:
                without.append(self._regions[choice.name.removeprefix("depth.")])
            elif choice.about == KERNEL:
                kernels[choice.name.removeprefix("kernel.")] = int(value)
            elif choice.about == SWAP and value != OWN:
                swaps.append(self.swaps[choice.name])
        return Plan(channels, without, kernels, swaps)

    def subnet(self, genotype: IntArray) -> fx.GraphModule:
        """A network of its own with a copy of the original's weights."""
        row = self._canonical(genotype[None, :])[0]
        return self.member(self.network, row)[0]

    def member(
        self, network: fx.GraphModule, genotype: IntArray, *, borrow: bool = False
    ) -> tuple[fx.GraphModule, Kept]:
        """A member with the weights of `network`, which is the whole one."""
        return cut_out(network, self._groups, self.plan(genotype), borrow=borrow)


_opened: WeakKeyDictionary[ElasticSpace, OwnNetwork] = WeakKeyDictionary()


def own_network(space: ElasticSpace) -> OwnNetwork:
    """The network behind a space, opened once."""
    if space not in _opened:
        _opened[space] = OwnNetwork(space)
    return _opened[space]


class ElasticSupernet(SharedWeights):
    """See the module's text; what `Supernet` is to spaces of blocks."""

    def __init__(self, space: ElasticSpace) -> None:
        super().__init__(space)
        self._elastic = space
        self._own = OwnNetwork(space)
        self.network = self._own.network
        self._members: OrderedDict[tuple[int, ...], tuple[fx.GraphModule, Kept]] = OrderedDict()

    def forward(self, x: Tensor, genotype: IntArray) -> Tensor:
        """What a member answers, by the shared weights; normalised by the batch in training."""
        row = self.space.canonical(genotype[None, :])[0]
        member, part = self._structure(row)
        member.train(self.training)
        shared = dict(self.network.named_parameters())
        statistics = dict(self.network.named_buffers())
        mine = {name: _part(shared[name], part.get(name)) for name, _ in member.named_parameters()}
        # each run on copies: the statistics of one member are not those of another
        held = {
            name: _part(statistics[name], part.get(name)).clone()
            for name, _ in member.named_buffers()
        }
        outputs: Tensor = functional_call(member, {**mine, **held}, (x,))
        return outputs

    def _structure(self, row: IntArray) -> tuple[fx.GraphModule, Kept]:
        key = tuple(int(one) for one in row)
        if key in self._members:
            self._members.move_to_end(key)
        else:
            member, part = self._own.member(self.network, row)
            self._members[key] = member.to("meta"), part
            if len(self._members) > _REMEMBERED:
                self._members.popitem(last=False)
        return self._members[key]

    def subnet(self, genotype: IntArray) -> nn.Module:
        """A network of its own with a copy of the member's weights and statistics."""
        row = self.space.canonical(genotype[None, :])[0]
        return self._own.member(self.network, row)[0]

    def begin(self, inputs: Tensor) -> None:
        """See `SharedWeights.begin`: pairs answer as their layers do, as nearly as they can."""
        settle(self.network.eval(), list(self._own.swaps.values()), inputs)

    def original(self) -> nn.Module:
        """The user's network as it came, to teach."""
        return OwnNetwork(self._elastic, pairs=False).network.eval()


def _part(tensor: Tensor, axes: Mapping[int, Any] | None) -> Tensor:
    for axis, places in (axes or {}).items():
        tensor = tensor.index_select(axis, places.to(tensor.device))
    return tensor
