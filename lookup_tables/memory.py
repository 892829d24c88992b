"""Peak memory of activations, planned from block sizes alone.

Runtimes lay all activations of a run out in one buffer, whose size is that of the worst moment:
what a layer reads, what it writes, and what later layers still wait for. Blocked layouts round
channels up (ONNX Runtime's NCHWc: to 16 with AVX-512). The image itself belongs to the caller.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.source import FloatArray

Placed = tuple[Block, tuple[int, ...]]
"""A block and the numbers of the blocks whose outputs it reads; -1 is the image."""


def chain_peaks(blocks: Sequence[Block]) -> FloatArray:
    """What each block of a chain needs while it runs: `(n, 1)`; the peak is the largest."""
    live = [one.live_numbers(reads_sample=one.first_alone) for one in blocks]
    return np.array(live, dtype=np.float64).reshape(len(blocks), 1)


def arena_peaks(blocks: Sequence[Block]) -> FloatArray:
    """What LiteRT holds while each block of a chain runs: `(n, 1)`; the sample stays beside it."""
    numbers = [one.arena_numbers() for one in blocks]
    return np.array(numbers, dtype=np.float64).reshape(len(blocks), 1)


def peak_numbers(network: Sequence[Placed]) -> int:
    """The worst moment of a network run in this order, where outputs wait for several readers."""
    last = {source: number for number, (_, sources) in enumerate(network) for source in sources}
    peak = 0
    waiting: dict[int, int] = {}
    for number, (block, sources) in enumerate(network):
        elsewhere = sum(size for one, size in waiting.items() if one not in sources)
        peak = max(peak, elsewhere + block.live_numbers(reads_sample=-1 in sources))
        waiting[number] = block.output_numbers
        waiting = {one: size for one, size in waiting.items() if last.get(one, -1) > number}
    return peak
