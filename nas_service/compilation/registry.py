"""Converters by the names of their runtimes."""

from __future__ import annotations

from nas_service.compilation.base import Converter
from nas_service.plugins import CONVERTERS, load, names


def converters() -> dict[str, type[Converter]]:
    """Every converter by the name of its runtime; the entry points give them."""
    return {name: load(CONVERTERS, name) for name in names(CONVERTERS)}
