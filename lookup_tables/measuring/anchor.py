"""An anchor, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lookup_tables.measuring.clock import Clock

_RUNS = 3
"""Runs of an anchor of which the fastest is its reading: one interrupted run says nothing."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A piece of work with the name of what bounds it."""

    name: str
    run: Callable[[], object]


def read(anchors: Sequence[Anchor], clock: Clock) -> dict[str, float]:
    """How long each anchor takes now, in ms: the fastest of three runs."""
    reading = {}
    for anchor in anchors:
        fastest = None
        for _ in range(_RUNS):
            start = clock.wall_ns()
            anchor.run()
            elapsed = clock.wall_ns() - start
            fastest = elapsed if fastest is None else min(fastest, elapsed)
        reading[anchor.name] = max(fastest or 1, 1) / 1e6
    return reading
