"""What passes that remove whole channels share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from nas_service.errors import Unsupported
from nas_service.networks.blocks.base import BlockModule

STRUCTURED = ("channels", "width")
"""Passes that remove channels: accuracy is paid for speed, so the speed has to come."""


def macs_ratio(reports: Sequence[Mapping[str, Any]]) -> float:
    """How many times fewer MACs the structured passes among reports of passes left.

    `reports` have a `name` and `macs`, the first of them the network as it was.
    """
    ratio = 1.0
    for before, after in pairwise(reports):
        if after["name"] in STRUCTURED:
            ratio *= before["macs"] / max(1, after["macs"])
    return ratio


def last_layers(network: nn.Module) -> list[nn.Module]:
    """The layers whose outputs are what is asked for, and stay; one, unless a block has more."""
    modules = list(network.modules())
    told = [one for m in modules if isinstance(m, BlockModule) for one in m.last_layers()]
    return told or [[m for m in modules if isinstance(m, nn.Linear | nn.Conv2d)][-1]]


def require_on_images(network: nn.Module, name: str) -> None:
    """Raise `Unsupported` for networks on signals, whose channels are not told apart here."""
    if any(isinstance(one, nn.Conv1d) for one in network.modules()):
        raise Unsupported(
            f"pass {name} narrows networks on images; this one has convolutions over time",
            field="recipe",
        )


def require_runs(network: nn.Module, sample: Tensor, name: str) -> None:
    """Raise `Unsupported` where a network whose channels were removed does not run any more."""
    try:
        with torch.no_grad():
            network.eval()(sample)
    except RuntimeError as error:
        raise Unsupported(
            f"pass {name} does not suit this network: some of its shapes are fixed, as those of "
            f"attention heads are ({str(error).splitlines()[0]})",
            field="recipe",
        ) from error
