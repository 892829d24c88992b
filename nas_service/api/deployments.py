"""Which deployments a table can be made of, and a search can choose among."""

from __future__ import annotations

from collections.abc import Sequence

from lookup_tables.target import Deployment
from nas_service.compression.searched import KNOWN, SearchedRecipe
from nas_service.errors import InvalidSpec

SEARCHED = {"onnxruntime": ("fp32", "int8"), "openvino": ("fp32", "bf16", "int8")}
"""Runtimes that read blocks as the graphs they are: their tables are made of measured blocks."""

CONVERTED = {
    "litert": ("fp32", "int8"),
    "executorch": ("fp32", "int8"),
    "tvm": ("fp32",),
    "aot-inductor": ("fp32",),
}
"""Runtimes for which every file has to be converted, ten to twenty seconds each: their tables come
from a few whole networks and the tables that are there. Tuned TVM is not among them: it takes a
quarter of an hour a network."""


def check_deployments(
    names: Sequence[str], *, recipes: bool = False, converted: bool = True
) -> None:
    """Raise `InvalidSpec`, which names the one at fault and those that there are.

    With `recipes`, a name may end in one, as `int8+qat`: tables have none, searches do. Without
    `converted`, blocks are to be measured.
    """
    every = [
        Deployment(runtime, precision).name
        for runtime, precisions in {**SEARCHED, **CONVERTED}.items()
        for precision in precisions
    ]
    for name in names:
        one = Deployment.parse(name)
        if one.recipe and recipes:
            recipe = SearchedRecipe.of(one)
            if recipe.width < 1.0 and not one.reads_graphs:
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
        if not (converted or one.reads_graphs):
            raise InvalidSpec(
                f"precisions: {name!r}: blocks are not measured on {one.runtime}; "
                "tables of it are made of whole networks: set networks (10 are enough to start)",
                field="networks",
            )
    if len(set(names)) < len(names):
        raise InvalidSpec("precisions: the same one twice", field="precisions")
