"""What a compression pass is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from nas_service.learning.base import Data
from nas_service.recorded.feeds import Named

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


class GraphSamples(ABC):
    """Samples of a model's inputs, and its score on some of them."""

    @abstractmethod
    def for_ranges(self, graph: Path, wanted: int) -> Sequence[Named]:
        """At most so many samples, by the graph's inputs."""

    @abstractmethod
    def held_out(self, graph: Path) -> Sequence[Named]:
        """Samples for `score`, by the graph's inputs; never those that files are judged on."""

    @abstractmethod
    def score(self, graph: Path) -> float:
        """How good a graph is on them, 1 at best."""


@dataclass(frozen=True)
class GraphContext:
    """What a pass on graphs may use. Nodes of `keep_float` stay in float whatever it does."""

    samples: GraphSamples
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    keep_float: Sequence[str] = ()


class TorchPass(Protocol):
    """Makes a new module from a module; the one it was given stays as it is."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The compressed module, in inference mode."""
        ...


class OnnxPass(Protocol):
    """Makes a new graph from a graph file; the source stays as it is."""

    def apply(self, source: Path, destination: Path, context: GraphContext) -> None:
        """Write the compressed graph to `destination`, whole or not at all."""
        ...
