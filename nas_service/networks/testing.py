"""The contract of a block's torch module: it is the other half of a family of blocks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lookup_tables.blocks import Block
from lookup_tables.graphs import block_graph
from lookup_tables.measuring.onnx_session import session_options
from nas_service.errors import Unsupported
from nas_service.networks.blocks.registry import block_module
from nas_service.networks.build import count_macs, count_parameters


def as_if_trained(module: nn.Module, seed: int) -> None:
    """Statistics and affine parameters as training would leave them: not ones and zeros."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2.0, generator=generator)
            with torch.no_grad():
                layer.weight.uniform_(0.5, 2.0, generator=generator)
                layer.bias.normal_(generator=generator)


class BlockModuleContract:
    """What the torch side of every family keeps; fixture `block`, one of the family."""

    def _inputs(self, block: Block) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(shape, generator=generator) for shape in block.inputs.values()]

    def test_its_graph_computes_what_it_computes(self, block: Block) -> None:
        import onnxruntime

        module = block_module(block).eval()
        as_if_trained(module, 1)
        inputs = self._inputs(block)
        with torch.no_grad():
            expected = module(*inputs).numpy()
        weights = module.weights()
        shapes = {name: value.shape for name, value in weights.items()}
        assert shapes == dict(block.weight_shapes())
        session = onnxruntime.InferenceSession(
            block_graph(block, weights).SerializeToString(),
            session_options(1),
            providers=["CPUExecutionProvider"],
        )
        fed = {name: x.numpy() for name, x in zip(block.inputs, inputs, strict=True)}
        (output,) = session.run(None, fed)
        assert output.shape == expected.shape == block.output_shape
        assert np.abs(output - expected).max() < 1e-4

    def test_it_counts_what_the_cost_side_counts(self, block: Block) -> None:
        module = block_module(block)
        assert count_parameters(module) == block.parameters
        if len(block.inputs) == 1:
            assert count_macs(module, self._inputs(block)[0]) == block.macs

    def test_shared_weights_give_the_same_function_at_full_size(self, block: Block) -> None:
        """By the statistics of the batch, as a supernet trains; or it says that it shares none."""
        module = block_module(block).train()
        inputs = [torch.cat([one, one + 1.0, one - 0.5]) for one in self._inputs(block)]
        try:
            shared = module.run_as(block, *inputs)
        except Unsupported:
            return
        assert torch.allclose(shared, module(*inputs), atol=1e-4)
