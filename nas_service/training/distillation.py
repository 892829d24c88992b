"""Losses that make a network answer as another does (Hinton et al., 2015)."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor


def distillation_loss(logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross entropy of softened answers `(n, classes)` each, scaled to keep its gradient's size."""
    target = torch.softmax(teacher_logits.detach() / temperature, dim=1)
    return functional.cross_entropy(logits / temperature, target) * temperature**2
