"""What a quantity is: how it is estimated, bounded, measured and printed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from lookup_tables.measuring.timing import Timing
from lookup_tables.target import Deployment, Target
from nas_service.search.cost import CostModel
from nas_service.space.base import FloatArray, IntArray, SearchSpace

Model = TypeVar("Model")


@dataclass(frozen=True)
class Priced:
    """What estimates are made from: networks of a space in one deployment on one device.

    `space` is that of networks as they ship, after what a recipe does to their sizes.
    """

    deployment: Deployment
    space: SearchSpace
    cost: CostModel
    _models: dict[Any, Any] = field(default_factory=dict)

    def model(self, make: Callable[[SearchSpace], Model]) -> Model:
        """`make(space)`, made once for a space and kept: models are compiled against spaces."""
        key = (make, id(self.space))
        if key not in self._models:
            self._models[key] = make(self.space)
        made: Model = self._models[key]
        return made


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """A compiled file with its timing, as it was measured on its target.

    `here` is whether it runs on the machine that asks; elsewhere there is the timing alone.
    `latency_ms` is what of the timing is held against a limit: which percentile, in which state.
    """

    path: Path
    target: Target
    timing: Timing
    latency_ms: float
    here: bool
    as_shipped: bool = True
    """Whether the file is in the form that ships, rather than a graph that is converted first."""


class Quantity(ABC):
    """Something that is minimised, limited, certified and shown; without state.

    The entry-point group is `nas_service.quantities`, an entry the class itself, named as `name`.
    """

    name: ClassVar[str]
    """With its unit at the end, as `latency_ms`; the key in requests, rows and reports."""
    label: ClassVar[str]
    """What people read, as `latency`; `text` gives values their unit."""
    on_device: ClassVar[bool] = False
    """Whether it differs between devices: then `NAME@DEVICE` and `NAME@worst` are known, too."""
    counted: ClassVar[bool] = False
    """Whether the estimate is exact for any file of a network, so that nothing is measured."""
    noisy: ClassVar[bool] = False
    """Whether measurements of a file differ between sessions: verdicts are then learned from
    several; of what is not noisy one measurement settles the limit."""

    @abstractmethod
    def estimate(self, priced: Priced, architectures: IntArray) -> FloatArray:
        """Expected value of each network: `(n, d) -> (n,)`, finite and positive.

        From models alone; whole networks that were measured correct it (`expected`).

        Raises:
            InvalidSpec: what it needs is not known on this device; says what to do.
        """

    def expected(self, priced: Priced, architectures: IntArray) -> FloatArray:
        """The estimate, brought to what whole networks were measured at: `(n, d) -> (n,)`."""
        return self.estimate(priced, architectures) * priced.cost.ratio(self.name)

    def known(self, priced: Priced) -> bool:
        """Whether `estimate` is possible here."""
        del priced
        return True

    def upper_factor(self, priced: Priced, probability: float) -> float:
        """What is multiplied with what is expected to be above the measured value that often.

        1 where nothing was measured, or where there is nothing to be wrong about.
        """
        return 1.0 if self.counted else priced.cost.upper_factor(probability, self.name)

    def measure(self, files: Sequence[MeasuredFile]) -> list[float | None]:
        """The value of each file as it was measured or read; None where nothing here tells."""
        return [None] * len(files)

    @abstractmethod
    def text(self, value: float) -> str:
        """A value with its unit, as people read it."""
