"""The protocol of anything that finds out an architecture's accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nas_service.errors import InvalidData
from nas_service.space.base import FloatArray, IntArray, SearchSpace
from nas_service.space.sampling import unique
from predictors.base import AccuracyPredictor


class AccuracyEvaluator(Protocol):
    """Evaluates architectures on validation data.

    Equal genotypes, fidelity and seed give equal accuracies. `evaluate` may be called from one
    thread at a time. One with an attribute `spreads` that is true is given its architectures one
    by one, in the processes of as many workers as there are.
    """

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """Accuracy of each architecture `(n, d) -> (n,)`; `fidelity` 1 is the full effort."""
        ...


class TabularEvaluator:
    """Accuracies looked up in a table of networks: a benchmark, or what was trained before.

    `genotypes` `(n, d)` may hold several genotypes of one network: their mean counts.
    """

    def __init__(self, space: SearchSpace, genotypes: IntArray, accuracy: FloatArray) -> None:
        bad = ~np.isfinite(accuracy) | (accuracy < 0) | (accuracy > 1)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InvalidData(f"row {row}: accuracy {accuracy[row]} is not a fraction in [0, 1]")
        self._space = space
        keys = space.canonical(genotypes)
        self.genotypes = unique(keys)
        number = {row.tobytes(): i for i, row in enumerate(self.genotypes)}
        which = np.array([number[row.tobytes()] for row in keys], dtype=np.int64)
        self.accuracy = np.bincount(which, accuracy) / np.maximum(np.bincount(which), 1)
        self._number = number

    @classmethod
    def read(cls, space: SearchSpace, path: Path, column: str) -> TabularEvaluator:
        """A Parquet or CSV table with one column a decision (its value) and one accuracy.

        Raises:
            InvalidData: a column is missing, or a value is none of the decision's; it is named.
        """
        from pyarrow import ArrowInvalid, csv, parquet

        try:
            table = csv.read_csv(path) if path.suffix == ".csv" else parquet.read_table(path)
        except (ArrowInvalid, OSError) as error:
            raise InvalidData(f"{path.name} is no table: {error}") from error
        for name in (*(decision.name for decision in space.decisions), column):
            if name not in table.column_names:
                raise InvalidData(f"{path.name} has no column {name!r}", field=name)
        genotypes = np.empty((table.num_rows, len(space.decisions)), dtype=np.int64)
        for place, decision in enumerate(space.decisions):
            values: list[Any] = table[decision.name].to_pylist()
            for row, value in enumerate(values):
                if value not in decision.values:
                    raise InvalidData(
                        f"row {row}: {decision.name} cannot be {value!r}", field=decision.name
                    )
                genotypes[row, place] = decision.values.index(value)
        accuracy = np.empty(table.num_rows)
        for row, value in enumerate(table[column].to_pylist()):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and 0.0 <= value <= 1.0):
                raise InvalidData(
                    f"row {row}: {column} is {value!r}, not a share from 0 to 1", field=column
                )
            accuracy[row] = value
        return cls(space, genotypes, accuracy)

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`; a network that the table lacks is `InvalidData`."""
        del fidelity, seed
        found = []
        for row in self._space.canonical(genotypes):
            number = self._number.get(row.tobytes())
            if number is None:
                raise InvalidData(f"the table has no network {row.tolist()}")
            found.append(self.accuracy[number])
        return np.array(found, dtype=np.float64)


class PredictorEvaluator:
    """Accuracies as a fitted predictor sees them: a search that trains nothing."""

    def __init__(self, space: SearchSpace, predictor: AccuracyPredictor) -> None:
        self._space = space
        self._predictor = predictor

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`: predicted means, at once for all."""
        del fidelity, seed
        return self._predictor.predict(self._space.features(genotypes)).mean
