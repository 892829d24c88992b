"""Search spaces: decisions, slots, architectures.

A space says once, slot by slot, which blocks an architecture has; costs, parameters, the torch
module and the features follow from that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lookup_tables.blocks import Block
from nas_service.errors import Conflict, InvalidSpec

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice: a name and its values; `ordered` where their order means something."""

    name: str
    values: tuple[Any, ...]
    ordered: bool = True

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.values)


def no_junctions(_: tuple[Any, ...]) -> tuple[str, ...]:
    """Of slots whose blocks follow each other."""
    return ()


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the network whose blocks depend on the decisions at positions `reads` alone.

    `blocks` maps the values of those decisions, in that order, to the blocks there; they may be
    none (a layer beyond the depth). `junctions` are the names of places where blocks meet (see
    `junctions_of`): what a runtime does there belongs to no block.
    """

    name: str
    reads: tuple[int, ...]
    blocks: Callable[[tuple[Any, ...]], tuple[Block, ...]]
    junctions: Callable[[tuple[Any, ...]], tuple[str, ...]] = no_junctions


@dataclass(frozen=True, slots=True)
class Node:
    """A block placed in a network: it reads the outputs of earlier nodes; -1 is the image."""

    block: Block
    inputs: tuple[int, ...]


def junctions_of(nodes: Sequence[Node], *, repeated: bool = False) -> tuple[str, ...]:
    """The junction at each tensor: the kinds of blocks that read it, once each, `add+relu_conv`.

    A runtime converts or reorders a tensor once for each kind of reader, however many there are.
    The first node stands for what came before. Where the nodes are `repeated`, the last tensor is
    read as the first one; else nothing is known of its readers.
    """
    readers: dict[int, set[str]] = {}
    for node in nodes[1:]:
        for source in node.inputs:
            readers.setdefault(source, set()).add(node.block.kind)
    first = readers.pop(0, set()) if repeated else set()
    if first:
        readers.setdefault(len(nodes) - 1, set()).update(first)
    return tuple("read by " + "+".join(sorted(kinds)) for _, kinds in sorted(readers.items()))


class Sample(Protocol):
    """What enters and leaves a network of a space, as a learning task has it."""

    @property
    def name(self) -> str:
        """Under which name plain values have it, as `image`."""
        ...

    @property
    def size(self) -> int:
        """What a network reads of it where no decision says otherwise: pixels a side, steps."""
        ...

    @property
    def n_outputs(self) -> int:
        """Numbers that a network gives; where they have more than one axis, `answer` is theirs."""
        ...

    def input_shape(self, size: int) -> tuple[int, ...]:
        """The shape of an input of that size, batch first, of 1."""
        ...

    def as_dict(self) -> dict[str, int]:
        """Plain JSON values."""
        ...


def answer_of(sample: Sample) -> tuple[int, ...]:
    """The shape of what a network gives for one sample: its `answer`, or `n_outputs` numbers."""
    given: tuple[int, ...] = getattr(sample, "answer", (sample.n_outputs,))
    return given


@dataclass(frozen=True, slots=True)
class ImageShape:
    """A `Sample`: pixels a side, channels, classes."""

    size: int
    channels: int
    n_classes: int

    @property
    def name(self) -> str:
        """See `Sample.name`."""
        return "image"

    @property
    def n_outputs(self) -> int:
        """See `Sample.n_outputs`."""
        return self.n_classes

    def input_shape(self, size: int) -> tuple[int, ...]:
        """See `Sample.input_shape`."""
        return (1, self.channels, size, size)

    def as_dict(self) -> dict[str, int]:
        """Plain JSON values."""
        return {"size": self.size, "channels": self.channels, "n_classes": self.n_classes}


class SearchSpace(Protocol):
    """A finite set of architectures over numbered decisions.

    Spaces are immutable and pure: equal genotypes give equal answers, from any thread. Batches of
    genotypes are integer arrays `(n, d)` of indices into the decisions' values. A plug-in is a
    callable that takes the `Sample` of the learning task's data.
    """

    @property
    def name(self) -> str: ...

    @property
    def sample(self) -> Sample: ...

    @property
    def decisions(self) -> tuple[Decision, ...]: ...

    @property
    def slots(self) -> tuple[Slot, ...]: ...

    @property
    def has_supernet(self) -> bool:
        """Whether weights can be shared across the space."""
        ...

    @property
    def chain(self) -> bool:
        """Whether every block reads the one before it, and nothing else."""
        ...

    @property
    def resolution(self) -> int | None:
        """Position of the decision that sets the input's side, None where it is fixed."""
        ...

    def canonical(self, genotypes: IntArray) -> IntArray:
        """One genotype a network, `(n, d) -> (n, d)`; idempotent, and never changes a cost."""
        ...

    def valid(self, genotypes: IntArray) -> npt.NDArray[np.bool_]:
        """Which rows are networks at all: `(n, d) -> (n,)`."""
        ...

    def features(self, genotypes: IntArray) -> FloatArray:
        """What predictors read: `(n, d) -> (n, f)`; equal for equal networks."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each feature is; what stands before the first dot groups them for predictors."""
        ...

    def wire(self, genotype: IntArray) -> tuple[Node, ...]:
        """The blocks of one network `(d,)` with their connections, in order of execution."""
        ...

    def largest(self) -> IntArray:
        """The genotype `(d,)` of the most capable network."""
        ...

    def smallest(self) -> IntArray:
        """The genotype `(d,)` of the cheapest network."""
        ...


