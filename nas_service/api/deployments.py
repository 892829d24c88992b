"""Which deployments a table can be made of, and a search can choose among."""

from __future__ import annotations

from collections.abc import Sequence

from lookup_tables.target import Deployment
from nas_service.compression.searched import KNOWN, SearchedRecipe
from nas_service.errors import InvalidSpec

SEARCHED = {"onnxruntime": ("fp32", "int8"), "openvino": ("fp32", "bf16", "int8")}
"""Runtimes that read blocks as the graphs they are; for the others every block would have to be
converted, which takes ten to twenty seconds each."""


def check_deployments(names: Sequence[str], *, recipes: bool = False) -> None:
    """Raise `InvalidSpec`, which names the one at fault and those that there are.

    With `recipes`, a name may end in one, as `int8+qat`: tables have none, searches do.
    """
    every = [
        Deployment(runtime, precision).name
        for runtime, precisions in SEARCHED.items()
        for precision in precisions
    ]
    for name in names:
        one = Deployment.parse(name)
        if one.recipe and recipes:
            SearchedRecipe.parse(name)
        known = one.table in every and (recipes or not one.recipe) and not name.endswith("+")
        if not known:
            raise InvalidSpec(
                f"precisions: no {name!r}; known: {', '.join(every)}"
                + (f", each with a recipe behind it: +{KNOWN.replace(', ', ', +')}" * recipes),
                field="precisions",
                known_names=every,
            )
    if len(set(names)) < len(names):
        raise InvalidSpec("precisions: the same one twice", field="precisions")
