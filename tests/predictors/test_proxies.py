"""Zero-cost proxies against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from nas_service.networks.build import build
from nas_service.space.base import ImageShape
from nas_service.space.mbconv import MbconvSpace
from predictors.base import PredictorError
from predictors.proxies import PROXIES, scores

IMAGES = torch.tensor([[[[1.0]]], [[[2.0]]]])
LABELS = torch.tensor([0, 1])


def _linear(*weights: float) -> nn.Module:
    layer = nn.Linear(1, 2, bias=False)
    layer.weight.data = torch.tensor(weights)[:, None]
    return nn.Sequential(nn.Flatten(), layer)


def test_macs_and_params_by_hand() -> None:
    # 3x3 convolution of 2 channels to 4 on 5x5 with padding: 18 * 4 * 25 = 1800; linear 100 * 3
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(100, 3, bias=False)
    )
    found = scores(network, torch.zeros(2, 2, 5, 5), LABELS, ["macs", "params"])
    assert found["macs"] == pytest.approx(math.log(1800 + 300))
    assert found["params"] == pytest.approx(math.log(72 + 300))


def test_synflow_of_two_layers_is_the_sum_over_paths() -> None:
    # all weights positive, an input of one: output 2 * 3 + 2 * 5 = 16, and every layer's
    # weight times gradient adds up to the output, so two layers give 32
    first, second = nn.Linear(1, 1, bias=False), nn.Linear(1, 2, bias=False)
    first.weight.data = torch.tensor([[-2.0]])
    second.weight.data = torch.tensor([[3.0], [-5.0]])
    network = nn.Sequential(nn.Flatten(), first, second)
    assert scores(network, IMAGES, LABELS, ["synflow"])["synflow"] == pytest.approx(math.log(32))


def test_gradient_norm_and_snip_of_one_layer_by_hand() -> None:
    # logits 0: probabilities 1/2; gradient for class 0: mean over images of (p - y) x
    # = ((.5 - 1) * 1 + .5 * 2) / 2 = .25, for class 1 -.25
    found = scores(_linear(0.0, 0.0), IMAGES, LABELS, ["grad_norm", "snip"])
    assert found["grad_norm"] == pytest.approx(math.log(math.hypot(0.25, 0.25)))
    assert found["snip"] < -600  # weights of zero: nothing flows


def test_nwot_of_patterns_by_hand() -> None:
    # units on for (1, -1): image 1 -> (1, 0), image -1 -> (0, 1): kernel 2 on, 0 off the diagonal
    layer = nn.Linear(1, 2, bias=False)
    layer.weight.data = torch.tensor([[1.0], [-1.0]])
    network = nn.Sequential(nn.Flatten(), layer, nn.ReLU())
    images = torch.tensor([[[[1.0]]], [[[-1.0]]]])
    assert scores(network, images, LABELS, ["nwot"])["nwot"] == pytest.approx(math.log(4))


def test_images_that_nothing_tells_apart_score_lowest() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2), nn.ReLU())
    same = torch.ones(2, 1, 1, 1)
    assert scores(network, same, LABELS, ["nwot"])["nwot"] == -1e4


def test_all_proxies_leave_a_real_network_as_it_was_and_tell_sizes_apart() -> None:
    space = MbconvSpace(ImageShape(16, 3, 4))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn((8, 3, 16, 16), generator=generator)
    labels = torch.arange(8) % 4
    found = {}
    for name, genotype in (("small", space.smallest()), ("large", space.largest())):
        network = build(space, genotype, seed=0)
        before = {key: value.clone() for key, value in network.state_dict().items()}
        found[name] = scores(network, images, labels)
        after = network.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert all(weight.grad is None for weight in network.parameters())
        assert found[name] == scores(network, images, labels)
    assert set(found["small"]) == set(PROXIES)
    assert all(np.isfinite(list(one.values())).all() for one in found.values())
    for name in ("params", "macs", "synflow"):
        assert found["large"][name] > found["small"][name]


def test_unknown_names_and_single_images_are_refused() -> None:
    with pytest.raises(PredictorError, match="no proxy 'magic'; known: synflow"):
        scores(_linear(0.0, 0.0), IMAGES, LABELS, ["magic"])
    with pytest.raises(PredictorError, match="at least two images"):
        scores(_linear(0.0, 0.0), IMAGES[:1], LABELS[:1])
