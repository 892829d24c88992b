"""Training pictures changed by torchvision's transforms: each by itself, the same under a seed."""

from __future__ import annotations

import sys
from typing import get_args

import pytest
import torch

from nas_service.api.search_requests import TrainingIn
from nas_service.compression.catalogue import checked_options
from nas_service.errors import InvalidSpec
from nas_service.learning.augmentations import AUGMENTATIONS
from nas_service.learning.base import Split
from nas_service.learning.detection.data import BoxedImages
from nas_service.learning.image_classification.data import Images
from nas_service.learning.image_classification.policies import policy
from nas_service.training.loop import TrainRecipe, batches


def _images(n: int = 12, channels: int = 3) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, channels, 16, 16), dtype=torch.uint8, generator=generator)
    split = Split(pixels, torch.arange(n) % 3)
    return Images(split, split, split, (0.5,) * channels, (0.2,) * channels)


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_pictures_are_changed_the_same_way_under_a_seed(name: str, channels: int) -> None:
    data = _images(channels=channels)
    before = torch.get_rng_state()
    first, again, other = (
        data.varied(data.train.inputs, torch.Generator().manual_seed(seed), name)
        for seed in (1, 1, 2)
    )
    assert first.dtype == torch.uint8
    assert first.shape == data.train.inputs.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.usefixtures("torchvision")
def test_equal_pictures_of_a_batch_are_changed_in_their_own_ways() -> None:
    data = _images()
    same = data.train.inputs[:1].repeat(16, 1, 1, 1)
    found = data.varied(same, torch.Generator().manual_seed(0), "rand_augment")
    assert len(torch.unique(found.flatten(1), dim=0)) > 4


@pytest.mark.usefixtures("torchvision")
def test_batches_of_a_recipe_are_changed_and_keep_their_labels() -> None:
    data = _images()
    recipe = TrainRecipe(batch=6, shift=0, augment="trivial_augment")
    (one, two) = batches(data, recipe, torch.Generator().manual_seed(0))
    for batch in (one, two):
        assert torch.equal(batch.targets, data.train.targets[batch.rows])
    rows = torch.cat([one.rows, two.rows])
    assert not torch.equal(torch.cat([one.inputs, two.inputs]), data.train.inputs[rows])


def test_pictures_with_boxes_are_refused_by_name() -> None:
    plain = _images()
    boxed = BoxedImages(plain.train, plain.train, plain.train, plain.mean, plain.std)
    with pytest.raises(InvalidSpec, match="aug_mix is for pictures of one label each"):
        boxed.varied(plain.train.inputs, torch.Generator(), "aug_mix")


def test_without_torchvision_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", None)
    with pytest.raises(InvalidSpec, match="rand_augment needs torchvision, which is not installed"):
        policy("rand_augment")


def test_requests_name_the_policies_that_there_are() -> None:
    choices = get_args(get_args(TrainingIn.model_fields["augment"].annotation)[0])
    assert choices == AUGMENTATIONS


def test_cached_answers_are_not_of_changed_pictures() -> None:
    with pytest.raises(InvalidSpec, match="cached answers are of pictures as they are"):
        checked_options(0, "distill", {"answers": "cached", "augment": "rand_augment"})
    told = checked_options(0, "distill", {"augment": "rand_augment"})
    assert (told["answers"], told["augment"]) == ("live", "rand_augment")
