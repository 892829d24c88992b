"""The reference networks by their names."""

from __future__ import annotations

import torch
from torch import nn

from nas_service.errors import InvalidSpec
from nas_service.networks.reference import mobile, resnet
from nas_service.networks.reference.inception import inception_v3
from nas_service.networks.reference.layers import Make
from nas_service.networks.reference.vit import Vit
from nas_service.space.base import ImageShape, Sample

NETWORKS: dict[str, Make] = {
    "mobilenet_v1": mobile.mobilenet_v1,
    "mobilenet_v2": mobile.mobilenet_v2,
    "mobilenet_v3_small": mobile.mobilenet_v3(mobile.V3_SMALL, 576, 1024),
    "mobilenet_v3_large": mobile.mobilenet_v3(mobile.V3_LARGE, 960, 1280),
    "efficientnet_b0": mobile.efficientnet(lite=False),
    "efficientnet_lite0": mobile.efficientnet(lite=True),
    "resnet8": resnet.resnet8,
    "resnet18": resnet.resnet18,
    "inception_v3": inception_v3,
    "vit": Vit,
}


def reference(
    name: str, *, channels: int, size: int, classes: int, width: float = 1.0, seed: int = 0
) -> nn.Module:
    """The network of that name, weights drawn from `seed`: `(n, channels, size, size)` to logits.

    Raises:
        InvalidSpec: no such network, or images too small for it.
    """
    if name not in NETWORKS:
        raise InvalidSpec(
            f"no reference network {name!r}; known: {', '.join(NETWORKS)}",
            field="reference",
            known_names=list(NETWORKS),
        )
    if not 0.05 <= width <= 4.0:
        raise InvalidSpec(f"width has to be 0.05 to 4, not {width}", field="width")
    if size < 16:
        raise InvalidSpec(f"reference networks take images of 16 pixels up, not {size}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[name](channels, size, classes, width)


def reference_for(
    sample: Sample, name: str, *, size: int, width: float = 1.0, seed: int = 0
) -> nn.Module:
    """The network of that name for a data set's samples at `size`.

    Raises:
        InvalidSpec: see `reference`; or the samples are no images.
    """
    if not isinstance(sample, ImageShape):
        raise InvalidSpec(f"reference networks take images, not {sample.name}", field="reference")
    shape = {"channels": sample.channels, "classes": sample.n_classes}
    return reference(name, size=size, width=width, seed=seed, **shape)
