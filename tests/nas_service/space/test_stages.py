"""Spaces of two levels: a skeleton of stages above blocks, budgets, and what a search prefers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import yaml

from nas_service.errors import InvalidSpec
from nas_service.networks.supernet import Supernet
from nas_service.search.acquisition import Improvement, Region, greedy
from nas_service.search.candidate_pool import Pool, enumerate_space
from nas_service.search.exact import ExactChoice, Limited
from nas_service.search.exact_sampler import products_limits
from nas_service.search.guided import Guidance, propose
from nas_service.search.sampling_problem import CostedSpace
from nas_service.space.base import ImageShape, IntArray, SearchSpace, input_size, lower, parse
from nas_service.space.described.document import read_document
from nas_service.space.described.space import DescribedSpace
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.rule import ProductsRule
from nas_service.space.ruled import RuledSpace
from nas_service.space.rules import rules_of
from nas_service.space.sampling import distinct, uniform
from nas_service.space.stages import AlikeInStages, stages_of
from nas_service.space.testing import SearchSpaceContract
from nas_service.worker.tasks.supernet import _evaluated
from predictors.gaussian_process import GaussianProcessPredictor

IMAGE = ImageShape(32, 3, 10)
PHONE = """
name: phone
input: image
input_sizes: [24, 32]
define:
  sizes: {kernel: {choice: [3, 5]}, mid_channels: {times: in_channels, by: {choice: [1, 2, 4]}}}
layers:
  - {name: stem, block: conv_relu, sizes: {out_channels: 16, kernel: 3}}
  - stage: early
    depth: {choice: [1, 2, 3]}
    channels: {choice: [16, 24]}
    stride: {choice: [1, 2]}
    budget: 6.0e+6
    block: mbconv
    sizes: $sizes
  - stage: late
    depth: {choice: [0, 1, 2]}
    channels: {choice: [32, 48]}
    stride: 2
    block: mbconv
    sizes: $sizes
  - {name: head, block: head, sizes: {mid_channels: 64}}
