"""A cost source for a device that nobody has measured (Williams et al., 2009).

A block takes as long as its arithmetic at the device's peak rate or its traffic at the memory's
bandwidth, whichever is longer, plus a dispatch for each of its layers. It orders networks; it is
no measurement and has no interval, and every entry made of it says `roofline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.errors import LookupTableError
from lookup_tables.source import FloatArray
from lookup_tables.table import ROOFLINE, Entry, LookupTable
from lookup_tables.target import Target

_BYTES = {"fp32": 4.0, "int8": 1.0, "bf16": 2.0, "fp16": 2.0}


@dataclass(frozen=True, slots=True)
class Peaks:
    """What a data sheet tells of a device, in fp32; other precisions scale with their bytes."""

    macs_per_s: float
    bytes_per_s: float
    layer_overhead_ms: float = 0.002

    def __post_init__(self) -> None:
        for name in ("macs_per_s", "bytes_per_s"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise LookupTableError(f"{name} of a device has to be a positive number")
        if not (np.isfinite(self.layer_overhead_ms) and self.layer_overhead_ms >= 0):
            raise LookupTableError("layer_overhead_ms of a device cannot be negative")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Roofline:
    """A `CostSource` from a device's peaks."""

    target: Target
    peaks: Peaks

    def latency_ms(self, blocks: Sequence[Block]) -> FloatArray:
        """Estimated latency of each block: `(len(blocks),)`."""
        size = _BYTES[self.target.precision]
        macs = np.array([float(b.macs) for b in blocks])
        moved = np.array([float(b.moved_numbers) for b in blocks]) * size
        layers = np.array([float(b.n_layers) for b in blocks])
        arithmetic = 1e3 * macs / (self.peaks.macs_per_s * 4.0 / size)
        traffic = 1e3 * moved / self.peaks.bytes_per_s
        return np.asarray(np.maximum(arithmetic, traffic) + layers * self.peaks.layer_overhead_ms)

    def energy_mj(self, blocks: Sequence[Block]) -> FloatArray:
        """Unknown: NaN each."""
        return np.full(len(blocks), np.nan)

    def table(self, blocks: Sequence[Block]) -> LookupTable:
        """A table of these blocks, every entry marked as what it is."""
        costs = self.latency_ms(blocks)
        entries = tuple(
            Entry(block, p10_ms=float(cost), source=ROOFLINE)
            for block, cost in zip(blocks, costs, strict=True)
        )
        return LookupTable(self.target, entries, {"roofline": self.peaks.as_dict()})
