"""A fixed piece of work that tells whether a machine is as fast now as when it was profiled.

A shared core can be slow for minutes: every run takes longer, evenly, and no spread shows it. So
the same small graph is timed with every table and again beside every later measurement; where it
has moved, the measurement says more of the neighbours than of the network.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from lookup_tables.blocks import Block
from lookup_tables.graphs import block_graph

NAME = "anchor"
MAX_SHIFT = 0.10
"""A machine whose anchor is off by more than this is not the machine that was profiled."""
_BLOCK = Block("mbconv", 32, 32, 16, 16, kernel=3, mid_channels=128, residual=1)


def write_anchor(folder: Path) -> Path:
    """Write the graph below `folder`; the same bytes wherever this version runs."""
    path = folder / "anchor.onnx"
    onnx.save(block_graph(_BLOCK, seed=20), path)
    return path


def shift(now_ms: float, then_ms: float) -> float:
    """How much slower (positive) or faster the anchor is now, relative to then."""
    return now_ms / then_ms - 1.0