"""


def _given(text: str = PHONE) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def _described(given: dict[str, Any]) -> DescribedSpace:
    return DescribedSpace("yaml-test", read_document(given), IMAGE)


def _ruled(given: dict[str, Any]) -> RuledSpace:
    space = _described(given)
    return RuledSpace(space, rules_of(space, space.document.rules))


def _row(space: SearchSpace, **chosen: int) -> IntArray:
    """The smallest network but for some decisions, by name with _ for a dot."""
    row = space.smallest()
    for place, one in enumerate(space.decisions):
        if one.name.replace(".", "_") in chosen:
            row[place] = one.values.index(chosen[one.name.replace(".", "_")])
    return row


class TestContract(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return _ruled(_given())


def test_a_skeleton_is_decided_beside_its_layers() -> None:
    space = _described(_given())
    names = [one.name for one in space.decisions]
    assert names[:7] == [
        "size.input",
        "early.depth",
        "early.channels",
        "early.stride",
        "late.depth",
        "late.channels",
        "early.1.kernel",
    ]
    row = _row(
        space,
        size_input=32,
        early_depth=2,
        early_channels=24,
        early_stride=2,
        late_depth=1,
        late_channels=48,
    )
    assert [one.key for one in lower(space, row)] == [
        "conv_relu-i3-o16-h32-w32-k3",
        "mbconv-i16-o24-h32-w32-k3-s2-m16",
        "mbconv-i24-o24-h16-w16-k3-m24-r1",
        "mbconv-i24-o48-h16-w16-k3-s2-m24",
        "head-i48-o10-h8-w8-m64",
    ]


def test_a_stage_of_depth_0_is_left_out_and_what_follows_reads_what_came_before() -> None:
    space = _described(_given())
    row = _row(space, size_input=32, early_channels=24, early_stride=1, late_depth=0)
    assert [one.kind for one in lower(space, row)] == ["conv_relu", "mbconv", "head"]
    assert lower(space, row)[-1].key == "head-i24-o10-h32-w32-m64"
    other = _row(space, size_input=32, early_channels=24, early_stride=1, late_channels=48)
    assert np.array_equal(space.canonical(other[None])[0], row)


def test_channels_of_a_stage_hide_those_before_it() -> None:
    space = _described(_given())
    names = [one.name for one in space.decisions]
    reads = {one.name: {names[place] for place in one.reads} for one in space.slots}
    assert "early.channels" in reads["late.1"]
    assert (
        "early.channels" not in reads["late.2"] - {"late.depth"} or "late.depth" in reads["late.2"]
    )
    always = _given(PHONE.replace("[0, 1, 2]", "[1, 2]"))
    space = _described(always)
    names = [one.name for one in space.decisions]
    head = next(one for one in space.slots if one.name == "head")
    assert {names[place] for place in head.reads} == {"size.input", "early.stride", "late.channels"}


def test_members_of_the_supernet_answer_whatever_the_skeleton() -> None:
    space = _ruled(_given())
    supernet = Supernet(space, seed=0)
    for row in [*uniform(space, 6, np.random.default_rng(0)), space.smallest(), space.largest()]:
        size = input_size(space, row)
        with torch.inference_mode():
            assert supernet(torch.zeros(2, 3, size, size), row).shape == (2, 10)


def test_a_budget_holds_for_every_sample() -> None:
    space = _ruled(_given())
    rows = uniform(space, 2_000, np.random.default_rng(0))
    names = {one.name for one in space.slots if one.name.startswith("early.")}
    assert names == {"early.1", "early.2", "early.3"}
    for row in rows[:200]:
        blocks = [one for one in lower(space, row) if one.kind == "mbconv"]
        depth = space.decisions[1].values[row[1]]
        assert sum(one.macs for one in blocks[:depth]) <= 6_000_000
    assert 0 < space.removed(uniform(space.inner, 2_000, np.random.default_rng(1))).popitem()[1] < 1
    assert space.rules[0].text == "multiply-accumulates of early.* are at most 6,000,000"


def test_a_budget_that_no_network_keeps_is_an_error() -> None:
    with pytest.raises(InvalidSpec, match=r"the rules leave nothing.*early\.\* are at most 10"):
        _ruled(_given(PHONE.replace("6.0e+6", "10")))


def test_the_solver_keeps_budgets() -> None:
    space = _ruled(_given())
    scores = [np.arange(one.size, dtype=np.float64) for one in space.decisions]
    scores[[one.name for one in space.decisions].index("early.stride")] *= -1.0
    none: list[Limited] = []
    free = ExactChoice(space.inner).best(scores, none, np.empty((0, len(scores)), np.int64))
    assert free is not None
    assert not space.valid(free[None])[0]
    kept = ExactChoice(space).best(
        scores, products_limits(space), np.empty((0, len(scores)), np.int64)
    )
    assert kept is not None
    assert space.valid(kept[None])[0]
    drawn = uniform(space, 4_000, np.random.default_rng(0))
    worth = sum(score[drawn[:, place]] for place, score in enumerate(scores))
    best = sum(float(score[kept[place]]) for place, score in enumerate(scores))
    assert best >= float(np.max(worth))


def test_rules_on_products_name_slots_that_are_not_there() -> None:
    space = _described(_given())
    with pytest.raises(InvalidSpec, match=r"rules\[0\]: space yaml-test has no slot 'mid\*'"):
        rules_of(space, [{"products": "mid*", "at_most": 1}])
    with pytest.raises(InvalidSpec, match="products need at_most or at_least"):
        rules_of(space, [{"products": "late.*"}])


WRONG = [
    ("depth: {choice: [0, 1, 2]}", "", r"layers\[2\].depth: missing"),
    ("{choice: [0, 1, 2]}", "[0, 1, 2]", r"layers\[2\].depth: \[0, 1, 2\] is no size; several"),
    ("{choice: [0, 1, 2]}", "{choice: [0]}", "late.depth is always 0"),
    ("{choice: [0, 1, 2]}", "{choice: [-1, 2]}", "numbers from 0 up are needed"),
    ("{choice: [0, 1, 2]}", "{from: depth}", r"layers\[2\].depth: 'depth' is neither a number"),
    ("budget: 6.0e+6", "budget: 0", r"layers\[1\].budget: 0 is no number of products above 0"),
    ("budget: 6.0e+6", "budget: lots", r"layers\[1\].budget: 'lots' is no number"),
    ("budget: 6.0e+6", "budget: 6e6", r"'6e6' is no number .*YAML reads 1e6 as text"),
    ("stage: late", "stage: 'a.b'", r"layers\[2\].stage: 'a\.b' is not of small letters"),
    ("stage: late", "stage: '*'", r"layers\[2\].stage: '\*' is not of small letters"),
    ("stage: late", "stage: [late]", r"layers\[2\].stage: \['late'\] is not of small"),
    ("name: head", "name: early.9", r"layers\[3\].name: 'early\.9' is as a layer of a stage"),
    ("[3, 5]}, mid", "[3, .nan]}, mid", "none beyond 1,000,000"),
    ("budget: 6.0e+6", "repeat: 3", r"layers\[1\].repeat: not known of a stage; known are block"),
    ("stride: 2", "stride: 2\n    first: {stride: 1}", "sizes.stride: of a stage it is said by"),
    ("stage: late", "stage: early", r"the decision 'early\.depth' is there already"),
    ("block: mbconv\n    sizes: $sizes\n  - {name", "sizes: $sizes\n  - {name", "block: missing"),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG)
def test_what_is_wrong_of_a_stage_is_named_with_its_place(old: str, new: str, said: str) -> None:
    text = PHONE.replace(old, new)
    assert text != PHONE
    with pytest.raises(InvalidSpec, match=said):
        _described(_given(text))


def test_the_upper_level_makes_the_layers_of_a_stage_alike() -> None:
    space = _described(_given())
    upper = AlikeInStages(space, stages_of(space))
    sizes = [one.size for one in space.decisions]
    rows = upper.canonical(np.random.default_rng(0).integers(0, sizes, (300, len(sizes))))
    assert np.array_equal(upper.canonical(rows), rows)
    names = [one.name for one in space.decisions]
    for row in rows:
        depth = space.decisions[names.index("early.depth")].values[row[names.index("early.depth")]]
        kinds = {
            (row[names.index(f"early.{n}.kernel")], row[names.index(f"early.{n}.mid_channels")])
            for n in range(1, depth + 1)
        }
        assert len(kinds) == 1


def test_a_layer_without_the_first_ones_value_takes_the_nearest() -> None:
    given = {**_given(), "overrides": {"early.2.kernel": [3, 7, 9]}}
    space = _described(given)
    upper = AlikeInStages(space, stages_of(space))
    row = _row(space, early_depth=2, early_1_kernel=5)
    found = upper.canonical(row[None])[0]
    place = [one.name for one in space.decisions].index("early.2.kernel")
    assert space.decisions[place].values[found[place]] in {3, 7}  # as near to 5, both of them
    row = _row(space, early_depth=2, early_1_kernel=3, early_2_kernel=9)
    assert space.decisions[place].values[upper.canonical(row[None])[0][place]] == 3


def test_a_first_layer_of_its_own_kernel_leaves_the_others_alike() -> None:
    given = _given()
    given["layers"][1]["first"] = {"kernel": 5}
    space = _described(given)
    stage = stages_of(space)[0]
    assert (stage.name, [kind for kind, _ in stage.kinds]) == ("early", ["mid_channels", "kernel"])
    row = _row(space, early_depth=3, early_2_kernel=5, early_3_kernel=3)
    found = AlikeInStages(space, stages_of(space)).canonical(row[None])[0]
    kernels = [one.kernel for one in lower(space, found) if one.kind == "mbconv"]
    assert kernels[:3] == [5, 5, 5]
    named = dict(zip(space.feature_names, space.features(row[None])[0], strict=True))
    assert named["stages.early_kernel"] == 5 + 3  # of those that decide


def test_stages_whose_names_begin_alike_are_told_apart() -> None:
    text = PHONE.replace("stage: early", "stage: s1").replace("stage: late", "stage: s10")
    space = _ruled(_given(text))
    slots = [one.name for one in space.inner.slots]
    assert slots[1:-1] == ["s1.1", "s1.2", "s1.3", "s10.1", "s10.2"]
    row = space.largest()
    counted = sum(one.macs for one in lower(space, row)[1:4])
    (rule,) = space.rules
    assert isinstance(rule, ProductsRule)
    assert rule.products(row[None])[0] == counted


def test_budgets_that_hardly_any_network_keeps_still_give_networks() -> None:
    given = _given(PHONE.replace("6.0e+6", "2.2e+5").replace("[0, 1, 2]", "[1, 2]"))
    given["layers"][2]["budget"] = 5.0e4
    space = _ruled(given)
    drawn = uniform(space.inner, 20_000, np.random.default_rng(0))
    assert space.kept(drawn).mean() < 0.01
    rows = uniform(space, 300, np.random.default_rng(0))
    assert space.valid(rows).all()
    everything = enumerate_space(space)  # of 746,496 genotypes
    assert len(np.unique(rows, axis=0)) > len(everything) / 2
    assert np.array_equal(rows, uniform(space, 300, np.random.default_rng(0)))
    problem = CostedSpace(space, {"cost": lambda some: np.ones(len(some))})
    assert space.valid(Pool(problem).draw(200, np.random.default_rng(0))).all()


def test_least_products_hold_too_and_numbers_that_are_too_large_are_refused() -> None:
    space = _described(_given())
    ruled = RuledSpace(space, rules_of(space, [{"products": "late.*", "at_least": 2e5}]))
    for row in uniform(ruled, 50, np.random.default_rng(0)):
        late = lower(space, row)[1 + space.decisions[1].values[row[1]] : -1]
        assert sum(one.macs for one in late) >= 2e5
    with pytest.raises(InvalidSpec, match=r"at_most is 1000.* not a number"):
        rules_of(space, [{"products": "*", "at_most": 10**400}])


def test_the_predictor_is_fitted_on_as_many_networks_as_asked() -> None:
    space = _described(_given())
    fitted, held_out = _evaluated(space, 40, 12, np.random.default_rng(0))
    assert (len(fitted), len(held_out)) == (40, 12)
    assert len(np.unique(np.concatenate([fitted, held_out]), axis=0)) == 52
    upper = AlikeInStages(space, stages_of(space))
    alike = (upper.canonical(fitted) == fitted).all(axis=1).sum()
    assert 18 <= alike <= 40
    flat, _ = _evaluated(MbconvSpace(IMAGE), 10, 2, np.random.default_rng(0))
    assert np.array_equal(flat, distinct(MbconvSpace(IMAGE), 12, np.random.default_rng(0))[:10])


def test_stages_are_seen_through_rules_and_spaces_without_any_have_none() -> None:
    assert [one.name for one in stages_of(_ruled(_given()))] == ["early", "late"]
    flat = _given()
    flat["layers"][1:3] = [
        {"name": "blocks", "block": "mbconv", "repeat": 2, "sizes": {"kernel": {"choice": [3, 5]}}}
    ]
    flat["layers"][1]["sizes"] |= {"out_channels": 16, "mid_channels": 32}
    assert stages_of(_described(flat)) == ()


def test_what_predictors_read_of_a_stage() -> None:
    space = _described(_given())
    row = _row(space, size_input=32, early_depth=2, early_1_kernel=3, early_2_kernel=5)
    named = dict(zip(space.feature_names, space.features(row[None])[0], strict=True))
    assert named["stages.early_depth"] == 2
    assert named["stages.early_kernel"] == 8
    assert named["stages.late_depth"] == 0
    assert named["stages.late_log_products"] == 0
    products = sum(one.macs for one in lower(space, row)[1:3])
    assert named["stages.early_log_products"] == pytest.approx(np.log1p(products))


def test_a_preferred_candidate_is_taken_until_another_adds_more() -> None:
    costs = np.array([[1.0], [1.0]])
    levels = np.array([[0.6], [0.7]])  # .1 and .2 above what counts
    for preference, taken in ((1.0, 1), (1.5, 1), (2.5, 0)):
        improvement = Improvement(
            Region(0.5, np.array([2.0]), np.array([1.0])), costs, levels, np.ones(1)
        )
        liked = np.array([preference, 1.0])
        assert greedy(improvement, costs, levels[:, 0], np.arange(2), 1, preference=liked) == [
            taken
        ]


def test_a_search_begins_on_the_upper_level_and_goes_below_it() -> None:
    space = _described(_given())
    stages = stages_of(space)
    upper = AlikeInStages(space, stages)
    products = space.feature_names.index("products.log")
    task = CostedSpace(space, {"cost": lambda rows: np.exp(space.features(rows)[:, products])})
    pool = Pool(task, stages)
    names = [one.name for one in space.decisions]
    wanted = parse(space, {one.name: one.values[-1] for one in space.decisions})
    third = names.index("early.3.kernel")

    def accuracy(rows: IntArray) -> Any:  # the last layer alone wants the small kernel
        same = (rows == wanted).mean(axis=1)
        return 0.5 + 0.3 * same - 0.2 * (rows[:, third] == wanted[third])

    rows = propose(
        task, pool, GaussianProcessPredictor, np.empty((0, len(names)), np.int64), np.empty(0), 12,
        guidance=Guidance(n_initial=12, exploration=0.0),
    )  # fmt: skip
    assert np.array_equal(upper.canonical(rows), rows)
    below = 0
    for number in range(12):
        new = propose(
            task, pool, lambda: GaussianProcessPredictor(names=space.feature_names), rows,
            accuracy(rows), 2, seed=(0, number), guidance=Guidance(n_initial=12, exploration=0.0),
        )  # fmt: skip
        below += int((upper.canonical(new) != new).any(axis=1).sum())
        rows = np.concatenate([rows, new])
    assert below > 0
    assert len(np.unique(rows, axis=0)) == len(rows)
