"""A described space's document: read from YAML or JSON, its references followed, and checked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from nas_service.errors import InvalidSpec
from nas_service.space.described.values import Choice, Value, numbers, parse_size

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
_LAYER = {"name", "block", "repeat", "sizes", "first"}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MOST_LAYERS = 100
_MOST_DECISIONS = 300
_MOST_PLACES = 1000
_MOST_PARTS = 100_000
_DEEPEST = 32
_LARGEST_INPUT = 4096
INPUT_SIZE = "size.input"


@dataclass(frozen=True)
class Place:
    """A layer, or one repetition of one: its name, the family of its block, and sizes by name.

    It is there where the decision `repeat` is at least `number`; without one it always is.
    """

    name: str
    kind: str
    sizes: Mapping[str, Value]
    repeat: str = ""
    number: int = 1


@dataclass(frozen=True)
class Document:
    """Decisions by name, places in order, and rules as they were given."""

    name: str
    input: str
    decisions: Mapping[str, tuple[Any, ...]]
    places: tuple[Place, ...]
    rules: tuple[Mapping[str, Any], ...]

    @property
    def has_sizes(self) -> bool:
        """Whether a decision says what size of input networks read."""
        return INPUT_SIZE in self.decisions


def space_name(given: Mapping[str, Any]) -> str:
    """The name of a document's space: its own, and what makes another document another space."""
    digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
    return f"yaml-{given.get('name', 'space')}-{digest[:8]}"


def read_document(given: Any) -> Document:
    """Check a document.

    Raises:
        InvalidSpec: names the place and what is wrong there.
    """
    if not isinstance(given, Mapping):
        raise _wrong("space", "it is no mapping with name, input and layers")
    if unknown := sorted(set(map(str, given)) - _KNOWN):
        raise _wrong(unknown[0], f"not known; known are {', '.join(sorted(_KNOWN))}")
    for name in ("name", "input", "layers"):
        if name not in given:
            raise _wrong(name, "missing")
    if not isinstance(given["name"], str) or not _NAME.fullmatch(given["name"]):
        raise _wrong("name", f"{given['name']!r} is not of small letters, digits, - and _")
    given = _resolved(given)
    decisions = {
        str(name): numbers(f"decisions.{name}", values)
        for name, values in _mapping(given.get("decisions", {}), "decisions").items()
    }
    if "input_sizes" in given:
        decisions[INPUT_SIZE] = numbers("input_sizes", given["input_sizes"])
    overrides = _mapping(given.get("overrides", {}), "overrides")
    overridden = _override(decisions, overrides, set())  # before layers are laid out by them
    sizes = decisions.get(INPUT_SIZE, ())
    if not all(isinstance(one, int) and 1 <= one <= _LARGEST_INPUT for one in sizes):
        raise _wrong("input_sizes", f"whole numbers from 1 to {_LARGEST_INPUT} are needed")
    common = set(decisions)
    places = _places(given, decisions)
    overridden |= _override(decisions, overrides, common)
    if missed := [str(one) for one in overrides if str(one) not in overridden]:
        names = ", ".join(decisions)
        raise _wrong(f"overrides.{missed[0]}", f"no decision of that name; there are {names}")
    _require_read(decisions, places)
    _require_whole(decisions, places)
    if len(decisions) > _MOST_DECISIONS:
        raise _wrong("layers", f"they have {len(decisions)} decisions, more than {_MOST_DECISIONS}")
    if not decisions:
        raise _wrong("layers", "nothing is to be chosen: a space needs a decision")
    rules = given.get("rules", [])
    if not isinstance(rules, Sequence) or not all(isinstance(one, Mapping) for one in rules):
        raise _wrong("rules", "they are a list of rules")
    return Document(given["name"], str(given["input"]), decisions, places, tuple(rules))


def _wrong(place: str, why: str) -> InvalidSpec:
    return InvalidSpec(f"{place}: {why}", field="space")


