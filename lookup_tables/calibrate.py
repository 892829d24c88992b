"""From sums of blocks to whole networks.

A network runs faster than its blocks run alone: each block measured alone pays for a session and
for layout changes at its borders, more of them the more layers it has. The correction is linear in
the sum of the blocks' latencies, their number and the number of their layers, fitted in relative
error to whole networks measured on the target. How much of that is fitted is chosen by how well
networks are predicted that were left out, so that few or noisy networks do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.calibration_fit import FLOOR_OF_SUM, N_SUMS, bounds_of, fit_weights
from lookup_tables.errors import LookupTableError
from lookup_tables.ratio import MIN_NETWORKS, upper_factor
from lookup_tables.source import CostSource, FloatArray

FORMS: Mapping[str, tuple[int, ...]] = {
    "plain": (),
    "ratio": (0,),
    "overhead": (0, 1),
    "full": (0, 1, 2, 3),
}
"""Forms of the correction, simplest first: which of ratio, block, layer and constant are fitted.

`variants`, where variants of blocks are given, has a ratio, a constant, and one a block of
each variant; `junctions` has one a place where blocks meet beside.
"""
VARIANTS_FORM, JUNCTIONS_FORM = "variants", "junctions"
EVERY_FORM = (*FORMS, VARIANTS_FORM, JUNCTIONS_FORM)
_WORTH = 0.5
_MOST_ERROR = 1.0
"""Errors above this count as this much where forms are compared."""


def block_sums(
    source: CostSource, blocks: Sequence[Block], variants: Sequence[str] = ()
) -> FloatArray:
    """What a calibration reads of each block: its latency in ms, 1, its layers: `(n, 3)`.

    With `variants`, 1 beside in the column of the block's variant: `(n, 3 + len(variants))`.
    """
    layers = np.array([float(block.n_layers) for block in blocks])
    own = [[float(block.variant == one) for block in blocks] for one in variants]
    return np.column_stack([source.latency_ms(blocks), np.ones(len(blocks)), layers, *own])


@dataclass(frozen=True, slots=True)
class Calibration:
    """latency = ratio * sum + per_block_ms * blocks + per_layer_ms * layers + constant_ms.

    `per_variant_ms` comes on top for each block of a variant (`Block.variant`), `per_junction_ms`
    for each junction of a name: what a runtime does where blocks meet.
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
    form: str = "full"
    """Which of `FORMS`; tables from before there was a choice have the full one."""
    per_variant_ms: Mapping[str, float] = field(default_factory=dict)
    """What a block of a variant adds beside: within a network some save more than others."""
    per_junction_ms: Mapping[str, float] = field(default_factory=dict)
    """What a tensor costs beside that blocks of these kinds read, by the junction's name."""
    errors_of_forms: Mapping[str, float] = field(default_factory=dict)
    """Mean absolute left-one-out error of every form, what the choice rests on."""

    @property
    def n_networks(self) -> int:
        """How many whole networks the fit rests on."""
        return len(self.relative_errors)

    @property
    def mean_error(self) -> float:
        """Mean absolute left-one-out error, relative."""
        return float(np.mean(np.abs(self.relative_errors)))

    def estimate_ms(self, sums: FloatArray) -> FloatArray:
        """Latency of whole networks from the sums of their blocks: `(n,)`.

        `sums` are `(n, 3)`, or with one for each of `columns`. Never below a twentieth of
        the plain sum, however far a network is from the fitted ones.
        """
        found = self.slopes(sums) + self.constant_ms
        return np.asarray(np.maximum(found, FLOOR_OF_SUM * sums[:, 0]))

    def slopes(self, sums: FloatArray) -> FloatArray:
        """The part of the estimate that adds up over blocks: `(n, 3 or more) -> (n,)`.

        Columns beyond the third are those of `columns`; see `block_sums`.
        """
        own = [*self.per_variant_ms.values(), *self.per_junction_ms.values()]
        weights = [self.ratio, self.per_block_ms, self.per_layer_ms, *own]
        return np.asarray(sums[:, : len(weights)] @ np.array(weights))

    @property
    def columns(self) -> tuple[str, ...]:
        """Variants of blocks, then junctions, whose columns the sums need, in order."""
        return (*self.per_variant_ms, *self.per_junction_ms)

    def upper_factor(self, probability: float) -> float:
        """What to multiply an estimate by so that the measured value stays below it."""
        return upper_factor(self.relative_errors, probability)

    def times(self, factor: float, statistic: str) -> Calibration:
        """The same for a statistic that is `factor` times this one."""
        return replace(
            self,
            ratio=self.ratio * factor,
            per_block_ms=self.per_block_ms * factor,
            per_layer_ms=self.per_layer_ms * factor,
            constant_ms=self.constant_ms * factor,
            per_variant_ms={one: ms * factor for one, ms in self.per_variant_ms.items()},
            per_junction_ms={one: ms * factor for one, ms in self.per_junction_ms.items()},
            statistic=statistic,
        )

    def as_dict(self) -> dict[str, Any]:
        """The calibration as plain JSON values."""
        return {
            **asdict(self),
            "relative_errors": list(self.relative_errors),
            "per_variant_ms": dict(self.per_variant_ms),
            "per_junction_ms": dict(self.per_junction_ms),
            "errors_of_forms": dict(self.errors_of_forms),
        }

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
        before.times(factor, before.statistic),
        relative_errors=(*before.relative_errors, *errors),
    )


