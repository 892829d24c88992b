"""Rules over decisions: what a search may not propose, whatever its predictor thinks of it.

A rule is a mapping of one of five kinds, as files and requests have it:

- `{"always": {"stage*.depth": {"at_most": 3}}}`: those decisions, by name or glob, stay within;
- `{"never": {"stage1.se": true, "width": 1.25}}`: not all of these at once;
- `{"if": {"width": 1.25}, "then": {"stage4.depth": 2}}`: where the first hold, the second do;
- `{"sum": "stage*.depth", "at_most": 9}`: of numbers, `at_most` and `at_least`;
- `{"products": "stage1.*", "at_most": 2e6}`: what the slots of that name take together, in
  multiply-accumulates.

A condition is a value, a list of values, or `at_least` and `at_most` of numbers. A rule says
nothing of a layer that a network does not have, beyond a stage's depth: what is asked of it holds,
it meets no condition of `never` and `if`, and adds nothing to a sum. What layers of several stages
read always counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidSpec
from nas_service.space.absence import Absence, absence_of
from nas_service.space.base import SearchSpace
from nas_service.space.products import Products
from nas_service.space.rule import BoolArray, DecisionRule, ProductsRule, Rule

_KINDS = (("always",), ("never",), ("if", "then"), ("sum",), ("products",))
_BOUNDS = ("at_least", "at_most")


def rules_of(space: SearchSpace, given: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Rules checked against a space.

    Raises:
        InvalidSpec: names the rule, and the decision or value that the space does not have.
    """
    return tuple(_rule(space, number, one) for number, one in enumerate(given))


def _rule(space: SearchSpace, number: int, given: Mapping[str, Any]) -> Rule:
    place = f"rules[{number}]"
    kinds = [kind for kind in _KINDS if kind[0] in given]
    bounded = "sum" in given or "products" in given
    known = {*(kinds[0] if len(kinds) == 1 else ()), *(_BOUNDS if bounded else ())}
    if len(kinds) != 1 or set(given) - known or set(kinds[0]) - set(given):
        raise InvalidSpec(
            f"{place}: a rule is always, never, if with then, or sum or products with at_most or "
            "at_least; "
            f"this one has {', '.join(map(str, given)) or 'nothing'}",
            field="rules",
        )
    if "sum" in given:
        low, high = _bounds(place, "a sum needs", given)
        summed = _summed(space, place, str(given["sum"]))
        text = _bounded_text("sum", given)
        return DecisionRule(number, text, _absences(space, summed), (), (summed, low, high))
    if "products" in given:
        return _products(space, number, place, given)
    parts = tuple((name, _conditions(space, place, name, given[name])) for name in kinds[0])
    named = [one for _, part in parts for one in part]
    return DecisionRule(number, _text(given), _absences(space, named), parts)


def _absences(space: SearchSpace, named: Sequence[tuple[int, Any]]) -> dict[int, Absence]:
    """When decisions say nothing, of those that ever do."""
    found = {place: absence_of(space, place) for place, _ in named}
    return {place: one for place, one in found.items() if one is not None}


def _summed(
    space: SearchSpace, place: str, pattern: str
) -> Sequence[tuple[int, npt.NDArray[np.float64]]]:
    """What each value of the decisions of that name adds."""
    parts = []
    for one in _matching(space, place, pattern):
        decision = space.decisions[one]
        if not all(_is_number(value) for value in decision.values):
            raise InvalidSpec(
                f"{place}: {decision.name} is one of {list(decision.values)}, which have no sum",
                field="rules",
            )
        parts.append((one, np.array(decision.values, dtype=np.float64)))
    return parts


def _products(
    space: SearchSpace, number: int, place: str, given: Mapping[str, Any]
) -> ProductsRule:
    low, high = _bounds(place, "products need", given)
    pattern = str(given["products"])
    slots = [one.name for one in space.slots]
    meant = [one for one in slots if fnmatchcase(one, pattern)]
    if not meant:
        shown = ", ".join(slots[:8]) + (", ..." if len(slots) > 8 else "")
        raise InvalidSpec(
            f"{place}: space {space.name} has no slot {pattern!r}; it has {shown}",
            field="rules",
            known_names=slots,
        )
    text = _bounded_text("products", given)
    return ProductsRule(number, text, Products(space, meant), low, high)


def _bounds(place: str, needed: str, given: Mapping[str, Any]) -> tuple[float, float]:
    least, most = (given.get(name) for name in _BOUNDS)
    if least is None and most is None:
        raise InvalidSpec(f"{place}: {needed} at_most or at_least", field="rules")
    low = -np.inf if least is None else _number(place, "at_least", least)
    high = np.inf if most is None else _number(place, "at_most", most)
    return low, high


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
    try:
        number = float(value) if _is_number(value) else np.nan
    except OverflowError:  # a whole number beyond what floats hold
        number = np.nan
    if np.isnan(number):
        raise InvalidSpec(f"{place}: {name} is {value!r}, not a number", field="rules")
    return number


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


def _bounded_text(kind: str, given: Mapping[str, Any]) -> str:
    bounds = {
        name: f"{float(given[name]):,.15g}" if kind == "products" else given[name]
        for name in _BOUNDS
        if given.get(name) is not None
    }
    what = "the sum of" if kind == "sum" else "multiply-accumulates of"
    return f"{what} {given[kind]} {'is' if kind == 'sum' else 'are'} {_said(bounds)}"
