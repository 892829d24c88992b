"""Which passes a model of the user's own can take."""

from __future__ import annotations

from nas_service.compression.recipe import Recipe
from nas_service.errors import InvalidSpec


def require_takes(recipe: Recipe, *, is_graph: bool) -> None:
    """Refuse passes that need more of an upload than a graph or an exported program has.

    Raises:
        InvalidSpec: names the first such pass.
    """
    if recipe.torch_steps:
        raise InvalidSpec(
            f"pass {recipe.torch_steps[0].name} works on a torch module's layers, which an "
            "uploaded graph or exported program does not have; passes on graphs and every "
            "runtime's int8 do",
            field="recipe",
        )
    if not is_graph and recipe.onnx_steps:
        raise InvalidSpec(
            f"pass {recipe.onnx_steps[0].name} works on ONNX graphs; upload the model as ONNX",
            field="recipe",
        )
