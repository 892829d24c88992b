"""Metrics of outputs as they are asked for: `NAME` or `NAME:OUTPUT`."""

from __future__ import annotations

from nas_service.output_metrics.base import OutputMetric
from nas_service.plugins import OUTPUT_METRICS, check, load

DEFAULT = "fidelity"


def require_metric(text: str) -> None:
    """Refuse a name that no metric has.

    Raises:
        UnknownPlugin: lists those that there are.
    """
    check(OUTPUT_METRICS, text.partition(":")[0])


def output_metric(text: str) -> OutputMetric:
    """The metric of `NAME` or `NAME:OUTPUT`."""
    name, _, output = text.partition(":")
    made: OutputMetric = load(OUTPUT_METRICS, name)(output)
    return made
