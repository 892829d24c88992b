"""Passes on networks that are not of a search space, and orders of passes that undo each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from nas_service.compression.base import PassContext
from nas_service.compression.distillation import answering
from nas_service.compression.masks import bake, named_layers, sparsity_of
from nas_service.compression.quantization_aware import folded
from nas_service.errors import Unsupported
from nas_service.networks.build import count_macs
from nas_service.networks.reference import reference
from nas_service.plugins import TORCH_PASSES, load

ContextOf = Callable[..., PassContext]


def _network(name: str, size: int = 32) -> nn.Module:
    return reference(name, channels=1, size=size, classes=4, width=0.5, seed=0).eval()


@pytest.fixture(params=["resnet8", "vit", "mobilenet_v3_small"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    return _network(request.param)


@pytest.mark.slow
def test_features_are_learned_by_any_network(network: nn.Module, context_of: ContextOf) -> None:
    context = replace(context_of("distill_features", epochs=1), size=32)
    context = replace(context, teacher=answering(network, context), teacher_network=network)
    taught = load(TORCH_PASSES, "distill_features")().apply(network, context)
    assert taught.state_dict().keys() == network.state_dict().keys()
    with torch.no_grad():
        assert taught(torch.zeros(1, 1, 32, 32)).shape == (1, 4)
    before, after = (list(one.parameters()) for one in (network, taught))
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["magnitude", "n_of_m", "synflow"])
def test_what_is_masked_stays_zero_in_training_for_integers(
    mask: str, context_of: ContextOf
) -> None:
    network = _network("resnet8", 16)
    masked = load(TORCH_PASSES, mask)().apply(network, context_of(mask))
    taught = load(TORCH_PASSES, "qat")().apply(masked, context_of("qat", epochs=1))
    before, after = dict(named_layers(bake(masked))), dict(named_layers(taught))
    assert sparsity_of(taught) >= sparsity_of(bake(masked)) > 0.3
    assert before.keys() == after.keys()
    for name, layer in after.items():
        assert not layer.weight[before[name].weight == 0].any()


@pytest.mark.parametrize("name", ["tucker", "svd", "cp"])
def test_normalisation_is_folded_into_a_convolution_that_was_made_several(
    name: str, context_of: ContextOf
) -> None:
    network = _network("resnet8", 16)
    for module in network.modules():  # that leaves traces wherever it is forgotten
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    thin = load(TORCH_PASSES, name)().apply(network, context_of(name))
    plain = folded(thin)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    image = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(plain(image), thin(image), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_factors_share_their_weights_where_the_network_ships(context_of: ContextOf) -> None:
    thin = load(TORCH_PASSES, "tucker")().apply(_network("resnet8", 16), context_of("tucker"))
    shared = load(TORCH_PASSES, "cluster")().apply(thin, context_of("cluster", clusters=16))
    for _, layer in named_layers(folded(shared)):  # as the export folds
        if layer.weight.numel() >= 256:
            assert len(layer.weight.unique()) <= 16


@pytest.mark.parametrize(("name", "option"), [("channels", {"macs": 0.5}), ("width", {})])
def test_a_network_whose_shapes_are_fixed_is_refused_by_name(
    name: str, option: dict[str, float], context_of: ContextOf
) -> None:
    context = replace(context_of(name, **option), size=32)
    with pytest.raises(Unsupported, match=f"pass {name} does not suit this network") as found:
        load(TORCH_PASSES, name)().apply(_network("vit"), context)
    assert found.value.as_dict()["field"] == "recipe"


def test_a_linear_layer_counts_for_every_token() -> None:
    layer = nn.Sequential(nn.Flatten(2), nn.Linear(16, 5, bias=False))
    # an image of 4 x 4 pixels in three channels: three rows of 16
    assert count_macs(layer, torch.zeros(1, 3, 4, 4)) == 3 * 16 * 5


def test_the_transformer_counts_as_by_hand() -> None:
    network = reference("vit", channels=3, size=32, classes=10, width=1.0, seed=0)
    width, tokens = 128, 64
    patches = tokens * width * 3 * 4 * 4
    layers = 4 * tokens * (3 + 1 + 2 + 2) * width * width
    assert count_macs(network, torch.zeros(1, 3, 32, 32)) == patches + layers + width * 10
