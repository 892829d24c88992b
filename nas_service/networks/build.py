"""An architecture as a torch module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_service.networks.blocks.registry import block_module
from nas_service.space.base import IntArray, Node, SearchSpace
from nas_service.space.elastic.space import ElasticSpace
from nas_service.space.wrapped import unwrapped


class Network(nn.Module):
    """Blocks in order of execution, each fed by earlier ones: `(n, c, s, s) -> (n, classes)`."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        super().__init__()
        self.nodes = nodes
        self.blocks = nn.ModuleList(block_module(node.block) for node in nodes)

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for node, block in zip(self.nodes, self.blocks, strict=True):
            inputs = [x if place < 0 else outputs[place] for place in node.inputs]
            outputs.append(block(*inputs))
        return outputs[-1]


def build(space: SearchSpace, genotype: IntArray, *, seed: int = 0) -> nn.Module:
    """The network of one genotype `(d,)`, weights drawn from `seed`.

    A member of a user's own network has the weights of that.
    """
    own = unwrapped(space)
    if isinstance(own, ElasticSpace):
        from nas_service.networks.elastic.shared import own_network

        return own_network(own).subnet(genotype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(space.wire(genotype))


def count_parameters(network: nn.Module) -> int:
    """Trained parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, image: Tensor) -> int:
    """Multiply-accumulates of convolutions and linear layers, counted while `image` passes.

    A linear layer counts once for each row that it sees: a transformer's for each token. Products
    of two activations, as in attention, are not counted.
    """
    total = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            total += output[0, 0].numel() * module.weight.numel()
        elif isinstance(module, nn.Linear):
            total += output[0].numel() // module.out_features * module.weight.numel()

    leaves = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    try:
        with torch.no_grad():
            network.eval()(image[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return total
