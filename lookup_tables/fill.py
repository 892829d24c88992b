"""Complete a table by regression over its own measured entries, and mark what was filled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lookup_tables.blocks import Block
from lookup_tables.errors import ProfilingFailed
from lookup_tables.source import FloatArray
from lookup_tables.table import FILLED, MEASURED, Entry, LookupTable

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

MIN_MEASURED = 8
"""Fewer measured blocks of a kind than this cannot stand for the others."""


@dataclass(frozen=True, slots=True)
class FillReport:
    """How far the regression was off on measured blocks that it had not seen (ten folds)."""

    n_measured: int
    n_filled: int
    median_error: float
    p90_error: float


def block_features(blocks: Sequence[Block]) -> FloatArray:
    """What decides the latency of a block, as numbers of similar size: `(n, f)`.

    A column for each feature that some of them have, 0 where a block's family has it not.
    """
    return columns_of([block.features() for block in blocks])


def columns_of(rows: Sequence[Mapping[str, float]]) -> FloatArray:
    """Named numbers as an array, a column a name in the order in which they are first met."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return np.array([[row.get(name, 0.0) for name in names] for row in rows], dtype=np.float64)


def design(blocks: Sequence[Block], n: int, *, seed: int) -> list[Block]:
    """Choose up to `n` distinct blocks that stand for all of them, best first.

    Kinds with few members come whole and first, since nothing stands for them. Of the others,
    each next block is the one farthest from those already chosen, in the features above
    (Gonzalez, 1985), so that any prefix of the result covers the space evenly.
    """
    distinct = sorted(set(blocks))
    by_kind: dict[str, list[Block]] = {}
    for block in distinct:
        by_kind.setdefault(block.kind, []).append(block)
    few = [b for members in by_kind.values() if len(members) <= MIN_MEASURED * 2 for b in members]
    many = [b for b in distinct if b not in set(few)]
    chosen = list(few)
    if many and n > len(few):
        features = block_features(many)
        scale = features.std(axis=0)
        scaled = features[:, scale > 0] / scale[scale > 0]
        start = int(np.random.default_rng(seed).integers(len(many)))
        distance = np.full(len(many), np.inf)
        pick = start
        for _ in range(min(n - len(few), len(many))):
            chosen.append(many[pick])
            distance = np.minimum(distance, ((scaled - scaled[pick]) ** 2).sum(axis=1))
            pick = int(np.argmax(distance))
    return chosen


def can_fill(table: LookupTable, blocks: Sequence[Block]) -> bool:
    """Whether every block that the table lacks has enough measured ones of its kind."""
    kinds = {block.kind for block in table.missing(blocks)}
    measured = [entry.block.kind for entry in table.entries if entry.source == MEASURED]
    return all(measured.count(kind) >= MIN_MEASURED for kind in kinds)


def fill(table: LookupTable, blocks: Sequence[Block]) -> tuple[LookupTable, FillReport]:
    """Return a table that also prices `blocks`, with filled entries marked, and its error.

    Raises:
        ProfilingFailed: a kind of block has too few measured members to learn from.
    """
    lacking = table.missing(blocks)
    filled: list[Entry] = []
    errors: list[float] = []
    for kind in sorted({block.kind for block in lacking}):
        known = [e for e in table.entries if e.block.kind == kind and e.source == MEASURED]
        wanted = [block for block in lacking if block.kind == kind]
        if len(known) < MIN_MEASURED:
            raise ProfilingFailed(
                f"{len(wanted)} blocks of kind {kind!r} cannot be filled from {len(known)} "
                f"measured ones (at least {MIN_MEASURED}); raise the profiling budget"
            )
        features = block_features([entry.block for entry in known])
        logs = np.log([entry.p10_ms for entry in known])
        model = _Regression(features, logs)
        errors.extend(np.abs(np.exp(model.left_out(features, logs) - logs) - 1.0))
        estimates = np.exp(model.predict(block_features(wanted)))
        energies = _energies(known, features, wanted)
        filled.extend(
            Entry(block, p10_ms=float(value), source=FILLED, energy_mj=energy)
            for block, value, energy in zip(wanted, estimates, energies, strict=True)
        )
    report = FillReport(
        n_measured=table.n_measured,
        n_filled=len(filled),
        median_error=float(np.median(errors)) if errors else 0.0,
        p90_error=float(np.quantile(errors, 0.9)) if errors else 0.0,
    )
    return replace(table, entries=(*table.entries, *filled)), report


def _energies(
    known: Sequence[Entry], features: FloatArray, wanted: Sequence[Block]
) -> list[float | None]:
    """Energy of blocks by the same regression, where that of all known ones was measured."""
    if any(entry.energy_mj is None for entry in known):
        return [None] * len(wanted)
    model = _Regression(features, np.log([float(entry.energy_mj or 0.0) for entry in known]))
    return [float(one) for one in np.exp(model.predict(block_features(wanted)))]


class _Regression:
    """A Gaussian process over a linear trend, on log latency."""

    def __init__(self, features: FloatArray, logs: FloatArray) -> None:
        # seconds that whoever only reads tables, as the API does, need not wait
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        self._centre = features.mean(axis=0)
        spread = features.std(axis=0)
        self._scale = np.where(spread > 1e-9, spread, 1.0)
        kernel = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(
            length_scale=np.full(features.shape[1], 3.0), length_scale_bounds=(0.3, 300.0), nu=2.5
        ) + WhiteKernel(1e-3, (1e-6, 1.0))
        process = GaussianProcessRegressor(kernel, normalize_y=False, n_restarts_optimizer=0)
        with warnings.catch_warnings():  # a length at its bound only says that a size is irrelevant
            warnings.simplefilter("ignore")
            self._fit(process, features, logs)
        self._kernel = process.kernel_

    def _fit(
        self, process: GaussianProcessRegressor, features: FloatArray, logs: FloatArray
    ) -> None:
        self._trend = ridge(self._normal(features), logs)
        process.fit(self._normal(features), logs - self._linear(features))
        self._process = process

    def predict(self, features: FloatArray) -> FloatArray:
        rest: FloatArray = self._process.predict(self._normal(features))
        return self._linear(features) + rest

    def left_out(self, features: FloatArray, logs: FloatArray, *, folds: int = 10) -> FloatArray:
        """Each row predicted without its fold, kernel kept."""
        from sklearn.gaussian_process import GaussianProcessRegressor

        guesses = np.empty_like(logs)
        fold = np.arange(len(logs)) % folds
        whole = self._process, self._trend
        for k in range(min(folds, len(logs))):
            rest = fold != k
            fixed = GaussianProcessRegressor(self._kernel, optimizer=None)
            self._fit(fixed, features[rest], logs[rest])
            guesses[~rest] = self.predict(features[~rest])
        self._process, self._trend = whole
        return guesses

    def _normal(self, features: FloatArray) -> FloatArray:
        return np.asarray((features - self._centre) / self._scale, dtype=np.float64)

    def _linear(self, features: FloatArray) -> FloatArray:
        normal = self._normal(features)
        return np.asarray(
            np.column_stack([np.ones(len(normal)), normal]) @ self._trend, dtype=np.float64
        )


def ridge(features: FloatArray, values: FloatArray) -> FloatArray:
    """Offset and slopes `(1 + f,)` of `values`, `(n,)`, over `features`, `(n, f)`."""
    design_matrix = np.column_stack([np.ones(len(features)), features])
    gram = design_matrix.T @ design_matrix + 1e-3 * np.eye(design_matrix.shape[1])
    return np.asarray(np.linalg.solve(gram, design_matrix.T @ values), dtype=np.float64)
