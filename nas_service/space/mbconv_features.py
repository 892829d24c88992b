"""What predictors read of an `mbconv` network: its global sizes, and what each stage holds.

A stage's features depend on its own decisions, resolution and width alone, so they stand in one
table a stage, and a batch of networks is one lookup a stage. Layers beyond a stage's depth are
masked: they change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
        self._globals = np.log(sides), np.log(np.array(widths))
        grid = [len(sides), len(widths), len(depths), 2]
        grid += [len(kernels), len(expansions)] * layers
        strides = np.cumprod([1, *grid[::-1]])[:-1][::-1]
        per_stage = len(grid) - 2
        # where a network's decisions stand in each stage's table: one product for all stages
        self._places = np.zeros((2 + per_stage * len(stages), len(stages)))
        for stage in range(len(stages)):
            start = 2 + stage * per_stage
            self._places[:2, stage] = strides[:2]
            self._places[start : start + per_stage, stage] = strides[2:]
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
        of_stage = ["depth", "gate", "gated", "kernels", "expansions", "log_work"]
        names = ["size.log_resolution", "size.log_width"]
        for stage in range(1, len(stages) + 1):
            names += [f"layers.stage{stage}_{name}" for name in of_stage]
            for what in ("kernel", "expansion"):
                names += [f"layers.stage{stage}_{what}{n}" for n in range(1, layers + 1)]
        self.names = (*names, "size.log_work", "size.log_size")

    def __call__(self, genotypes: IntArray) -> npt.NDArray[np.float32]:
        """Look them up, in single precision: there are many of them."""
        rows = np.asarray(genotypes)
        places = (rows.astype(np.float64) @ self._places).astype(np.int64)
        width = self._tables[0].shape[1] - 2
        found = np.empty((len(rows), 4 + width * len(self._tables)), dtype=np.float32)
        found[:, 0] = self._globals[0][rows[:, 0]]
        found[:, 1] = self._globals[1][rows[:, 1]]
        total = np.zeros((len(rows), 2), dtype=np.float32)
        for stage, table in enumerate(self._tables):
            part = table[places[:, stage]]
            found[:, 2 + stage * width : 2 + (stage + 1) * width] = part[:, :-2]
            total += part[:, -2:]
        found[:, -2:] = np.log(total)
        return found
