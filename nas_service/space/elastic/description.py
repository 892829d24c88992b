"""What can be chosen about a network of the user's own, and what each choice makes of its pieces.

Plain values, made once where torch is and read where it is not. Every size of every piece is a sum:
what it is in the whole network, and what each decision changes it by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self, TypeVar

from nas_service.errors import InvalidSpec
from nas_service.space.base import Sample, answer_of

WIDTH, DEPTH, KERNEL, SWAP, SIZE = "width", "depth", "kernel", "swap", "size"
"""What a decision is about: channels of groups, a region that may be left out, the kernel of a
depthwise layer, what stands in the place of a layer, the input."""

_VERSION = 2
"""Of what is offered: another one gives spaces of other names."""


def elastic_name(model: str, settings: Mapping[str, Any]) -> str:
    """A name that the same model, told by its digest, with the same settings always gets."""
    facts = {"model": model, "version": _VERSION, **settings}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"elastic-{digest[:12]}"


class Normalisable(Protocol):
    """Data that can be prepared with numbers of a model's own."""

    def normalised(self, mean: Sequence[float], std: Sequence[float]) -> Self: ...


N = TypeVar("N", bound=Normalisable)


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision: `name` is what users see, `values` go from the cheapest to the whole network.

    Values of width are shares of the channels of `groups`, those of depth 0 and 1, those of kernel
    its taps a side, those of swap what stands there, those of size what networks read.
    """

    name: str
    about: str
    values: tuple[float | int | str, ...]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PieceSize:
    """A size in the whole network, and what values of decisions, by position, change it by."""

    whole: int
    changes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """An operator of the network: kind and sizes of its block, the names of pieces that it reads.

    The sample has an empty name. `left_out_by` is the position of the decision that removes it,
    `only_at` that of one under whose value, by its index, alone it is there.
    """

    name: str
    kind: str
    sizes: Mapping[str, PieceSize]
    inputs: tuple[str, ...]
    left_out_by: int | None = None
    only_at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Bypass:
    """Where a decision is at its first value, readers of `exit` read `entry` instead.

    Of depth: the region between them is left out. Of a swap: a pair stands for a layer.
    """

    decision: int
    entry: str
    exit: str


@dataclass(frozen=True)
class ElasticDescription:
    """A space: what it is made of, its decisions, and its pieces in order of execution.

    `name` has the digest of the model and of the options. `input_shape` is that of a sample,
    `n_outputs` are the numbers that the model gives, `answer` their shape where it has
    more than one axis (maps a class). `mean` and `std`, one a channel, are what its
    samples are prepared with where the data set's own are not.
    """

    name: str
    model_sha256: str
    choices: tuple[Choice, ...]
    pieces: tuple[Piece, ...]
    bypasses: tuple[Bypass, ...]
    input_shape: tuple[int, ...]
    n_outputs: int
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    answer: tuple[int, ...] = ()

    def prepare(self, data: N) -> N:
        """Data as the model was taught to read them."""
        if self.mean is None or self.std is None:
            return data
        return data.normalised(self.mean, self.std)

    def require_fits(self, sample: Sample) -> None:
        """Raise `InvalidSpec` where the model does not read such samples, or answers otherwise."""
        own = (1, *self.input_shape)
        if sample.input_shape(own[-1]) != own:
            raise InvalidSpec(
                f"the model of space {self.name} takes {own}, the data set has samples of "
                f"{sample.input_shape(sample.size)}",
                field="space",
            )
        asked, gives = answer_of(sample), self.answer or (self.n_outputs,)
        if len(asked) != len(gives) or (len(asked) > 1 and asked != gives):
            raise InvalidSpec(
                f"the model of space {self.name} gives {gives}, the data set asks for {asked}",
                field="space",
            )
        exactly = getattr(sample, "code", 0) > 0
        if sample.n_outputs > self.n_outputs or (exactly and sample.n_outputs < self.n_outputs):
            raise InvalidSpec(
                f"the model of space {self.name} gives {self.n_outputs} numbers, the data set asks "
                f"for {sample.n_outputs}",
                field="space",
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ElasticDescription:
        """The inverse of `as_dict`."""
        return cls(
            name=values["name"],
            model_sha256=values["model_sha256"],
            choices=tuple(
                Choice(one["name"], one["about"], tuple(one["values"]), tuple(one["groups"]))
                for one in values["choices"]
            ),
            pieces=tuple(_piece(one) for one in values["pieces"]),
            bypasses=tuple(Bypass(**one) for one in values["bypasses"]),
            input_shape=tuple(values["input_shape"]),
            n_outputs=values["n_outputs"],
            mean=_numbers(values.get("mean")),
            std=_numbers(values.get("std")),
            answer=tuple(values.get("answer", ())),
        )


def _numbers(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)


def _piece(values: Mapping[str, Any]) -> Piece:
    sizes = {
        name: PieceSize(one["whole"], {int(key): tuple(by) for key, by in one["changes"].items()})
        for name, one in values["sizes"].items()
    }
    only_at = values.get("only_at")
    return Piece(
        values["name"],
        values["kind"],
        sizes,
        tuple(values["inputs"]),
        values["left_out_by"],
        None if only_at is None else (int(only_at[0]), int(only_at[1])),
    )
