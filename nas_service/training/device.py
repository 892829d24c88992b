"""Where networks are trained: the processor, or a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from nas_service.errors import Unsupported
from nas_service.telemetry import logger

CPU = torch.device("cpu")
_log = logger(__name__)


def training_device(name: str) -> torch.device:
    """The device of that name; `auto` is the first GPU where one answers, else the processor.

    Raises:
        Unsupported: torch does not know the device, or has it not here.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return CPU
    # asked of cuBLAS by torch's deterministic mode, and read when CUDA starts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        device = torch.device("cuda" if name == "auto" else name)
        torch.zeros(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        told = f"{error}".partition("\n")[0]
        if name == "auto":  # another process may have it to itself
            _log.warning("training on the processor: the GPU does not answer", why=told)
            return CPU
        raise Unsupported(f"NAS_TRAINING_DEVICE {name!r} cannot be used here: {told}") from error
    return device


def mixed(device: torch.device) -> AbstractContextManager[object]:
    """Products in bfloat16 where a GPU has it; the processor stays in float32.

    On a processor bfloat16 was 1.7 times slower, and results there are the same to the last digit.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights are; the processor where it has none."""
    return next((one.device for one in network.parameters()), CPU)


@contextmanager
def placed(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Have a network on `device`, and afterwards where it was: all else expects it there."""
    home = device_of(network)
    network.to(device)
    try:
        yield
    finally:
        network.to(home)
