"""Which deployments a table can be made of, and a search can choose among."""

from __future__ import annotations

from collections.abc import Sequence

from lookup_tables.runtimes.registry import reads_graphs, runtimes
from lookup_tables.target import Deployment
from nas_service.compression.searched import KNOWN, SearchedRecipe
from nas_service.errors import InvalidSpec


def check_deployments(
    names: Sequence[str], *, recipes: bool = False, converted: bool = True
) -> None:
    """Raise `InvalidSpec`, which names the one at fault and those that there are.

    With `recipes`, a name may end in one, as `int8+qat`: tables have none, searches do. Without
    `converted`, blocks are to be measured.
    """
    every = [
        Deployment(one.name, precision).name
        for one in sorted(runtimes(), key=lambda one: not one.reads_graphs)
        for precision in one.searched
    ]
    for name in names:
        one = Deployment.parse(name)
        if one.recipe and recipes:
            recipe = SearchedRecipe.of(one)
            if recipe.width < 1.0 and not reads_graphs(one.runtime):
                raise InvalidSpec(
                    f"precisions: {name!r}: tables of {one.runtime} do not price narrower networks",
                    field="precisions",
                )
        known = one.table in every and (recipes or not one.recipe) and not name.endswith("+")
        if not known:
            raise InvalidSpec(
                f"precisions: no {name!r}; known: {', '.join(every)}"
                + (f", each with a recipe behind it: +{KNOWN.replace(', ', ', +')}" * recipes),
                field="precisions",
                known_names=every,
            )
        if not (converted or reads_graphs(one.runtime)):
            raise InvalidSpec(
                f"precisions: {name!r}: blocks are not measured on {one.runtime}; "
                "tables of it are made of whole networks: set networks (10 are enough to start)",
                field="networks",
            )
    if len(set(names)) < len(names):
        raise InvalidSpec("precisions: the same one twice", field="precisions")
