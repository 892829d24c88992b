"""Reference networks have the parameters and MACs that their papers print."""

from __future__ import annotations

import pytest
import torch

from nas_service.errors import InvalidSpec
from nas_service.networks.build import count_macs, count_parameters
from nas_service.networks.names import REFERENCE_NETWORKS
from nas_service.networks.reference import NETWORKS, reference

# millions of parameters and MACs at 224 pixels and 1,000 classes, as published
PUBLISHED = {
    "mobilenet_v1": (4.2, 569),
    "mobilenet_v2": (3.4, 300),
    "mobilenet_v3_small": (2.5, 56),
    "mobilenet_v3_large": (5.4, 219),
    "efficientnet_b0": (5.3, 390),
    "efficientnet_lite0": (4.7, 407),
    "resnet18": (11.7, 1800),
}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_sizes_are_those_published(name: str) -> None:
    parameters, macs = PUBLISHED[name]
    network = reference(name, channels=3, size=224, classes=1000)
    assert count_parameters(network) / 1e6 == pytest.approx(parameters, rel=0.05)
    assert count_macs(network, torch.zeros(1, 3, 224, 224)) / 1e6 == pytest.approx(macs, rel=0.06)


def test_inception_v3_has_its_published_size() -> None:
    network = reference("inception_v3", channels=3, size=299, classes=1000)
    # Keras tells 23,851,784 for it (without the auxiliary head)
    assert count_parameters(network) == pytest.approx(23_851_784, rel=0.01)


def test_the_names_are_told_without_torch() -> None:
    assert tuple(NETWORKS) == REFERENCE_NETWORKS


@pytest.mark.parametrize("name", REFERENCE_NETWORKS)
def test_each_takes_small_grey_images_at_half_width(name: str) -> None:
    network = reference(name, channels=1, size=32, classes=5, width=0.5, seed=1).eval()
    again = reference(name, channels=1, size=32, classes=5, width=0.5, seed=1).eval()
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        logits = network(images)
        assert logits.shape == (2, 5)
        assert torch.equal(logits, again(images))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"name": "alexnet"}, "no reference network 'alexnet'; known: mobilenet_v1"),
        ({"name": "vit", "size": 8}, "16 pixels up"),
        ({"name": "vit", "width": 9.0}, "width has to be 0.05 to 4"),
    ],
)
def test_what_cannot_be_made_is_named(given: dict[str, object], named: str) -> None:
    arguments: dict[str, object] = {"channels": 1, "size": 32, "classes": 2, **given}
    name = str(arguments.pop("name"))
    with pytest.raises(InvalidSpec, match=named):
        reference(name, **arguments)  # type: ignore[arg-type]
