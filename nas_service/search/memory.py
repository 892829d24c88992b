"""Peak memory of a batch of networks of a space."""

from __future__ import annotations

import math

import numpy as np

from lookup_tables.memory import arena_peaks, chain_peaks, peak_numbers
from nas_service.search.slot_sums import SlotSums
from nas_service.space.base import FloatArray, IntArray, SearchSpace

BYTES = 4.0
"""ONNX Runtime unfolds what an int8 convolution reads, and allocates about as much as in fp32; of
other runtimes nothing better is known."""


_SIGNAL_RANK = 3


class MemoryModel:
    """Planned peak of activations; see `lookup_tables.memory`.

    Where a space's blocks follow one another, the peak is the largest of its slots' and a batch is
    an array lookup; elsewhere each distinct network is walked once and remembered.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._chain = space.chain
        self._largest = SlotSums(space, chain_peaks, reduce=np.maximum) if self._chain else None
        self._known: dict[tuple[int, ...], int] = {}

    def peak_bytes(self, genotypes: IntArray) -> FloatArray:
        """Bytes of activations at the worst moment: `(n, d) -> (n,)`."""
        if self._largest is not None:
            return self._largest(genotypes)[:, 0] * BYTES
        rows, place = np.unique(self._space.canonical(genotypes), axis=0, return_inverse=True)
        peaks = np.array([self._walk(row) for row in rows], dtype=np.float64)
        return peaks[place.reshape(-1)] * BYTES

    def _walk(self, row: IntArray) -> int:
        key = tuple(int(v) for v in row)
        if key not in self._known:
            nodes = self._space.wire(row)
            self._known[key] = peak_numbers([(one.block, one.inputs) for one in nodes])
        return self._known[key]


class ArenaModel:
    """Planned arena of LiteRT's own kernels, in numbers; see `lookup_tables.blocks.arena`.

    The sample is held throughout, and copied with channels last before the first block reads it.
    Spaces whose blocks do not follow one another are planned as `MemoryModel` does.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._largest = SlotSums(space, arena_peaks, reduce=np.maximum) if space.chain else None
        self._elsewhere = None if space.chain else MemoryModel(space)
        place = space.resolution
        sizes = (space.sample.size,) if place is None else space.decisions[place].values
        self._sample = np.array([math.prod(space.sample.input_shape(int(one))) for one in sizes])
        rank = len(space.sample.input_shape(int(sizes[0])))
        self._copies = 1 if rank > _SIGNAL_RANK else 2  # a signal is made a map of one row first

    def peak_numbers(self, genotypes: IntArray) -> FloatArray:
        """Numbers held at the worst moment: `(n, d) -> (n,)`."""
        rows = self._space.canonical(genotypes)
        place = self._space.resolution
        sample = self._sample[rows[:, place]] if place is not None else self._sample[:1]
        if self._largest is not None:
            return np.asarray(sample + np.maximum(self._largest(rows)[:, 0], self._copies * sample))
        assert self._elsewhere is not None
        return np.asarray(sample + self._elsewhere.peak_bytes(rows) / BYTES)
