"""What can be chosen about a network of the user's own, and what each choice makes of its pieces.

Plain values, made once where torch is and read where it is not. Every size of every piece is a sum:
what it is in the whole network, and what each decision changes it by.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

WIDTH, DEPTH, KERNEL, SIZE = "width", "depth", "kernel", "size"
"""What a decision is about: channels of groups, a region that may be left out, the kernel of a
depthwise layer, the input."""

_VERSION = 1
"""Of what is offered: another one gives spaces of other names."""


def elastic_name(model: str, settings: Mapping[str, Any]) -> str:
    """A name that the same model, told by its digest, with the same settings always gets."""
    facts = {"model": model, "version": _VERSION, **settings}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"elastic-{digest[:12]}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision: `name` is what users see, `values` go from the cheapest to the whole network.

    Values of width are shares of the channels of `groups`, those of depth 0 and 1, those of kernel
    its taps a side, those of size what networks read.
    """

    name: str
    about: str
    values: tuple[float | int, ...]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PieceSize:
    """A size in the whole network, and what values of decisions, by position, change it by."""

    whole: int
    changes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """An operator of the network: kind and sizes of its block, the names of pieces that it reads.

    The sample has an empty name. `left_out_by` is the position of the decision that removes it.
    """

    name: str
    kind: str
    sizes: Mapping[str, PieceSize]
    inputs: tuple[str, ...]
    left_out_by: int | None = None


@dataclass(frozen=True, slots=True)
class Bypass:
    """Where a decision of depth leaves a region out, readers of `exit` read `entry` instead."""

    decision: int
    entry: str
    exit: str


@dataclass(frozen=True)
class ElasticDescription:
    """A space: what it is made of, its decisions, and its pieces in order of execution.

    `name` has the digest of the model and of the options. `input_sizes` of one value is a
    network that takes nothing else. `mean` and `std`, one a channel, are what its samples are
    prepared with where the data set's own are not.
    """

    name: str
    model_sha256: str
    choices: tuple[Choice, ...]
    pieces: tuple[Piece, ...]
    bypasses: tuple[Bypass, ...]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

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
            mean=_numbers(values.get("mean")),
            std=_numbers(values.get("std")),
        )


def _numbers(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)


def _piece(values: Mapping[str, Any]) -> Piece:
    sizes = {
        name: PieceSize(one["whole"], {int(key): tuple(by) for key, by in one["changes"].items()})
        for name, one in values["sizes"].items()
    }
    return Piece(
        values["name"], values["kind"], sizes, tuple(values["inputs"]), values["left_out_by"]
    )
