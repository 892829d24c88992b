"""Static int8 after training."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch

from lookup_tables.quantized import quantize
from nas_service.compression.base import PassContext


class StaticInt8Pass:
    """Ranges from training images, then int8 weights and activations; option: n_images."""

    def apply(self, source: Path, destination: Path, context: PassContext) -> None:
        """Write the int8 graph."""
        wanted = int(context.options.get("n_images", 128))
        generator = torch.Generator().manual_seed(context.seed)
        rows = torch.randperm(len(context.data.train), generator=generator)[:wanted]
        images = context.data.prepared(context.data.train.images[rows], context.size)
        name = onnx.load(source, load_external_data=False).graph.input[0].name
        arrays = images.contiguous().numpy()
        quantize(source, destination, [{name: arrays[i : i + 1]} for i in range(len(arrays))])
