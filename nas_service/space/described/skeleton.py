"""Stages of a described space: how many layers, how wide, where maps are halved, what they take.

A stage is written as a layer with `stage` in place of `name`; what its skeleton leaves open are
decisions of the stage's (`STAGE.depth`, `STAGE.channels`, `STAGE.stride`) beside its layers' own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas_service.space.described.values import mapping_at, numbers, wrong

_STAGE = {"stage", "depth", "channels", "stride", "budget", "block", "sizes", "first"}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MOST_BUDGET = 1e15


@dataclass(frozen=True)
class Skeleton:
    """Layers without stages, the names of those that were some, and their budgets as rules."""

    layers: Any
    names: tuple[str, ...]
    budgets: tuple[Mapping[str, Any], ...]


def lay_out(layers: Any, decisions: dict[str, tuple[Any, ...]]) -> Skeleton:
    """Write stages as repeated layers; their decisions are added to `decisions`.

    Raises:
        InvalidSpec: names the place in a stage that is wrong.
    """
    if not isinstance(layers, list):
        return Skeleton(layers, (), ())
    names: list[str] = []
    budgets: list[Mapping[str, Any]] = []
    plain = []
    for number, layer in enumerate(layers):
        if not isinstance(layer, Mapping) or "stage" not in layer:
            plain.append(layer)
            continue
        place, name = f"layers[{number}]", layer["stage"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise wrong(f"{place}.stage", f"{name!r} is not of small letters, digits, - and _")
        if unknown := sorted(set(map(str, layer)) - _STAGE):
            known = ", ".join(sorted(_STAGE))
            raise wrong(f"{place}.{unknown[0]}", f"not known of a stage; known are {known}")
        plain.append(_as_layer(place, name, layer, decisions))
        names.append(name)
        if "budget" in layer:
            most = _budget(f"{place}.budget", layer["budget"])
            budgets.append({"products": f"{name}.*", "at_most": most})
    return Skeleton(plain, tuple(names), tuple(budgets))


def _as_layer(
    place: str, name: str, stage: Mapping[str, Any], decisions: dict[str, tuple[Any, ...]]
) -> dict[str, Any]:
    sizes, first = (mapping_at(stage.get(one, {}), f"{place}.{one}") for one in ("sizes", "first"))
    for size, instead in (("out_channels", "channels"), ("stride", "stride")):
        if size in sizes or size in first:
            raise wrong(f"{place}.sizes.{size}", f"of a stage it is said by {instead}")
    if "depth" not in stage:
        raise wrong(f"{place}.depth", "missing: how many layers the stage has")
    depth = _open(f"{place}.depth", f"{name}.depth", stage["depth"], decisions)
    laid = {
        "name": name,
        "repeat": depth["from"] if isinstance(depth, Mapping) and set(depth) == {"from"} else depth,
        "sizes": dict(sizes),
        "first": dict(first),
    }
    if "block" in stage:
        laid["block"] = stage["block"]
    if "channels" in stage:
        given = _open(f"{place}.channels", f"{name}.channels", stage["channels"], decisions)
        laid["sizes"]["out_channels"] = given
    if "stride" in stage:
        given = _open(f"{place}.stride", f"{name}.stride", stage["stride"], decisions)
        laid["first"]["stride"] = given
    return laid


def _open(place: str, name: str, given: Any, decisions: dict[str, tuple[Any, ...]]) -> Any:
    """A size, where a choice is the decision `name`."""
    if isinstance(given, list):
        raise wrong(place, f"{given!r} is no size; several to choose from are choice: {given!r}")
    if not isinstance(given, Mapping) or set(given) != {"choice"}:
        return given
    if name in decisions:
        raise wrong(place, f"the decision {name!r} is there already")
    decisions[name] = numbers(place, given["choice"])
    return {"from": name}


def _budget(place: str, given: Any) -> float:
    fine = isinstance(given, int | float) and not isinstance(given, bool)
    if not fine or not 0 < given <= _MOST_BUDGET:
        as_text = "; YAML reads 1e6 as text, 1.0e+6 as a number" if isinstance(given, str) else ""
        raise wrong(place, f"{given!r} is no number of products above 0{as_text}")
    return float(given)
