"""Networks on signals: depthwise-separable convolutions over time, for microcontrollers up.

A stem, three stages of up to three layers, the mean over time, a linear layer. Decisions are the
steps that a window is averaged to, a width for all layers, and for each stage its depth, the
dilation of its layers and the kernel of each (after Zhang et al., 2017, keyword spotting on
microcontrollers, and Bai et al., 2018, temporal convolutional networks). Weights can be shared.
Where a sample has a `code`, networks give the window back, and through how few numbers is decided.
Of long windows the front is decided, too: the window as it is, or energies in bands of frequency
(see `front_end`); of the longest, how long the frames are that these are taken from.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from lookup_tables.blocks.front_end import FrontEndBlock
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
RAW, LOG_MEL, MFCC = "raw", "log_mel", "mfcc"
FRONTS = (MFCC, LOG_MEL, RAW)
FRONT_FROM = 256
"""Steps of a window from which on its front is decided."""
LEAST_FRAME = 32
"""Steps of a frame, where its length is decided: the fewer, the fewer bands."""
LEAST_STEPS = 8
_HALVED_FROM = 64
"""Windows so long may be averaged to half of their steps first."""
_STRIDE_FROM = 24
"""Steps from which on a stage goes two at a time."""
_STEPS, _WIDTH, _FIRST = 0, 1, 2
_FRAME, _FRONT = -2, -1
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
        self._fronts = FRONTS if sample.size >= FRONT_FROM and not self._code else (RAW,)
        self._frames = _frames(sample.size) if len(self._fronts) > 1 else ()
        if len(self._frames) > 1:
            decisions.append(Decision("frame_steps", self._frames))
        if len(self._fronts) > 1:
            decisions.append(Decision("front_end", self._fronts, ordered=False))
        self.decisions = tuple(decisions)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Front end and stem, every layer of every stage, head; a stem for each front end."""
        n, decided = len(self.decisions), (len(self._frames) > 1) + (len(self._fronts) > 1)
        front = tuple(range(n - decided, n))
        slots = []
        for kind in self._fronts:
            if kind != RAW:
                slots.append(Slot(f"front.{kind}", (_STEPS, *front), self._front(kind)))
            name = "stem" if kind == RAW else f"stem.{kind}"
            slots.append(Slot(name, (_STEPS, _WIDTH, *front), self._stem(kind)))
        for stage in range(len(STAGES)):
            start = _FIRST + stage * _PER_STAGE
            for layer in range(DEPTHS[-1]):
                reads = (_STEPS, _WIDTH, start, start + 1, start + 2 + layer, *front)
                name = f"stage{stage + 1}.layer{layer + 1}"
                slots.append(Slot(name, reads, self._layer(stage, layer)))
        last = (len(self.decisions) - 1,) if self._code else ()
        return (*slots, Slot("head", (_STEPS, _WIDTH, *last, *front), self._head))

    def canonical(self, genotypes: IntArray) -> IntArray:
        """Layers beyond a stage's depth take index 0, a raw window has the longest frames."""
        rows = np.array(genotypes, dtype=np.int64, copy=True)
        for stage in range(len(STAGES)):
            start = _FIRST + stage * _PER_STAGE
            for layer in range(1, DEPTHS[-1]):
                rows[rows[:, start] < layer, start + 2 + layer] = 0
        if len(self._frames) > 1:
            raw = rows[:, _FRONT] == self._fronts.index(RAW)
            rows[raw, _FRAME] = len(self._frames) - 1
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
        if len(self._frames) > 1:
            columns.append(np.log2(np.array(self._frames, dtype=np.float64)[rows[:, _FRAME]]))
        if len(self._fronts) > 1:
            columns += [rows[:, -1] == place for place in range(len(self._fronts))]
        return np.column_stack(columns).astype(np.float64)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is."""
        names = ["size.steps", "size.width"]
        for stage in range(1, len(STAGES) + 1):
            kernels = (f"kernel{layer}" for layer in range(1, DEPTHS[-1] + 1))
            names += [f"stage{stage}.{one}" for one in ("depth", "dilation", *kernels, "reach")]
        if self._code:
            names.append("size.code")
        if len(self._frames) > 1:
            names.append("front.frame")
        if len(self._fronts) > 1:
            names += [f"front.{kind}" for kind in self._fronts]
        return tuple(names)

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

    def _front_block(self, values: tuple[Any, ...], kind: str) -> FrontEndBlock | None:
        """What a front end is, where a slot reads these values, its window first."""
        if kind == RAW:
            return None
        steps, frame = values[0], _frame(values[0])
        if len(self._frames) > 1:  # its length is of the whole window
            frame = values[_FRAME] // (1 if steps == self.sample.size else 2)
        bands = min(32, frame // 3)
        coefficients = min(13, bands // 2 + 1) if kind == MFCC else 0
        return FrontEndBlock(self._channels, steps, frame, bands, coefficients)

    def _steps_before(self, values: tuple[Any, ...], place: int) -> tuple[int, int]:
        """Steps that a place (0 the stem, then the stages) reads, and its stride."""
        front = self._front_block(values, self._kind_in(values))
        steps: int = values[0] if front is None else front.frames
        for _ in range(place):
            steps = -(-steps // _stride(steps))
        return steps, _stride(steps)

    def _kind_in(self, values: tuple[Any, ...]) -> str:
        """The front end among the values that a slot reads: the last, where it is decided."""
        return str(values[_FRONT]) if len(self._fronts) > 1 else RAW

    def _front(self, kind: str) -> Any:
        def blocks(values: tuple[Any, ...]) -> tuple[Block, ...]:
            block = self._front_block(values, kind)
            return (block,) if block is not None and values[_FRONT] == kind else ()

        return blocks

    def _stem(self, kind: str) -> Any:
        def blocks(values: tuple[Any, ...]) -> tuple[Block, ...]:
            if self._kind_in(values) != kind:
                return ()
            front = self._front_block(values, kind)
            inputs = self._channels if front is None else front.out_channels
            steps, stride = self._steps_before(values, 0)
            outputs = kept_channels(STEM, values[1])
            return (TemporalConvBlock(inputs, outputs, steps, STEM_KERNEL, stride),)

        return blocks

    def _layer(self, stage: int, layer: int) -> Any:
        def blocks(values: tuple[Any, ...]) -> tuple[Block, ...]:
            _, width, depth, dilation, kernel = values[:5]
            if layer >= depth:
                return ()
            before = STEM if stage == 0 else STAGES[stage - 1]
            outputs = kept_channels(STAGES[stage], width)
            inputs = outputs if layer else kept_channels(before, width)
            steps, stride = self._steps_before(values, stage + 1)
            if layer:
                steps, stride = -(-steps // stride), 1
            residual = int(stride == 1 and inputs == outputs)
            return (
                TemporalSeparableBlock(inputs, outputs, steps, kernel, stride, dilation, residual),
            )

        return blocks

    def _head(self, values: tuple[Any, ...]) -> tuple[Block, ...]:
        steps, _ = self._steps_before(values, 1 + len(STAGES))
        channels = kept_channels(STAGES[-1], values[1])
        outputs = self.sample.n_outputs
        if not self._code:
            return (TemporalHeadBlock(channels, steps, outputs),)
        middle = kept_channels(DECODER, values[1])
        return (TemporalDecoderBlock(channels, steps, values[2], middle, outputs),)


def _stride(steps: int) -> int:
    return 2 if steps >= _STRIDE_FROM else 1


def _frame(steps: int) -> int:
    """About a sixteenth of a window."""
    return min(512, max(16, 1 << int(np.log2(steps // 16))))


def _frames(steps: int) -> tuple[int, ...]:
    """Steps of a frame that are decided among, of a window of that size, shortest first.

    Of half of the window they are half as many.
    """
    usual = _frame(steps)
    shorter = [usual // share for share in (4, 2) if usual // share // 2 >= LEAST_FRAME]
    return (*shorter, usual)
