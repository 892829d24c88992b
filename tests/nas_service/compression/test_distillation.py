"""Teachers: missing ones, cached ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from nas_service.compression import distillation
from nas_service.compression.base import PassContext
from nas_service.errors import Unsupported
from nas_service.learning.base import Data
from nas_service.learning.image_classification.task import ImageClassification
from nas_service.plugins import TORCH_PASSES, load
from nas_service.training.loop import TrainRecipe, batches

ContextOf = Callable[..., PassContext]


def test_teachers_that_are_missing_are_named(trained: nn.Module, context_of: ContextOf) -> None:
    lonely = PassContext(
        context_of("distill").data, 16, seed=0, options=context_of("distill").options
    )
    with pytest.raises(Unsupported, match="pass distill needs a teacher"):
        load(TORCH_PASSES, "distill")().apply(trained, lonely)


def test_a_cached_teacher_is_asked_once_an_image(trained: nn.Module, context_of: ContextOf) -> None:
    asked: list[int] = []
    given = context_of("distill", epochs=3, answers="cached")
    teacher = given.teacher
    assert teacher is not None

    def counting(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return teacher(images)

    context = PassContext(given.data, given.size, seed=5, teacher=counting, options=given.options)
    load(TORCH_PASSES, "distill")().apply(trained, context)
    assert sum(asked) == len(given.data.train)
    asked.clear()
    context = replace(context, options={**given.options, "flip": True})
    load(TORCH_PASSES, "distill")().apply(trained, context)
    assert sum(asked) == 2 * len(given.data.train)  # as it is, and mirrored


def test_a_mirrored_image_is_taught_by_the_answer_of_its_mirror_image(
    trained: nn.Module, context_of: ContextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = context_of("distill", epochs=1, answers="cached", flip=True)
    wanted: list[tuple[torch.Tensor, torch.Tensor]] = []

    def left_and_right(images: torch.Tensor) -> torch.Tensor:
        """Answers that tell an image from its mirror image."""
        half = images.shape[3] // 2
        sides = (images[..., :half], images[..., half:])
        return torch.stack([one.float().sum((1, 2, 3)) for one in sides], 1).repeat(1, 2)

    def compared(_: object, logits: torch.Tensor, answers: torch.Tensor, __: float) -> torch.Tensor:
        wanted[-1] = (wanted[-1][0], answers)
        return logits.sum() * 0.0

    def trained_on(
        network: nn.Module, data: Data, size: int, recipe: TrainRecipe, **more: Any
    ) -> None:
        generator = torch.Generator().manual_seed(1)
        still = replace(recipe, shift=0)  # shifts are not told apart
        for batch in batches(data, still, generator):
            wanted.append((batch.inputs, torch.empty(0)))
            more["objective"](network, data.prepared(batch.inputs, size), batch)

    monkeypatch.setattr(ImageClassification, "distillation_loss", compared)
    monkeypatch.setattr(distillation, "train", trained_on)
    context = PassContext(
        given.data, given.size, seed=5, teacher=left_and_right, options=given.options
    )
    load(TORCH_PASSES, "distill")().apply(trained, context)
    assert wanted
    for images, answers in wanted:
        assert torch.equal(answers, left_and_right(images))
