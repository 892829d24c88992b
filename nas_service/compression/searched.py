"""Recipes that a search chooses among, by their short names. Free of torch.

`qat`          trained for integers after fine-tuning
`width=0.75`   uniform channel pruning: every layer keeps that share of its channels
`NAME`         a pass of another package that keeps sizes, after fine-tuning

Their costs are known before anything is trained: `qat` changes none, `width` narrows every block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookup_tables.target import Deployment
from nas_service.compression.catalogue import PASSES
from nas_service.compression.recipe import Recipe, Step
from nas_service.errors import InvalidSpec
from nas_service.plugins import TORCH_PASSES, names
from nas_service.space.base import SearchSpace
from nas_service.space.narrowed import MAX_WIDTH, MIN_WIDTH, NarrowedSpace

KNOWN = "qat, width=0.75, width=0.75+qat"


@dataclass(frozen=True, slots=True)
class SearchedRecipe:
    """What a recipe's name asks for."""

    width: float = 1.0
    qat: bool = False
    passes: tuple[str, ...] = ()
    """Of other packages: they are taken at their defaults, and say that they keep sizes."""

    @classmethod
    def of(cls, one: Deployment) -> SearchedRecipe:
        """The recipe of a deployment.

        Raises:
            InvalidSpec: a part that there is not, twice, out of range or out of order, or training
                for integers where the network stays in floats.
        """
        width, qat = 1.0, False
        passes: list[str] = []
        for part in one.recipe.split("+") if one.recipe else []:
            name, equals, value = part.partition("=")
            if name == "width" and equals and width == 1.0 and not qat:
                width = _width(one, value)
            elif part == "qat" and not qat:
                qat = True
            elif part in _of_others() and part not in passes and not qat:
                passes.append(part)
            else:
                raise InvalidSpec(
                    f"precisions: {one.name!r}: no recipe {one.recipe!r}; as {KNOWN}",
                    field="precisions",
                )
        if qat and one.form != "int8":
            raise InvalidSpec(
                f"precisions: {one.name!r}: qat trains for int8, and this is {one.precision}",
                field="precisions",
            )
        return cls(width, qat, tuple(passes))

    def torch_steps(self, finetune: Mapping[str, Any]) -> tuple[Step, ...]:
        """Its passes on the module, around a fine-tuning of these options."""
        steps = [Step("width", {"keep": self.width})] if self.width < 1.0 else []
        steps.append(Step("finetune", finetune))
        steps += [Step(name) for name in self.passes]
        if self.qat:
            epochs = max(1, int(finetune["epochs"]) // 2)
            same = {k: finetune[k] for k in ("batch", "flip") if k in finetune}
            steps.append(Step("qat", {**same, "epochs": epochs}))
        return Recipe(tuple(steps)).steps


def _of_others() -> list[str]:
    """Passes on torch modules that are not ours."""
    return [name for name in names(TORCH_PASSES) if name not in PASSES]


def graphs_of(deployments: Iterable[Deployment]) -> list[str]:
    """The graphs that deployments are made from, plain fp32 first, then in the order given."""
    found = dict.fromkeys(["fp32", *(one.graph for one in deployments)])
    return list(found)


def recipes_of(deployments: Iterable[Deployment]) -> list[str]:
    """The recipes among deployments, in the order given, without the empty one."""
    found = dict.fromkeys(one.recipe for one in deployments)
    return [one for one in found if one]


def shipped_as(space: SearchSpace, deployments: Sequence[Deployment]) -> tuple[SearchSpace, ...]:
    """The space of what each deployment ships: narrower where its recipe makes it so."""
    if len(space.sample.input_shape(space.sample.size)) == 3:
        narrowed = [one for one in deployments if SearchedRecipe.of(one).width < 1.0]
        if narrowed:
            raise InvalidSpec(
                f"{narrowed[0]}: width narrows networks on images, the space has one of its own",
                field="precisions",
            )
    widths = [SearchedRecipe.of(one).width for one in deployments]
    known = {width: NarrowedSpace(space, width) for width in widths if width < 1.0}
    return tuple(known.get(width, space) for width in widths)


def _width(deployment: Deployment, value: str) -> float:
    try:
        width = float(value)
    except ValueError:
        width = float("nan")
    if not MIN_WIDTH <= width <= MAX_WIDTH:  # NaN is refused too
        raise InvalidSpec(
            f"precisions: {deployment.name!r}: width has to be {MIN_WIDTH} to {MAX_WIDTH}, "
            f"not {value!r}",
            field="precisions",
        )
    if value != f"{width:g}":  # the same deployment by two names would be searched twice
        raise InvalidSpec(
            f"precisions: {deployment.name!r}: write width={width:g}, not {value!r}",
            field="precisions",
        )
    return width
