"""The agent as one file: `python agent.pyz --server URL --token TOKEN`."""

from __future__ import annotations

import io
import zipfile
from functools import lru_cache
from importlib.resources import files

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
    "measuring/cuda_anchors",
    "measuring/machine",
    "measuring/observed",
    "measuring/priority",
    "measuring/protocol",
    "measuring/reference",
    "measuring/timing",
    "measuring/turns",
    "model",
    "profile",
    "runtimes",
    "target",
    "torch_runtimes",
)
"""All that the agent imports of this package."""
DATA = ("measuring/anchor.onnx",)
"""And what it reads of it."""
_MAIN = "import sys\nfrom lookup_tables.agent import main\nsys.exit(main())\n"
_AT = (2020, 1, 1, 0, 0, 0)


@lru_cache(maxsize=1)
def agent_file() -> bytes:
    """A zip that Python runs; the same bytes for the same sources."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        package = files("lookup_tables")
        names = (*(f"{one}.py" for one in MODULES), *DATA)
        sources = {f"lookup_tables/{one}": package.joinpath(one) for one in names}
        for name, source in sorted(sources.items()):
            archive.writestr(_entry(name), source.read_bytes())
        archive.writestr(_entry("__main__.py"), _MAIN)
    return b"#!/usr/bin/env python3\n" + content.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _AT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
