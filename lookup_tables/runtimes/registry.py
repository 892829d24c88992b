"""Runtimes by name: those of the entry points, or those that an agent carries."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

from lookup_tables.errors import LookupTableError
from lookup_tables.measuring.anchors import PROCESSOR
from lookup_tables.measuring.feeds import feeds_for
from lookup_tables.model import Model
from lookup_tables.runtimes.base import Runtime
from lookup_tables.target import Target

GROUP = "lookup_tables.runtimes"
CARRIED = "carried.json"
"""In the agent's one file, which has no entry points: runtimes by name, as `module:class`."""


@cache
def runtime_points() -> Mapping[str, str]:
    """Where each runtime is defined, as `module:class`, by its name.

    Raises:
        LookupTableError: two packages name theirs alike.
    """
    carried = files("lookup_tables.runtimes").joinpath(CARRIED)
    if carried.is_file():
        points: dict[str, str] = json.loads(carried.read_text())
        return points
    points = {}
    for point in entry_points(group=GROUP):
        other = points.setdefault(point.name, point.value)
        if other != point.value:
            raise LookupTableError(f"two runtimes are named {point.name!r}: {other}, {point.value}")
    return dict(sorted(points.items()))


@cache
def runtime(name: str) -> Runtime:
    """The runtime of that name.

    Raises:
        LookupTableError: there is none; the known ones are listed.
    """
    points = runtime_points()
    if name not in points:
        raise LookupTableError(f"no runtime {name!r}; known: {', '.join(points)}")
    module, _, attribute = points[name].partition(":")
    made: Runtime = getattr(import_module(module), attribute)()
    return made


def runtimes() -> list[Runtime]:
    """All of them, by name."""
    return [runtime(name) for name in runtime_points()]


def runtime_versions() -> dict[str, str]:
    """The runtimes that are installed and have what they run on, with their versions."""
    versions = {one.name: one.version() for one in runtimes()}
    return {name: version for name, version in versions.items() if version is not None}


def reads_graphs(name: str) -> bool:
    """Whether a runtime runs ONNX graphs as they are; one that is not known here does not."""
    return name in runtime_points() and runtime(name).reads_graphs


def state_of(name: str) -> str:
    """Which state of the machine a runtime's timings hold in; see `Runtime.state`."""
    return runtime(name).state if name in runtime_points() else PROCESSOR


def measured_together(target: Target) -> tuple[str, str]:
    """Files whose targets on one device have this in common are measured side by side."""
    by_precision = runtime(target.runtime).set_by_precision
    return target.runtime, target.precision if by_precision else ""


def load(path: Path, target: Target) -> Model:
    """Load a file with the target's settings.

    Raises:
        LookupTableError: no such runtime, its package is not installed, or it needs a GPU that
            is not here.
    """
    one = runtime(target.runtime)
    try:
        return one.load(path, target)
    except ModuleNotFoundError as error:
        raise LookupTableError(
            f"runtime {target.runtime} is not installed here: pip install {one.package}"
        ) from error


def runner(path: Path, target: Target, seed: int = 0) -> Callable[[], object]:
    """Loads a file; each call runs it once, on a sample beside it or inputs drawn from a seed."""
    model = load(path, target)
    feeds = feeds_for(path, model.inputs, seed)
    return lambda: model.run(feeds)
