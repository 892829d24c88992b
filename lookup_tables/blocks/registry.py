"""Families of blocks by kind, as their entry points say."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from lookup_tables.blocks.base import Block
from lookup_tables.errors import LookupTableError

GROUP = "lookup_tables.block_families"


@cache
def _points() -> Mapping[str, Any]:
    points: dict[str, Any] = {}
    for point in entry_points(group=GROUP):
        other = points.setdefault(point.name, point)
        if other.value != point.value:
            raise LookupTableError(
                f"two block families are named {point.name!r}: {other.value}, {point.value}"
            )
    return points


@cache
def family(kind: str) -> type[Block]:
    """The family of that kind.

    Raises:
        LookupTableError: there is none; the known ones are listed.
    """
    if kind not in _points():
        known = ", ".join(sorted(_points()))
        raise LookupTableError(f"unknown block kind {kind!r}; known: {known}")
    found: type[Block] = _points()[kind].load()
    return found


def block_of(kind: str, sizes: Mapping[str, Any]) -> Block:
    """A block of a row's kind and sizes.

    Raises:
        LookupTableError: no such kind, or sizes that its family does not have.
    """
    return family(kind).of_sizes(sizes)