def _mapping(given: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise _wrong(place, f"a mapping is needed, not {given!r}")
    return given


def _resolved(given: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what `define` names in the place of `$NAME`."""
    define = _mapping(given.get("define", {}), "define")

    n_followed = 0

    def follow(one: Any, place: str, within: tuple[str, ...], depth: int = 0) -> Any:
        nonlocal n_followed
        n_followed += 1
        if n_followed > _MOST_PARTS or depth > _DEEPEST:
            raise _wrong(place, f"with references followed it has more than {_MOST_PARTS:,} parts")
        if isinstance(one, str) and one.startswith("$"):
            name = one[1:]
            if name in within:
                circle = " -> ".join(f"${it}" for it in (*within, name))
                raise _wrong(place, f"a circle of references: {circle}")
            if name not in define:
                known = ", ".join(f"${it}" for it in define) or "none"
                raise _wrong(place, f"{one} is not defined; known: {known}")
            return follow(define[name], place, (*within, name), depth + 1)
        if isinstance(one, Mapping):
            return {k: follow(v, f"{place}.{k}", within, depth + 1) for k, v in one.items()}
        if isinstance(one, list | tuple):
            return [follow(v, f"{place}[{n}]", within, depth + 1) for n, v in enumerate(one)]
        return one

    for name, value in define.items():
        follow(value, f"define.{name}", (str(name),))
    return {k: follow(v, str(k), ()) for k, v in given.items() if k != "define"}


def _places(given: Mapping[str, Any], decisions: dict[str, tuple[Any, ...]]) -> tuple[Place, ...]:
    layers = given["layers"]
    if not isinstance(layers, list) or not 1 <= len(layers) <= _MOST_LAYERS:
        raise _wrong("layers", f"a list of 1 to {_MOST_LAYERS} layers is needed")
    found: list[Place] = []
    taken: set[str] = set()
    for number, layer in enumerate(layers):
        place = f"layers[{number}]"
        if unknown := sorted(set(_mapping(layer, place)) - _LAYER):
            raise _wrong(
                f"{place}.{unknown[0]}", f"not known; known are {', '.join(sorted(_LAYER))}"
            )
        if "block" not in layer:
            raise _wrong(f"{place}.block", "missing: the family of its block")
        name = str(layer.get("name", f"layer{number + 1}"))
        if name in taken:
            raise _wrong(f"{place}.name", f"{name!r} is the name of another layer, too")
        taken.add(name)
        found += _repeated(place, name, layer, decisions, str(given["input"]))
        if len(found) > _MOST_PLACES:
            raise _wrong(place, f"with all repetitions there are more than {_MOST_PLACES} layers")
    return tuple(found)


def _repeated(
    place: str,
    name: str,
    layer: Mapping[str, Any],
    decisions: dict[str, tuple[Any, ...]],
    input_name: str,
) -> list[Place]:
    """A layer's repetitions; the first has the sizes under `first` in place of others."""
    repeat, most = _repeat(f"{place}.repeat", layer.get("repeat", 1), decisions)
    plain = _mapping(layer.get("sizes", {}), f"{place}.sizes")
    first = _mapping(layer.get("first", {}), f"{place}.first")
    found = []
    for number in range(1, most + 1):
        own = f"{name}.{number}" if "repeat" in layer else name
        given_sizes = {**plain, **(first if number == 1 else {})}
        sizes = {}
        for size, value in given_sizes.items():
            at = f"{place}.sizes.{size}"
            parsed, choice = parse_size(at, value, input_name)
            if choice is not None:
                parsed = replace(
                    parsed, by=_own_decision(at, own, str(size), choice, decisions, most)
                )
            for one in parsed.reads - set(decisions):
                known = ", ".join(decisions) or "none"
                raise _wrong(at, f"there is no decision {one!r}; known: {known}")
            sizes[str(size)] = parsed
        found.append(Place(own, str(layer["block"]), sizes, repeat, number))
    return found


def _own_decision(
    place: str,
    layer: str,
    size: str,
    choice: Choice,
    decisions: dict[str, tuple[Any, ...]],
    most: int,
) -> str:
    if size in {"out_channels", "stride"} and most > 1:
        raise _wrong(
            place,
            "what the layers after it read has to be the same however often it is repeated: put "
            "it under decisions and say round or from",
        )
    name = f"{layer}.{size}"
    if name in decisions:
        raise _wrong(place, f"the decision {name!r} is there already")
    decisions[name] = choice.values
    return name


def _repeat(place: str, given: Any, decisions: Mapping[str, tuple[Any, ...]]) -> tuple[str, int]:
    """The decision that says how often, and the most that it can say."""
    if isinstance(given, int) and not isinstance(given, bool):
        if not 1 <= given <= _MOST_LAYERS:
            raise _wrong(place, f"{given} is not 1 to {_MOST_LAYERS}")
        return "", given
    if not isinstance(given, str) or given not in decisions:
        raise _wrong(place, f"{given!r} is neither a number nor a decision")
    values = decisions[given]
    if not all(isinstance(one, int) and 1 <= one <= _MOST_LAYERS for one in values):
        raise _wrong(place, f"{given} is one of {list(values)}: numbers from 1 up are needed")
    return str(given), max(values)


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
            raise _wrong(f"decisions.{name}", "no layer reads it")


def _require_whole(decisions: Mapping[str, tuple[Any, ...]], places: Sequence[Place]) -> None:
    """What stands for a size as it is cannot be a fraction."""
    for place in places:
        for size, value in place.sizes.items():
            if not value.as_it_is:
                continue
            odd = [one for one in decisions[value.by] if one != int(one)]
            if odd:
                raise _wrong(f"{place.name}.{size}", f"{odd[0]} is no whole number")
