"""What passes that remove whole channels share."""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

from nas_service.errors import Unsupported


def torch_pruning_for(name: str) -> Any:
    """The library that knows which layers depend on each other, for the pass `name`.

    Raises:
        Unsupported: torch-pruning is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch_pruning
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"pass {name} needs torch-pruning: pip install 'nas-service[compression]'"
        ) from error
    return torch_pruning


def classifier_of(network: nn.Module) -> nn.Linear:
    """The last linear layer, whose outputs are the classes and stay."""
    return [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