def _require_enough(measured_ms: FloatArray) -> None:
    if len(measured_ms) < MIN_NETWORKS:
        raise LookupTableError(
            f"calibration needs at least {MIN_NETWORKS} measured networks, got {len(measured_ms)}"
        )
    if not np.all(np.isfinite(measured_ms) & (measured_ms > 0)):
        raise LookupTableError("measured latencies have to be positive and finite")


def _forms(n_variants: int, n_junctions: int) -> dict[str, tuple[int, ...]]:
    """Forms by name with the columns of the design that they have."""
    forms = dict(FORMS)
    last = 4 + n_variants
    if n_variants > 1:
        forms[VARIANTS_FORM] = (0, 1, 3, *range(4, last))
    if n_junctions:
        forms[JUNCTIONS_FORM] = (0, 1, 3, *range(4, last + n_junctions))
    return forms


def _left_out(
    design: FloatArray,
    measured_ms: FloatArray,
    columns: tuple[int, ...],
    bounds: FloatArray,
    floors: FloatArray,
) -> FloatArray:
    """Relative errors `(n,)` of a form fitted on all networks but one and asked for that one."""
    n = len(measured_ms)
    guesses = np.empty(n)
    for one in range(n):
        rest = np.arange(n) != one
        weights = fit_weights(design[rest], measured_ms[rest], columns, bounds)
        guesses[one] = max(design[one] @ weights, floors[one])
    errors: FloatArray = guesses / measured_ms - 1.0
    return errors


def fit_calibration(
    sums: FloatArray,
    measured_ms: FloatArray,
    *,
    parts: FloatArray | None = None,
    variants: Sequence[str] = (),
    junctions: Sequence[str] = (),
    statistic: str = "p50",
) -> Calibration:
    """Fit corrections of growing size on whole networks, and take the one that predicts best.

    Args:
        sums: of the networks' blocks, `(n, 3)`, n >= 5; see `block_sums`.
        measured_ms: their latencies, `(n,)`, positive.
        parts: the same of single blocks, `(m, 3)`, that must not cost less than a twentieth of
            their latency alone; the networks themselves where nothing is given.
        variants: of blocks, whose columns `sums` and `parts` have beyond the third.
        junctions: names whose columns come after those.
        statistic: percentile that the latencies are.

    Each form (`plain`: the sum as it is; `ratio`; `overhead`: a ratio and a constant a block;
    `full`: constants a layer and a network beside; `variants` and `junctions`: see `FORMS`) is
    fitted on all networks but one and asked for that one. The simplest form counts whose error is
    within half a standard error of the best, so that none is worse than the plain sum but by
    chance. Single
    networks that are far off have little say (Huber's loss).

    Raises:
        LookupTableError: fewer than five networks, or a measurement that is not positive.
    """
    _require_enough(measured_ms)
    n = len(measured_ms)
    bounds = bounds_of(sums if parts is None else parts)
    design = np.column_stack([sums[:, :N_SUMS], np.ones(n), sums[:, N_SUMS:]])
    forms = _forms(len(variants), len(junctions))
    errors = {
        form: _left_out(design, measured_ms, columns, bounds, FLOOR_OF_SUM * sums[:, 0])
        for form, columns in forms.items()
    }
    chosen = _simplest(errors)
    weights = fit_weights(design, measured_ms, forms[chosen], bounds)
    ratio, per_block, per_layer, constant, *own = (float(v) for v in weights)
    rounded = tuple(round(float(error), 6) for error in errors[chosen])
    by_form = {form: round(float(np.abs(one).mean()), 5) for form, one in errors.items()}
    return Calibration(
        ratio,
        per_block,
        per_layer,
        constant,
        statistic,
        rounded,
        form=chosen,
        per_variant_ms=dict(zip(variants, own, strict=False))
        if chosen in {VARIANTS_FORM, JUNCTIONS_FORM}
        else {},
        per_junction_ms=dict(zip(junctions, own[len(variants) :], strict=True))
        if chosen == JUNCTIONS_FORM
        else {},
        errors_of_forms=by_form,
    )


def _simplest(errors: Mapping[str, FloatArray]) -> str:
    """The first form that is as good as the best one, as far as so many networks can tell."""
    sizes = {form: np.minimum(np.abs(one), _MOST_ERROR) for form, one in errors.items()}
    best = min(sizes, key=lambda form: float(sizes[form].mean()))
    for form, one in sizes.items():
        more = one - sizes[best]
        error = float(more.std(ddof=1) / np.sqrt(len(more)))
        if form == best or more.mean() <= _WORTH * error:
            return form
    return best
