"""A described space's document: read from YAML or JSON, its references followed, and checked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from nas_service.space.described.places import Place, places_of
from nas_service.space.described.skeleton import lay_out
from nas_service.space.described.values import mapping_at, numbers, wrong

_KNOWN = {
    "name",
    "input",
    "define",
    "decisions",
    "input_sizes",
    "layers",
    "overrides",
    "rules",
}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MOST_DECISIONS = 300
_MOST_PARTS = 100_000
_MOST_RULES = 64
_DEEPEST = 32
_LARGEST_INPUT = 4096
INPUT_SIZE = "size.input"


@dataclass(frozen=True)
class Document:
    """Decisions by name, places in order, and rules: as they were given, then stages' budgets.

    `stages` are the names of those layers that are stages.
    """

    name: str
    input: str
    decisions: Mapping[str, tuple[Any, ...]]
    places: tuple[Place, ...]
    rules: tuple[Mapping[str, Any], ...]
    stages: tuple[str, ...] = ()

    @property
    def has_sizes(self) -> bool:
        """Whether a decision says what size of input networks read."""
        return INPUT_SIZE in self.decisions


def space_name(given: Mapping[str, Any]) -> str:
    """The name of a document's space: its own, and what makes another document another space.

    Decisions come in the order in which they are written, and of overrides the last counts.
    """
    of_order = {name: given[name] for name in ("decisions", "layers", "overrides") if name in given}
    told = json.dumps(given, sort_keys=True) + json.dumps(of_order)
    digest = hashlib.sha256(told.encode()).hexdigest()
    return f"yaml-{given.get('name', 'space')}-{digest[:8]}"


def read_document(given: Any) -> Document:
    """Check a document.

    Raises:
        InvalidSpec: names the place and what is wrong there.
    """
    if not isinstance(given, Mapping):
        raise wrong("space", "it is no mapping with name, input and layers")
    if unknown := sorted(set(map(str, given)) - _KNOWN):
        raise wrong(unknown[0], f"not known; known are {', '.join(sorted(_KNOWN))}")
    for name in ("name", "input", "layers"):
        if name not in given:
            raise wrong(name, "missing")
    if not isinstance(given["name"], str) or not _NAME.fullmatch(given["name"]):
        raise wrong("name", f"{given['name']!r} is not of small letters, digits, - and _")
    given = _resolved(given)
    decisions = {
        str(name): numbers(f"decisions.{name}", values)
        for name, values in mapping_at(given.get("decisions", {}), "decisions").items()
    }
    if "input_sizes" in given:
        if INPUT_SIZE in decisions:
            raise wrong("input_sizes", f"decisions has {INPUT_SIZE} already")
        decisions[INPUT_SIZE] = numbers("input_sizes", given["input_sizes"])
    skeleton = lay_out(given["layers"], decisions)
    given = {**given, "layers": skeleton.layers}
    overrides = mapping_at(given.get("overrides", {}), "overrides")
    overridden = _override(decisions, overrides, set())  # before layers are laid out by them
    sizes = decisions.get(INPUT_SIZE, ())
    if not all(isinstance(one, int) and 1 <= one <= _LARGEST_INPUT for one in sizes):
        raise wrong("input_sizes", f"whole numbers from 1 to {_LARGEST_INPUT} are needed")
    common = set(decisions)
    places = places_of(given, decisions, skeleton.names)
    overridden |= _override(decisions, overrides, common)
    if missed := [str(one) for one in overrides if str(one) not in overridden]:
        names = ", ".join(decisions)
        raise wrong(f"overrides.{missed[0]}", f"no decision of that name; there are {names}")
    _require_read(decisions, places)
    _require_whole(decisions, places)
    _require_sizes(decisions, places)
    if len(decisions) > _MOST_DECISIONS:
        raise wrong("layers", f"they have {len(decisions)} decisions, more than {_MOST_DECISIONS}")
    if not decisions:
        raise wrong("layers", "nothing is to be chosen: a space needs a decision")
    rules = given.get("rules", [])
    if not isinstance(rules, Sequence) or not all(isinstance(one, Mapping) for one in rules):
        raise wrong("rules", "they are a list of rules")
    if len(rules) > _MOST_RULES:
        raise wrong("rules", f"there are {len(rules)}, more than {_MOST_RULES}")
    return Document(
        given["name"],
        str(given["input"]),
        decisions,
        places,
        (*rules, *skeleton.budgets),
        skeleton.names,
    )


def _resolved(given: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what `define` names in the place of `$NAME`."""
    define = mapping_at(given.get("define", {}), "define")

    n_followed = 0

    def follow(one: Any, place: str, within: tuple[str, ...], depth: int = 0) -> Any:
        nonlocal n_followed
        n_followed += 1
        if n_followed > _MOST_PARTS or depth > _DEEPEST:
            raise wrong(place, f"with references followed it has more than {_MOST_PARTS:,} parts")
        if isinstance(one, str) and one.startswith("$"):
            name = one[1:]
            if name in within:
                circle = " -> ".join(f"${it}" for it in (*within, name))
                raise wrong(place, f"a circle of references: {circle}")
            if name not in define:
                known = ", ".join(f"${it}" for it in define) or "none"
                raise wrong(place, f"{one} is not defined; known: {known}")
            return follow(define[name], place, (*within, name), depth + 1)
        if isinstance(one, Mapping):
            return {k: follow(v, f"{place}.{k}", within, depth + 1) for k, v in one.items()}
        if isinstance(one, list | tuple):
            return [follow(v, f"{place}[{n}]", within, depth + 1) for n, v in enumerate(one)]
        return one

    for name, value in define.items():
        follow(value, f"define.{name}", (str(name),))
    return {k: follow(v, str(k), ()) for k, v in given.items() if k != "define"}


def _override(
    decisions: dict[str, tuple[Any, ...]], given: Mapping[str, Any], but: set[str]
) -> set[str]:
    """Other values for decisions by name or glob, `but` for some; the patterns that matched."""
    matched = set()
    for pattern, values in given.items():
        for name in decisions:
            if name not in but and fnmatchcase(name, str(pattern)):
                decisions[name] = numbers(f"overrides.{pattern}", values)
                matched.add(str(pattern))
    return matched


def _require_read(decisions: Mapping[str, Any], places: Sequence[Place]) -> None:
    read = {one for place in places for value in place.sizes.values() for one in value.reads}
    read |= {place.repeat for place in places} | {INPUT_SIZE}
    for name in decisions:
        if name not in read:
            raise wrong(f"decisions.{name}", "no layer reads it")


def _require_sizes(decisions: Mapping[str, tuple[Any, ...]], places: Sequence[Place]) -> None:
    """What is rounded to a size is one before that."""
    for place in places:
        for value in place.sizes.values():
            if not (value.by and value.rounded):
                continue
            least = min(decisions[value.by])
            if least <= 0 or (not value.of and value.amount * least < 1):
                raise wrong(
                    f"decisions.{value.by}",
                    f"{least} of {value.of or value.amount} is no size of {place.name}",
                )


def _require_whole(decisions: Mapping[str, tuple[Any, ...]], places: Sequence[Place]) -> None:
    """What stands for a size as it is cannot be a fraction."""
    for place in places:
        for size, value in place.sizes.items():
            if not value.as_it_is:
                continue
            odd = [one for one in decisions[value.by] if one != int(one)]
            if odd:
                raise wrong(f"{place.name}.{size}", f"{odd[0]} is no whole number")
