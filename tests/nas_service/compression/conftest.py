from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from nas_service.compression.base import PassContext
from nas_service.compression.catalogue import checked_options
from nas_service.compression.distillation import answering
from nas_service.learning.base import Data, Split
from nas_service.learning.image_classification.data import Images
from nas_service.networks.build import build
from nas_service.space.base import ImageShape, input_size
from nas_service.space.mbconv import MbconvSpace
from nas_service.training.loop import TrainRecipe, train

CLASSES = 4


def _images(n: int, seed: int) -> Split:
    """16x16 images of four classes, by which quarter is bright; noise on top."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    images = torch.randint(0, 110, (n, 1, 16, 16), generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = 8 * (label // 2), 8 * (label % 2)
        image[0, row : row + 8, column : column + 8] += 90
    return Split(images.to(torch.uint8), labels)


@pytest.fixture(scope="session")
def data() -> Data:
    return Images(_images(400, 1), _images(120, 2), _images(200, 3), (0.3,), (0.2,))


@pytest.fixture(scope="session")
def space() -> MbconvSpace:
    return MbconvSpace(ImageShape(16, 1, CLASSES))


@pytest.fixture(scope="session")
def trained(space: MbconvSpace, data: Data) -> nn.Module:
    """The smallest network of the space, trained until it is nearly always right."""
    network = build(space, space.smallest(), seed=0)
    recipe = TrainRecipe(epochs=6, batch=32, learning_rate=0.1, shift=0)
    train(network, data, input_size(space, space.smallest()), recipe, seed=0)
    return network


@pytest.fixture(scope="session")
def context_of(data: Data, space: MbconvSpace, trained: nn.Module) -> Callable[..., PassContext]:
    """A context with a pass's options checked and filled in."""

    def make(name: str, **options: Any) -> PassContext:
        plain = PassContext(data, input_size(space, space.smallest()), seed=5)
        return PassContext(
            data,
            plain.size,
            seed=5,
            teacher=answering(trained, plain),
            teacher_network=trained,
            options=checked_options(1, name, options),
        )

    return make
