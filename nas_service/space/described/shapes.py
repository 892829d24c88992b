"""What the places of a described space read, under decisions, and which decisions that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lookup_tables.blocks import Block
from nas_service.space.described.places import Place
from nas_service.space.described.values import Chosen

_CHANNELS = ("in_channels", "channels", "in_features")


@dataclass(frozen=True)
class Read:
    """What a place reads: the shape `(c, ...)` under decisions, and which decisions that takes.

    Those that its channels take are told apart from those of its sides: the former are forgotten
    where a layer says channels of its own.
    """

    shape: Callable[[Chosen], tuple[int, ...]]
    channels: frozenset[str]
    sides: frozenset[str]

    @property
    def reads(self) -> frozenset[str]:
        """All of them."""
        return self.channels | self.sides


def after(
    place: Place, made: Callable[[Chosen], Block], before: Read, depths: Sequence[int]
) -> Read:
    """What the place after this one reads; where it is there 0 times of `depths`, the same."""
    sizes = place.sizes.items()
    given = {value for size, value in sizes if size in {"out_channels", "out_features"}}
    channels = frozenset(one for value in given for one in value.reads)
    if not given or any(value.of for value in given):
        channels |= before.channels | frozenset(
            one for size, value in sizes if size != "stride" for one in value.reads
        )
    sides = before.sides | frozenset(
        one for size, value in sizes if size == "stride" for one in value.reads
    )
    left_out = 0 in depths
    if left_out:
        channels |= before.channels | {place.repeat}
        sides |= {place.repeat}
    shape = _shape_after(made, before.reads | channels | sides)
    if left_out:
        return Read(_unless_left_out(place.repeat, shape, before.shape), channels, sides)
    return Read(shape, channels, sides)


def given(shape: tuple[int, ...], fields: list[str]) -> dict[str, int]:
    """Sizes of a block that follow from what it reads."""
    found = {name: shape[0] for name in _CHANNELS if name in fields}
    if len(shape) == 3:
        found |= {
            name: side
            for name, side in zip(("height", "width"), shape[1:], strict=True)
            if name in fields
        }
        found |= {"size": shape[1]} if "size" in fields else {}
    elif len(shape) == 2:
        found |= {"steps": shape[1]} if "steps" in fields else {}
        found |= {"height": 1, "width": shape[1]} if "height" in fields else {}
    return found


def _shape_after(
    made: Callable[[Chosen], Block], reads: frozenset[str]
) -> Callable[[Chosen], tuple[int, ...]]:
    """The shape that a block gives, worked out once for the decisions that it depends on."""
    known: dict[tuple[Any, ...], tuple[int, ...]] = {}
    names = sorted(reads)

    def shape(chosen: Chosen) -> tuple[int, ...]:
        key = tuple(chosen.get(one) for one in names)
        if key not in known:
            known[key] = made(chosen).output_shape[1:]
        return known[key]

    return shape


def _unless_left_out(
    repeat: str,
    there: Callable[[Chosen], tuple[int, ...]],
    left_out: Callable[[Chosen], tuple[int, ...]],
) -> Callable[[Chosen], tuple[int, ...]]:
    return lambda chosen: there(chosen) if chosen[repeat] else left_out(chosen)
