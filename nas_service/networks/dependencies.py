"""The library that knows which layers of a network depend on each other."""

from __future__ import annotations

import warnings
from typing import Any

from nas_service.errors import Unsupported


def torch_pruning_for(name: str) -> Any:
    """The library that knows which layers depend on each other, for `name`.

    Raises:
        Unsupported: torch-pruning is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch_pruning
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"{name} needs torch-pruning: pip install 'nas-service[compression]'"
        ) from error
    return torch_pruning
