"""The best network under a limit: against every network of a space, tried one by one."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from lookup_tables.roofline import Peaks, Roofline
from lookup_tables.target import Target
from nas_service.learning.signals.window import Window
from nas_service.search.cost import CostModel, StructureModel
from nas_service.search.exact import ExactChoice, Limited
from nas_service.search.exact_sampler import learned
from nas_service.search.slot_sums import SlotTable
from nas_service.space.base import IntArray
from nas_service.space.ruled import RuledSpace, linear_rows
from nas_service.space.rules import rules_of
from nas_service.space.temporal import TemporalSpace

SPACE = TemporalSpace(Window(100, 6, 4))
MODEL = CostModel(SPACE, Roofline(Target("none", "onnxruntime", "", "fp32"), Peaks(2e9, 4e9)), None)
_FREE = (0, 1, 2, 6, 7, 9, 11)
"""Decisions that are tried in every combination; the others stay at their first value."""


def _every() -> IntArray:
    sizes = [SPACE.decisions[place].size for place in _FREE]
    rows = np.zeros((int(np.prod(sizes)), len(SPACE.decisions)), dtype=np.int64)
    rows[:, _FREE] = list(product(*map(range, sizes)))
    # kernels of layers that are not there, the last ones of stages 1 and 2, are tried too
    return np.unique(SPACE.canonical(rows), axis=0)


def _scores(seed: int) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Drawn at random; a value that is not tried is worth too little to be taken."""
    generator = np.random.default_rng(seed)
    scores = []
    for place, decision in enumerate(SPACE.decisions):
        own = generator.normal(size=decision.size)
        if place not in _FREE:
            own[1:] = -1e3
        scores.append(own)
    return scores


def _worth(scores: list[np.ndarray[tuple[int], np.dtype[np.float64]]], rows: IntArray) -> IntArray:
    return np.sum([one[rows[:, place]] for place, one in enumerate(scores)], axis=0)


@pytest.mark.parametrize("seed", range(6))
def test_it_finds_what_trying_all_of_them_finds(seed: int) -> None:
    rows, scores = _every(), _scores(seed)
    tables, constant = MODEL.tables()
    costs = MODEL.latency_ms(rows)
    limit = float(np.quantile(costs, 0.1 + 0.15 * seed))
    best = _worth(scores, rows)[costs <= limit].max()
    found = ExactChoice(SPACE).best(scores, [Limited(tables, limit - constant)], rows[:0])
    assert found is not None
    assert np.array_equal(SPACE.canonical(found[None])[0], found)
    assert MODEL.latency_ms(found[None])[0] <= limit * (1 + 1e-9)
    assert _worth(scores, found[None])[0] == pytest.approx(best)


def test_several_limits_hold_at_once() -> None:
    rows, scores = _every(), _scores(9)
    tables, constant = MODEL.tables()
    macs = StructureModel(SPACE)(rows).macs
    costs = MODEL.latency_ms(rows)
    most = float(np.quantile(costs, 0.6)), float(np.quantile(macs, 0.3))
    inside = (costs <= most[0]) & (macs <= most[1])
    limits = [
        Limited(tables, most[0] - constant),
        Limited(SlotTable.counted(SPACE, "macs"), most[1]),
    ]
    found = ExactChoice(SPACE).best(scores, limits, rows[:0])
    assert found is not None
    assert _worth(scores, found[None])[0] == pytest.approx(_worth(scores, rows)[inside].max())


def test_what_is_known_is_not_found_again() -> None:
    rows, scores = _every(), _scores(4)
    tables, _ = MODEL.tables()
    limit = [Limited(tables, float(MODEL.latency_ms(rows).max()))]
    choice = ExactChoice(SPACE)
    found: list[IntArray] = []
    for _ in range(4):
        known = SPACE.canonical(np.array(found, dtype=np.int64).reshape(-1, rows.shape[1]))
        row = choice.best(scores, limit, known)
        assert row is not None
        found.append(row)
    networks = SPACE.canonical(np.array(found))
    assert len(np.unique(networks, axis=0)) == 4
    worth = _worth(scores, np.array(found))
    assert np.all(np.diff(worth) <= 1e-9)


RULES: list[dict[str, Any]] = [
    {"if": {"width": {"at_least": 0.75}}, "then": {"stage1.depth": {"at_most": 1}}},
    {"never": {"width": 0.5, "stage2.depth": 3}},
    {"always": {"stage2.layer1.kernel": [3, 9]}},
    {"sum": "stage*.depth", "at_most": 5, "at_least": 4},
]


ON_DEEP_LAYERS: list[dict[str, Any]] = [
    {"if": {"stage2.layer3.kernel": 3}, "then": {"width": 0.25}},
    {"if": {"width": {"at_least": 0.5}}, "then": {"stage1.layer3.kernel": [5, 9]}},
    {"never": {"stage1.layer3.kernel": [3, 5], "width": [0.75, 1.0]}},
    {"always": {"stage*.layer3.kernel": [5, 9]}},
    {"sum": "stage*.layer3.kernel", "at_least": 5, "at_most": 12},
]
"""Of layers that only deep networks have."""


@pytest.mark.parametrize(
    "rules", [*([one] for one in RULES), RULES, *([one] for one in ON_DEEP_LAYERS)]
)
def test_rules_are_kept(rules: list[dict[str, Any]]) -> None:
    space = RuledSpace(SPACE, rules_of(SPACE, rules))
    rows, scores = _every(), _scores(1)
    scores[1][:] = [0.0, 0.1, 5.0, 5.1]  # what the rules forbid is worth much
    scores[2][:] = scores[7][:] = [0.0, 1.0, 2.0]
    valid = space.valid(rows)
    assert 0 < valid.sum() < len(rows)
    tables, _ = MODEL.tables()
    limit = Limited(tables, float(MODEL.latency_ms(rows).max()))
    found = ExactChoice(space, linear_rows(space)).best(scores, [limit], rows[:0])
    assert found is not None
    assert space.valid(found[None])[0]
    assert _worth(scores, found[None])[0] == pytest.approx(_worth(scores, rows)[valid].max())


def test_nothing_keeps_a_limit_below_the_cheapest() -> None:
    tables, _ = MODEL.tables()
    least = MODEL.latency_ms(SPACE.smallest()[None])[0]
    assert (
        ExactChoice(SPACE).best(_scores(0), [Limited(tables, 0.99 * least)], _every()[:0]) is None
    )


def test_scores_that_add_up_are_learned() -> None:
    generator = np.random.default_rng(5)
    sizes = [3, 4, 2]
    law = [generator.normal(size=size) for size in sizes]
    rows = np.stack([generator.integers(0, size, 400) for size in sizes], axis=1)
    accuracy = sum(law[place][rows[:, place]] for place in range(3))
    for found, own in zip(learned(sizes, rows, np.asarray(accuracy)), law, strict=True):
        assert np.allclose(found - found.mean(), own - own.mean(), atol=0.03)
