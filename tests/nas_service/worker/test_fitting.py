"""Programs that are made elastic for masks: their maps are brought to the masks' side."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_service.errors import InvalidData
from nas_service.worker.tasks.elastic import _at_side


class _Maps(nn.Module):
    """Three maps of the picture's own side, or of twice that."""

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self.maps = nn.ConvTranspose2d(3, 3, times, times)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.maps(x)
        return found


def _program(network: nn.Module, *, any_batch: bool, height: int = 12) -> Any:
    dynamic = ({0: torch.export.Dim.DYNAMIC},) if any_batch else None
    example = torch.zeros(2 if any_batch else 1, 3, height, 12)
    return torch.export.export(network.eval(), (example,), dynamic_shapes=dynamic)


@pytest.mark.parametrize("any_batch", [True, False])
def test_larger_maps_are_averaged_to_the_masks_side(any_batch: bool) -> None:
    network = _Maps(times=2)
    program = _program(network, any_batch=any_batch)
    images = torch.rand(2 if any_batch else 1, 3, 12, 12)
    made = _at_side(program, network(images), 8).module()
    with torch.no_grad():
        wanted = network(images).unflatten(2, (8, 3)).unflatten(4, (8, 3)).mean(dim=(3, 5))
        assert torch.allclose(made(images), wanted, atol=1e-6)
        if any_batch:
            assert made(torch.rand(5, 3, 12, 12)).shape == (5, 3, 8, 8)


def test_maps_of_that_side_stay_as_they_are() -> None:
    network = _Maps()
    program = _program(network, any_batch=True)
    assert _at_side(program, network(torch.zeros(2, 3, 12, 12)), 12) is program


@pytest.mark.parametrize("side", [5, 24])
def test_maps_that_are_no_multiple_are_refused_with_both_sides(side: int) -> None:
    network = _Maps()
    program = _program(network, any_batch=True)
    with pytest.raises(InvalidData, match=rf"maps of 12 x 12, .*stored at {side} x {side}"):
        _at_side(program, network(torch.zeros(2, 3, 12, 12)), side)
