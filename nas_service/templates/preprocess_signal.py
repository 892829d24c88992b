"""From a window of a signal to what the models of this bundle take. Needs Python and numpy.

from preprocess_signal import Preprocessing
prepare = Preprocessing.load("preprocessing.json")
outputs = session.run(None, {name: prepare(window)})[0]  # window (channels, steps)
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
        )

    def __call__(self, window: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """A window `(channels, window_steps)` as an input `(1, channels, steps)`."""
        expected = (len(self.channels), self.window_steps)
        if window.shape != expected:
            raise ValueError(f"a window is {expected} (channels, steps), not {window.shape}")
        mean = np.array(self.mean, dtype=np.float32)[:, None]
        std = np.array(self.std, dtype=np.float32)[:, None]
        x = (window.astype(np.float32) - mean) / std
        # means over equal parts, whose edges are rounded outwards where they do not fall on steps
        starts = [n * x.shape[1] // self.steps for n in range(self.steps)]
        ends = [-(-(n + 1) * x.shape[1] // self.steps) for n in range(self.steps)]
        parts = [x[:, start:end].mean(axis=1) for start, end in zip(starts, ends, strict=True)]
        return np.ascontiguousarray(np.stack(parts, axis=1)[None], dtype=np.float32)
