"""Stronger augmentation of pictures, by torchvision's transforms where they are installed.

TrivialAugment (Müller and Hutter, 2021), RandAugment (Cubuk et al., 2020), AutoAugment with its
policy for CIFAR-10 (Cubuk et al., 2019), AugMix (Hendrycks et al., 2020).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nas_service.errors import InvalidSpec

Policy = Callable[[Tensor], Tensor]
"""Of one picture `(c, s, s)` in uint8."""


def varied(images: Tensor, name: str, generator: torch.Generator) -> Tensor:
    """uint8 images `(n, c, s, s)`, each changed by the policy of that name on its own.

    Raises:
        InvalidSpec: torchvision is not there, or cannot be loaded beside this build of torch.
    """
    change = policy(name)
    with torch.random.fork_rng(devices=[]):  # its transforms draw from torch's own generator
        torch.default_generator.manual_seed(int(torch.randint(0, 2**62, (1,), generator=generator)))
        return torch.stack([change(one) for one in images])


def policy(name: str) -> Policy:
    """See `varied`."""
    v2 = _transforms(name)
    made: dict[str, Callable[[], Any]] = {
        "trivial_augment": v2.TrivialAugmentWide,
        "rand_augment": v2.RandAugment,
        "auto_augment": lambda: v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
        "aug_mix": v2.AugMix,
    }
    found: Policy = made[name]()
    return found


_declared: list[Any] = []
"""Declarations hold for as long as they are referred to."""


def _transforms(name: str) -> Any:
    """Torchvision's transforms, which take none of its compiled operators.

    Its wheel is built for CUDA; beside a CPU build of torch the library with the operators does not
    load, and torchvision stops where it says what shapes two of them give. Declared, they do no
    harm: a call of one is an error that names it.
    """
    try:
        return _imported()
    except ImportError as error:
        raise InvalidSpec(
            f"augment: {name} needs torchvision, which is not installed beside the service",
            field="augment",
        ) from error
    except RuntimeError:
        for loaded in [one for one in sys.modules if one.partition(".")[0] == "torchvision"]:
            del sys.modules[loaded]
    try:
        library: Any = torch.library.Library
        operators = library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            operators.define(f"{operator}(Tensor dets, Tensor scores, float iou) -> Tensor")
        _declared.append(operators)
        return _imported()
    except RuntimeError as error:
        raise InvalidSpec(
            f"augment: {name} needs torchvision, which does not fit this build of torch: {error}",
            field="augment",
        ) from error


def _imported() -> Any:
    return importlib.import_module("torchvision.transforms.v2")
