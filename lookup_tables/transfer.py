"""A new target from a few measured networks, and what is known of the networks elsewhere.

Latency is close to additive: so much for each operator, by what the target does with it. Targets
differ in those costs, yet resemble each other. Each model here is a Bayesian linear regression of
latency, in units relative to it, on counts of operators and, where there are any, on the latencies
of known targets (a Gaussian process whose covariance over networks is that of the known targets).
Errors have heavy tails on real devices, so rows are weighted as under Student's t.

Which model to believe cannot be told from ten measurements alone: one that fits by luck looks best.
Every known target is therefore treated as if it were new and measured on the same networks, and
how a model did there counts beside its left-out error here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.source import FloatArray
from lookup_tables.transfer_models import (
    IntArray,
    estimate,
    mixed,
    model_weights,
    models_of,
    pseudo_targets,
    spread_of,
)

MIN_NETWORKS = 5
TRUSTED = 0.93
"""Expected rank correlation below which a transfer is doubtful."""
_LARGEST = 0.7
"""Relative error beyond which a left-out error counts no more."""


@dataclass(frozen=True)
class Known:
    """What is known of `n` networks before the new target is measured.

    Args:
        features: sets of features by name, `(n, f)` each: counts of operators, or of those that a
            compiler would keep. Models of each set are compared.
        references: latencies on known targets `(n, r)`, in any unit.
        hardware: of each reference; targets of the same hardware are not shown to each other.
    """

    features: Mapping[str, FloatArray]
    references: FloatArray
    hardware: Sequence[str] = ()

    def __post_init__(self) -> None:
        n = len(self.references)
        if self.references.ndim != 2 or not self.features:
            raise LookupTableError("references are (networks, targets), features at least one set")
        for name, rows in self.features.items():
            if len(rows) != n:
                raise LookupTableError(f"features {name!r}: {len(rows)} rows for {n} networks")
        if len(self.hardware) != self.references.shape[1]:
            raise LookupTableError(
                f"{self.references.shape[1]} references, hardware of {len(self.hardware)}"
            )
        if not (np.isfinite(self.references).all() and (self.references > 0).all()):
            raise LookupTableError("references: a latency that is not a positive number")


@dataclass(frozen=True)
class Transferred:
    """Estimates of the new target's latencies.

    Args:
        latency: of every network `(n,)`, in the unit of what was measured.
        left_out: relative errors of the measured networks, each estimated without itself `(k,)`.
        weights: of each model by its name; they add up to one.
        pseudo_errors: relative errors on known targets that were treated as new, over the spread of
            their left-out errors: `(targets, networks)`; empty without references.
    """

    latency: FloatArray
    left_out: FloatArray
    weights: Mapping[str, float]
    pseudo_errors: FloatArray = field(repr=False)

    @property
    def spread(self) -> float:
        """Typical left-out error, relative; large ones are cut."""
        return spread_of(self.left_out)

    @property
    def expected_spearman(self) -> float:
        """Rank correlation to expect with the target's own latencies.

        That of two normal variables of which one is the other plus errors of the size met: the
        networks' logarithms spread so far, errors so far. The larger of two sizes of errors counts:
        of the left-out ones here with all their tails, and of the typical one here, made larger as
        it had to be on known targets.
        """
        signal = float(np.log(self.latency).std())
        tails = float(np.sqrt(np.mean(np.minimum(np.abs(self.left_out), _LARGEST) ** 2)))
        noise = max(self.spread * self.inflation, tails)
        correlation = signal / max(np.hypot(signal, noise), 1e-12)
        return float(6.0 / np.pi * np.arcsin(correlation / 2.0))

    @property
    def inflation(self) -> float:
        """Errors over left-out ones, as they were on known targets; 1 without any."""
        if not len(self.pseudo_errors):
            return 1.0
        return float(np.median(np.sqrt((np.minimum(self.pseudo_errors**2, 25.0)).mean(axis=1))))

    @property
    def doubtful(self) -> bool:
        """Whether too few networks were measured to trust the order of the others."""
        return not self.expected_spearman >= TRUSTED

    def interval(self, level: float) -> FloatArray:
        """Bounds `(n, 2)` that hold a network's latency with probability `level`.

        The larger of two widths: what left-out errors here (conformal prediction, Vovk et al.,
        2005), and what errors on known targets ask for. Infinite where so few measured networks
        cannot promise that level.
        """
        k = len(self.left_out)
        rank = int(np.ceil((k + 1) * level))
        if rank > k:
            return np.tile([0.0, np.inf], (len(self.latency), 1))
        width = float(np.sort(np.abs(self.left_out))[rank - 1])
        if len(self.pseudo_errors):
            there = self.spread * float(np.quantile(np.abs(self.pseudo_errors), level))
            width = max(width, there)
        return np.column_stack([self.latency * np.exp(-width), self.latency * np.exp(width)])


def transfer(known: Known, measured: IntArray, latency: FloatArray) -> Transferred:
    """Estimate a new target from `latency` `(k,)` of the networks `measured` `(k,)`.

    Raises:
        LookupTableError: fewer than `MIN_NETWORKS` networks, one of them twice, or a latency that
            is not a positive number; the row is named.
    """
    _check(known, measured, latency)
    models = models_of(known.features, known.references.shape[1])
    every = np.arange(len(known.references))
    own = [estimate(model, known.references, every, measured, latency) for model in models]
    pseudo = pseudo_targets(models, known.references, known.hardware, measured)
    weights = model_weights(own, pseudo)
    latencies = np.exp(np.tensordot(weights, np.log([one for one, _ in own]), 1))
    left_out = mixed(weights, [errors for _, errors in own])
    ratios = [
        mixed(weights, [errors for errors, _ in target])
        / spread_of(mixed(weights, [out for _, out in target]))
        for target in pseudo
    ]
    return Transferred(
        latencies,
        left_out,
        {model.name: float(weight) for model, weight in zip(models, weights, strict=True)},
        np.array(ratios) if ratios else np.empty((0, 0)),
    )


def _check(known: Known, measured: IntArray, latency: FloatArray) -> None:
    if len(measured) < MIN_NETWORKS:
        raise LookupTableError(
            f"a transfer needs at least {MIN_NETWORKS} measured networks, got {len(measured)}"
        )
    if latency.shape != measured.shape:
        raise LookupTableError(f"{len(measured)} networks, {len(latency)} latencies")
    if len(np.unique(measured)) < len(measured):
        raise LookupTableError("a network was given twice; give it once with all its repeats' p50")
    if measured.min() < 0 or measured.max() >= len(known.references):
        raise LookupTableError(f"measured networks are rows 0 to {len(known.references) - 1}")
    bad = ~np.isfinite(latency) | (latency <= 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise LookupTableError(f"row {row}: latency {latency[row]} is not a positive number")
