"""A network as a drawing: boxes in rows, wires between them, each with its share of the latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_service.api.candidate_blocks import BlockOut

_WIDTH, _HEIGHT, _ACROSS, _DOWN, _IN_ROW = 150, 40, 26, 34, 7
_TEXT = 20


@dataclass(frozen=True, slots=True)
class Box:
    """A block: where it is drawn, and what is written in it."""

    x: int
    y: int
    width: int
    height: int
    share_width: int
    text: str
    more: str
    title: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """A drawing of so many units each way."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    wires: tuple[str, ...]


def diagram_of(blocks: Sequence[BlockOut], share: Sequence[float] | None) -> Diagram:
    """Blocks from left to right, row by row; `share` is of the latency, one a block."""
    boxes = []
    largest = max(share, default=0.0) if share else 0.0
    for i, block in enumerate(blocks):
        part = share[i] if share else 0.0
        sizes = ", ".join(f"{name} {n}" for name, n in block.sizes.items())
        told = f", {100 * part:.0f} % of the latency" if share else ""
        boxes.append(
            Box(
                x=_x(i),
                y=_y(i),
                width=_WIDTH,
                height=_HEIGHT,
                share_width=round(_WIDTH * part / largest) if largest > 0 else 0,
                text=f"{i} {block.kind}"[:_TEXT],
                more=f"{100 * part:.0f} %" if share else "",
                title=f"block {i}: {block.kind}, {sizes}{told}",
            )
        )
    wires = [
        _wire(source, i) for i, block in enumerate(blocks) for source in block.inputs if source >= 0
    ]
    rows = (len(blocks) - 1) // _IN_ROW + 1
    return Diagram(
        width=_IN_ROW * (_WIDTH + _ACROSS),
        height=rows * (_HEIGHT + _DOWN),
        boxes=tuple(boxes),
        wires=tuple(wires),
    )


def _x(i: int) -> int:
    return (i % _IN_ROW) * (_WIDTH + _ACROSS) + 2


def _y(i: int) -> int:
    return (i // _IN_ROW) * (_HEIGHT + _DOWN) + _DOWN // 2


def _wire(source: int, target: int) -> str:
    """A line from one block to another: straight to the next, in an arc past others."""
    x0, y0 = _x(source) + _WIDTH, _y(source) + _HEIGHT // 2
    x1, y1 = _x(target), _y(target) + _HEIGHT // 2
    if source // _IN_ROW != target // _IN_ROW:
        below = _y(source) + _HEIGHT + _DOWN // 2
        return f"M{x0} {y0} h{_ACROSS // 2} V{below} H{x1 - 2} V{y1} H{x1}"
    if target == source + 1:
        return f"M{x0} {y0} H{x1}"
    above = y0 - _HEIGHT // 2 - _DOWN // 3
    return f"M{x0} {y0} C{x0 + _ACROSS} {above} {x1 - _ACROSS} {above} {x1} {y1}"
