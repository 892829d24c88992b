"""Recipes are checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nas_service.compression.base import PassContext
from nas_service.compression.recipe import Recipe
from nas_service.errors import InvalidSpec

ContextOf = Callable[..., PassContext]


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        (["prune"], "no pass 'prune'; known: "),
        (["static_int8", "finetune"], "step 2: 'finetune' works on torch modules"),
        (["magnitude", "channels"], "step 2: channels cannot follow magnitude"),
        (["finetune", "snip"], "step 2: snip cannot follow finetune"),
        (["cluster", "finetune"], "step 2: finetune cannot follow cluster"),
        (["qat", "magnitude"], "step 2: magnitude cannot follow qat"),
        (["static_int8", "fp16"], "a graph is quantised once"),
        ([{"finetune": {"epoch": 3}}], "no option 'epoch'; it has epochs, batch"),
        ([{"magnitude": {"sparsity": 1.5}}], r"sparsity has to be 0.01 to 0.99, not 1.5"),
        ([{"magnitude": {"sparsity": float("nan")}}], "sparsity has to be"),
        ([{"finetune": {"epochs": float("inf")}}], "epochs has to be 1 to 1000, not inf"),
        ([{"finetune": {"epochs": float("nan")}}], "epochs has to be"),
        ([{"finetune": {"epochs": 2.5}}], "epochs is a whole number, not 2.5"),
        ([{"finetune": {"flip": "yes"}}], "flip is true or false"),
        ([{"distill": {"answers": "soon"}}], "answers is one of live, cached"),
        ([{"n_of_m": {"n": 4, "m": 4}}], "n has to be below m"),
        ([{"finetune": {}, "qat": {}}], "step 1: a name, or one name"),
        ([{"finetune": 3}], "options of finetune are names with values"),
    ],
)
def test_a_recipe_that_cannot_run_is_refused_before_it_does(
    steps: list[str | dict[str, object]], named: str
) -> None:
    with pytest.raises(InvalidSpec, match=named):
        Recipe.of(steps)


def test_a_recipe_reads_back() -> None:
    recipe = Recipe.of(["magnitude", {"finetune": {"epochs": 2}}, "static_int8"])
    assert Recipe.of(recipe.as_list()) == recipe
    assert recipe.as_list()[0] == {"magnitude": {"sparsity": 0.5}}
    assert [step.name for step in recipe.onnx_steps] == ["static_int8"]
