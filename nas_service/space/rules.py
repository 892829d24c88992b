"""Rules over decisions: what a search may not propose, whatever its predictor thinks of it.

A rule is a mapping of one of four kinds, as files and requests have it:

- `{"always": {"stage*.depth": {"at_most": 3}}}`: those decisions, by name or glob, stay within;
- `{"never": {"stage1.se": true, "width": 1.25}}`: not all of these at once;
- `{"if": {"width": 1.25}, "then": {"stage4.depth": 2}}`: where the first hold, the second do;
- `{"sum": "stage*.depth", "at_most": 9}`: of numbers, `at_most` and `at_least`.

A condition is a value, a list of values, or `at_least` and `at_most` of numbers. Rules read
canonical genotypes: a layer beyond a stage's depth has the first value of its decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidSpec
from nas_service.space.base import IntArray, SearchSpace

BoolArray = npt.NDArray[np.bool_]
_KINDS = (("always",), ("never",), ("if", "then"), ("sum",))
_BOUNDS = ("at_least", "at_most")


@dataclass(frozen=True)
class LinearRow:
    """A bound on a sum over decisions: what each value adds, by the decision's position."""

    weights: tuple[tuple[int, npt.NDArray[np.float64]], ...]
    least: float
    most: float


@dataclass(frozen=True)
class Rule:
    """A rule that was checked against a space; `number` is its place among others, from 0."""

    number: int
    text: str
    _parts: tuple[tuple[str, Sequence[tuple[int, BoolArray]]], ...]
    _sum: tuple[Sequence[tuple[int, npt.NDArray[np.float64]]], float, float] | None = None

    def holds(self, rows: IntArray) -> BoolArray:
        """Which canonical genotypes keep it: `(n, d) -> (n,)`."""
        if self._sum is not None:
            parts, least, most = self._sum
            total = np.sum([values[rows[:, place]] for place, values in parts], axis=0)
            return np.asarray((total >= least) & (total <= most))
        held = {
            name: np.logical_and.reduce([allowed[rows[:, place]] for place, allowed in parts])
            for name, parts in self._parts
        }
        if "always" in held:
            return np.asarray(held["always"])
        if "never" in held:
            return np.asarray(~held["never"])
        return np.asarray(~held["if"] | held["then"])

    def rows(self) -> list[LinearRow]:
        """The rule as bounds on sums in which a decision's value counts once, as solvers read it.

        Of a network with several genotypes they let some pass and others not.
        """
        if self._sum is not None:
            parts, least, most = self._sum
            return [LinearRow(tuple(parts), least, most)]
        named = dict(self._parts)
        if "always" in named:
            forbidden = ((place, (~allowed).astype(float)) for place, allowed in named["always"])
            return [LinearRow((one,), -np.inf, 0.0) for one in forbidden]
        first = named["never"] if "never" in named else named["if"]
        held = tuple((place, allowed.astype(float)) for place, allowed in first)
        if "never" in named:
            return [LinearRow(held, -np.inf, len(held) - 1.0)]
        # all conditions of `if` let none of `then` fail
        return [
            LinearRow((*held, (place, -allowed.astype(float))), -np.inf, len(held) - 1.0)
            for place, allowed in named["then"]
        ]


