"""A saved predictor is its training set with its name, options and seed; loading fits it again.

Two files without code in them: arrays in `.npz`, everything else in JSON. Nothing is unpickled.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from predictors.base import AccuracyPredictor, FloatArray, IntArray, PredictorError


@dataclass(frozen=True)
class SavedPredictor:
    """Training rows `(n, f)`, accuracies `(n,)`, and how to fit them.

    `genotypes` `(n, d)` say which networks the rows are, for those who want to add to them.
    """

    name: str
    seed: int
    features: FloatArray
    accuracy: FloatArray
    options: Mapping[str, Any] = field(default_factory=dict)
    genotypes: IntArray | None = None

    def fitted(self, make: Callable[..., AccuracyPredictor]) -> AccuracyPredictor:
        """A predictor made by `make(seed=..., **options)` and fitted on the saved rows."""
        predictor = make(seed=self.seed, **self.options)
        predictor.fit(self.features, self.accuracy)
        return predictor

    def save(self, path: Path) -> None:
        """Write the file at `path`."""
        head = {"name": self.name, "seed": self.seed, "options": dict(self.options)}
        arrays = io.BytesIO()
        columns: dict[str, Any] = {"features": self.features, "accuracy": self.accuracy}
        if self.genotypes is not None:
            columns["genotypes"] = self.genotypes
        np.savez_compressed(arrays, **columns)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("predictor.json", json.dumps(head, sort_keys=True))
            archive.writestr("training.npz", arrays.getvalue())

    @classmethod
    def load(cls, path: Path) -> SavedPredictor:
        """Read a file that `save` wrote; anything else raises `PredictorError`."""
        try:
            with zipfile.ZipFile(path) as archive:
                head = json.loads(archive.read("predictor.json"))
                arrays = np.load(io.BytesIO(archive.read("training.npz")), allow_pickle=False)
                return cls(
                    name=head["name"],
                    seed=int(head["seed"]),
                    features=np.asarray(arrays["features"], dtype=np.float64),
                    accuracy=np.asarray(arrays["accuracy"], dtype=np.float64),
                    options=head["options"],
                    genotypes=(
                        np.asarray(arrays["genotypes"], dtype=np.int64)
                        if "genotypes" in arrays
                        else None
                    ),
                )
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise PredictorError(f"{path.name} is not a saved predictor: {error}") from error
