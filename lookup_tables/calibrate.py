"""From sums of blocks to whole networks.

A network runs faster than its blocks run alone: each block measured alone pays for a session and
for layout changes at its borders, more of them the more layers it has. The correction is linear in
the sum of the blocks' latencies, their number and the number of their layers, fitted in relative
error to whole networks measured on the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtrit

from lookup_tables.blocks import Block
from lookup_tables.errors import LookupTableError
from lookup_tables.source import CostSource, FloatArray

FLOOR_OF_SUM = 0.05
"""An estimate is never below this share of the plain sum."""
MIN_NETWORKS = 5
N_SUMS = 3


def block_sums(source: CostSource, blocks: Sequence[Block]) -> FloatArray:
    """What a calibration reads of each block: its latency in ms, 1, its layers: `(n, 3)`."""
    layers = np.array([float(block.n_layers) for block in blocks])
    return np.column_stack([source.latency_ms(blocks), np.ones(len(blocks)), layers])


@dataclass(frozen=True, slots=True)
class Calibration:
    """latency = ratio * sum + per_block_ms * blocks + per_layer_ms * layers + constant_ms.

    `statistic` is the percentile of latency that the result stands for. `relative_errors` are
    left-one-out: each network predicted by a fit on the others, as (predicted - measured) /
    measured.
    """

    ratio: float
    per_block_ms: float
    per_layer_ms: float
    constant_ms: float
    statistic: str
    relative_errors: tuple[float, ...]

    @property
    def n_networks(self) -> int:
        """How many whole networks the fit rests on."""
        return len(self.relative_errors)

    @property
    def mean_error(self) -> float:
        """Mean absolute left-one-out error, relative."""
        return float(np.mean(np.abs(self.relative_errors)))

    def estimate_ms(self, sums: FloatArray) -> FloatArray:
        """Latency of whole networks from the sums of their blocks `(n, 3)`: `(n,)`.

        Never below a twentieth of the plain sum, however far a network is from the fitted ones.
        """
        found = self.slopes(sums) + self.constant_ms
        return np.asarray(np.maximum(found, FLOOR_OF_SUM * sums[:, 0]))

    def slopes(self, sums: FloatArray) -> FloatArray:
        """The part of the estimate that adds up over blocks: `(n, 3) -> (n,)`."""
        weights = np.array([self.ratio, self.per_block_ms, self.per_layer_ms])
        return np.asarray(sums @ weights)

    def upper_factor(self, probability: float) -> float:
        """What to multiply an estimate by so that the measured value stays below it.

        Student's t on the logarithms of left-out errors, one-sided: a measured value is the
        estimate divided by one plus its error. Errors of more than a factor of two count as that
        much: of few networks a fit on the others may miss one by anything. Infinite below five
        networks.
        """
        n = self.n_networks
        if n < MIN_NETWORKS:
            return float("inf")
        logs = np.log1p(np.clip(self.relative_errors, -0.5, 1.0))
        scale = float(np.sqrt(np.mean(np.square(logs))))
        return float(np.exp(stdtrit(n - 1, probability) * scale))

    def as_dict(self) -> dict[str, Any]:
        """The calibration as plain JSON values."""
        return {**asdict(self), "relative_errors": list(self.relative_errors)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """The inverse of `as_dict`."""
        return cls(**{**values, "relative_errors": tuple(values["relative_errors"])})


def rescaled(before: Calibration, sums: FloatArray, measured_ms: FloatArray) -> Calibration:
    """The same correction times one factor, after networks that its table was not made of.

    For tables whose blocks were fitted to the very networks that would calibrate them: such a fit
    would call itself exact. The factor is the mean ratio, shrunk as if one more network had been
    right; errors stay as they were told, beside those of the new networks before they were known.
    `sums` `(n, 3)`, `measured_ms` `(n,)`.
    """
    estimated = before.estimate_ms(sums)
    logs = np.log(measured_ms / estimated)
    factor = float(np.exp(logs.sum() / (len(logs) + 1)))
    errors = tuple(round(float(one), 6) for one in estimated / measured_ms - 1.0)
    return replace(
        before,
        ratio=before.ratio * factor,
        per_block_ms=before.per_block_ms * factor,
        per_layer_ms=before.per_layer_ms * factor,
        constant_ms=before.constant_ms * factor,
        relative_errors=(*before.relative_errors, *errors),
    )


def fit_calibration(
    sums: FloatArray, measured_ms: FloatArray, *, statistic: str = "p50"
) -> Calibration:
    """Fit the correction on whole networks: sums `(n, 3)` and latencies `(n,)`, n >= 5.

    Raises:
        LookupTableError: fewer than five networks, or a measurement that is not positive.
    """
    if len(measured_ms) < MIN_NETWORKS:
        raise LookupTableError(
            f"calibration needs at least {MIN_NETWORKS} measured networks, got {len(measured_ms)}"
        )
    if not np.all(np.isfinite(measured_ms) & (measured_ms > 0)):
        raise LookupTableError("measured latencies have to be positive and finite")
    design = np.column_stack([sums, np.ones(len(measured_ms))])
    everything = np.arange(len(measured_ms))
    errors = []
    for left_out in everything:
        rest = everything != left_out
        guess = design[left_out] @ _fit(design[rest], measured_ms[rest])
        errors.append(float(guess / measured_ms[left_out] - 1.0))
    ratio, per_block, per_layer, constant = (float(v) for v in _fit(design, measured_ms))
    rounded = tuple(round(error, 6) for error in errors)
    return Calibration(ratio, per_block, per_layer, constant, statistic, rounded)


def _fit(design: FloatArray, measured: FloatArray) -> FloatArray:
    """Least squares in relative error with a small ridge towards the plain sum."""
    from scipy.optimize import lsq_linear  # half a second that whoever only reads need not wait

    scale = design.mean(axis=0)
    weighted = design / scale / measured[:, None]
    prior = np.array([1.0, 0.0, 0.0, 0.0]) * scale
    shrink = 0.03 * np.eye(len(scale)) * np.sqrt(len(measured)) / measured.mean()
    rows = np.vstack([weighted, shrink])
    wanted = np.concatenate([np.ones(len(measured)), shrink @ prior])
    found = lsq_linear(rows, wanted, bounds=([0.0, *[-np.inf] * (len(scale) - 1)], np.inf))
    return np.asarray(found.x / scale, dtype=np.float64)
