"""The learning rate that a network takes: looked for by a short run with a rising one.

It rises from 1e-4 to 1 by the same factor each step, and the loss, smoothed, is least where steps
begin to be too long. A tenth of that rate is taken, as the run that follows holds it for long
(Smith, 2017, cyclical learning rates; Smith and Topin, 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import cycle
from typing import TypeVar

import torch
from torch import nn

B = TypeVar("B")
STEPS = 60
LOWEST, HIGHEST = 1e-4, 1.0
_SMOOTHING = 0.8
_DIVERGED = 3.0
"""Times the least loss."""
_SHARE = 0.1


def found_rate(
    network: nn.Module,
    batches: Iterable[B],
    backward: Callable[[B], float],
    optimizer: torch.optim.Optimizer,
) -> float:
    """A rate for `network`, trained for `STEPS` steps at most and put back as it was.

    `backward` adds gradients of a batch's loss, which it gives. Where no step is better than the
    first, the rate is the lowest that was tried.
    """
    before = {name: one.clone() for name, one in network.state_dict().items()}
    network.train()
    rates: list[float] = [
        LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)) for step in range(STEPS)
    ]
    smooth = least = math.inf
    best = rates[0]
    for rate, batch in zip(rates, cycle(batches), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        value = backward(batch)
        smooth = value if math.isinf(smooth) else _SMOOTHING * smooth + (1 - _SMOOTHING) * value
        if not math.isfinite(smooth) or smooth > _DIVERGED * least:
            break
        if smooth < least:
            least, best = smooth, rate
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    network.load_state_dict(before)
    return max(_SHARE * best, LOWEST)
