"""What a network is before and after a pass."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from nas_service.compression.base import PassContext
from nas_service.compression.masks import bake, sparsity_of
from nas_service.networks.build import count_macs, count_parameters
from nas_service.training.loop import accuracy


@dataclass(frozen=True, slots=True)
class PassReport:
    """After a pass: accuracy on validation images, parameters, MACs and share of zero weights."""

    name: str
    options: dict[str, Any]
    accuracy: float
    parameters: int
    macs: int
    sparsity: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def report_of(
    name: str, options: dict[str, Any], network: nn.Module, context: PassContext
) -> PassReport:
    """Look at a network as it is now."""
    plain = bake(network).eval()
    data = context.data
    image = torch.zeros(1, data.train.images.shape[1], context.size, context.size)
    return PassReport(
        name,
        options,
        round(accuracy(plain, data, data.validation, context.size), 6),
        count_parameters(plain),
        count_macs(plain, image),
        round(sparsity_of(plain), 6),
    )
