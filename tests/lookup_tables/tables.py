"""Tables that tests make."""

from __future__ import annotations

from lookup_tables.blocks.convolution import ConvBlock
from lookup_tables.table import Entry, LookupTable
from lookup_tables.target import Target

TARGET = Target("board", "onnxruntime", "1.31.1", "fp32")


def small_table(times: float = 1.0) -> LookupTable:
    blocks = [ConvBlock(3, 8 * n, 8, 8, kernel=3) for n in range(1, 5)]
    entries = tuple(
        Entry(
            b,
            p10_ms=times * 0.01 * (n + 1),
            p50_ms=times * 0.02 * (n + 1),
            n=10,
            measured_at="2026-01-01",
        )
        for n, b in enumerate(blocks)
    )
    return LookupTable(TARGET, entries, {"note": "made up for a test"})
