"""A search space of small convolutional networks on windows."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from growth_example.blocks import Conv1dBlock, MeanHeadBlock
from lookup_tables.blocks import Block
from nas_service.space.base import Decision, FloatArray, IntArray, Node, Sample, Slot, chain

WIDTHS, DEPTHS, KERNELS = (4, 8, 12, 16), (1, 2, 3), (3, 5, 7, 9)


class WindowSpace:
    """A stem that halves the window, up to three layers of a kernel each, the mean, one number."""

    name = "windows"
    has_supernet = False
    chain = True
    resolution = None

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        kernels = [Decision(f"layer{n}.kernel", KERNELS) for n in range(1, DEPTHS[-1] + 1)]
        self.decisions = (Decision("width", WIDTHS), Decision("depth", DEPTHS), *kernels)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        layers = [Slot(f"layer{n + 1}", (0, 1, 2 + n), self._layer(n)) for n in range(DEPTHS[-1])]
        return (Slot("stem", (0,), self._stem), *layers, Slot("head", (0,), self._head))

    @property
    def _inside(self) -> int:
        return -(-self.sample.size // 2)

    def _stem(self, values: tuple[Any, ...]) -> tuple[Block, ...]:
        channels = self.sample.input_shape(self.sample.size)[1]
        return (Conv1dBlock(channels, values[0], self.sample.size, 3, 2),)

    def _layer(self, number: int) -> Any:
        def blocks(values: tuple[Any, ...]) -> tuple[Block, ...]:
            width, depth, kernel = values
            return (Conv1dBlock(width, width, self._inside, kernel),) if number < depth else ()

        return blocks

    def _head(self, values: tuple[Any, ...]) -> tuple[Block, ...]:
        return (MeanHeadBlock(values[0], self._inside),)

    def canonical(self, genotypes: IntArray) -> IntArray:
        rows = np.array(genotypes, dtype=np.int64, copy=True)
        for number in range(1, DEPTHS[-1]):
            rows[rows[:, 1] < number, 2 + number] = 0
        return rows

    def valid(self, genotypes: IntArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return np.ones(len(genotypes), dtype=np.bool_)

    def features(self, genotypes: IntArray) -> FloatArray:
        rows = self.canonical(genotypes).astype(np.float64)
        kernels = np.array(KERNELS)[self.canonical(genotypes)[:, 2:]]
        used = np.arange(DEPTHS[-1]) <= rows[:, [1]]
        return np.column_stack([rows, (kernels * used).sum(axis=1)])

    @property
    def feature_names(self) -> tuple[str, ...]:
        return (*(f"size.{one.name}" for one in self.decisions), "size.reach")

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        row = self.canonical(np.asarray(genotype)[None, :])[0]
        blocks: list[Block] = []
        for slot in self.slots:
            blocks += slot.blocks(tuple(self.decisions[i].values[row[i]] for i in slot.reads))
        return chain(blocks)

    def largest(self) -> IntArray:
        return np.array([one.size - 1 for one in self.decisions], dtype=np.int64)

    def smallest(self) -> IntArray:
        return np.zeros(len(self.decisions), dtype=np.int64)
