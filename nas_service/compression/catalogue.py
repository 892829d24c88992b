"""The built-in passes: their options with ranges, and what may follow what. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from nas_service.errors import InvalidSpec
from nas_service.learning.augmentations import AUGMENTATIONS, NONE


class Stage(IntEnum):
    """What a pass changes; training may stand between any two of those before `SHARED`."""

    AT_INITIALISATION = 0
    """Which weights exist, before any training."""
    SHAPE = 1
    """The sizes or number of layers."""
    MASK = 2
    """Which weights are zero, for good."""
    TRAINING = 3
    """The weights."""
    QUANTISED_TRAINING = 4
    """The weights, for integers."""
    SHARED = 5
    """Which weights are equal: training would part them."""
    GRAPH = 6
    """The exported graph."""


@dataclass(frozen=True)
class Option:
    """A number (or one of `choices`) with its default and its range."""

    default: Any
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class PassFacts:
    """A pass's stage and its options."""

    stage: Stage
    options: Mapping[str, Option] = field(default_factory=dict)


_TRAINING = {
    "epochs": Option(3, 1, 1000),
    "batch": Option(32, 2, 4096),
    "learning_rate": Option(0.02, 1e-6, 10.0),
    "flip": Option(False),
    "balanced": Option(False),
    "early_stop": Option(0, 0, 1000),
    "find_rate": Option(False),
    "augment": Option(NONE, choices=(NONE, *AUGMENTATIONS)),
}
_SHARE = Option(0.5, 0.01, 0.99)
_DISTILLED = {**_TRAINING, "weight": Option(0.7, 0.0, 1.0), "temperature": Option(2.0, 0.1, 20.0)}

PASSES: Mapping[str, PassFacts] = {
    "snip": PassFacts(Stage.AT_INITIALISATION, {"sparsity": _SHARE}),
    "synflow": PassFacts(Stage.AT_INITIALISATION, {"sparsity": _SHARE}),
    "channels": PassFacts(
        Stage.SHAPE, {"macs": Option(0.5, 0.05, 0.95), "round_to": Option(8, 1, 64)}
    ),
    "width": PassFacts(Stage.SHAPE, {"keep": Option(0.75, 0.25, 0.95)}),
    "svd": PassFacts(Stage.SHAPE, {"parameters": _SHARE}),
    "tucker": PassFacts(Stage.SHAPE, {"parameters": _SHARE}),
    "cp": PassFacts(Stage.SHAPE, {"parameters": _SHARE}),
    "magnitude": PassFacts(Stage.MASK, {"sparsity": _SHARE}),
    "n_of_m": PassFacts(Stage.MASK, {"n": Option(2, 1, 15), "m": Option(4, 2, 16)}),
    "finetune": PassFacts(Stage.TRAINING, _TRAINING),
    "distill": PassFacts(
        Stage.TRAINING,
        {**_DISTILLED, "answers": Option("live", choices=("live", "cached"))},
    ),
    "distill_ensemble": PassFacts(Stage.TRAINING, {**_DISTILLED, "members": Option(3, 2, 16)}),
    "distill_features": PassFacts(
        Stage.TRAINING, {**_DISTILLED, "feature_weight": Option(1.0, 0.0, 1000.0)}
    ),
    "qat": PassFacts(
        Stage.QUANTISED_TRAINING, {**_TRAINING, "learning_rate": Option(0.002, 1e-6, 10.0)}
    ),
    "cluster": PassFacts(
        Stage.SHARED,
        {
            "clusters": Option(32, 2, 256),
            **_TRAINING,
            "epochs": Option(1, 0, 1000),
            "learning_rate": Option(0.002, 1e-6, 10.0),
        },
    ),
    "static_int8": PassFacts(
        Stage.GRAPH,
        {
            "n_images": Option(128, 1, 100_000),
            "activations": Option("uint8", choices=("uint8", "int8", "measured")),
            "operators": Option("all", choices=("all", "layers")),
        },
    ),
    "mixed_int8": PassFacts(
        Stage.GRAPH,
        {
            "n_images": Option(128, 1, 100_000),
            "max_loss": Option(0.005, 0.0, 1.0),
            "fastest": Option(False),
        },
    ),
    "dynamic_int8": PassFacts(Stage.GRAPH),
    "fp16": PassFacts(Stage.GRAPH),
}


def checked_options(place: int, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a built-in pass with defaults filled in; those of other passes as they are.

    Raises:
        InvalidSpec: an option that the pass does not have, or a value out of its range.
    """
    facts = PASSES.get(name)
    if facts is None:
        return dict(given)
    where = f"recipe step {place}, {name}"
    for option in given:
        if option not in facts.options:
            known = ", ".join(facts.options) or "none"
            raise InvalidSpec(f"{where}: no option {option!r}; it has {known}", field=option)
    found = {option: told.default for option, told in facts.options.items()}
    for option, value in given.items():
        found[option] = _checked(where, option, facts.options[option], value)
    if found.get("answers") == "cached" and found.get("augment", NONE) != NONE:
        raise InvalidSpec(
            f"{where}: cached answers are of pictures as they are; augment takes answers: live",
            field="augment",
        )
    if name == "n_of_m" and found["n"] >= found["m"]:
        raise InvalidSpec(f"{where}: n has to be below m", field="n")
    return found


def _checked(where: str, name: str, told: Option, value: Any) -> Any:
    if told.choices:
        if value not in told.choices:
            choices = ", ".join(told.choices)
            raise InvalidSpec(f"{where}: {name} is one of {choices}, not {value!r}", field=name)
        return value
    if isinstance(told.default, bool):
        if not isinstance(value, bool):
            raise InvalidSpec(f"{where}: {name} is true or false, not {value!r}", field=name)
        return value
    whole = isinstance(told.default, int)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    kind = "a whole number" if whole else "a number"
    if not number:
        raise InvalidSpec(f"{where}: {name} is {kind}, not {value!r}", field=name)
    if not told.low <= value <= told.high:  # NaN is refused too
        raise InvalidSpec(
            f"{where}: {name} has to be {told.low} to {told.high}, not {value!r}", field=name
        )
    if whole and value != int(value):
        raise InvalidSpec(f"{where}: {name} is {kind}, not {value!r}", field=name)
    return int(value) if whole else float(value)


def check_order(names: list[str]) -> None:
    """Raise `InvalidSpec`, which names the two steps, where one cannot follow the other."""
    known = [(i + 1, name, PASSES[name].stage) for i, name in enumerate(names) if name in PASSES]
    for before, earlier in enumerate(known):
        for later in known[before + 1 :]:
            why = _why_not(earlier[2], later[2])
            if why:
                raise InvalidSpec(
                    f"recipe step {later[0]}: {later[1]} cannot follow {earlier[1]}: {why}",
                    field="recipe",
                )


def _why_not(earlier: Stage, later: Stage) -> str | None:
    if earlier == Stage.GRAPH and later < Stage.GRAPH:
        return "it works on torch modules, and the graph is exported by then"
    if earlier == Stage.GRAPH:
        return "a graph is quantised once"
    if later == Stage.AT_INITIALISATION:
        return "it starts from untrained weights"
    if earlier == Stage.SHARED and later < Stage.GRAPH:
        return "weights that were made equal would part"
    if earlier == Stage.QUANTISED_TRAINING and later <= Stage.QUANTISED_TRAINING:
        return "what was trained for integers would be undone"
    if earlier in {Stage.MASK, Stage.AT_INITIALISATION} and later == Stage.SHAPE:
        return "layers that change their shape lose what was masked"
    return None
