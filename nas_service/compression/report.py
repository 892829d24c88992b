"""What a network is before and after a pass."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from nas_service.compression.base import PassContext
from nas_service.compression.masks import bake, sparsity_of
from nas_service.networks.build import count_macs, count_parameters
from nas_service.training.loop import score


@dataclass(frozen=True, slots=True)
class PassReport:
    """After a pass: score on validation samples, parameters, MACs and share of zero weights."""

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
    sample = torch.zeros(data.example(context.size))
    return PassReport(
        name,
        options,
        round(score(plain, data, data.validation, context.size), 6),
        count_parameters(plain),
        count_macs(plain, sample),
        round(sparsity_of(plain), 6),
    )
