"""Exported torch programs of any make: refused in a line, or written anew as the module answers."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nas_service.compilation.uploads.programs import inspect_program
from nas_service.errors import InvalidData

LAYERS = ["conv", "norm", "relu", "pool", "dropout", "skip", "gate", "random"]
ANSWERS = ["tensor", "tuple", "list", "dictionary", "map"]


@dataclass(frozen=True)
class Plan:
    """A classifier: its layers in a row, and what is odd about it or its example."""

    layers: tuple[str, ...]
    training: bool
    answer: str
    channels_last: bool
    batch: int
    open_batch: bool
    half: bool
    seed: int

    @property
    def differs_in_training(self) -> bool:
        return bool({"norm", "dropout"} & set(self.layers))

    @property
    def to_be_refused(self) -> bool:
        return (
            "random" in self.layers
            or (self.training and self.differs_in_training)
            or self.answer != "tensor"
            or self.batch != 1
            or self.half
        )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    def rarely() -> bool:
        return draw(st.integers(0, 7)) == 0

    return Plan(
        layers=tuple(draw(st.lists(st.sampled_from(LAYERS[:-1]), min_size=1, max_size=5)))
        + (("random",) if rarely() else ()),
        training=rarely(),
        answer=draw(st.sampled_from(ANSWERS)) if rarely() else "tensor",
        channels_last=draw(st.booleans()),
        batch=2 if rarely() else 1,
        open_batch=rarely(),
        half=rarely(),
        seed=draw(st.integers(0, 1000)),
    )


class _Made(nn.Module):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.ModuleList(self._layer(kind) for kind in plan.layers)
        self.last = nn.Linear(8, 5)

    @staticmethod
    def _layer(kind: str) -> nn.Module:
        made: dict[str, nn.Module] = {
            "conv": nn.Conv2d(8, 8, 3, padding=1),
            "norm": nn.BatchNorm2d(8),
            "relu": nn.ReLU(),
            "pool": nn.AvgPool2d(2, ceil_mode=True),
            "dropout": nn.Dropout(0.3),
            "skip": nn.Conv2d(8, 8, 1),
            "gate": nn.Conv2d(8, 8, 1),
            "random": nn.Identity(),
        }
        return made[kind]

    def forward(self, image: Tensor) -> Any:
        x = self.first(image)
        for kind, layer in zip(self._plan.layers, self.layers, strict=True):
            if kind == "skip":
                x = x + layer(x)
            elif kind == "gate":
                x = x * torch.sigmoid(layer(x.mean((2, 3), keepdim=True)))
            elif kind == "random":
                x = x + torch.randn_like(x)
            else:
                x = layer(x)
        if self._plan.answer == "map":
            return x
        scores = self.last(x.mean((2, 3)))
        return {"tensor": scores, "tuple": (scores, x), "list": [scores], "dictionary": {"s": x}}[
            self._plan.answer
        ]


def _refused(plan: Plan, why: str) -> str:
    assert len(why.splitlines()) == 1
    assert plan.to_be_refused, why
    return "refused"


def _check(plan: Plan) -> str:
    torch.manual_seed(plan.seed)
    module = _Made(plan).train(plan.training)
    example = torch.randn(plan.batch, 3, 16, 16)
    if plan.channels_last:
        example = example.to(memory_format=torch.channels_last)
    if plan.half:
        module, example = module.half(), example.half()
    open_sizes = {"image": {0: torch.export.Dim.AUTO}} if plan.open_batch else None
    with tempfile.TemporaryDirectory() as name:
        path, ready = Path(name) / "given.pt2", Path(name) / "ready.pt2"
        torch.export.save(torch.export.export(module, (example,), dynamic_shapes=open_sizes), path)
        try:
            told = inspect_program(path, ready)
        except InvalidData as error:
            return _refused(plan, str(error))
        assert not plan.to_be_refused
        assert (told["channels"], told["size"], told["classes"]) == (3, 16, 5)
        again = torch.export.load(ready)
        assert again.example_inputs[0][0].is_contiguous()
        image = torch.randn(1, 3, 16, 16)
        with torch.no_grad():
            expected, found = module.eval()(image), again.module()(image)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
        return "taken"


RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


@settings(max_examples=10, **RELAXED)
@given(plans())
def test_programs_are_refused_in_a_line_or_answer_as_the_module(plan: Plan) -> None:
    _check(plan)


@pytest.mark.matrix
@settings(max_examples=100, **RELAXED)
@given(plans())
def test_a_hundred_programs_are_refused_or_answer_as_the_module(plan: Plan) -> None:
    _check(plan)


def test_plain_programs_are_taken_whatever_the_order_of_the_example() -> None:
    for channels_last in (False, True):
        layers = ("conv", "norm", "gate")
        plan = Plan(layers, False, "tensor", channels_last, 1, False, False, 0)
        assert _check(plan) == "taken"
