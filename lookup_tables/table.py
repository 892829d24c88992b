"""A lookup table: the cost of each block on one target, immutable and named by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.calibrate import Calibration
from lookup_tables.errors import InvalidTable, MissingBlocks
from lookup_tables.ratio import Ratio
from lookup_tables.source import FloatArray
from lookup_tables.target import Target

MEASURED = "measured"
FILLED = "filled"
ROOFLINE = "roofline"
TRANSFERRED = "transferred"
SOURCES = (MEASURED, FILLED, ROOFLINE, TRANSFERRED)


@dataclass(frozen=True, slots=True)
class Entry:
    """The latency of one block.

    A measured entry has the percentiles of its samples, their relative `spread`
    ((p50 - p10) / p10), their number and when they were taken. A filled one has `p10_ms` alone,
    from a regression over the measured ones, and `energy_mj` where all of those have it; one of a
    roofline, or one transferred from other targets, has `p10_ms` alone.
    """

    block: Block
    p10_ms: float
    source: str = MEASURED
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    spread: float | None = None
    n: int = 0
    stable: bool = True
    measured_at: str | None = None
    energy_mj: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; the block by its kind and sizes."""
        own = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**own, "block": {"kind": self.block.kind, **self.block.sizes}}


@dataclass(frozen=True)
class LookupTable:
    """Entries of one target with their provenance; a `CostSource`.

    `provenance` holds plain JSON values: device facts, protocol, library versions, the error of
    the filled entries, times. `calibration` maps sums of blocks' latencies to whole networks,
    `ratios` estimates of other quantities by their names, as `energy_mj`, where networks were
    measured.
    """

    target: Target
    entries: tuple[Entry, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None
    ratios: Mapping[str, Ratio] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seen: set[Block] = set()
        for entry in self.entries:
            if entry.block in seen:
                raise InvalidTable([f"block {entry.block.key} occurs twice"])
            seen.add(entry.block)

    @cached_property
    def _position(self) -> dict[Block, int]:
        return {entry.block: row for row, entry in enumerate(self.entries)}

    @cached_property
    def _latency(self) -> FloatArray:
        return np.array([entry.p10_ms for entry in self.entries], dtype=np.float64)

    @cached_property
    def _energy(self) -> FloatArray:
        known = [np.nan if e.energy_mj is None else e.energy_mj for e in self.entries]
        return np.array(known, dtype=np.float64)

    @cached_property
    def version(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of everything the table says."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def n_measured(self) -> int:
        """How many entries were measured rather than filled."""
        return sum(entry.source == MEASURED for entry in self.entries)

    def missing(self, blocks: Sequence[Block]) -> list[Block]:
        """The distinct blocks that the table does not hold, sorted."""
        return sorted({block for block in blocks if block not in self._position})

    def latency_ms(self, blocks: Sequence[Block]) -> FloatArray:
        """p10 latency of each block: `(len(blocks),)`; `MissingBlocks` names those not held."""
        return self._latency[self._rows(blocks)]

    def energy_mj(self, blocks: Sequence[Block]) -> FloatArray:
        """Energy of each block: `(len(blocks),)`, NaN where it was not measured."""
        return self._energy[self._rows(blocks)]

    def as_dict(self) -> dict[str, Any]:
        """The whole table as plain JSON values."""
        ratios = {name: one.as_dict() for name, one in self.ratios.items()}
        return {
            "target": self.target.as_dict(),
            "provenance": dict(self.provenance),
            "calibration": None if self.calibration is None else self.calibration.as_dict(),
            **({"ratios": ratios} if ratios else {}),  # a version is that of what is said
            "entries": [entry.as_dict() for entry in self.entries],
        }

    def _rows(self, blocks: Sequence[Block]) -> list[int]:
        if lacking := self.missing(blocks):
            raise MissingBlocks(self.target.key, [block.key for block in lacking])
        return [self._position[block] for block in blocks]
