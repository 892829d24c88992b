"""The layers of a described space, repetition by repetition, with decisions of their own."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas_service.space.described.values import Choice, Value, mapping_at, parse_size, wrong

_LAYER = {"name", "block", "repeat", "sizes", "first"}
_MOST_LAYERS = 100
_MOST_PLACES = 1000


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
    stage: str = ""


def places_of(
    given: Mapping[str, Any], decisions: dict[str, tuple[Any, ...]], stages: Sequence[str]
) -> tuple[Place, ...]:
    """All places in order; choices of their layers' sizes are added to `decisions`.

    Raises:
        InvalidSpec: names the layer, and what is wrong with it.
    """
    layers = given["layers"]
    if not isinstance(layers, list) or not 1 <= len(layers) <= _MOST_LAYERS:
        raise wrong("layers", f"a list of 1 to {_MOST_LAYERS} layers is needed")
    found: list[Place] = []
    taken: set[str] = set()
    for number, layer in enumerate(layers):
        place = f"layers[{number}]"
        if unknown := sorted(set(mapping_at(layer, place)) - _LAYER):
            raise wrong(
                f"{place}.{unknown[0]}", f"not known; known are {', '.join(sorted(_LAYER))}"
            )
        if "block" not in layer:
            raise wrong(f"{place}.block", "missing: the family of its block")
        name = unicodedata.normalize("NFC", str(layer.get("name", f"layer{number + 1}")))
        if any(name.startswith(f"{one}.") for one in stages):
            raise wrong(f"{place}.name", f"{name!r} is as a layer of a stage is named")
        if name in taken:
            raise wrong(f"{place}.name", f"{name!r} is the name of another layer, too")
        taken.add(name)
        own = _repeated(place, name, layer, decisions, str(given["input"]), stage=name in stages)
        if twice := {one.name for one in own} & {one.name for one in found}:
            raise wrong(f"{place}.name", f"{min(twice)!r} is the name of another layer, too")
        found += own
        if len(found) > _MOST_PLACES:
            raise wrong(place, f"with all repetitions there are more than {_MOST_PLACES} layers")
    return tuple(found)


def _repeated(
    place: str,
    name: str,
    layer: Mapping[str, Any],
    decisions: dict[str, tuple[Any, ...]],
    input_name: str,
    *,
    stage: bool,
) -> list[Place]:
    """A layer's repetitions; the first has the sizes under `first` in place of others."""
    said = f"{place}.{'depth' if stage else 'repeat'}"
    repeat, most = _repeat(said, layer.get("repeat", 1), decisions, 0 if stage else 1)
    plain = mapping_at(layer.get("sizes", {}), f"{place}.sizes")
    first = mapping_at(layer.get("first", {}), f"{place}.first")
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
                raise wrong(at, f"there is no decision {one!r}; known: {known}")
            sizes[str(size)] = parsed
        of_stage = name if stage else ""
        found.append(Place(own, str(layer["block"]), sizes, repeat, number, of_stage))
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
        raise wrong(
            place,
            "what the layers after it read has to be the same however often it is repeated: put "
            "it under decisions and say round or from",
        )
    name = f"{layer}.{size}"
    if name in decisions:
        raise wrong(place, f"the decision {name!r} is there already")
    decisions[name] = choice.values
    return name


def _repeat(
    place: str, given: Any, decisions: Mapping[str, tuple[Any, ...]], least: int
) -> tuple[str, int]:
    """The decision that says how often, and the most that it can say."""
    if isinstance(given, int) and not isinstance(given, bool):
        if not 1 <= given <= _MOST_LAYERS:
            raise wrong(place, f"{given} is not 1 to {_MOST_LAYERS}")
        return "", given
    if not isinstance(given, str) or given not in decisions:
        raise wrong(place, f"{given!r} is neither a number nor a decision")
    values = decisions[given]
    if not all(type(one) is int and least <= one <= _MOST_LAYERS for one in values):
        raise wrong(place, f"{given} is one of {list(values)}: numbers from {least} up are needed")
    if not max(values):
        raise wrong(place, f"{given} is always 0: there would be no such layer")
    return str(given), max(values)
