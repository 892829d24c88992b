"""A user's own network as a search space: see `nas_service.networks.elastic` for how it is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from lookup_tables.blocks.registry import block_of
from nas_service.space.base import (
    Decision,
    FloatArray,
    IntArray,
    Node,
    Sample,
    SearchSpace,
    Slot,
)
from nas_service.space.elastic.description import (
    DEPTH,
    SIZE,
    SWAP,
    Bypass,
    ElasticDescription,
    Piece,
)
from nas_service.space.products import LogProducts
from nas_service.space.wrapped import unwrapped


@dataclass(frozen=True)
class OwnModel:
    """What members are cut out of: an exported program's bytes, and its channel groups as JSON."""

    program: bytes
    groups: bytes


class ElasticSpace:
    """A `SearchSpace` of the members of one network; `model` is there where they are built."""

    has_supernet = True
    chain = False

    def __init__(
        self, description: ElasticDescription, sample: Sample, model: OwnModel | None = None
    ) -> None:
        self.description = description
        self.name = description.name
        self.sample = sample
        self.model = model
        self.decisions = tuple(Decision(one.name, one.values) for one in description.choices)
        sizes = [place for place, one in enumerate(description.choices) if one.about == SIZE]
        self.resolution: int | None = sizes[0]
        self._bypasses: dict[str, list[Bypass]] = {}
        for one in description.bypasses:
            self._bypasses.setdefault(one.exit, []).append(one)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """A slot a piece."""
        return tuple(
            Slot(one.name, _reads(one), self._block_of(one)) for one in self.description.pieces
        )

    def _block_of(self, piece: Piece) -> Callable[[tuple[Any, ...]], tuple[Block, ...]]:
        reads = _reads(piece)
        values_at = [self.decisions[place].values for place in reads]

        def blocks(values: tuple[Any, ...]) -> tuple[Block, ...]:
            chosen = {
                place: known.index(value)
                for place, known, value in zip(reads, values_at, values, strict=True)
            }
            if piece.left_out_by is not None and not chosen[piece.left_out_by]:
                return ()
            if piece.only_at is not None and chosen[piece.only_at[0]] != piece.only_at[1]:
                return ()
            sizes = {
                name: size.whole + sum(by[chosen[place]] for place, by in size.changes.items())
                for name, size in piece.sizes.items()
            }
            return (block_of(piece.kind, sizes),)

        return blocks

    @cached_property
    def _only_inside(self) -> list[tuple[int, int]]:
        """Decisions that nothing reads but what another one leaves out, with that other one."""
        reads: dict[int, set[int | None]] = {}
        for piece in self.description.pieces:
            for place in _reads(piece):
                if place != piece.left_out_by:
                    reads.setdefault(place, set()).add(piece.left_out_by)
        found = []
        for place, by in reads.items():
            (first, *more) = by
            if first is not None and not more:
                found.append((place, first))
        return found

    def canonical(self, genotypes: IntArray) -> IntArray:
        """Decisions about what is left out take index 0."""
        rows = np.array(genotypes, dtype=np.int64, copy=True)
        for place, by in self._only_inside:
            rows[rows[:, by] == 0, place] = 0
        return rows

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """Every genotype is a network."""
        return np.ones(len(genotypes), dtype=np.bool_)

    def features(self, genotypes: IntArray) -> FloatArray:
        """What is left of each group, region and input, and the logarithm of all products."""
        rows = self.canonical(genotypes)
        columns = [self._shares(place)[rows[:, place]] for place in range(len(self.decisions))]
        return np.column_stack([*columns, self._log_products(rows)])

    def _shares(self, place: int) -> FloatArray:
        if self.description.choices[place].about == SWAP:
            return np.linspace(0.0, 1.0, self.decisions[place].size)
        values = np.array(self.decisions[place].values, dtype=np.float64)
        return np.asarray(values / values[-1])

    @cached_property
    def _log_products(self) -> LogProducts:
        return LogProducts(self)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is."""
        return (*(one.name for one in self.decisions), "products.log")

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The pieces that are left, each with what it reads."""
        row = self.canonical(np.asarray(genotype)[None, :])[0]
        number: dict[str, int] = {"": -1}
        nodes: list[Node] = []
        for slot, piece in zip(self.slots, self.description.pieces, strict=True):
            values = tuple(self.decisions[i].values[row[i]] for i in slot.reads)
            for block in slot.blocks(values):
                inputs = tuple(number[self._read(one, row)] for one in piece.inputs)
                number[piece.name] = len(nodes)
                nodes.append(Node(block, inputs))
        return tuple(nodes)

    def _read(self, source: str, row: IntArray) -> str:
        """What is read where a piece may have been left out."""
        while around := [one for one in self._bypasses.get(source, ()) if not row[one.decision]]:
            source = around[0].entry  # without a region it does not matter what stands in it
        return source

    def largest(self) -> IntArray:
        """The network as it came."""
        return np.array([one.size - 1 for one in self.decisions], dtype=np.int64)

    def smallest(self) -> IntArray:
        """The first value of every decision."""
        rows = self.canonical(np.zeros((1, len(self.decisions)), dtype=np.int64))
        return np.asarray(rows[0])

    def left_out(self, genotype: IntArray) -> list[int]:
        """Positions of the decisions of depth that leave their region out."""
        row = self.canonical(np.asarray(genotype)[None, :])[0]
        choices = self.description.choices
        return [i for i, one in enumerate(choices) if one.about == DEPTH and not row[i]]


def _reads(piece: Piece) -> tuple[int, ...]:
    places = {place for size in piece.sizes.values() for place in size.changes}
    if piece.left_out_by is not None:
        places.add(piece.left_out_by)
    if piece.only_at is not None:
        places.add(piece.only_at[0])
    return tuple(sorted(places))


def n_combinations(piece: Piece, sizes: tuple[int, ...]) -> int:
    """Of the values of all decisions that a piece reads."""
    return math.prod(sizes[place] for place in _reads(piece))


def is_own(space: SearchSpace) -> bool:
    """Whether networks of a space start from the weights of a user's own model."""
    return isinstance(unwrapped(space), ElasticSpace)
