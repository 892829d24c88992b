"""Which searches a new or changed device opens again, and what came of it: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from nas_service.errors import InvalidSpec
from nas_service.search.quantities.registry import WORST
from nas_service.search.spec import SearchSpec
from nas_service.space.genotypes import Genotype

ALL = "all"
_QUERIES_KEPT = 4
"""A search that is opened again starts from all that was evaluated, and asks a quarter."""


def check_follows(follows: Sequence[str]) -> None:
    """Raise `InvalidSpec` where a rule is none of `all`, `name:PATTERN`, `label:KEY=VALUE`."""
    for rule in follows:
        kind, _, rest = rule.partition(":")
        label = kind == "label" and all(rest.partition("=")[i] for i in (0, 1, 2))
        if not (rule == ALL or (kind == "name" and rest) or label):
            raise InvalidSpec(
                f"follows: {rule!r} is none of all, name:PATTERN, label:KEY=VALUE", field="follows"
            )


def is_followed(follows: Sequence[str], name: str, labels: Mapping[str, str]) -> bool:
    """Whether a device falls under one of a search's rules."""
    for rule in follows:
        kind, _, rest = rule.partition(":")
        key, _, value = rest.partition("=")
        if rule == ALL:
            return True
        if kind == "name" and fnmatchcase(name, rest):
            return True
        if kind == "label" and labels.get(key) == value:
            return True
    return False


def reopened(spec: SearchSpec, device: str) -> SearchSpec:
    """The same question for a device, to be answered from what is known.

    What was asked on that device beside the search's own is now asked of the own one.
    """
    others = tuple(one for one in spec.also_devices if one != device)
    quarter = -(-spec.n_queries // _QUERIES_KEPT)

    def here(name: str) -> str:
        metric, _, at = name.partition("@")
        return metric if at == device or (at == WORST and not others) else name

    limits: dict[str, float] = {}
    for name, bound in spec.limits.items():
        limits[here(name)] = min(bound, limits.get(here(name), bound))
    bounds = [one for one in (spec.max_latency_ms, limits.pop("latency_ms", None)) if one]
    return replace(
        spec,
        device=device,
        also_devices=others,
        objectives=tuple(dict.fromkeys(here(name) for name in spec.objectives)),
        limits=limits,
        max_latency_ms=min(bounds, default=None),
        follows=(),
        n_queries=min(spec.n_queries, max(spec.batch, quarter)),
    )


def front_diff(
    before: Mapping[str, Any], after: Mapping[str, Any], same_device: bool
) -> dict[str, Any]:
    """What entered and left a front, as stored documents, and what the change is worth.

    Members are told apart by architecture and precision. Gains are of the accuracy that is best
    within the limit and, on the same device, of the hypervolume.
    """
    old, new = (
        {_key(one): one for one in document.get("front", [])} for document in (before, after)
    )
    entered = [_short(new[key]) for key in new if key not in old]
    left = [_short(old[key]) for key in old if key not in new]
    gain = grown = None
    if old and new:
        best = [max(one["predicted_accuracy"] for one in m.values()) for m in (old, new)]
        gain = round(best[1] - best[0], 6)
    if same_device and "hypervolume" in before and "hypervolume" in after:
        grown = round(after["hypervolume"] - before["hypervolume"], 6)
    return {
        "entered": entered,
        "left": left,
        "stayed": len(new) - len(entered),
        "best_accuracy_gain": gain,
        "hypervolume_gain": grown,
        "limit_ms": [before.get("limit_ms"), after.get("limit_ms")],
    }


def _key(one: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*Genotype.from_list(one["genotype"]).architecture, one["precision"])


def _short(one: Mapping[str, Any]) -> dict[str, Any]:
    names = ("architecture", "precision", "predicted_accuracy", "predicted_latency_ms")
    return {name: one[name] for name in names}
