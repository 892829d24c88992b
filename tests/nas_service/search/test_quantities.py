"""Quantities beside latency: limits that hold with a probability, and what is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lookup_tables.ratio import fit_ratio
from nas_service.errors import InvalidSpec
from nas_service.search.candidates import candidates_of
from nas_service.search.cost import CostModel
from nas_service.search.evaluate import Problem
from nas_service.search.quantities.registry import QuantityAt, known_names, quantities
from nas_service.search.testing import small_problem, table_by_macs
from nas_service.search.values import estimates_of
from nas_service.space.sampling import distinct

_TRUE_RATIO, _NOISE = 1.4, 0.08


def _with_energy(seed: int) -> Problem:
    """A problem whose tables know energies, with ratios of 12 networks measured with noise."""
    base = small_problem(limit_ms=1e6)
    space = base.space.architectures
    generator = np.random.default_rng(seed)
    costs = []
    for one in base.space.deployments:
        plain = table_by_macs(space, one)
        entries = tuple(replace(e, energy_mj=2.0 * e.p10_ms) for e in plain.entries)
        table = replace(plain, entries=entries)
        rows = distinct(space, 12, generator)
        estimated = CostModel(space, table, None).energy_mj(rows)
        measured = estimated * _TRUE_RATIO * np.exp(_NOISE * generator.standard_normal(12))
        ratios = {"energy_mj": fit_ratio(estimated, measured)}
        costs.append(CostModel(space, table, None, ratios))
    return replace(base, costs=tuple(costs), limit_probability=0.95)


def test_a_limit_on_energy_holds_as_often_as_it_says() -> None:
    kept = broken = 0
    for seed in range(60):
        problem = _with_energy(seed)
        space = problem.space.architectures
        genotypes = problem.space.in_every_deployment(
            distinct(space, 40, np.random.default_rng([seed, 1]))
        )
        limit = float(np.median(problem.quantity("energy_mj", genotypes)))
        limited = replace(problem, limits={"energy_mj": limit})
        plain = np.concatenate(
            [problem.costs[one.deployment].energy_mj(one.row[None]) for one in genotypes]
        )
        noise = np.random.default_rng([seed, 2]).standard_normal(len(genotypes))
        truth = plain * _TRUE_RATIO * np.exp(_NOISE * noise)
        upper = problem.upper("energy_mj", genotypes)
        assert np.array_equal(limited.feasible(genotypes), upper <= limit)
        kept += len(genotypes)
        broken += int((truth > upper).sum())
    assert 0.02 <= broken / kept <= 0.06


def test_a_network_near_the_limit_is_left_out() -> None:
    problem = _with_energy(0)
    one = problem.space.in_every_deployment(problem.space.architectures.smallest()[None])[:1]
    (expected,) = problem.quantity("energy_mj", one)
    (upper,) = problem.upper("energy_mj", one)
    assert upper > 1.05 * expected
    for limit, keeps in ((0.5 * (expected + upper), False), (1.01 * upper, True)):
        assert replace(problem, limits={"energy_mj": limit}).feasible(one).tolist() == [keeps]


def test_candidates_carry_every_known_quantity_and_read_back() -> None:
    for problem, energy in ((small_problem(), False), (_with_energy(1), True)):
        genotypes = problem.space.in_every_deployment(problem.space.architectures.smallest()[None])
        one = candidates_of(problem, genotypes, np.full(2, 0.5), np.zeros(2))[0]
        assert ("energy_mj" in one.estimates) == energy
        assert set(quantities()) - {"energy_mj"} <= set(one.estimates)
        stored = one.as_dict()
        assert estimates_of(stored) == one.estimates
        assert (stored["predicted_energy_mj"] is not None) == energy
        # as versions before stored it
        old = {key: value for key, value in stored.items() if key != "estimates"}
        assert estimates_of(old)["latency_ms"] == one.estimates["latency_ms"]
        assert estimates_of(old)["size_bytes"].value == one.estimates["size_bytes"].value


def test_names_on_devices() -> None:
    known = known_names(["phone"])
    assert {"energy_mj@phone", "latency_ms@worst", "macs"} <= set(known)
    assert "macs@phone" not in known
    at = QuantityAt.parse("energy_mj@phone", ["phone"])
    assert (at.quantity.name, at.device) == ("energy_mj", "phone")
    for name in ("energy_mj@tablet", "macs@phone", "joules", "latency_ms@"):
        with pytest.raises(InvalidSpec, match="no cost source gives"):
            QuantityAt.parse(name, ["phone"])