def rules_of(space: SearchSpace, given: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Rules checked against a space.

    Raises:
        InvalidSpec: names the rule, and the decision or value that the space does not have.
    """
    return tuple(_rule(space, number, one) for number, one in enumerate(given))


def _rule(space: SearchSpace, number: int, given: Mapping[str, Any]) -> Rule:
    place = f"rules[{number}]"
    kinds = [kind for kind in _KINDS if kind[0] in given]
    known = {*(kinds[0] if len(kinds) == 1 else ()), *(_BOUNDS if "sum" in given else ())}
    if len(kinds) != 1 or set(given) - known or set(kinds[0]) - set(given):
        raise InvalidSpec(
            f"{place}: a rule is always, never, if with then, or sum with at_most or at_least; "
            f"this one has {', '.join(map(str, given)) or 'nothing'}",
            field="rules",
        )
    if "sum" in given:
        return Rule(number, _sum_text(given), (), _sum(space, place, given))
    parts = tuple((name, _conditions(space, place, name, given[name])) for name in kinds[0])
    return Rule(number, _text(given), parts)


def _sum(
    space: SearchSpace, place: str, given: Mapping[str, Any]
) -> tuple[Sequence[tuple[int, npt.NDArray[np.float64]]], float, float]:
    least, most = (given.get(name) for name in _BOUNDS)
    if least is None and most is None:
        raise InvalidSpec(f"{place}: a sum needs at_most or at_least", field="rules")
    parts = []
    for one in _matching(space, place, str(given["sum"])):
        decision = space.decisions[one]
        if not all(_is_number(value) for value in decision.values):
            raise InvalidSpec(
                f"{place}: {decision.name} is one of {list(decision.values)}, which have no sum",
                field="rules",
            )
        parts.append((one, np.array(decision.values, dtype=np.float64)))
    low = -np.inf if least is None else _number(place, "at_least", least)
    high = np.inf if most is None else _number(place, "at_most", most)
    return parts, low, high


def _conditions(
    space: SearchSpace, place: str, kind: str, given: Any
) -> Sequence[tuple[int, BoolArray]]:
    """Of each decision that is named, which of its values are meant."""
    if not isinstance(given, Mapping) or not given:
        raise InvalidSpec(f"{place}: {kind} says conditions by decision", field="rules")
    found = []
    for name, condition in given.items():
        places = _matching(space, place, str(name))
        found += [(one, _meant(space, place, one, condition)) for one in places]
    return found


def _matching(space: SearchSpace, place: str, pattern: str) -> list[int]:
    names = [decision.name for decision in space.decisions]
    found = [n for n, name in enumerate(names) if fnmatchcase(name, pattern)]
    if not found:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise InvalidSpec(
            f"{place}: space {space.name} has no decision {pattern!r}; it has {shown}",
            field="rules",
            known_names=names,
        )
    return found


def _meant(space: SearchSpace, place: str, one: int, condition: Any) -> BoolArray:
    decision = space.decisions[one]
    if isinstance(condition, Mapping):
        if not condition or set(condition) - set(_BOUNDS):
            raise InvalidSpec(
                f"{place}: {decision.name} has {', '.join(map(str, condition))}; a range has "
                "at_least and at_most",
                field="rules",
            )
        if not all(_is_number(value) for value in decision.values):
            raise InvalidSpec(
                f"{place}: {decision.name} is one of {list(decision.values)}, which have no order",
                field="rules",
            )
        values = np.array(decision.values, dtype=np.float64)
        least = _number(place, "at_least", condition.get("at_least", -np.inf))
        most = _number(place, "at_most", condition.get("at_most", np.inf))
        return np.asarray((values >= least) & (values <= most))
    wanted = condition if isinstance(condition, list | tuple) else [condition]
    for value in wanted:
        if not any(_same(value, other) for other in decision.values):
            raise InvalidSpec(
                f"{place}: {decision.name} cannot be {value!r}; it is one of "
                f"{list(decision.values)}",
                field="rules",
            )
    return np.array([any(_same(value, other) for value in wanted) for other in decision.values])


def _same(value: Any, other: Any) -> bool:
    """Equal, where true is not 1."""
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(place: str, name: str, value: Any) -> float:
    if not _is_number(value) or np.isnan(value):
        raise InvalidSpec(f"{place}: {name} is {value!r}, not a number", field="rules")
    return float(value)


def _text(given: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{kind} " + " and ".join(f"{name} {_said(one)}" for name, one in conditions.items())
        for kind, conditions in given.items()
    )


def _said(condition: Any) -> str:
    if isinstance(condition, Mapping):
        return " and ".join(
            f"{name.replace('_', ' ')} {value}" for name, value in condition.items()
        )
    if isinstance(condition, list | tuple):
        return "one of " + ", ".join(map(str, condition))
    return f"= {condition}"


def _sum_text(given: Mapping[str, Any]) -> str:
    bounds = {name: given[name] for name in _BOUNDS if given.get(name) is not None}
    return f"the sum of {given['sum']} is {_said(bounds)}"
