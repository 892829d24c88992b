"""Architectures that a device cannot run, told from the operators of the networks themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lookup_tables.graphs import block_graph
from nas_service.errors import Infeasible, InvalidSpec
from nas_service.networks.build import build
from nas_service.networks.export import export
from nas_service.search.cost import all_blocks
from nas_service.search.feasibility import require_feasible
from nas_service.space.base import IntArray, SearchSpace, input_size
from nas_service.space.cell import NasBench201Space
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.sampling import uniform
from nas_service.space.supported import SupportedSpace, operators_of, supported
from nas_service.space.testing import SearchSpaceContract
from tests.nas_service.search.problems import make_problem

GATES = [3, 11, 19, 27]
"""Where mbconv decides on squeeze-excitation, the one use that it has for Sigmoid."""


class TestSupportedSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self, mbconv: MbconvSpace) -> SearchSpace:
        return supported(mbconv, ["Sigmoid"])


def exported_operators(space: SearchSpace, genotype: IntArray, path: Path) -> set[str]:
    network = build(space, genotype, seed=0)
    export(network, path, space.sample.input_shape(input_size(space, genotype)))
    return {node.op_type for node in onnx.load(path).graph.node}


def test_a_block_has_the_operators_of_its_graph(
    mbconv: MbconvSpace, nasbench201: NasBench201Space
) -> None:
    for space in (mbconv, nasbench201):
        blocks = sorted(all_blocks(space))
        for block in blocks[:: max(1, len(blocks) // 60)]:
            graph = block_graph(block).graph
            assert operators_of(block) == {node.op_type for node in graph.node}, block


@pytest.mark.parametrize("lacking", ["Sigmoid", "AveragePool"])
def test_networks_are_valid_whose_export_has_no_such_operator(
    lacking: str, mbconv: MbconvSpace, nasbench201: NasBench201Space, tmp_path: Path
) -> None:
    space: SearchSpace = mbconv if lacking == "Sigmoid" else nasbench201
    if space is nasbench201:  # its reduction blocks pool on average: no network does without
        with pytest.raises(InvalidSpec, match="no network of space nasbench201 does without Ave"):
            supported(space, [lacking])
        return
    rows = uniform(space, 12, np.random.default_rng(0))
    rows[::2, GATES] = 0
    told = supported(space, [lacking]).valid(rows)
    wanted = [lacking not in exported_operators(space, row, tmp_path / "m.onnx") for row in rows]
    assert told.tolist() == wanted
    assert 0 < sum(wanted) < len(rows)


def test_what_cannot_run_is_neither_priced_nor_chosen(mbconv: MbconvSpace) -> None:
    space = supported(mbconv, ["Sigmoid"])
    assert isinstance(space, SupportedSpace)
    assert all(not block.sizes["se_channels"] for block in all_blocks(space))
    # half of four stages each: one in sixteen
    rows = uniform(mbconv, 4000, np.random.default_rng(1))
    assert space.runs(rows).mean() == pytest.approx(1 / 16, abs=0.015)
    assert space.largest()[GATES].tolist() == [0, 0, 0, 0]
    assert (np.delete(space.largest(), GATES) == np.delete(mbconv.largest(), GATES)).all()
    assert supported(mbconv, []) is mbconv


def test_a_candidate_that_cannot_run_keeps_no_limit() -> None:
    problem = make_problem(limit_ms=1e6)
    space = supported(problem.space.architectures, ["Sigmoid"])
    assert isinstance(space, SupportedSpace)
    checked = replace(problem, runs=space.runs)
    rows = problem.space.in_every_deployment(
        uniform(problem.space.architectures, 200, np.random.default_rng(2))
    )
    assert problem.feasible(rows).all()
    gated = rows.architectures[:, GATES].any(axis=1)
    assert checked.feasible(rows).tolist() == (~gated).tolist()
    nothing = replace(problem, runs=lambda them: np.zeros(len(them), dtype=np.bool_))
    with pytest.raises(Infeasible):
        require_feasible(nothing, 0)
