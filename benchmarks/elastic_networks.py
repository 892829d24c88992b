"""Networks of torchvision and timm with random weights, and three of our own, by name.

torchvision's compiled operators load beside the build of torch that it was made for; none of these
networks uses one, so that two are only declared. What is not installed is left out with the reason.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 10


@dataclass(frozen=True)
class Named:
    """A network and the shape of its input, without the batch."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...] = (3, 64, 64)


class UNet(nn.Module):
    """Two levels down and up, maps joined across (Ronneberger et al., 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = _twice(3, 32), _twice(32, 64), _twice(64, 128)
        self.up2, self.up1 = nn.ConvTranspose2d(128, 64, 2, 2), nn.ConvTranspose2d(64, 32, 2, 2)
        self.join2, self.join1 = _twice(128, 64), _twice(64, 32)
        self.out = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(functional.max_pool2d(one, 2))
        y = self.up2(self.middle(functional.max_pool2d(two, 2)))
        y = self.up1(self.join2(torch.cat([y, two], 1)))
        masks: Tensor = self.out(self.join1(torch.cat([y, one], 1)))
        return masks


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class ConvGru(nn.Module):
    """A convolution over time, a gated recurrent unit, the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 32, 5, padding=2)
        self.norm = nn.BatchNorm1d(32)
        self.gru = nn.GRU(32, 32, batch_first=True)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.gru(torch.relu(self.norm(self.conv(x))).transpose(1, 2))
        logits: Tensor = self.head(steps[:, -1])
        return logits


class Boxes(nn.Module):
    """Scores and boxes of anchors on the maps of a backbone, in one tensor (SSDLite-like)."""

    def __init__(self, features: nn.Module, channels: int) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Conv2d(channels, 6 * (4 + 4), 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(x))
        return found.flatten(1)


def _library(name: str) -> Any:
    """A library, where it is installed."""
    if name == "torchvision":
        library: Any = torch.library.Library
        operators = library("torchvision", "DEF")  # two declarations
        for operator in ("nms", "qnms"):
            operators.define(f"{operator}(Tensor a, Tensor b, float c) -> Tensor")
        _kept.append(operators)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


_kept: list[Any] = []
"""Declarations hold for as long as they are referred to."""
VISION = (
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
    "regnet_y_400mf",
    "regnet_x_400mf",
    "densenet121",
    "convnext_tiny",
    "squeezenet1_1",
    "mnasnet1_0",
)
IMAGE_MODELS: Mapping[str, tuple[Mapping[str, Any], tuple[int, ...]]] = {
    "vit_tiny_patch16_224": ({"img_size": 64}, (3, 64, 64)),
    "deit_tiny_patch16_224": ({"img_size": 64}, (3, 64, 64)),
    "swin_tiny_patch4_window7_224": ({"img_size": 56, "window_size": 7}, (3, 56, 56)),
    "mixer_s32_224": ({"img_size": 64}, (3, 64, 64)),
    "ghostnet_100": ({}, (3, 64, 64)),
    "mobilevit_xxs": ({}, (3, 64, 64)),
    "mobileone_s0": ({}, (3, 64, 64)),
    "mobilenetv4_conv_small": ({}, (3, 64, 64)),
}


def networks() -> tuple[dict[str, Named], list[str]]:
    """All that can be made here, and what cannot, each with the reason."""
    found = {"unet": Named(UNet), "conv_gru": Named(ConvGru, (3, 64))}
    missing = []
    try:
        models = _library("torchvision").models
        for name in VISION:
            found[name] = Named(_maker(getattr(models, name), num_classes=CLASSES))
        found["vgg11_bn"] = Named(_maker(models.vgg11_bn, num_classes=CLASSES), (3, 224, 224))
        features = _maker(models.mobilenet_v3_small, num_classes=CLASSES)
        found["ssdlite_like"] = Named(lambda: Boxes(features().features, 576))
    except ModuleNotFoundError as error:
        missing.append(f"networks of torchvision: {error}")
    try:
        timm = _library("timm")
        for name, (options, shape) in IMAGE_MODELS.items():
            make = _maker(timm.create_model, name, num_classes=CLASSES, **options)
            found[name] = Named(make, shape)
    except (ModuleNotFoundError, RuntimeError) as error:
        missing.append(f"networks of timm: {error}")
    return found, missing


def _maker(make: Callable[..., Any], *given: Any, **options: Any) -> Callable[[], Any]:
    return lambda: make(*given, **options)
