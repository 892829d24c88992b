"""Inverted residuals as in MobileNetV3 (Howard et al., 2019) and EfficientNet (Tan and Le, 2019).

Elastic in input resolution, width, depth, kernel, expansion and squeeze-excitation, sized to the
images of a data set. It departs from its models where small devices gain: ReLU throughout (it
vanishes in int8, hard-swish does not), and expansion 1 makes a block depthwise separable
(depthwise and projection alone, as in MobileNetV1). Where a sample has a mask or boxes, maps stay
larger: a class is named for every pixel (after Long et al., 2015, fully convolutional networks),
or scores and distances are given for every cell of two maps (see `box_head`).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from lookup_tables.blocks.box_head import BoxHeadBlock
from lookup_tables.blocks.convolution import ConvReluBlock
from lookup_tables.blocks.head import HeadBlock
from lookup_tables.blocks.mask_head import MaskHeadBlock
from lookup_tables.blocks.mbconv import MbConvBlock
from nas_service.errors import InvalidSpec
from nas_service.space.base import (
    Decision,
    FloatArray,
    ImageShape,
    IntArray,
    Node,
    Slot,
    chain,
)
from nas_service.space.mbconv_features import MbconvFeatures

STEM = 16
STAGES = (32, 48, 64, 96)
HEAD = 192
BOX_HEAD = 96
PLACES = 16
"""Pixels a side of the last map, about, where things have a place."""
WIDTHS = (0.5, 0.75, 1.0)
DEPTHS = (1, 2, 3)
KERNELS = (3, 5, 7)
EXPANSIONS = (1, 2, 4)
SQUEEZE = 4
_MAX_DEPTH = DEPTHS[-1]
_PER_STAGE = 2 + 2 * _MAX_DEPTH  # depth, squeeze-excitation, then kernel and expansion a layer
_RESOLUTION, _WIDTH, _FIRST_STAGE = 0, 1, 2
_KEPT = np.repeat(np.arange(_MAX_DEPTH) < np.array(DEPTHS)[:, None], 2, axis=1).astype(np.int64)
"""For each depth's index, which of a stage's kernels and expansions count."""


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8."""
    return max(8, int(channels * width + 4) // 8 * 8)


def halvings(size: int, last: int) -> int:
    """How often pictures are halved, at most five times, for a last map of about `last` pixels."""
    return min(5, max(0, round(math.log2(size / last))))


def strides_for(size: int, *, places: bool = False) -> tuple[int, ...]:
    """Strides of the stem and of the four stages, for a last feature map of about 4 pixels.

    Where it is about `places`, one of about `PLACES`: where things are has to be seen.
    """
    wanted = halvings(size, PLACES if places else 4)
    # where a halving goes first: 0 is the stem, 1..4 the stages
    order = (0, 1, 2, 3, 4) if places else (3, 2, 1, 0, 4)
    halved = set(order[:wanted])
    return tuple(2 if place in halved else 1 for place in range(5))


class MbconvSpace:
    """See the module's text; about 6.5e13 architectures."""

    name = "mbconv"
    has_supernet = True
    chain = True
    resolution: int | None = _RESOLUTION

    def __init__(self, image: ImageShape) -> None:
        classes = getattr(image, "n_classes", 0)
        least = 1 if getattr(image, "grid", 0) else 2
        if image.size < 8 or image.channels not in {1, 3} or classes < least:
            raise InvalidSpec(
                f"mbconv needs images of at least 8 pixels, 1 or 3 channels and {least} classes, "
                f"not {image.as_dict()}"
            )
        self.sample = image
        step = 4 if image.size >= 16 else 2
        sizes = {max(step, round(image.size * part / step) * step) for part in (0.75, 0.875)}
        resolutions = tuple(sorted({*sizes, image.size}))
        decisions = [Decision("resolution", resolutions), Decision("width", WIDTHS)]
        for stage in range(1, len(STAGES) + 1):
            decisions.append(Decision(f"stage{stage}.depth", DEPTHS))
            decisions.append(Decision(f"stage{stage}.se", (False, True), ordered=False))
            for layer in range(1, _MAX_DEPTH + 1):
                decisions.append(Decision(f"stage{stage}.layer{layer}.kernel", KERNELS))
                decisions.append(Decision(f"stage{stage}.layer{layer}.expansion", EXPANSIONS))
        self.decisions = tuple(decisions)
        self._mask_side = getattr(image, "mask_side", 0)
        self._grid = getattr(image, "grid", 0)
        self.strides = strides_for(image.size, places=self._mask_side + self._grid > 0)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Stem, every layer of every stage, head."""
        slots = [Slot("stem", (_RESOLUTION, _WIDTH), self._stem)]
        for stage in range(len(STAGES)):
            start = _FIRST_STAGE + stage * _PER_STAGE
            for layer in range(_MAX_DEPTH):
                own = start + 2 + 2 * layer
                reads = (_RESOLUTION, _WIDTH, start, start + 1, own, own + 1)
                slots.append(
                    Slot(f"stage{stage + 1}.layer{layer + 1}", reads, self._layer(stage, layer))
                )
        slots.append(Slot("head", (_RESOLUTION, _WIDTH), self._head))
        return tuple(slots)

    def canonical(self, genotypes: IntArray) -> IntArray:
        """Layers beyond a stage's depth take index 0."""
        found = np.array(genotypes, dtype=np.int64, copy=True)
        for stage in range(len(STAGES)):
            start = _FIRST_STAGE + stage * _PER_STAGE
            found[:, start + 2 : start + _PER_STAGE] *= _KEPT[found[:, start]]
        return found

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """Every genotype is a network."""
        return np.ones(len(genotypes), dtype=np.bool_)

    def features(self, genotypes: IntArray) -> FloatArray:
        """See `mbconv_features`; in single precision."""
        return cast(FloatArray, self._features(genotypes))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is."""
        return self._features.names

    @cached_property
    def _features(self) -> MbconvFeatures:
        sides = np.array(self.decisions[_RESOLUTION].values, dtype=np.float64)
        # pixels a side of the maps that a stage's layers leave, from the input's
        shrink = [float(np.prod(self.strides[: stage + 2])) for stage in range(len(STAGES))]
        return MbconvFeatures(sides, WIDTHS, STAGES, shrink, DEPTHS, KERNELS, EXPANSIONS)

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The slots' blocks, one after the other."""
        row = self.canonical(np.asarray(genotype)[None, :])[0]
        blocks: list[Block] = []
        for slot in self.slots:
            blocks.extend(slot.blocks(tuple(self.decisions[i].values[row[i]] for i in slot.reads)))
        return chain(blocks)

    def largest(self) -> IntArray:
        """The last value of every decision."""
        return np.array([decision.size - 1 for decision in self.decisions], dtype=np.int64)

    def smallest(self) -> IntArray:
        """The first value of every decision."""
        return np.zeros(len(self.decisions), dtype=np.int64)

    def _size_after(self, resolution: int, places: int) -> int:
        """Pixels a side after the first `places` of stem and stages."""
        size = resolution
        for stride in self.strides[:places]:
            size = -(-size // stride)
        return size

    def _stem(self, values: tuple[Any, ...]) -> tuple[Block, ...]:
        resolution, width = values
        return (
            ConvReluBlock(
                self.sample.channels,
                scaled(STEM, width),
                resolution,
                resolution,
                kernel=3,
                stride=self.strides[0],
            ),
        )

    def _layer(self, stage: int, layer: int) -> Any:
        def blocks(values: tuple[Any, ...]) -> tuple[Block, ...]:
            resolution, width, depth, gate, kernel, expansion = values
            if layer >= depth:
                return ()
            outputs = scaled(STAGES[stage], width)
            before = STEM if stage == 0 else STAGES[stage - 1]
            inputs = outputs if layer else scaled(before, width)
            stride = 1 if layer else self.strides[stage + 1]
            side = self._size_after(resolution, stage + 1 if layer == 0 else stage + 2)
            mid = inputs * expansion
            return (
                MbConvBlock(
                    inputs,
                    outputs,
                    side,
                    side,
                    kernel=kernel,
                    stride=stride,
                    mid_channels=mid,
                    se_channels=max(8, mid // SQUEEZE) if gate else 0,
                    residual=int(stride == 1 and inputs == outputs),
                ),
            )

        return blocks

    def _head(self, values: tuple[Any, ...]) -> tuple[Block, ...]:
        resolution, width = values
        side = self._size_after(resolution, 5)
        channels, middle = scaled(STAGES[-1], width), scaled(HEAD, width)
        classes = self.sample.n_classes
        if self._grid:
            return (BoxHeadBlock(channels, side, scaled(BOX_HEAD, width), classes, self._grid),)
        if self._mask_side:
            return (MaskHeadBlock(channels, side, middle, classes, self._mask_side),)
        return (
            HeadBlock(
                channels,
                classes,
                side,
                side,
                mid_channels=middle,
            ),
        )
