"""Measured blocks that blocks like them do not support: slips of the device, most likely."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from lookup_tables.fill import MIN_MEASURED, block_features, ridge
from lookup_tables.table import MEASURED, Entry

ABSURD = 10.0
"""Times that a block is off what its sizes ask for, from which on it is not believed."""


def absurd_entries(entries: Sequence[Entry]) -> dict[str, float]:
    """Measured blocks ten times off what others of their kind say of them: key and measured ms.

    The others speak through a linear trend of log latency over sizes, fitted again without those
    that are far from it. Kinds with fewer than `MIN_MEASURED` measured members are not judged.
    """
    found = {}
    for kind in sorted({entry.block.kind for entry in entries}):
        known = [e for e in entries if e.block.kind == kind and e.source == MEASURED]
        if len(known) < MIN_MEASURED:
            continue
        features = block_features([entry.block for entry in known])
        spread = features.std(axis=0)
        scaled = features[:, spread > 0] / spread[spread > 0]
        logs = np.log([entry.p10_ms for entry in known])
        design_matrix = np.column_stack([np.ones(len(scaled)), scaled])
        usual = np.abs(logs - np.median(logs)) <= 3.0 * np.median(np.abs(logs - np.median(logs)))
        for _ in range(3):
            if usual.sum() < MIN_MEASURED:
                break
            off = logs - design_matrix @ ridge(scaled[usual], logs[usual])
            usual = np.abs(off) <= 0.5 * np.log(ABSURD)
        off = logs - design_matrix @ ridge(scaled[usual], logs[usual])
        for entry, one in zip(known, off, strict=True):
            if abs(one) > np.log(ABSURD):
                found[entry.block.key] = entry.p10_ms
    return found


def replaceable(entries: Sequence[Entry], keys: Collection[str]) -> set[str]:
    """Those of `keys` that can be left out: enough measured blocks of their kind stay to fill them.

    Of a kind that would be left with too few, all stay: a doubtful price is better than none.
    """
    kept = [e.block.kind for e in entries if e.source == MEASURED and e.block.key not in keys]
    return {
        entry.block.key
        for entry in entries
        if entry.block.key in keys and kept.count(entry.block.kind) >= MIN_MEASURED
    }
