"""Recipes that a search chooses among: their names, what they cost, what they ship."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from lookup_tables.blocks.image import kept_channels
from lookup_tables.target import Deployment
from nas_service.compression.base import PassContext
from nas_service.compression.searched import SearchedRecipe, graphs_of, recipes_of, shipped_as
from nas_service.compression.ship import ship
from nas_service.compression.width import narrow
from nas_service.errors import InvalidSpec
from nas_service.networks.build import build, count_macs, count_parameters
from nas_service.plugins import SPACES, load
from nas_service.search.cost import StructureModel
from nas_service.space.base import ImageShape, SearchSpace, input_size
from nas_service.space.narrowed import NarrowedSpace
from nas_service.space.sampling import distinct

ContextOf = Callable[..., PassContext]


def test_a_deployments_name_says_runtime_precision_and_recipe() -> None:
    one = Deployment.parse("openvino:int8+width=0.75+qat")
    assert one == Deployment("openvino", "int8", "width=0.75+qat")
    assert one.name == "openvino:int8+width=0.75+qat"
    assert one.table == "openvino:int8"
    assert one.graph == "width=0.75+qat.int8"
    assert Deployment.parse("openvino:bf16+width=0.8").graph == "width=0.8.fp32"
    assert Deployment.parse("int8").graph == "int8"
    assert SearchedRecipe.of(one) == SearchedRecipe(0.75, qat=True)
    assert SearchedRecipe.of(Deployment.parse("fp32")) == SearchedRecipe()


def test_deployments_share_graphs_and_recipes() -> None:
    names = ["int8", "openvino:bf16", "openvino:int8+qat", "int8+qat", "fp32+width=0.8"]
    deployments = list(map(Deployment.parse, names))
    assert graphs_of(deployments) == ["fp32", "int8", "qat.int8", "width=0.8.fp32"]
    assert recipes_of(deployments) == ["qat", "width=0.8"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("int8+prune", "no recipe 'prune'; as qat, width=0.75"),
        ("int8+qat+width=0.75", "no recipe 'qat\\+width=0.75'"),
        ("int8+qat+qat", "no recipe"),
        ("int8+width=0.75+width=0.8", "no recipe"),
        ("int8+width=0.5", "width has to be 0.75 to 0.95, not '0.5'"),
        ("int8+width=nan", "width has to be"),
        ("int8+width=0.750", "write width=0.75, not '0.750'"),
        ("int8+width=wide", "width has to be 0.75 to 0.95, not 'wide'"),
        ("openvino:bf16+qat", "qat trains for int8, and this is bf16"),
    ],
)
def test_a_name_that_is_no_recipe_is_refused(name: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        SearchedRecipe.of(Deployment.parse(name))


@pytest.mark.parametrize(
    ("channels", "width", "kept"),
    [
        (3, 0.75, 3),
        (8, 0.75, 8),
        (16, 0.75, 16),
        (32, 0.75, 24),
        (48, 0.75, 40),
        (96, 0.8, 80),
        (192, 0.95, 184),
    ],
)
def test_channels_are_kept_in_eights(channels: int, width: float, kept: int) -> None:
    # 48 * .75 = 36, as near to 32 as to 40, which is taken; 16 * .75 = 12 likewise goes to 16
    assert kept_channels(channels, width) == kept


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("mbconv", 0.75),
        ("mbconv", 0.9),
        ("nasbench201", 0.75),
        pytest.param("nasbench201", 0.9, marks=pytest.mark.matrix),
    ],
)
def test_what_a_narrowed_space_prices_is_what_the_pass_leaves(name: str, width: float) -> None:
    space: SearchSpace = load(SPACES, name)(ImageShape(16, 3, 10))
    narrower = NarrowedSpace(space, width)
    genotypes = distinct(space, 6, np.random.default_rng(3))
    genotypes[0], genotypes[1] = space.smallest(), space.largest()
    genotypes = genotypes[space.valid(genotypes)]
    structure = StructureModel(narrower)(genotypes)
    for row, genotype in enumerate(genotypes):
        size = input_size(space, genotype)
        image = torch.zeros(1, 3, size, size)
        made = narrow(build(space, genotype, seed=row), image, width)
        assert count_macs(made, image) == structure.macs[row]
        assert count_parameters(made) == structure.parameters[row]
        assert made(image).shape == (1, 10)


def test_only_what_narrows_changes_the_space() -> None:
    space: SearchSpace = load(SPACES, "mbconv")(ImageShape(16, 3, 10))
    names = ["fp32", "int8+qat", "fp32+width=0.8", "int8+width=0.8+qat"]
    found = shipped_as(space, list(map(Deployment.parse, names)))
    assert found[0] is space
    assert found[1] is space
    assert found[2] is found[3]
    assert isinstance(found[2], NarrowedSpace)


def test_width_keeps_the_channels_of_the_largest_norm() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 32, 1, bias=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 2),
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.arange(1.0, 33.0).reshape(32, 1, 1, 1))
        network[4].weight.fill_(1.0)
    made = narrow(network, torch.zeros(1, 1, 4, 4), 0.75)
    assert sorted(made[0].weight.flatten().tolist()) == [float(v) for v in range(9, 33)]


def test_recipes_that_begin_alike_are_trained_once(
    trained: nn.Module, context_of: ContextOf, tmp_path: Path
) -> None:
    wanted = ["fp32", "int8", "qat.int8", "width=0.75.fp32"]
    options = {"epochs": 2, "batch": 32, "learning_rate": 0.01, "flip": False}
    made = list(ship(wanted, trained, context_of("finetune"), tmp_path, options))
    assert [one.recipe for one in made] == ["", "qat", "width=0.75"]
    assert [list(one.graphs) for one in made] == [["fp32", "int8"], *[[g] for g in wanted[2:]]]
    for one in made:
        for path in one.graphs.values():
            onnx.checker.check_model(onnx.load(path))
    assert [list(one.passes) for one in made] == [
        ["finetune"],
        ["finetune", "qat"],
        ["width", "finetune"],
    ]
    # what was trained for integers started from what was fine-tuned, and went on from there
    alone = list(ship(["qat.int8"], trained, context_of("finetune"), tmp_path, options))
    first, again = (dict(one.network.named_parameters()) for one in (made[1], alone[0]))
    assert all(torch.equal(first[name], again[name]) for name in first)
