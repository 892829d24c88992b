"""The agent as one file: `python agent.pyz --server URL --token TOKEN`."""

from __future__ import annotations

import io
import json
import zipfile
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from lookup_tables.errors import LookupTableError
from lookup_tables.runtimes.registry import CARRIED, runtime_points

MODULES = (
    "__init__",
    "agent",
    "agent_service",
    "conditions",
    "errors",
    "measuring/__init__",
    "measuring/anchor",
    "measuring/anchors",
    "measuring/clock",
    "measuring/feeds",
    "measuring/machine",
    "measuring/observed",
    "measuring/onnx_session",
    "measuring/priority",
    "measuring/protocol",
    "measuring/reference",
    "measuring/timing",
    "measuring/turns",
    "model",
    "profile",
    "runtimes/__init__",
    "runtimes/base",
    "runtimes/cuda_anchors",
    "runtimes/nvidia",
    "runtimes/ort_memory",
    "runtimes/registry",
    "target",
)
"""All that the agent imports of this package but for the runtimes themselves."""
DATA = ("measuring/anchor.onnx",)
"""And what it reads of it."""
_MAIN = "import sys\nfrom lookup_tables.agent import main\nsys.exit(main())\n"
_AT = (2020, 1, 1, 0, 0, 0)


@lru_cache(maxsize=1)
def agent_file() -> bytes:
    """A zip that Python runs, with every runtime known here; same bytes for the same sources.

    Raises:
        LookupTableError: a runtime is defined where its source cannot be read.
    """
    points = runtime_points()
    package = files("lookup_tables")
    names = (*(f"{one}.py" for one in MODULES), *DATA)
    sources = {f"lookup_tables/{one}": package.joinpath(one).read_bytes() for one in names}
    for point in points.values():
        sources |= _module(point.partition(":")[0])
    sources[f"lookup_tables/runtimes/{CARRIED}"] = json.dumps(points, sort_keys=True).encode()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, source in sorted(sources.items()):
            archive.writestr(_entry(name), source)
        archive.writestr(_entry("__main__.py"), _MAIN)
    return b"#!/usr/bin/env python3\n" + content.getvalue()


def _module(name: str) -> dict[str, bytes]:
    """A runtime's module by its place in the zip; packages above it are left empty."""
    spec = find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise LookupTableError(f"the source of {name}, which defines a runtime, is not there")
    *packages, _ = parts = name.split(".")
    sources = {}
    if packages[:1] != ["lookup_tables"]:
        above = ("/".join(packages[: n + 1]) for n in range(len(packages)))
        sources = {f"{one}/__init__.py": b"" for one in above}
    ending = "/__init__.py" if spec.submodule_search_locations is not None else ".py"
    return {**sources, "/".join(parts) + ending: Path(spec.origin).read_bytes()}


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _AT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
