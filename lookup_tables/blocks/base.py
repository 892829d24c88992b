"""What a block is: sizes, and everything that follows from them alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from lookup_tables.errors import LookupTableError


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that multiplies: how often its weights are used, and how they are laid out.

    `positions` are pixels or steps of its output, `taps` weights a pair of channels (9 of a 3x3
    kernel). A depthwise layer has a single input per output.
    """

    positions: int
    inputs: int
    outputs: int
    taps: int = 1
    normalised: bool = True
    """Whether batch normalisation follows, which is folded into a bias when it ships."""
    biased: bool = True
    """Of one without normalisation: whether it is trained with a bias."""

    @property
    def kernel_weights(self) -> int:
        """Weights without bias."""
        return self.inputs * self.outputs * self.taps

    @property
    def trained(self) -> int:
        """Trained parameters."""
        beside = 2 if self.normalised else int(self.biased)
        return self.kernel_weights + beside * self.outputs


class GraphBuilder(Protocol):
    """Collects the nodes of a block's ONNX graph; each method names the tensor that it makes."""

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Any operator of the standard domain."""
        ...

    def convolution(
        self, x: str, name: str, *, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> str:
        """A 2-d convolution with weights `NAME.weight` and `NAME.bias`, padded by half a kernel."""
        ...


@dataclass(frozen=True, order=False)
class Block(ABC):
    """One block of a family: frozen, hashable, ordered by kind and sizes.

    A family is a frozen dataclass whose fields are its sizes, whole numbers. The entry-point group
    is `lookup_tables.block_families`, an entry the class, named as its `kind`; its torch module is
    an entry of `nas_service.block_modules` of the same name.
    """

    kind: ClassVar[str]
    shares_weights: ClassVar[bool] = False
    """Whether its torch module can be run at the sizes of a smaller block of its kind."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Sizes by name, as table files have them beside the kind; they order blocks of a kind."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def of_sizes(cls, sizes: Mapping[str, Any]) -> Self:
        """The inverse of `sizes`.

        Raises:
            LookupTableError: a size is missing, unknown, or not possible.
        """
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(sizes) - known):
            raise LookupTableError(f"{cls.kind} has no {unknown[0]}")
        try:
            return cls(**sizes)
        except TypeError as error:
            raise LookupTableError(f"{cls.kind}: {error}") from error

    def __lt__(self, other: Block) -> bool:
        return (self.kind, *self.sizes.values()) < (other.kind, *other.sizes.values())

    @property
    def key(self) -> str:
        """The block as a short text; equal for equal blocks alone."""
        return "-".join([self.kind, *(f"{name}{value}" for name, value in self.sizes.items())])

    @property
    def variant(self) -> str:
        """Blocks that a runtime treats alike within a network share it; the kind by itself."""
        return self.kind

    @property
    @abstractmethod
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of what it reads, for one sample: batch first, of 1."""

    @property
    @abstractmethod
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what it gives, batch first."""

    @abstractmethod
    def layers(self) -> Sequence[Layer]:
        """Its layers that multiply, in order."""

    @abstractmethod
    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Name and shape of every weight of its graph."""

    def fixed_weights(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Those of its weights that follow from its sizes and are not learned."""
        return {}

    @abstractmethod
    def build(self, graph: GraphBuilder, inputs: Sequence[str]) -> str:
        """Add its nodes to a graph; gives the name of its output."""

    @abstractmethod
    def narrowed(self, width: float) -> Self:
        """The block after uniform channel pruning that keeps a share `width` of its channels."""

    @abstractmethod
    def small(self) -> Self:
        """A block of the same operators at small sizes: equal for all blocks of one form."""

    @abstractmethod
    def features(self) -> Mapping[str, float]:
        """What decides its latency, as numbers of similar size; the same names within a kind."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample."""
        return sum(one.positions * one.kernel_weights for one in self.layers())

    @property
    def parameters(self) -> int:
        """Trained parameters of the torch module, batch normalisation's two a channel included."""
        return sum(one.trained for one in self.layers())

    @property
    def weights(self) -> int:
        """Numbers in the exported graph: normalisation folded into one bias a channel."""
        return sum(one.kernel_weights + one.outputs for one in self.layers())

    @property
    def n_layers(self) -> int:
        """Operators that a runtime dispatches: layers that multiply, at least one."""
        return max(1, len(self.layers()))

    @property
    def output_numbers(self) -> int:
        """Numbers that it leaves in memory."""
        return _product(self.output_shape)

    def live_numbers(self, *, reads_sample: bool = False) -> int:
        """Numbers held at the worst moment, input and output included.

        The sample itself belongs to the caller: a block that `reads_sample` holds none of it.
        """
        given = 0 if reads_sample else sum(map(_product, self.inputs.values()))
        return given + self.output_numbers

    def arena_numbers(self) -> int:
        """Numbers that LiteRT holds at the worst moment, input and output included: see `arena`."""
        return self.live_numbers()

    @property
    def first_alone(self) -> bool:
        """Whether it can only be the block that reads the sample, wherever it is met."""
        return False

    @property
    def moved_numbers(self) -> int:
        """Numbers read and written: inputs, output, weights, and what layers hand to each other."""
        read = sum(map(_product, self.inputs.values()))
        return read + _product(self.output_shape) + self.weights + self.numbers_inside

    @property
    def numbers_inside(self) -> int:
        """Of those the ones that layers hand to each other, written and read."""
        return 0

    def trend(self) -> Mapping[str, float]:
        """What a network's latency may follow, summed over its blocks."""
        return {
            "macs": float(self.macs),
            "outputs": float(_product(self.output_shape)),
            "weights": float(self.weights),
            "layers": float(self.n_layers),
        }


def _product(shape: Sequence[int]) -> int:
    total = 1
    for one in shape:
        total *= one
    return total
