"""What a compression pass is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from nas_service.learning.base import Data

Teacher = Callable[[Tensor], Tensor]
"""Stored samples `(n, ...)` to outputs `(n, ...)`."""


@dataclass(frozen=True)
class PassContext:
    """What a pass may use: data (never its test split), the input's size, a seed, a teacher."""

    data: Data
    size: int
    seed: int
    teacher: Teacher | None = None
    teacher_network: nn.Module | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class TorchPass(Protocol):
    """Makes a new module from a module; the one it was given stays as it is."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The compressed module, in inference mode."""
        ...


class OnnxPass(Protocol):
    """Makes a new graph from a graph file; the source stays as it is."""

    def apply(self, source: Path, destination: Path, context: PassContext) -> None:
        """Write the compressed graph to `destination`, whole or not at all."""
        ...
