"""A network of one's own answers in standard deviations, as a data set keeps its numbers."""

from __future__ import annotations

import torch
from torch import nn

from nas_service.worker.tasks.elastic import _standardised


def test_answers_are_told_in_standard_deviations_for_any_batch() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 1)).eval()
    example = torch.randn(2, 3, 4)
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(network, (example,), dynamic_shapes=dynamic)
    made = _standardised(program, {"target_mean": 75.0, "target_std": 12.0})
    x = torch.randn(5, 3, 4)
    with torch.no_grad():
        assert torch.allclose(made.module()(x), (network(x) - 75.0) / 12.0, atol=1e-5)
