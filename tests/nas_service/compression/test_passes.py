"""Every pass keeps the contract and does what its name says, on a trained network."""

from __future__ import annotations

import lzma
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from nas_service.compression.base import PassContext, TorchPass
from nas_service.compression.factorization import CpPass, SvdPass, TuckerPass
from nas_service.compression.masks import bake, prunable_layers, sparsity_of, weighted_layers
from nas_service.compression.pruning import n_of_m
from nas_service.compression.quantization_aware import folded
from nas_service.compression.structured import macs_ratio
from nas_service.compression.testing import TorchPassContract
from nas_service.compression.weight_sharing import SharedWeight, entropy_coded, pack
from nas_service.errors import Unsupported
from nas_service.learning.base import Data
from nas_service.networks.build import count_macs, count_parameters
from nas_service.networks.export import export
from nas_service.plugins import TORCH_PASSES, load
from nas_service.training.loop import score

ContextOf = Callable[..., PassContext]
SHORT = {"epochs": 1}
OPTIONS: dict[str, dict[str, object]] = {
    "finetune": SHORT,
    "distill": SHORT,
    "distill_ensemble": {**SHORT, "members": 2},
    "distill_features": SHORT,
    "qat": SHORT,
    "channels": {"macs": 0.6, "round_to": 1},
    "width": {"keep": 0.75},
}
PASSES = (
    *("finetune", "distill", "distill_ensemble", "distill_features", "qat"),
    *(
        "magnitude",
        "n_of_m",
        "snip",
        "synflow",
        "channels",
        "width",
        "svd",
        "tucker",
        "cp",
        "cluster",
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSES)
class TestPasses(TorchPassContract):
    @pytest.fixture
    def made(self, name: str) -> TorchPass:
        found: TorchPass = load(TORCH_PASSES, name)()
        return found

    @pytest.fixture
    def network(self, trained: nn.Module, name: str) -> nn.Module:
        return _spatial() if name in {"tucker", "cp"} else trained

    @pytest.fixture
    def context(self, context_of: ContextOf, name: str) -> PassContext:
        return context_of(name, **OPTIONS.get(name, {}))


def _spatial() -> nn.Module:
    """A network whose convolutions are not depthwise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 4),
        ).eval()


def test_magnitude_takes_the_smallest_of_all_layers(
    trained: nn.Module, context_of: ContextOf
) -> None:
    pruned = load(TORCH_PASSES, "magnitude")().apply(trained, context_of("magnitude", sparsity=0.6))
    before = torch.cat([m.weight.detach().abs().flatten() for m in prunable_layers(trained)])
    after = torch.cat([m.weight.detach().abs().flatten() for m in prunable_layers(bake(pruned))])
    gone = after == 0
    assert float(gone.float().mean()) == pytest.approx(0.6, abs=0.01)
    # nearly everything that went is smaller than everything that stayed (each layer keeps some)
    assert float((before[gone] <= before[~gone].min()).float().mean()) > 0.98


def test_masks_hold_through_training(trained: nn.Module, context_of: ContextOf, data: Data) -> None:
    context = context_of("magnitude", sparsity=0.5)
    pruned = load(TORCH_PASSES, "magnitude")().apply(trained, context)
    tuned = load(TORCH_PASSES, "finetune")().apply(pruned, context_of("finetune", epochs=2))
    assert sparsity_of(bake(tuned)) == pytest.approx(sparsity_of(bake(pruned)), abs=1e-6)
    weights = [bake(n).state_dict() for n in (pruned, tuned)]
    assert any(not torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert score(tuned, data, data.test, context.size) > 0.9


def test_two_of_four_by_hand() -> None:
    weight = torch.tensor([[1.0, -3.0, 2.0, 0.5, 0.1, 0.2, -0.4, 0.3]])
    assert n_of_m(weight, 2, 4).int().tolist() == [[0, 1, 1, 0, 0, 0, 1, 1]]
    convolution = weight.reshape(1, 8, 1, 1).repeat(2, 1, 3, 3)
    kept = n_of_m(convolution, 2, 4)
    assert kept.shape == convolution.shape
    assert (kept.reshape(2, 2, 4, 3, 3).sum(2) == 2).all()


@pytest.mark.parametrize("name", ["snip", "synflow"])
def test_pruned_at_initialisation_it_still_learns(
    name: str, trained: nn.Module, context_of: ContextOf, data: Data
) -> None:
    fresh = load(TORCH_PASSES, name)().apply(trained, context_of(name, sparsity=0.5))
    assert score(fresh, data, data.test, 16) < 0.6  # nothing of the training is left
    learned = load(TORCH_PASSES, "finetune")().apply(
        fresh, context_of("finetune", epochs=6, learning_rate=0.1)
    )
    assert score(learned, data, data.test, context_of(name).size) > 0.8
    assert sparsity_of(bake(learned)) > 0.4


def test_channels_brings_the_macs_down(trained: nn.Module, context_of: ContextOf) -> None:
    context = context_of("channels", macs=0.5, round_to=1)
    image = torch.zeros(1, 1, context.size, context.size)
    smaller = load(TORCH_PASSES, "channels")().apply(trained, context)
    assert count_macs(smaller, image) <= 0.55 * count_macs(trained, image)
    assert count_parameters(smaller) < count_parameters(trained)


@pytest.mark.parametrize(("make", "share"), [(TuckerPass, 0.5), (CpPass, 0.4), (SvdPass, 0.5)])
def test_factors_cost_what_was_allowed(
    make: type[TorchPass], share: float, context_of: ContextOf
) -> None:
    name = {TuckerPass: "tucker", CpPass: "cp", SvdPass: "svd"}[make]
    network = _spatial()
    if make is SvdPass:
        network = nn.Sequential(nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 4))
    thin = make().apply(network, context_of(name, parameters=share))
    assert count_parameters(thin) <= (share + 0.15) * count_parameters(network)


@pytest.mark.parametrize("make", [TuckerPass, SvdPass])
def test_what_has_a_low_rank_is_kept_exactly(make: type[TorchPass], context_of: ContextOf) -> None:
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(32, 4, generator=generator)
    right = torch.randn(4, 32, generator=generator)
    if make is SvdPass:
        layer: nn.Module = nn.Linear(32, 32)
        layer.weight.data = left @ right
    else:
        core = torch.randn(4, 4, 3, 3, generator=generator)
        layer = nn.Conv2d(32, 32, 3, padding=1)
        layer.weight.data = torch.einsum("or,rskl,si->oikl", left, core, right)
    network = nn.Sequential(layer)
    name = "svd" if make is SvdPass else "tucker"
    thin = make().apply(network, context_of(name, parameters=0.6))
    x = torch.randn((5, 32) if make is SvdPass else (5, 32, 6, 6), generator=generator)
    torch.testing.assert_close(thin(x), network(x), rtol=1e-3, atol=1e-3)
    assert count_parameters(thin) < count_parameters(network)


def test_the_macs_that_channels_took_are_a_ratio_of_their_own() -> None:
    reports = [
        {"name": "original", "macs": 1000},
        {"name": "channels", "macs": 500},
        {"name": "svd", "macs": 400},
        {"name": "width", "macs": 200},
        {"name": "finetune", "macs": 200},
    ]
    assert macs_ratio(reports) == 4.0
    assert macs_ratio(reports[:1]) == 1.0


def test_a_network_without_such_layers_is_refused(context_of: ContextOf) -> None:
    with pytest.raises(Unsupported, match="no layer"):
        TuckerPass().apply(nn.Sequential(nn.Linear(4, 4)), context_of("tucker"))


def test_shared_weights_pack_into_a_quarter(
    trained: nn.Module, context_of: ContextOf, tmp_path: Path
) -> None:
    assert any(isinstance(m, nn.BatchNorm2d) for m in trained.modules())
    context = context_of("cluster", clusters=16, epochs=1)
    shared = load(TORCH_PASSES, "cluster")().apply(trained, context)
    for layer in prunable_layers(shared):
        if layer.weight.numel() >= 256:
            assert len(layer.weight.unique()) <= 16
    plain, packed, coded = (tmp_path / name for name in ("m.onnx", "p.onnx", "p.onnx.xz"))
    export(shared, plain, (1, 1, context.size, context.size))
    pack(plain, packed)
    entropy_coded(packed, coded)
    assert lzma.decompress(coded.read_bytes()) == packed.read_bytes()
    image = np.random.default_rng(0).standard_normal((1, 1, context.size, context.size))
    answers = [
        ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
            None, {"input": image.astype(np.float32)}
        )[0]
        for path in (plain, packed)
    ]
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-5)
    # what the export folds into the weights would part what is shared: no large layer is left whole
    for tensor in onnx.load(packed).graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            assert math.prod(tensor.dims) < 256, tensor.name
    weights = sum(m.weight.numel() for m in weighted_layers(shared))
    assert coded.stat().st_size < weights + 8000  # a byte each at most, and the graph's own text


def test_shared_values_are_trained_and_stay_shared(
    trained: nn.Module, context_of: ContextOf, data: Data
) -> None:
    pruned = load(TORCH_PASSES, "magnitude")().apply(trained, context_of("magnitude", sparsity=0.5))
    alone, taught = (
        load(TORCH_PASSES, "cluster")().apply(
            pruned, context_of("cluster", clusters=8, epochs=epochs, learning_rate=0.01)
        )
        for epochs in (0, 2)
    )
    for before, after in zip(weighted_layers(alone), weighted_layers(taught), strict=True):
        if before.weight.numel() < 256:
            continue
        values, places = before.weight.unique(return_inverse=True)
        assert len(values) <= 8
        assert not torch.equal(before.weight, after.weight)
        for i, value in enumerate(values):
            (moved,) = after.weight[places == i].unique()
            assert (value == 0) == (moved == 0)
    assert score(taught, data, data.test, 16) >= score(alone, data, data.test, 16) - 0.02


def test_a_shared_value_moves_by_the_mean_of_its_places() -> None:
    weight = torch.tensor([[1.0, 1.0, 1.0, 0.0], [3.0, 0.0, 3.0, 3.0]])
    layer = nn.Linear(4, 2, bias=False)
    layer.weight = nn.Parameter(weight)
    parametrize.register_parametrization(layer, "weight", SharedWeight(weight, 3))
    torch.testing.assert_close(layer.weight, weight)
    wanted = torch.tensor([[0.3, 0.6, 0.9, 5.0], [1.0, 5.0, 2.0, 6.0]])
    (layer.weight * wanted).sum().backward()  # the gradient of each weight is what is wanted here
    moved = layer.parametrizations.weight.original  # type: ignore[union-attr]
    with torch.no_grad():
        moved -= 0.1 * moved.grad
    after = torch.tensor([[0.94, 0.94, 0.94, 0.0], [2.7, 0.0, 2.7, 2.7]])
    torch.testing.assert_close(layer.weight, after)


def test_folding_changes_no_answer(trained: nn.Module, data: Data) -> None:
    images = data.prepared(data.test.inputs[:8], 16)
    thin = folded(trained)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in thin.modules())
    with torch.no_grad():
        torch.testing.assert_close(thin(images), trained(images), rtol=1e-4, atol=1e-4)
