"""Numbers and times as people read them, in pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from nas_service.api.documents.winners import FrontPredictor, MetricScale
from nas_service.learning.registry import learning_task
from nas_service.plugins import LEARNING_TASKS, names

UNKNOWN = "unknown"


def percent(share: float | None, digits: int = 1) -> str:
    """A share in percent."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f} %"


def significant(value: float | None, digits: int = 3) -> str:
    """A number with so many digits that mean something, never as a power of ten above them."""
    if value is None:
        return UNKNOWN
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    text = f"{value:#.{digits}g}"
    return text.removesuffix(".")


def kilobytes(size_bytes: float | None) -> str:
    """Thousands of bytes, without their unit."""
    return UNKNOWN if size_bytes is None else f"{size_bytes / 1000:,.0f}"


def size(size_bytes: float | None) -> str:
    """Bytes in the unit that suits them."""
    if size_bytes is None:
        return UNKNOWN
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{significant(size_bytes / factor)} {unit}"
    return f"{size_bytes:.0f} B"


def duration(seconds: float | None) -> str:
    """A time span."""
    if seconds is None:
        return UNKNOWN
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def since(at: datetime | None) -> str:
    """How long ago something was."""
    if at is None:
        return "never"
    return f"{duration(max(0.0, (datetime.now(UTC) - at).total_seconds()))} ago"


def when(at: datetime | None) -> str:
    """A time of day in UTC; scripts turn it into the reader's own."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def metric_name(name: str) -> str:
    """A metric's name as people write it."""
    return _labels().get(name or "accuracy", name.replace("_", " "))


def heading(name: str) -> str:
    """A metric's name at the beginning of a line: with a capital, unless it has its own."""
    label = metric_name(name)
    first = label.split()[0]
    return label if first != first.lower() else label[0].upper() + label[1:]


@cache
def _labels() -> Mapping[str, str]:
    """Of the metrics of all learning tasks, by their names."""
    tasks = [learning_task(one) for one in names(LEARNING_TASKS)]
    return {one.name: one.label for task in tasks for one in task.metrics}


@dataclass(frozen=True, slots=True)
class Scale:
    """How scores of a search's metric are shown: shares in percent, others with their unit."""

    name: str = "accuracy"
    unit: str = ""
    best: float = 1.0
    worst: float = 0.0

    @classmethod
    def of(cls, told: MetricScale | None) -> Scale:
        """Of a front's `metric_scale`."""
        if told is None:
            return cls()
        return cls(told.name, told.unit, told.best, told.worst)

    def text(self, score: float | None) -> str:
        """A score as a value of the metric."""
        if score is None:
            return UNKNOWN
        value = self.worst + score * (self.best - self.worst)
        return f"{significant(value, 4)} {self.unit}" if self.unit else percent(value)

    def spread(self, error: float) -> str:
        """A standard deviation of scores as one of values."""
        return self.gain(abs(error)).lstrip("+")

    def gain(self, score: float) -> str:
        """A difference of scores as one of values."""
        value = score * (self.best - self.worst)
        return f"{value:+.3g} {self.unit}" if self.unit else f"{100 * value:+.3g} points"


def predictor_card(card: FrontPredictor | None) -> str:
    """How a predictor does on networks that it has not seen, in a sentence."""
    if card is None or card.name is None:
        return ""
    tau = UNKNOWN if card.kendall is None else f"{card.kendall:.2f}"
    error = UNKNOWN if card.mean_error is None else f"{100 * card.mean_error:.1f} points"
    held = ", ".join(
        f"{100 * float(level):.0f} % intervals held {percent(share, 0)}"
        for level, share in card.coverage.items()
    )
    return (
        f"Predictor {card.name} on {card.n} networks, each predicted without its fold: "
        f"Kendall's tau {tau}, mean error {error}, {held}."
    )


def joined(values: Sequence[Any], none: str = "none") -> str:
    """Values joined by commas."""
    return ", ".join(map(str, values)) or none
