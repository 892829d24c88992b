"""How good a network is at its task, in one number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Judged(Protocol):
    """What a network's outputs are worth beside the targets, from which metrics are worked out."""

    @property
    def n(self) -> int:
        """Samples that were judged."""
        ...


@dataclass(frozen=True, slots=True)
class Metric:
    """A number with its unit, its direction and its bounds.

    `best` is the value that nothing is better than, `worst` one that says nothing: of several
    classes none right, of numbers their mean guessed. Searches maximise the share of the way from
    `worst` to `best` (`score`): for accuracies the value itself.

    `standard_error` is that of `value` over test parts of the same size; never 0, since a part on
    which nothing went wrong does not say that nothing can. `expected_error(value, n)` is the same
    before anything was measured; None where that cannot be told.
    """

    name: str
    label: str
    value: Callable[[Any], float]
    standard_error: Callable[[Any], float]
    best: float = 1.0
    worst: float = 0.0
    bounded: bool = True
    """Whether nothing is worse than `worst`."""
    unit: str = ""
    """Empty for shares, which are printed in percent."""
    expected_error: Callable[[float, int], float] | None = None

    def score(self, value: float) -> float:
        """What is maximised: 1 at the best value, 0 at the worst."""
        return (value - self.worst) / (self.best - self.worst)

    def of_score(self, score: float) -> float:
        """The inverse of `score`."""
        return self.worst + score * (self.best - self.worst)

    def score_error(self, error: float) -> float:
        """A standard error of values as one of scores."""
        return error / abs(self.best - self.worst)

    @property
    def lowest_score(self) -> float | None:
        """The least score there is; None where values can be worse than saying nothing."""
        return 0.0 if self.bounded else None

    @property
    def higher_is_better(self) -> bool:
        """Its direction."""
        return self.best > self.worst

    def text(self, value: float, error: float | None = None) -> str:
        """A value with its unit, and its standard error where that is known."""
        if not self.unit:
            spread = "" if error is None else f" ± {100 * error:.1f}"
            return f"{100 * value:.1f}{spread} %"
        spread = "" if error is None else f" ± {error:.2g}"
        return f"{value:.4g}{spread} {self.unit}"

    def as_dict(self) -> dict[str, Any]:
        """What a page needs to show scores as values."""
        return {
            "name": self.name,
            "label": self.label,
            "unit": self.unit,
            "best": self.best,
            "worst": self.worst,
        }
