"""The contract that every pass on torch modules keeps; authors of plug-ins subclass it.

A test class gives the fixtures `made` (the pass), `network` and `context`, the latter with the
options that the pass is to run under.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from nas_service.compression.base import PassContext, TorchPass
from nas_service.compression.masks import bake


class TorchPassContract:
    """Tests that hold for any pass."""

    def test_it_gives_a_network_of_the_same_answers_shape_and_leaves_its_source(
        self, made: TorchPass, network: nn.Module, context: PassContext
    ) -> None:
        before = copy.deepcopy(network.state_dict())
        result = made.apply(network, context)
        assert result is not network
        assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
        samples = context.data.prepared(context.data.test.inputs[:4], context.size)
        with torch.no_grad():
            plain = bake(result).eval()(samples)
            assert plain.shape == network.eval()(samples).shape
            assert torch.isfinite(plain).all()
            # what ships is what the pass made
            torch.testing.assert_close(plain, result.eval()(samples), rtol=1e-3, atol=1e-3)

    def test_the_same_seed_gives_the_same_network(
        self, made: TorchPass, network: nn.Module, context: PassContext
    ) -> None:
        first, second = (bake(made.apply(network, context)).state_dict() for _ in range(2))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
