"""Networks on signals: depthwise-separable convolutions over time, for microcontrollers up.

A stem, three stages of up to three layers, the mean over time, a linear layer. Decisions are the
steps that a window is averaged to, a width for all layers, and for each stage its depth, the
dilation of its layers and the kernel of each (after Zhang et al., 2017, keyword spotting on
microcontrollers, and Bai et al., 2018, temporal convolutional networks). Weights can be shared.
Where a sample has a `code`, networks give the window back, and through how few numbers is decided.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from lookup_tables.blocks.signal import kept_channels
from lookup_tables.blocks.temporal_conv import TemporalConvBlock
from lookup_tables.blocks.temporal_decoder import TemporalDecoderBlock
from lookup_tables.blocks.temporal_head import TemporalHeadBlock
from lookup_tables.blocks.temporal_separable import TemporalSeparableBlock
from nas_service.errors import InvalidSpec
from nas_service.space.base import Decision, FloatArray, IntArray, Node, Sample, Slot, chain

WIDTHS = (0.25, 0.5, 0.75, 1.0)
STEM = 32
STAGES = (32, 48, 64)
"""Channels at width 1."""
DEPTHS = (1, 2, 3)
KERNELS = (3, 5, 9)
DILATIONS = (1, 2)
STEM_KERNEL = 5
DECODER = 64
"""Channels between a code and the window that is made of it, at width 1."""
LEAST_STEPS = 8
_HALVED_FROM = 64
"""Windows so long may be averaged to half of their steps first."""
_STRIDE_FROM = 24
"""Steps from which on a stage goes two at a time."""
_STEPS, _WIDTH, _FIRST = 0, 1, 2
_PER_STAGE = 2 + DEPTHS[-1]


class TemporalSpace:
    """See the module's text."""

    name = "temporal"
    has_supernet = True
    chain = True
    resolution: int | None = _STEPS

    def __init__(self, sample: Sample) -> None:
        shape = sample.input_shape(sample.size)
        if len(shape) != 3 or sample.size < LEAST_STEPS:
            raise InvalidSpec(
                f"temporal needs windows of at least {LEAST_STEPS} steps (channels by steps), "
                f"not {sample.as_dict()}",
                field="space",
            )
        self.sample = sample
        self._channels = shape[1]
        steps = (sample.size // 2, sample.size) if sample.size >= _HALVED_FROM else (sample.size,)
        decisions = [Decision("steps", steps), Decision("width", WIDTHS)]
        for stage in range(1, len(STAGES) + 1):
            decisions += [
                Decision(f"stage{stage}.depth", DEPTHS),
                Decision(f"stage{stage}.dilation", DILATIONS),
            ]
            decisions += [
                Decision(f"stage{stage}.layer{layer}.kernel", KERNELS)
                for layer in range(1, DEPTHS[-1] + 1)
            ]
        self._code = getattr(sample, "code", 0)
        if self._code:
            codes = sorted({max(1, self._code // share) for share in (4, 2, 1)})
            decisions.append(Decision("code", tuple(codes)))
        self.decisions = tuple(decisions)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Stem, every layer of every stage, head."""
        slots = [Slot("stem", (_STEPS, _WIDTH), self._stem)]
        for stage in range(len(STAGES)):
            start = _FIRST + stage * _PER_STAGE
            for layer in range(DEPTHS[-1]):
                reads = (_STEPS, _WIDTH, start, start + 1, start + 2 + layer)
                name = f"stage{stage + 1}.layer{layer + 1}"
                slots.append(Slot(name, reads, self._layer(stage, layer)))
        last = (len(self.decisions) - 1,) if self._code else ()
        return (*slots, Slot("head", (_STEPS, _WIDTH, *last), self._head))

    def canonical(self, genotypes: IntArray) -> IntArray:
        """Layers beyond a stage's depth take index 0."""
        rows = np.array(genotypes, dtype=np.int64, copy=True)
        for stage in range(len(STAGES)):
            start = _FIRST + stage * _PER_STAGE
            for layer in range(1, DEPTHS[-1]):
                rows[rows[:, start] < layer, start + 2 + layer] = 0
        return rows

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """Every genotype is a network."""
        return np.ones(len(genotypes), dtype=np.bool_)

    def features(self, genotypes: IntArray) -> FloatArray:
        """Steps, width, and of each stage depth, dilation, kernels and what it looks over."""
        rows = self.canonical(genotypes)
        columns = [
            np.log2(np.array(self.decisions[_STEPS].values, dtype=np.float64)[rows[:, _STEPS]]),
            np.array(WIDTHS)[rows[:, _WIDTH]],
        ]
        for stage in range(len(STAGES)):
            start = _FIRST + stage * _PER_STAGE
            depth = np.array(DEPTHS)[rows[:, start]]
            dilation = np.array(DILATIONS)[rows[:, start + 1]]
            used = np.arange(DEPTHS[-1]) < depth[:, None]
            kernels = np.array(KERNELS)[rows[:, start + 2 : start + _PER_STAGE]] * used
            reach = ((kernels - 1) * used).sum(axis=1) * dilation
            columns += [depth.astype(np.float64), dilation.astype(np.float64)]
            columns += [*kernels.T.astype(np.float64), reach.astype(np.float64)]
        if self._code:
            codes = np.array(self.decisions[-1].values, dtype=np.float64)
            columns.append(np.log2(codes[rows[:, -1]]))
        return np.column_stack(columns)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is."""
        names = ["size.steps", "size.width"]
        for stage in range(1, len(STAGES) + 1):
            kernels = (f"kernel{layer}" for layer in range(1, DEPTHS[-1] + 1))
            names += [f"stage{stage}.{one}" for one in ("depth", "dilation", *kernels, "reach")]
        return (*names, "size.code") if self._code else tuple(names)

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The slots' blocks, one after the other."""
        row = self.canonical(np.asarray(genotype)[None, :])[0]
        blocks: list[Block] = []
        for slot in self.slots:
            blocks += slot.blocks(tuple(self.decisions[i].values[row[i]] for i in slot.reads))
        return chain(blocks)

    def largest(self) -> IntArray:
        """The last value of every decision, undilated: a dilated layer is no larger."""
        rows = np.array([one.size - 1 for one in self.decisions], dtype=np.int64)
        rows[_FIRST + 1 :: _PER_STAGE] = 0
        return rows

    def smallest(self) -> IntArray:
        """The first value of every decision."""
        return np.zeros(len(self.decisions), dtype=np.int64)

    def _steps_before(self, steps: int, place: int) -> tuple[int, int]:
        """Steps that a place (0 the stem, then the stages) reads, and its stride."""
        for _ in range(place):
            steps = -(-steps // _stride(steps))
        return steps, _stride(steps)

    def _stem(self, values: tuple[Any, ...]) -> tuple[Block, ...]:
        steps, stride = self._steps_before(values[0], 0)
        outputs = kept_channels(STEM, values[1])
        return (TemporalConvBlock(self._channels, outputs, steps, STEM_KERNEL, stride),)

    def _layer(self, stage: int, layer: int) -> Any:
        def blocks(values: tuple[Any, ...]) -> tuple[Block, ...]:
            window, width, depth, dilation, kernel = values
            if layer >= depth:
                return ()
            before = STEM if stage == 0 else STAGES[stage - 1]
            outputs = kept_channels(STAGES[stage], width)
            inputs = outputs if layer else kept_channels(before, width)
            steps, stride = self._steps_before(window, stage + 1)
            if layer:
                steps, stride = -(-steps // stride), 1
            residual = int(stride == 1 and inputs == outputs)
            return (
                TemporalSeparableBlock(inputs, outputs, steps, kernel, stride, dilation, residual),
            )

        return blocks

    def _head(self, values: tuple[Any, ...]) -> tuple[Block, ...]:
        steps, _ = self._steps_before(values[0], 1 + len(STAGES))
        channels = kept_channels(STAGES[-1], values[1])
        outputs = self.sample.n_outputs
        if not self._code:
            return (TemporalHeadBlock(channels, steps, outputs),)
        middle = kept_channels(DECODER, values[1])
        return (TemporalDecoderBlock(channels, steps, values[2], middle, outputs),)


def _stride(steps: int) -> int:
    return 2 if steps >= _STRIDE_FROM else 1
