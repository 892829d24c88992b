"""From a window of a signal to what the models of this bundle take. Needs Python and numpy.

from preprocess_signal import Preprocessing
prepare = Preprocessing.load("preprocessing.json")
outputs = session.run(None, {name: prepare(window)})[0]  # window (channels, steps)
score = prepare.score(window, outputs)  # of anomaly detection: the larger, the less it is normal
number = prepare.answer(outputs)  # of regression: in the unit of the numbers that it learned
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Preprocessing:
    """The numbers of `preprocessing.json`."""

    channels: tuple[str, ...]
    window_steps: int
    steps: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    answer_steps: int = 0
    target_mean: float = 0.0
    target_std: float = 1.0

    @classmethod
    def load(cls, path: str | Path) -> Preprocessing:
        """Read them."""
        said: dict[str, Any] = json.loads(Path(path).read_text())
        return cls(
            tuple(said["channels"]),
            int(said["window_steps"]),
            int(said["steps"]),
            tuple(said["mean"]),
            tuple(said["std"]),
            int(said.get("answer_steps", 0)),
            float(said.get("target_mean", 0.0)),
            float(said.get("target_std", 1.0)),
        )

    def __call__(self, window: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """A window `(channels, window_steps)` as an input `(1, channels, steps)`."""
        x = averaged(self._normalised(window), self.steps)
        return np.ascontiguousarray(x[None], dtype=np.float32)

    def score(self, window: npt.NDArray[Any], outputs: npt.NDArray[Any]) -> float:
        """How far a window is from what a model gave for it: how little it is like normal ones."""
        if not self.answer_steps:
            raise ValueError("only models of anomaly detection have scores")
        wanted = averaged(self._normalised(window), self.answer_steps)
        return float(np.square(outputs.ravel() - wanted.ravel(), dtype=np.float64).mean())

    def answer(self, outputs: npt.NDArray[Any]) -> float:
        """The number that a model of regression gave for a window, in its own unit."""
        return float(outputs.ravel()[0]) * self.target_std + self.target_mean

    def _normalised(self, window: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        expected = (len(self.channels), self.window_steps)
        if window.shape != expected:
            raise ValueError(f"a window is {expected} (channels, steps), not {window.shape}")
        mean = np.array(self.mean, dtype=np.float32)[:, None]
        std = np.array(self.std, dtype=np.float32)[:, None]
        x: npt.NDArray[np.float32] = (window.astype(np.float32) - mean) / std
        return x


def averaged(x: npt.NDArray[np.float32], steps: int) -> npt.NDArray[np.float32]:
    """Means over `steps` equal parts, whose edges are rounded outwards."""
    starts = [n * x.shape[1] // steps for n in range(steps)]
    ends = [-(-(n + 1) * x.shape[1] // steps) for n in range(steps)]
    parts = [x[:, start:end].mean(axis=1) for start, end in zip(starts, ends, strict=True)]
    return np.stack(parts, axis=1)
