"""What learning tasks share by what their networks give: logits of classes, or numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_service.learning.base import LearningTask

if TYPE_CHECKING:
    from torch import Tensor


class LogitsTask(LearningTask):
    """Outputs are logits `(n, classes, ...)`: of a sample, or of each of its places."""

    def distillation_loss(
        self, outputs: Tensor, answers: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """See `LearningTask.distillation_loss`: Hinton et al., 2015.

        Cross entropy of softened answers, scaled to keep its gradient's size.
        """
        import torch
        from torch.nn import functional

        target = torch.softmax(answers.detach() / temperature, dim=1)
        return functional.cross_entropy(outputs / temperature, target) * temperature**2

    def mean_answer(self, answers: Tensor) -> Tensor:
        """See `LearningTask.mean_answer`: the logarithm of mean probabilities."""
        import torch

        return torch.softmax(answers, dim=2).mean(0).clamp_min(1e-12).log()


class NumbersTask(LearningTask):
    """Outputs are numbers `(n, k)`, and another network's are learned as the targets are."""

    def distillation_loss(
        self, outputs: Tensor, answers: Tensor, temperature: float = 1.0
    ) -> Tensor:
        """See `LearningTask.distillation_loss`: the loss."""
        del temperature
        return self.loss(outputs, answers.detach())

    def mean_answer(self, answers: Tensor) -> Tensor:
        """See `LearningTask.mean_answer`."""
        return answers.mean(0)
