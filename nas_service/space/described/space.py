"""A described space for samples of one shape: blocks follow each other, sizes are worked out."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from lookup_tables.blocks.map_head import MapHeadBlock
from lookup_tables.blocks.registry import family
from lookup_tables.errors import LookupTableError
from nas_service.errors import InvalidSpec
from nas_service.space.base import (
    Decision,
    FloatArray,
    IntArray,
    Node,
    Sample,
    Slot,
    answer_of,
    chain,
    lower,
)
from nas_service.space.described.document import INPUT_SIZE, Document
from nas_service.space.described.levels import stages_in
from nas_service.space.described.places import Place
from nas_service.space.described.shapes import Read, after, given
from nas_service.space.described.values import Chosen
from nas_service.space.products import LogProducts, Products
from nas_service.space.stages import Stage, stage_feature_names, stage_features

_ALSO = {"masked_image": ("image",), "boxed_image": ("image",)}
"""Other names of an input, under which a document may have it."""
_N_CHECKED = 64
_MOST_COMBINATIONS = 16_384


class DescribedSpace:
    """See the module's text.

    Raises:
        InvalidSpec: a block cannot be what the document says, at the first layer where that shows.
    """

    chain = True

    def __init__(self, name: str, document: Document, sample: Sample) -> None:
        if document.input not in {sample.name, *_ALSO.get(sample.name, ())}:
            raise InvalidSpec(
                f"space {name} reads {document.input}, the data set has {sample.name}",
                field="space",
            )
        self.name = name
        self.sample = sample
        self.document = document
        self.decisions = tuple(
            Decision(one, values, ordered=True) for one, values in document.decisions.items()
        )
        self._position = {one.name: place for place, one in enumerate(self.decisions)}
        self.resolution: int | None = self._position.get(INPUT_SIZE)
        self.slots = self._slots()
        self._check()

    @cached_property
    def has_supernet(self) -> bool:
        """Whether every family of its blocks shares weights."""
        return all(family(one.kind).shares_weights for one in self.document.places)

    def _slots(self) -> tuple[Slot, ...]:
        resolution = frozenset({INPUT_SIZE} if self.resolution is not None else ())
        before = Read(self._input, frozenset(), resolution)
        slots = []
        last = len(self.document.places) - 1
        for number, place in enumerate(self.document.places):
            made = self._maker(place, before, ends=number == last)
            own = frozenset(one for value in place.sizes.values() for one in value.reads)
            reads = before.reads | own | ({place.repeat} if place.repeat else frozenset())
            order = tuple(sorted(self._position[one] for one in reads))
            combinations = math.prod(self.decisions[one].size for one in order)
            if combinations > _MOST_COMBINATIONS:
                raise InvalidSpec(
                    f"{place.name}: it depends on {combinations:,} combinations of decisions, at "
                    f"most {_MOST_COMBINATIONS:,} can be priced",
                    field="space",
                )
            slots.append(Slot(place.name, order, self._blocks(place, made, order)))
            if place.number == 1:  # repetitions keep the shape
                before = after(place, made, before, self._depths(place))
        return tuple(slots)

    def _depths(self, place: Place) -> tuple[int, ...]:
        return self.document.decisions[place.repeat] if place.repeat else (place.number,)

    def _input(self, chosen: Chosen) -> tuple[int, ...]:
        size = int(chosen.get(INPUT_SIZE, self.sample.size))
        return self.sample.input_shape(size)[1:]

    def _maker(self, place: Place, before: Read, *, ends: bool) -> Callable[[Chosen], Block]:
        kind = self._family(place)
        fields = list(kind.__dataclass_fields__)
        for size in place.sizes:
            if size not in fields:
                raise InvalidSpec(
                    f"{place.name}.{size}: {place.kind} has no such size; it has "
                    f"{', '.join(fields)}",
                    field="space",
                )

        def made(chosen: Chosen) -> Block:
            sizes = given(before.shape(chosen), fields)
            if ends:
                sizes = {**self._asked(kind), **sizes}
            for size, value in place.sizes.items():
                if value.of and value.of not in sizes:
                    raise InvalidSpec(
                        f"{place.name}.{size}: {value.of} is not known before it", field="space"
                    )
                sizes[size] = value.under(chosen, sizes)
            if "residual" in fields and "residual" not in place.sizes:
                alike = sizes.get("in_channels") == sizes.get("out_channels")
                sizes["residual"] = int(alike and sizes.get("stride", 1) == 1)
            try:
                return kind(**sizes)
            except (TypeError, LookupTableError) as error:
                raise InvalidSpec(f"{place.name}: {error}", field="space") from error

        return made

    def _asked(self, kind: type[Block]) -> dict[str, int]:
        """Sizes of the last block that follow from what is asked for."""
        if issubclass(kind, MapHeadBlock):
            side = getattr(self.sample, "mask_side", 0) or getattr(self.sample, "grid", 0)
            if not side:
                raise InvalidSpec(
                    f"{kind.kind} ends networks for masks or boxes, the data set has "
                    f"{self.sample.name}",
                    field="space",
                )
            return {"classes": getattr(self.sample, "n_classes", 0), "side": side}
        fields = kind.__dataclass_fields__
        return {"outputs" if "outputs" in fields else "out_channels": self.sample.n_outputs}

    def _family(self, place: Place) -> type[Block]:
        try:
            return family(place.kind)
        except LookupTableError as error:
            raise InvalidSpec(f"{place.name}.block: {error}", field="space") from error

    def _blocks(
        self, place: Place, made: Callable[[Chosen], Block], order: tuple[int, ...]
    ) -> Callable[[tuple[Any, ...]], tuple[Block, ...]]:
        names = [self.decisions[one].name for one in order]
        usual = {one.name: one.values[0] for one in self.decisions}

        def blocks(values: tuple[Any, ...]) -> tuple[Block, ...]:
            chosen = {**usual, **dict(zip(names, values, strict=True))}
            if place.repeat and chosen[place.repeat] < place.number:
                return ()
            return (made(chosen),)

        return blocks

    def _deep_ones(self) -> IntArray:
        """Networks with all repetitions, in which every value of the others is somewhere."""
        sizes = np.array([one.size for one in self.decisions])
        rows = np.arange(sizes.max())[:, None] % sizes
        for place in self.document.places:
            if place.repeat:
                at = self._position[place.repeat]
                rows[:, at] = np.argmax(self.decisions[at].values)
        return np.asarray(rows, dtype=np.int64)

    def _check(self) -> None:
        """Blocks fit each other and the sample, whatever is chosen.

        On networks drawn at random, and on deep ones that have every value of every decision.
        """
        generator = np.random.default_rng(0)
        answer = answer_of(self.sample)
        sizes = [one.size for one in self.decisions]
        rows = [
            self.smallest(),
            self.largest(),
            *generator.integers(0, sizes, (_N_CHECKED, len(sizes))),
            *self._deep_ones(),
        ]
        for row in rows:
            chosen = {
                one.name: one.values[int(i)] for one, i in zip(self.decisions, row, strict=True)
            }
            shape = self._input(chosen)
            for block in lower(self, row):
                read = tuple(next(iter(block.inputs.values())))[1:]
                if read != shape:
                    raise InvalidSpec(
                        f"{block.kind} reads {read} where it gets {shape}: what a layer gives may "
                        "not depend on choices of its own",
                        field="space",
                    )
                shape = block.output_shape[1:]
            if shape != answer:
                raise InvalidSpec(
                    f"the last layer gives {shape}, {answer} is asked for; a network ends "
                    f"with a head{self._head}",
                    field="space",
                )

    @property
    def _head(self) -> str:
        named = {"mask_side": ": mask_head", "grid": ": box_head"}
        return next((head for what, head in named.items() if getattr(self.sample, what, 0)), "")

    @cached_property
    def _repeated(self) -> dict[str, list[Place]]:
        """Decisions that only repetitions read which may not be there, with those."""
        readers: dict[str, list[Place]] = {}
        for place in self.document.places:
            for value in place.sizes.values():
                for one in value.reads:
                    readers.setdefault(one, []).append(place)
        repeats = {place.repeat for place in self.document.places}
        return {
            one: places
            for one, places in readers.items()
            if one not in repeats and all(place.repeat for place in places)
        }

    def canonical(self, genotypes: IntArray) -> IntArray:
        """What only layers read that are not there takes index 0."""
        rows = np.array(genotypes, dtype=np.int64, copy=True)
        for decision, places in self._repeated.items():
            there = np.zeros(len(rows), dtype=np.bool_)
            for place in places:
                values = np.array(self.document.decisions[place.repeat])
                there |= values[rows[:, self._position[place.repeat]]] >= place.number
            rows[~there, self._position[decision]] = 0
        return rows

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """Every genotype is a network."""
        return np.ones(len(genotypes), dtype=np.bool_)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """What is made alike on the upper of two levels; none where no layer is a stage."""
        return stages_in(self.document, self._position)

    def features(self, genotypes: IntArray) -> FloatArray:
        """What stages hold, each decision's value, and the logarithm of all products."""
        rows = self.canonical(genotypes)
        columns = [
            np.array(one.values, dtype=np.float64)[rows[:, place]]
            for place, one in enumerate(self.decisions)
        ]
        if self.stages:
            counted = self._stage_products
            columns.insert(0, stage_features(self.stages, self.decisions, counted, rows))
        return np.column_stack([*columns, self._log_products(rows)])

    @cached_property
    def _log_products(self) -> LogProducts:
        return LogProducts(self)

    @cached_property
    def _stage_products(self) -> list[Products]:
        return [
            Products(self, [one.name for one in self.document.places if one.stage == stage.name])
            for stage in self.stages
        ]

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is."""
        of_stages = stage_feature_names(self.stages)
        group = "layers." if self.stages else ""  # beside stages, all decisions are one group
        return (*of_stages, *(group + one.name for one in self.decisions), "products.log")

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The layers that are there, one after the other."""
        return chain(lower(self, genotype))

    def largest(self) -> IntArray:
        """The largest value of every decision."""
        return np.array([int(np.argmax(one.values)) for one in self.decisions], dtype=np.int64)

    def smallest(self) -> IntArray:
        """The smallest value of every decision."""
        row = np.array([int(np.argmin(one.values)) for one in self.decisions], dtype=np.int64)
        return np.asarray(self.canonical(row[None, :])[0])
