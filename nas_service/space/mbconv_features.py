"""What predictors read of an `mbconv` network: its global sizes, and what each stage holds.

A stage's features depend on its own decisions, resolution and width alone, so they stand in one
table a stage, and a batch of networks is one lookup a stage. Layers beyond a stage's depth are
masked: they change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_service.space.base import FloatArray, IntArray


class MbconvFeatures:
    """Features `(n, f)` of genotypes `(n, d)`; `shrink` is the input's side over a stage's."""

    def __init__(
        self,
        sides: FloatArray,
        widths: Sequence[float],
        stages: Sequence[int],
        shrink: Sequence[float],
        depths: Sequence[int],
        kernels: Sequence[int],
        expansions: Sequence[int],
    ) -> None:
        layers = max(depths)
        self._per_stage = 2 + 2 * layers
        self._globals = np.log(sides), np.log(np.array(widths))
        grid = [len(sides), len(widths), len(depths), 2]
        grid += [len(kernels), len(expansions)] * layers
        self._strides = np.cumprod([1, *grid[::-1]])[:-1][::-1].astype(np.int64)
        rows = np.indices(grid).reshape(len(grid), -1)
        active = np.arange(layers) < np.array(depths)[rows[2]][:, None]
        gate = rows[3].astype(np.float64)
        kernel = np.array(kernels)[rows[4::2].T] * active
        expansion = np.array(expansions)[rows[5::2].T] * active
        self._tables = []
        for base, factor in zip(stages, shrink, strict=True):
            channels = base * np.array(widths)[rows[1]][:, None]
            work = (expansion * channels * (2 * channels + kernel**2)).sum(axis=1)
            pixels = (sides[rows[0]] / factor) ** 2
            table = np.column_stack(
                [
                    active.sum(axis=1),
                    gate,
                    gate * expansion.sum(axis=1),
                    kernel.sum(axis=1),
                    expansion.sum(axis=1),
                    np.log(work),
                    kernel,
                    expansion,
                    pixels * work,
                    work,
                ]
            )
            self._tables.append(table.astype(np.float32))
        per_stage = ["depth", "gate", "gated", "kernels", "expansions", "log_work"]
        names = ["network.log_resolution", "network.log_width"]
        for stage in range(1, len(stages) + 1):
            names += [f"network.stage{stage}_{name}" for name in per_stage]
            for what in ("kernel", "expansion"):
                names += [f"layers.stage{stage}_{what}{n}" for n in range(1, layers + 1)]
        self.names = (*names, "network.log_work", "network.log_size")

    def __call__(self, genotypes: IntArray) -> FloatArray:
        """Look them up."""
        rows = np.asarray(genotypes)
        width = self._tables[0].shape[1] - 2
        found = np.empty((len(rows), 4 + width * len(self._tables)))
        found[:, 0] = self._globals[0][rows[:, 0]]
        found[:, 1] = self._globals[1][rows[:, 1]]
        shared = rows[:, :2] @ self._strides[:2]
        total = np.zeros((len(rows), 2))
        for stage, table in enumerate(self._tables):
            start = 2 + stage * self._per_stage
            part = table[shared + rows[:, start : start + self._per_stage] @ self._strides[2:]]
            found[:, 2 + stage * width : 2 + (stage + 1) * width] = part[:, :-2]
            total += part[:, -2:]
        found[:, -2:] = np.log(total)
        return found
