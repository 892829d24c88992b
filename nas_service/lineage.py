"""What a stored row says of where it came from."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nas_service import __version__

_PACKAGES = ("numpy", "optuna", "scikit-learn", "torch", "onnx", "onnxruntime")


@cache
def versions() -> dict[str, str]:
    """Versions of this code, of Python and of the libraries that shape results."""
    found = {"nas-service": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def lineage(*, seed: int | None = None, **sources: Any) -> dict[str, Any]:
    """Seed, digests of what went in, and the versions of what ran: plain JSON values."""
    return {"seed": seed, "sources": sources, "versions": versions()}
