"""Zero-cost proxies: what an untrained network and one batch of the user's images tell of accuracy.

Each takes a torch module that maps images `(b, c, h, w)` to logits and leaves it as it was. Higher
is better by intention of each; a predictor learns whether it is so. All are known to fail on some
spaces, so none is used by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from predictors.base import PredictorError

_RELUS = {torch.relu, functional.relu, Tensor.relu, functional.relu6, torch.relu_, Tensor.relu_}
Proxy = Callable[[nn.Module, Tensor, Tensor], float]


def snip(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum of |weight x gradient| of the loss (Lee et al., 2019), as a logarithm."""
    with _copied(network) as model:
        functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        total = sum(float((w * g).abs().sum()) for w, g in _weights_and_gradients(model))
    return _log(total)


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Euclidean norm of the loss's gradient, summed over layers (Abdelfattah et al., 2021)."""
    with _copied(network) as model:
        functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        total = sum(float(g.norm()) for _, g in _weights_and_gradients(model))
    return _log(total)


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Synaptic flow (Tanaka et al., 2020), as a logarithm: all weights positive, an image of ones.

    Normalisation passes its input through, as it does in the proxy's use for search (Abdelfattah
    et al., 2021), and arithmetic is double, since the product over layers overflows single.
    """
    del labels
    with _copied(network) as model:
        model.double().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean, module.running_var = None, None
                module.forward = _identity  # type: ignore[method-assign, assignment]
        with torch.no_grad():
            for weight in model.parameters():
                weight.abs_()
        model(torch.ones_like(images[:1], dtype=torch.float64)).sum().backward()
        total = sum(float((w * g).abs().sum()) for w, g in _weights_and_gradients(model))
    return _log(total)


def nwot(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Log-determinant of the kernel of ReLU patterns of the batch (Mellor et al., 2021).

    Entry i, j counts the units that are on for both images or off for both.
    """
    del labels
    patterns = _Patterns()
    with _copied(network) as model, torch.no_grad(), patterns:
        model(images)
    if not patterns.found:
        raise PredictorError("nwot looks at ReLUs, and the network has none")
    kernel = torch.zeros((len(images), len(images)), dtype=torch.float64)
    for on in patterns.found:
        kernel += on @ on.T + (1 - on) @ (1 - on).T
    sign, value = torch.linalg.slogdet(kernel)
    # images with one pattern make it singular: nothing tells them apart
    return float(value) if float(sign) > 0 else -1e4


def jacov(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """How little the batch's input gradients correlate (Mellor et al., 2020, first version)."""
    del labels
    with _copied(network) as model:
        rows = images.clone().requires_grad_(True)
        model(rows).sum().backward()
        assert rows.grad is not None
        jacobian = rows.grad.flatten(1).double()
    correlation = torch.corrcoef(jacobian)
    values = torch.linalg.eigvalsh(torch.nan_to_num(correlation))
    small = 1e-5
    return -float(
        (torch.log(values.clamp_min(0) + small) + 1.0 / (values.clamp_min(0) + small)).sum()
    )


def params(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Logarithm of the number of parameters."""
    del images, labels
    return _log(float(sum(weight.numel() for weight in network.parameters())))


def macs(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Logarithm of the multiply-accumulates of convolutions and linear layers on one image."""
    del labels
    total = 0.0

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            side = float(module.weight[0].numel())
            total += side * output[0].numel()
        elif isinstance(module, nn.Linear):
            total += float(module.weight.numel())

    with _copied(network) as model, torch.no_grad():
        for module in model.modules():
            module.register_forward_hook(count)
        model.eval()(images[:1])
    return _log(total)


PROXIES: dict[str, Proxy] = {
    "synflow": synflow,
    "jacov": jacov,
    "nwot": nwot,
    "snip": snip,
    "grad_norm": grad_norm,
    "params": params,
    "macs": macs,
}


def scores(
    network: nn.Module, images: Tensor, labels: Tensor, names: Sequence[str] = tuple(PROXIES)
) -> dict[str, float]:
    """The named proxies of one network on one batch of images, normalised as in training.

    Raises:
        PredictorError: a name is unknown, or there are fewer than two images.
    """
    if len(images) < 2:
        raise PredictorError(f"proxies need at least two images, got {len(images)}")
    for name in names:
        if name not in PROXIES:
            raise PredictorError(f"no proxy {name!r}; known: {', '.join(PROXIES)}")
    return {name: PROXIES[name](network, images, labels) for name in names}


def _identity(images: Tensor) -> Tensor:
    return images


class _Patterns(TorchFunctionMode):
    """Notes which units every ReLU leaves on, be it a module or a function: `(b, units)` each."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in _RELUS:
            self.found.append((output.detach().flatten(1) > 0).double())
        return output


@contextmanager
def _copied(network: nn.Module) -> Iterator[nn.Module]:
    """A copy in training mode: gradients and statistics stay out of the network given."""
    model = copy.deepcopy(network)
    model.train()
    model.zero_grad()
    yield model


def _weights_and_gradients(model: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.grad is not None:
            yield module.weight.detach(), module.weight.grad


def _log(value: float) -> float:
    return float(torch.log(torch.tensor(max(value, 1e-300), dtype=torch.float64)))
