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

CHANNEL_BLOCK = 16

Placed = tuple[Block, tuple[int, ...]]
"""A block and the numbers of the blocks whose outputs it reads; -1 is the image."""


def live_numbers(block: Block, *, reads_image: bool = False) -> int:
    """Numbers that are held at the worst moment of a block, its input and output included."""
    given = 0 if reads_image else _wide(block.in_channels) * block.height * block.width
    made = output_numbers(block)
    middle = _wide(block.mid_channels)
    if block.kind == "mbconv":
        before = middle * block.height * block.width
        after = middle * block.out_height * block.out_width
        kept = given if block.residual else 0
        moments = [kept + after + made * (2 if block.residual else 1)]
        if block.mid_channels != block.in_channels:
            moments += [given + before, kept + before + after]
        else:
            moments.append(given + after)
        if block.se_channels:
            moments.append(kept + 2 * after)
        return max(moments)
    if block.kind == "head":
        return given + middle * block.height * block.width
    if block.kind == "residual_reduction":
        pooled = _wide(block.in_channels) * block.out_height * block.out_width
        return max(given + 2 * made, given + made + pooled, 3 * made)
    if block.kind == "add":  # a sum is written over one of its terms
        return given * block.terms
    return given + made


def output_numbers(block: Block) -> int:
    """Numbers that a block leaves."""
    return _wide(block.out_channels) * block.out_height * block.out_width


def chain_peaks(blocks: Sequence[Block]) -> FloatArray:
    """What each block of a chain needs while it runs: `(n, 1)`; the peak is the largest.

    A plain convolution of at most four channels can only be the one that reads the image.
    """
    first = [block.kind in {"conv", "conv_relu"} and block.in_channels <= 4 for block in blocks]
    pairs = zip(blocks, first, strict=True)
    return np.array([[float(live_numbers(one, reads_image=image))] for one, image in pairs])


def peak_numbers(network: Sequence[Placed]) -> int:
    """The worst moment of a network run in this order, where outputs wait for several readers."""
    last = {source: number for number, (_, sources) in enumerate(network) for source in sources}
    peak = 0
    waiting: dict[int, int] = {}
    for number, (block, sources) in enumerate(network):
        elsewhere = sum(size for one, size in waiting.items() if one not in sources)
        peak = max(peak, elsewhere + live_numbers(block, reads_image=-1 in sources))
        waiting[number] = output_numbers(block)
        waiting = {one: size for one, size in waiting.items() if last.get(one, -1) > number}
    return peak


def _wide(channels: int) -> int:
    return -(-channels // CHANNEL_BLOCK) * CHANNEL_BLOCK
