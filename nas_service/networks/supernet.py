"""Shared weights for the whole `mbconv` space.

A subnet uses the leading channels of every layer, the centre of every depthwise kernel and the
leading layers of every stage (Yu et al., 2019, slimmable networks; Cai et al., 2020,
Once-for-All). Normalisation has no running statistics while the supernet trains: a subnet taken
out gets its own by recalibration.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from lookup_tables.blocks import Block
from nas_service.errors import InvalidSpec
from nas_service.networks.blocks import ConvNorm, Head, MbConv, block_module
from nas_service.networks.build import Network
from nas_service.space.base import IntArray, SearchSpace


class Supernet(nn.Module):
    """The modules of the largest network, run at the sizes of any other."""

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__()
        if not space.has_supernet:
            raise InvalidSpec(
                f"space {space.name} shares no weights; use the evaluator 'standalone'",
                field="evaluator",
            )
        self.space = space
        largest = space.canonical(space.largest()[None, :])[0]
        self._places = [name for name, _ in self._placed(largest)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.blocks = nn.ModuleList(block_module(block) for _, block in self._placed(largest))
        for module in self.blocks:
            if isinstance(module, MbConv) and module.block.residual:
                # residual branches start silent (Yu et al., 2020, BigNAS, section 3.1), so that
                # subnets of every depth begin as the same function
                nn.init.zeros_(module.project.norm.weight)

    def _placed(self, genotype: IntArray) -> Iterator[tuple[str, Block]]:
        for slot in self.space.slots:
            values = tuple(self.space.decisions[i].values[genotype[i]] for i in slot.reads)
            for block in slot.blocks(values):
                yield slot.name, block

    def forward(self, x: Tensor, genotype: IntArray) -> Tensor:
        """Logits of the subnet on images of its own resolution, batch statistics throughout."""
        module_at = dict(zip(self._places, self.blocks, strict=True))
        for name, block in self._placed(genotype):
            x = _run(module_at[name], block, x)
        return x

    def subnet(self, genotype: IntArray) -> Network:
        """A network of its own with a copy of the subnet's weights; statistics not yet set."""
        network = Network(self.space.wire(genotype))
        module_at = dict(zip(self._places, self.blocks, strict=True))
        row = self.space.canonical(genotype[None, :])[0]
        with torch.no_grad():
            for (name, _), target in zip(self._placed(row), network.blocks, strict=True):
                _copy(module_at[name], target)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch stubs


def _cut(weight: Tensor, like: Tensor | torch.Size) -> Tensor:
    """The leading channels and the centre of the kernel of a convolution's weight."""
    shape = like if isinstance(like, torch.Size) else like.shape
    outputs, inputs, kernel, _ = shape
    start = (weight.shape[-1] - kernel) // 2
    return weight[:outputs, :inputs, start : start + kernel, start : start + kernel]


def _convolve(
    layer: ConvNorm, x: Tensor, outputs: int, kernel: int, stride: int, *, depthwise: bool = False
) -> Tensor:
    inputs = 1 if depthwise else x.shape[1]
    weight = _cut(layer.conv.weight, torch.Size((outputs, inputs, kernel, kernel)))
    groups = outputs if depthwise else 1
    x = functional.conv2d(x, weight, None, stride, kernel // 2, 1, groups)
    norm = layer.norm
    return functional.batch_norm(
        x, None, None, norm.weight[:outputs], norm.bias[:outputs], training=True, eps=norm.eps
    )


def _run(module: nn.Module, block: Block, x: Tensor) -> Tensor:
    if isinstance(module, MbConv):
        return _run_mbconv(module, block, x)
    if isinstance(module, Head):
        x = torch.relu(_convolve(module.conv, x, block.mid_channels, 1, 1))
        pooled = x.mean((2, 3))
        return functional.linear(
            pooled, module.linear.weight[:, : block.mid_channels], module.linear.bias
        )
    conv = module.conv
    assert isinstance(conv, ConvNorm)
    return torch.relu(_convolve(conv, x, block.out_channels, block.kernel, block.stride))


def _run_mbconv(module: MbConv, block: Block, x: Tensor) -> Tensor:
    mid = block.mid_channels
    y = x
    if mid != block.in_channels:
        assert module.expand is not None
        y = torch.relu(_convolve(module.expand, y, mid, 1, 1))
    y = torch.relu(_convolve(module.depthwise, y, mid, block.kernel, block.stride, depthwise=True))
    if block.se_channels:
        assert module.squeeze is not None
        assert module.excite is not None
        inner = block.se_channels
        gate = y.mean((2, 3), keepdim=True)
        gate = functional.conv2d(
            gate,
            module.squeeze.weight[:inner, :mid],
            module.squeeze.bias[:inner],  # type: ignore[index]  # it has a bias
        )
        gate = functional.conv2d(
            torch.relu(gate),
            module.excite.weight[:mid, :inner],
            module.excite.bias[:mid],  # type: ignore[index]  # it has a bias
        )
        y = y * torch.sigmoid(gate)
    y = _convolve(module.project, y, block.out_channels, 1, 1)
    return x + y if block.residual else y


def _copy(source: nn.Module, target: nn.Module) -> None:
    """Copy the part of `source` that `target` has, layer by layer."""
    theirs = dict(source.named_modules())
    for name, layer in target.named_modules():
        other = theirs.get(name)
        if isinstance(layer, nn.Conv2d):
            assert isinstance(other, nn.Conv2d)
            layer.weight.copy_(_cut(other.weight, layer.weight))
            if layer.bias is not None and other.bias is not None:
                layer.bias.copy_(other.bias[: len(layer.bias)])
        elif isinstance(layer, nn.BatchNorm2d):
            assert isinstance(other, nn.BatchNorm2d)
            layer.weight.copy_(other.weight[: len(layer.weight)])
            layer.bias.copy_(other.bias[: len(layer.bias)])
        elif isinstance(layer, nn.Linear):
            assert isinstance(other, nn.Linear)
            layer.weight.copy_(other.weight[:, : layer.weight.shape[1]])
            layer.bias.copy_(other.bias)
