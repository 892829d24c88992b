"""A whole lookup table for a target of which only a few networks were measured.

`transfer` estimates networks; a search wants blocks. The blocks' costs are those that explain the
estimated networks best while staying near what the same blocks cost on known targets: ridge
regression of networks' latencies on their blocks, in units of the known targets' mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.calibrate import Calibration
from lookup_tables.errors import LookupTableError
from lookup_tables.fill import columns_of
from lookup_tables.roofline import Peaks, Roofline
from lookup_tables.source import FloatArray
from lookup_tables.table import TRANSFERRED, Entry, LookupTable
from lookup_tables.target import Target
from lookup_tables.transfer import Known, Transferred, transfer
from lookup_tables.transfer_models import IntArray

_NOISE = 0.03
"""Relative error that a network's estimate is taken to have."""
_PRIOR = 0.5
"""How far a block's cost may lie from its mean on known targets, relative, before it is pulled."""
_LEAST = 0.05
_NOMINAL = Peaks(1e10, 1e10)


@dataclass(frozen=True)
class TransferredTable:
    """A table made of few networks, and what it rests on."""

    table: LookupTable
    networks: Transferred


def transfer_table(
    target: Target,
    blocks: Sequence[Block],
    counts: FloatArray,
    measured: IntArray,
    latency_ms: FloatArray,
    *,
    references: Sequence[LookupTable],
    reference_ms: FloatArray,
) -> TransferredTable:
    """Blocks' costs on `target` from networks measured there.

    Args:
        target: what is new.
        blocks: that the table is to hold, distinct.
        counts: how often each of `n` networks has each block, `(n, len(blocks))`.
        measured: rows of the networks that were measured, `(k,)`, k >= 5.
        latency_ms: their latencies, `(k,)`.
        references: tables of known targets; each holds every block. Without any, a roofline of
            nominal peaks says how blocks compare.
        reference_ms: latencies of the networks on the references, `(n, len(references))`.

    Raises:
        LookupTableError: shapes do not fit, fewer than five networks, a latency is not positive.
    """
    if counts.shape[1:] != (len(blocks),) or len(counts) != len(reference_ms):
        raise LookupTableError(
            f"counts are (networks, blocks): {counts.shape} for {len(blocks)} blocks and "
            f"{len(reference_ms)} networks"
        )
    known = Known(
        features={"sizes": counts @ _sizes(blocks)},
        references=reference_ms,
        hardware=[one.target.device for one in references],
    )
    found = transfer(known, measured, latency_ms)
    wanted = found.latency.copy()
    wanted[measured] = latency_ms
    costs = _block_costs(counts, wanted, _prior(blocks, references))
    entries = tuple(
        Entry(block, p10_ms=float(cost), source=TRANSFERRED)
        for block, cost in zip(blocks, costs, strict=True)
    )
    errors = tuple(round(float(e) * max(found.inflation, 1.0), 6) for e in found.left_out)
    provenance = {
        "transfer": {
            "n_networks": len(measured),
            "references": [one.version for one in references],
            "weights": {name: round(weight, 4) for name, weight in found.weights.items()},
            "expected_spearman": round(found.expected_spearman, 4),
            "doubtful": found.doubtful,
        }
    }
    calibration = Calibration(1.0, 0.0, 0.0, 0.0, "p50", errors)
    return TransferredTable(LookupTable(target, entries, provenance, calibration), found)


def _prior(blocks: Sequence[Block], references: Sequence[LookupTable]) -> FloatArray:
    """How blocks compare, in any unit: the known targets' geometric mean."""
    if not references:
        nominal = Target("nominal", "roofline", "1", "fp32")
        return Roofline(nominal, _NOMINAL).latency_ms(blocks)
    logs = np.array([np.log(one.latency_ms(blocks)) for one in references])
    return np.asarray(np.exp((logs - logs.mean(axis=1, keepdims=True)).mean(axis=0)))


def _block_costs(counts: FloatArray, latency: FloatArray, prior: FloatArray) -> FloatArray:
    """Costs near `prior` (up to one factor) whose sums are the latencies: `(blocks,)`."""
    sums = counts @ prior
    centre = prior * float(np.median(latency / sums))
    rows = counts * (_PRIOR * centre) / latency[:, None]
    wanted = 1.0 - counts @ centre / latency
    among = rows @ rows.T + _NOISE**2 * np.eye(len(rows))
    moved = _PRIOR * centre * (rows.T @ np.linalg.solve(among, wanted))
    return np.asarray(np.maximum(centre + moved, _LEAST * centre))


def _sizes(blocks: Sequence[Block]) -> FloatArray:
    """What a network's latency may follow, summed over its blocks: `(len(blocks), f)`."""
    kinds = sorted({block.kind for block in blocks})
    sizes = columns_of([block.trend() for block in blocks])
    of_kind = [[float(block.kind == kind) for kind in kinds] for block in blocks]
    return np.column_stack([sizes, np.array(of_kind)])
