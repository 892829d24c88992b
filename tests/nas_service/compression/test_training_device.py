"""Training elsewhere than on the processor.

torch's meta device computes shapes alone and, as a GPU does, refuses to join its tensors with the
processor's: what trains there left nothing behind. A real GPU's numbers are not tested here.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nas_service.compression.apply import apply_torch
from nas_service.compression.base import PassContext
from nas_service.compression.distillation import answering
from nas_service.compression.recipe import Recipe
from nas_service.compression.weight_sharing import SharedWeight
from nas_service.errors import Unsupported
from nas_service.learning.base import Data
from nas_service.networks.build import build
from nas_service.networks.supernet import Supernet
from nas_service.plugins import SPACES, load
from nas_service.space.base import ImageShape, SearchSpace
from nas_service.training.device import CPU, device_of, training_device
from nas_service.training.loop import TrainRecipe, recalibrate, score, train
from nas_service.training.sandwich import train_supernet

RECIPE = TrainRecipe(epochs=1, batch=100, flip=True)
META = torch.device("meta")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, data: Data) -> Data:
    """Images whose networks train on the meta device; what comes back has no numbers."""
    move = nn.Module.to

    def moved(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        if args and args[0] == CPU and device_of(self) == META:
            return self.to_empty(device=CPU)
        return move(self, *args, **kwargs)

    monkeypatch.setattr(nn.Module, "to", moved)

    def rounded(x: Tensor, scale: Tensor, zero: Tensor, *_: int) -> Tensor:
        return (x / scale + zero) * scale  # the meta device lacks the operators themselves

    monkeypatch.setattr(torch, "fake_quantize_per_tensor_affine", rounded)
    monkeypatch.setattr(
        torch,
        "fake_quantize_per_channel_affine",
        lambda x, *told: rounded(x.flatten(1).mT, *told).mT.reshape(x.shape),
    )
    monkeypatch.setattr(Tensor, "__float__", lambda _: 1.0)  # told or counted by
    return replace(data, device=META)


def test_the_device_really_refuses_tensors_that_were_left_behind(trained: nn.Module) -> None:
    with pytest.raises(RuntimeError, match="device cpu is not on the expected device meta"):
        trained(torch.zeros(2, 1, 16, 16, device=META))


@pytest.mark.parametrize("name", ["mbconv", "nasbench201"])
def test_a_network_trains_elsewhere_and_comes_back(name: str, elsewhere: Data) -> None:
    space: SearchSpace = load(SPACES, name)(ImageShape(16, 1, 4))
    network = build(space, space.largest(), seed=0)
    seen = []
    train(network, elsewhere, 16, RECIPE, seed=0, on_epoch=lambda *_: seen.append(where(network)))
    assert seen == [META]
    assert where(network) == CPU
    recalibrate(network, elsewhere, 16)
    assert where(network) == CPU


def test_a_supernet_trains_elsewhere_and_comes_back(elsewhere: Data, space: SearchSpace) -> None:
    supernet = Supernet(space, seed=0)
    seen = []
    train_supernet(
        supernet, elsewhere, RECIPE, seed=0, on_step=lambda *_: seen.append(where(supernet))
    )
    assert seen == [META] * 4
    assert where(supernet) == CPU


@pytest.mark.parametrize(
    "step",
    [
        "finetune",
        "qat",
        "distill",
        {"distill": {"answers": "cached", "flip": True}},
        "distill_ensemble",
        "distill_features",
    ],
    ids=str,
)
def test_passes_that_train_do_so_elsewhere(step: Any, elsewhere: Data, trained: nn.Module) -> None:
    teacher = copy.deepcopy(trained)
    context = PassContext(elsewhere, 16, seed=0)
    context = replace(context, teacher=answering(teacher, context), teacher_network=teacher)
    (asked,) = Recipe.of([step]).steps
    options = {**asked.options, "epochs": 1}
    made = apply_torch(replace(asked, options=options), copy.deepcopy(trained), context)
    assert where(made) == CPU
    assert where(teacher) == CPU


def test_shared_weights_move_with_their_network() -> None:
    layer = nn.Linear(16, 16, bias=False)
    shared = SharedWeight(layer.weight.detach(), 4)
    parametrize.register_parametrization(layer, "weight", shared)
    assert layer.to(META)(torch.zeros(2, 16, device=META)).device == META


def test_the_processor_gives_the_same_whether_named_or_not(data: Data, trained: nn.Module) -> None:
    named = replace(data, device=torch.device("cpu"))
    assert score(trained, named, named.test, 16) == score(trained, data, data.test, 16)


def test_a_device_that_is_not_here_is_refused() -> None:
    assert training_device("cpu") == CPU
    missing = "cuda:99" if torch.cuda.is_available() else "cuda"
    for name in (missing, "processor"):
        with pytest.raises(Unsupported, match=f"NAS_TRAINING_DEVICE '{name}' cannot be used"):
            training_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU that answers is used")
def test_a_gpu_that_does_not_answer_leaves_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert training_device("auto") == CPU


def where(network: nn.Module) -> torch.device:
    """The one device of all that a network consists of."""
    (found,) = {one.device for one in [*network.parameters(), *network.buffers()]}
    return found