def n_architectures(space: SearchSpace) -> int:
    """Number of genotypes, before networks that coincide are counted once."""
    total = 1
    for decision in space.decisions:
        total *= decision.size
    return total


def lower(space: SearchSpace, genotype: IntArray) -> tuple[Block, ...]:
    """The blocks of one network, slot by slot."""
    row = space.canonical(np.asarray(genotype)[None, :])[0]
    found: list[Block] = []
    for slot in space.slots:
        values = tuple(space.decisions[i].values[row[i]] for i in slot.reads)
        found.extend(slot.blocks(values))
    return tuple(found)


def chain(blocks: Sequence[Block]) -> tuple[Node, ...]:
    """Connect blocks one after the other."""
    return tuple(Node(block, (number - 1,)) for number, block in enumerate(blocks))


def input_size(space: SearchSpace, genotype: IntArray) -> int:
    """The size of the inputs that this network takes: pixels a side, steps of a window."""
    if space.resolution is None:
        return space.sample.size
    return int(space.decisions[space.resolution].values[genotype[space.resolution]])


def describe(space: SearchSpace, genotype: Sequence[int] | IntArray) -> dict[str, Any]:
    """An architecture as plain JSON values: the space, and each decision's value by name.

    Raises:
        Conflict: it was stored when the space had other decisions.
    """
    require_decisions(space, len(genotype))
    return {
        "space": space.name,
        space.sample.name: space.sample.as_dict(),
        "decisions": {
            decision.name: decision.values[index]
            for decision, index in zip(space.decisions, genotype, strict=True)
        },
    }


def require_decisions(space: SearchSpace, n: int) -> None:
    """Raise `Conflict` where genotypes of `n` decisions are of another version of a space."""
    if n != len(space.decisions):
        raise Conflict(
            f"these networks are of an earlier version of space {space.name}, which had {n} "
            f"decisions; it has {len(space.decisions)}",
            field="space",
        )


def parse(space: SearchSpace, values: Mapping[str, Any]) -> IntArray:
    """The genotype `(d,)` of decisions named in `values`; errors name the decision.

    Raises:
        InvalidSpec: a decision is missing, unknown, or has a value that it cannot take.
    """
    named = {decision.name: decision for decision in space.decisions}
    if unknown := sorted(set(values) - set(named)):
        raise InvalidSpec(f"space {space.name} has no decision {unknown[0]!r}", field=unknown[0])
    genotype = []
    for decision in space.decisions:
        if decision.name not in values:
            raise InvalidSpec(f"decision {decision.name!r} is missing", field=decision.name)
        value = values[decision.name]
        if value not in decision.values:
            raise InvalidSpec(
                f"{decision.name} cannot be {value!r}; it is one of {list(decision.values)}",
                field=decision.name,
            )
        genotype.append(decision.values.index(value))
    return np.array(genotype, dtype=np.int64)


def digest(space: SearchSpace) -> str:
    """Twelve hexadecimal digits that change when the space does."""
    facts = {
        "name": space.name,
        space.sample.name: space.sample.as_dict(),
        "decisions": [[d.name, list(d.values)] for d in space.decisions],
        "largest": [block.key for block in lower(space, space.largest())],
        "smallest": [block.key for block in lower(space, space.smallest())],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
