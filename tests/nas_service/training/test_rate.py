"""Learning rates that are looked for: on parabolas, where it is known which are too large."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from nas_service.learning.base import Data
from nas_service.networks.build import build
from nas_service.networks.supernet import Supernet
from nas_service.training.loop import recalibrate, score, train
from nas_service.training.rate import LOWEST, found_rate
from nas_service.training.sandwich import train_supernet
from tests.nas_service.training.test_training import RECIPE, SPACE


def _on_a_parabola(curvature: float) -> float:
    """Of one weight at 1, whose loss is half its square times the curvature."""
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)

    def backward(_: int) -> float:
        loss = 0.5 * curvature * layer.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch stubs
        return float(loss.detach())

    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
    found = found_rate(layer, range(10), backward, optimizer)
    assert layer.weight.item() == 1.0  # put back
    assert layer.weight.grad is None
    return found


@pytest.mark.parametrize("curvature", [4.0, 20.0])
def test_steps_are_long_and_not_too_long(curvature: float) -> None:
    """A step overshoots from 1 over the curvature on, and goes away from 2 over it on."""
    found = _on_a_parabola(curvature)
    assert 0.1 / curvature < found < 1.0 / curvature


def test_a_loss_that_only_grows_gives_the_lowest_rate() -> None:
    layer = nn.Linear(1, 1)
    seen = iter(range(1, 100))

    def backward(_: int) -> float:
        layer(torch.ones(1, 1)).sum().backward()
        return float(next(seen))

    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
    assert found_rate(layer, range(10), backward, optimizer) == LOWEST


def test_a_rate_that_is_looked_for_saves_training_from_one_that_is_too_high(toy: Data) -> None:
    scores = []
    for find in (False, True):
        network = build(SPACE, SPACE.smallest(), seed=0)
        recipe = replace(RECIPE, learning_rate=1e4, find_rate=find)
        train(network, toy, 6, recipe, seed=0)
        recalibrate(network, toy, 6)
        scores.append(score(network, toy, toy.validation, 6))
    assert scores[0] < 0.7
    assert scores[1] > 0.85


def test_shared_weights_keep_the_rate_where_training_is_cut_off(toy: Data, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=3, find_rate=True)
    whole = Supernet(SPACE, seed=0)
    train_supernet(whole, toy, recipe, seed=0)

    class CutOff(Exception):
        pass

    def stop(step: int, n_steps: int, _: float) -> None:
        if step > 2 * n_steps // 3:
            raise CutOff

    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(CutOff):
        train_supernet(
            Supernet(SPACE, seed=0), toy, recipe, seed=0, checkpoint=checkpoint, on_step=stop
        )
    again = Supernet(SPACE, seed=0)
    train_supernet(again, toy, recipe, seed=0, checkpoint=checkpoint)
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
