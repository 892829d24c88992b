"""What a size of a described layer may be, and what it is once decisions are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas_service.errors import InvalidSpec

Chosen = Mapping[str, Any]
"""Values of decisions by name."""
_STEP = {"signal": 4}
_USUAL_STEP = 8
_MOST_VALUES = 64
LARGEST = 1_000_000
"""Of any number in a document."""


def wrong(place: str, why: str) -> InvalidSpec:
    """What is said of a place in a document."""
    return InvalidSpec(f"{place}: {why}", field="space")


def mapping_at(given: Any, place: str) -> Mapping[str, Any]:
    """What has to be a mapping.

    Raises:
        InvalidSpec: it is none.
    """
    if not isinstance(given, Mapping):
        raise wrong(place, f"a mapping is needed, not {given!r}")
    names = list(map(str, given))
    if twice := [name for name in names if names.count(name) > 1]:
        raise wrong(place, f"{twice[0]!r} is there twice, as a number and as a text")
    return given


@dataclass(frozen=True)
class Value:
    """A number, `by` a decision or not: `amount`, or `amount` times the decision's value.

    With `of`, the amount is another size of the same block; with `rounded`, the product is the
    nearest multiple of that, at least one.
    """

    amount: int | float = 1
    by: str = ""
    of: str = ""
    rounded: int = 0

    @property
    def reads(self) -> frozenset[str]:
        """Decisions that it depends on."""
        return frozenset({self.by} if self.by else ())

    @property
    def as_it_is(self) -> bool:
        """Whether it is a decision's value and nothing else."""
        return bool(self.by) and not self.of and not self.rounded and self.amount == 1

    def under(self, chosen: Chosen, sizes: Mapping[str, int]) -> int:
        """The number; `sizes` are those of the block that are known already."""
        number = float(sizes[self.of]) if self.of else float(self.amount)
        if self.by:
            number *= float(chosen[self.by])
        if self.rounded:
            return max(self.rounded, int(number + self.rounded / 2) // self.rounded * self.rounded)
        return round(number)


@dataclass(frozen=True)
class Choice:
    """A decision of a layer's own, met where a size was to stand."""

    values: tuple[Any, ...]


def numbers(place: str, given: Any) -> tuple[Any, ...]:
    """The values of a decision: numbers or true and false, one at least, none twice."""
    values = given if isinstance(given, list | tuple) else None
    kinds = {isinstance(one, bool) for one in values or ()}
    if not values or len(kinds) > 1 or not all(isinstance(one, int | float) for one in values):
        raise InvalidSpec(f"{place}: values are a list of numbers, not {given!r}", field="space")
    if len(values) > _MOST_VALUES or not all(abs(one) <= LARGEST for one in values):
        raise InvalidSpec(
            f"{place}: at most {_MOST_VALUES} values, none beyond {LARGEST:,}", field="space"
        )
    if len(set(values)) < len(values):
        raise InvalidSpec(f"{place}: the same value twice in {given!r}", field="space")
    return tuple(values)


def parse_size(place: str, given: Any, input_name: str) -> tuple[Value, Choice | None]:
    """A size as the document has it; a choice's decision is named by who asks for it.

    Raises:
        InvalidSpec: says what a size can be.
    """
    if isinstance(given, int | float) and abs(given) <= LARGEST and given == int(given):
        return Value(int(given)), None
    if isinstance(given, Mapping):
        keys = frozenset(given)
        if keys == {"choice"}:
            return Value(), Choice(numbers(place, given["choice"]))
        if keys == {"from"}:
            return Value(by=str(given["from"])), None
        if keys == {"round", "by"}:
            step = _STEP.get(input_name, _USUAL_STEP)
            amount = given["round"]
            if not isinstance(amount, int | float) or not 0 < amount <= LARGEST:
                raise InvalidSpec(
                    f"{place}.round: {amount!r} is no number from 0 to {LARGEST:,}", field="space"
                )
            return Value(amount, by=str(given["by"]), rounded=step), None
        if keys == {"times", "by"}:
            inner = given["by"]
            if isinstance(inner, Mapping) and set(inner) == {"choice"}:
                choice = Choice(numbers(place, inner["choice"]))
                return Value(of=str(given["times"])), choice
            if isinstance(inner, int | float):
                raise InvalidSpec(f"{place}.by: a choice, or a decision's name", field="space")
            return Value(of=str(given["times"]), by=str(inner)), None
    raise InvalidSpec(
        f"{place}: {given!r} is no size; it is a number, choice: [...], from: DECISION, "
        "round: NUMBER with by: DECISION, or times: SIZE with by: DECISION or choice",
        field="space",
    )
