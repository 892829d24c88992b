"""Finds plug-ins by entry point; loads one when it is first asked for by name."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nas_service.errors import Conflict, UnknownPlugin

SPACES = "nas_service.search_spaces"
SAMPLERS = "nas_service.samplers"
EVALUATORS = "nas_service.accuracy_evaluators"
TORCH_PASSES = "nas_service.torch_passes"
ONNX_PASSES = "nas_service.onnx_passes"
CONVERTERS = "nas_service.converters"
RUNTIMES = "lookup_tables.runtimes"
QUANTITIES = "nas_service.quantities"
LEARNING_TASKS = "nas_service.learning_tasks"
BLOCK_FAMILIES = "lookup_tables.block_families"
BLOCK_MODULES = "nas_service.block_modules"
MODEL_FACTORIES = "nas_service.model_factories"
OUTPUT_METRICS = "nas_service.output_metrics"
PREDICTORS = "predictors.accuracy"

GROUPS = (
    SPACES,
    SAMPLERS,
    EVALUATORS,
    TORCH_PASSES,
    ONNX_PASSES,
    CONVERTERS,
    RUNTIMES,
    QUANTITIES,
    LEARNING_TASKS,
    BLOCK_FAMILIES,
    BLOCK_MODULES,
    MODEL_FACTORIES,
    OUTPUT_METRICS,
    PREDICTORS,
)


@cache
def _points(group: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise Conflict(
                f"two plug-ins of {group} are named {point.name!r}: {other.value}, {point.value}"
            )
        found[point.name] = point
    return found


def names(group: str) -> list[str]:
    """The names of a group's plug-ins, sorted; none is imported."""
    return sorted(_points(group))


def check(group: str, name: str) -> None:
    """Raise `UnknownPlugin`, which lists the known names, where `name` is not among them."""
    if name not in _points(group):
        what = group.rpartition(".")[2].replace("_", " ").removesuffix("s")
        known = names(group)
        raise UnknownPlugin(
            f"no {what} {name!r}; known: {', '.join(known)}",
            field=what.rpartition(" ")[2],
            known_names=known,
        )


def load(group: str, name: str) -> Any:
    """Import the plug-in of that name; `UnknownPlugin` lists the known ones."""
    check(group, name)
    return _points(group)[name].load()
