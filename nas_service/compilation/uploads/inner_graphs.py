"""Graphs inside of graphs: branches and loops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def graphs_within(graph: Any, depth: int = 0) -> Iterator[tuple[int, Any]]:
    """A graph or function, then those inside of it, each with how deep it lies."""
    yield depth, graph
    for node in graph.node:
        for attribute in node.attribute:
            inner = [attribute.g] if attribute.HasField("g") else []
            for one in [*inner, *attribute.graphs]:
                yield from graphs_within(one, depth + 1)
