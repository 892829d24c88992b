"""Rules over decisions: what they forbid, by hand and by brute force, and what they cannot say."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_service.errors import InvalidSpec
from nas_service.learning.signals.window import Window
from nas_service.space.base import IntArray, SearchSpace, parse
from nas_service.space.cell import NasBench201Space
from nas_service.space.described.document import read_document
from nas_service.space.described.space import DescribedSpace
from nas_service.space.ruled import RuledSpace, linear_rows
from nas_service.space.rules import rules_of
from nas_service.space.sampling import uniform
from nas_service.space.temporal import TemporalSpace
from nas_service.space.testing import SearchSpaceContract

SPACE = TemporalSpace(Window(100, 6, 4))
RULES: list[dict[str, Any]] = [
    {"always": {"stage*.layer*.kernel": [3, 5]}},
    {"never": {"width": 1.0, "steps": 100}},
    {"if": {"width": {"at_least": 0.75}}, "then": {"stage3.depth": {"at_most": 2}}},
    {"sum": "stage*.depth", "at_most": 6, "at_least": 4},
]


def _ruled(*rules: dict[str, Any]) -> RuledSpace:
    return RuledSpace(SPACE, rules_of(SPACE, rules))


def _keeps(decisions: dict[str, Any]) -> bool:
    """The same four rules, said in Python."""
    kernels = [value for name, value in decisions.items() if name.endswith(".kernel")]
    depths = [value for name, value in decisions.items() if name.endswith(".depth")]
    return (
        all(kernel in (3, 5) for kernel in kernels)
        and not (decisions["width"] == 1.0 and decisions["steps"] == 100)
        and (decisions["width"] < 0.75 or decisions["stage3.depth"] <= 2)
        and 4 <= sum(depths) <= 6
    )


def _decisions(space: SearchSpace, row: IntArray) -> dict[str, Any]:
    return {one.name: one.values[int(k)] for one, k in zip(space.decisions, row, strict=True)}


def test_rules_are_what_the_same_conditions_are_in_python() -> None:
    rows = uniform(SPACE, 3000, np.random.default_rng(0))
    expected = np.array([_keeps(_decisions(SPACE, row)) for row in rows])
    assert 0.0 < expected.mean() < 0.5
    assert np.array_equal(_ruled(*RULES).valid(rows), expected)


def _kernels_there(decisions: dict[str, Any]) -> list[int]:
    return [
        decisions[f"stage{stage}.layer{layer}.kernel"]
        for stage in (1, 2, 3)
        for layer in range(1, decisions[f"stage{stage}.depth"] + 1)
    ]


@pytest.mark.parametrize(
    ("rule", "keeps"),
    [
        (
            {"always": {"stage*.layer*.kernel": [5, 9]}},
            lambda one: 3 not in _kernels_there(one),
        ),
        (
            {"never": {"stage1.layer3.kernel": 3, "width": 1.0}},
            lambda one: (
                not (
                    one["stage1.depth"] == 3
                    and one["stage1.layer3.kernel"] == 3
                    and one["width"] == 1.0
                )
            ),
        ),
        (
            {"if": {"stage2.layer2.kernel": 3}, "then": {"stage3.layer3.kernel": 9}},
            lambda one: (
                not (one["stage2.depth"] >= 2 and one["stage2.layer2.kernel"] == 3)
                or one["stage3.depth"] < 3
                or one["stage3.layer3.kernel"] == 9
            ),
        ),
        (
            {"sum": "stage*.layer*.kernel", "at_least": 12, "at_most": 30},
            lambda one: 12 <= sum(_kernels_there(one)) <= 30,
        ),
    ],
    ids=["always", "never", "if", "sum"],
)
def test_a_rule_says_nothing_of_layers_that_are_not_there(
    rule: dict[str, Any], keeps: Callable[[dict[str, Any]], bool]
) -> None:
    rows = uniform(SPACE, 4000, np.random.default_rng(4))
    expected = np.array([keeps(_decisions(SPACE, row)) for row in rows])
    assert 0.0 < expected.mean() < 1.0
    assert np.array_equal(_ruled(rule).valid(rows), expected)


def test_a_decision_that_two_stages_read_always_counts() -> None:
    kernel = {"kernel": {"from": "late"}, "out_channels": 16}
    stage = {"block": "temporal_separable", "sizes": kernel, "first": {"kernel": 3}}
    document = {
        "name": "two",
        "input": "signal",
        "decisions": {"late": [3, 5], "depth1": [1, 2], "depth2": [1, 2]},
        "layers": [
            {"name": "stem", "block": "temporal_conv", "sizes": {"out_channels": 16, "kernel": 3}},
            {**stage, "name": "one", "repeat": "depth1"},
            {**stage, "name": "two", "repeat": "depth2"},
            {"name": "head", "block": "temporal_head"},
        ],
    }
    space = DescribedSpace("two", read_document(document), Window(20, 6, 4))
    ruled = RuledSpace(space, rules_of(space, [{"always": {"late": 5}}]))
    rows = np.array(list(product((0, 1), (0, 1), (0, 1))))
    kept = {tuple(row) for row in space.canonical(rows[ruled.valid(rows)]).tolist()}
    assert kept == {(1, 0, 1), (1, 1, 0), (1, 1, 1)}


def test_edges_of_a_cell_count_whether_or_not_they_lead_on(nasbench201: NasBench201Space) -> None:
    """An edge of none cuts others off, and then gives the same cell as any other value."""
    rules = rules_of(nasbench201, [{"never": {"op_01": "none"}}])
    rows = np.unique(uniform(nasbench201, 3000, np.random.default_rng(0)), axis=0)
    none = nasbench201.decisions[0].values.index("none")
    assert nasbench201.decisions[0].name == "op_01"
    assert np.array_equal(rules[0].holds(rows), rows[:, 0] != none)


@pytest.mark.parametrize(
    ("rule", "keeps"),
    [
        (
            {"always": {"frame_steps": 128}},
            lambda one: one["front_end"] == "raw" or one["frame_steps"] == 128,
        ),
        (
            {"sum": "frame_steps", "at_least": 128},
            lambda one: one["front_end"] != "raw" and one["frame_steps"] >= 128,
        ),
    ],
    ids=["always", "sum"],
)
def test_a_raw_window_has_no_frames_to_a_rule(
    rule: dict[str, Any], keeps: Callable[[dict[str, Any]], bool]
) -> None:
    """Canonical genotypes have the last value there; the solver's rows say the same."""
    space = TemporalSpace(Window(4096, 1, 4))
    ruled = RuledSpace(space, rules_of(space, [rule]))
    rows = uniform(space, 3000, np.random.default_rng(5))
    expected = np.array([keeps(_decisions(space, row)) for row in rows])
    assert 0.0 < expected.mean() < 1.0
    assert np.array_equal(ruled.valid(rows), expected)
    for line in linear_rows(ruled):
        sums = sum(by_value[rows[:, place]] for place, by_value in line.weights)
        assert np.array_equal((sums >= line.least) & (sums <= line.most), expected)


def test_layers_of_one_kernel_that_are_not_there_add_nothing() -> None:
    stage = {"block": "temporal_separable", "repeat": "depth"}
    document = {
        "name": "one",
        "input": "signal",
        "decisions": {"depth": [1, 2]},
        "layers": [
            {"name": "stem", "block": "temporal_conv", "sizes": {"out_channels": 16, "kernel": 3}},
            {**stage, "name": "two", "sizes": {"kernel": {"choice": [5]}, "out_channels": 16}},
            {"name": "head", "block": "temporal_head"},
        ],
    }
    space = DescribedSpace("one", read_document(document), Window(20, 6, 4))
    rules = rules_of(space, [{"sum": "two*.kernel", "at_most": 5}])
    depth = [one.name for one in space.decisions].index("depth")
    rows = np.stack([space.smallest(), space.largest()])
    assert rules[0].holds(rows).tolist() == (rows[:, depth] == 0).tolist() == [True, False]


def test_mended_networks_are_networks(nasbench201: NasBench201Space) -> None:
    ruled = RuledSpace(nasbench201, rules_of(nasbench201, [{"products": "*", "at_most": 2e7}]))
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, [one.size for one in ruled.decisions], (400, 6))
    assert not nasbench201.valid(drawn).all()  # some are not connected
    mended = ruled.repaired(drawn, generator)
    assert len(mended) > 50
    assert ruled.valid(mended).all()


def test_no_rule_is_violated_among_a_hundred_thousand_samples() -> None:
    space = _ruled(*RULES)
    rows = uniform(space, 100_000, np.random.default_rng(1))
    assert all(rule.holds(rows).all() for rule in space.rules)


class TestRuled(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return _ruled(*RULES)


def test_the_ends_are_networks_that_keep_the_rules() -> None:
    space = _ruled(*RULES)
    for end in (space.smallest(), space.largest()):
        assert _keeps(_decisions(SPACE, end))
    # the smallest has depths of 1 each, and the sum asks for 4
    assert sum(_decisions(SPACE, space.smallest())[f"stage{n}.depth"] for n in (1, 2, 3)) == 4


def test_each_rule_tells_what_it_removes() -> None:
    rows = uniform(SPACE, 20_000, np.random.default_rng(2))
    told = _ruled(*RULES).removed(rows)
    # of four widths and two lengths one pair is forbidden
    assert told["never width = 1.0 and steps = 100"] == pytest.approx(1 / 8, abs=0.01)
    # of 27 depths, sums of 3, 7, 8 and 9: 1 + 6 + 3 + 1
    assert told["the sum of stage*.depth is at least 4 and at most 6"] == pytest.approx(
        11 / 27, abs=0.01
    )
    assert len(told) == 4


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["stage1.depth", "stage2.depth", "stage*.depth"]).flatmap(
                lambda name: st.integers(3, 9).map(lambda most: {"sum": name, "at_most": most})
            ),
            st.sampled_from([0.25, 0.5, 1.0]).map(lambda width: {"never": {"width": width}}),
            st.sampled_from([3, 5, 9]).map(lambda k: {"always": {"stage1.layer1.kernel": k}}),
        ),
        max_size=4,
    )
)
def test_whatever_the_rules_valid_networks_keep_them_all(rules: list[dict[str, Any]]) -> None:
    checked = rules_of(SPACE, rules)
    rows = SPACE.canonical(
        np.random.default_rng(3).integers(0, [one.size for one in SPACE.decisions], (300, 17))
    )
    by_hand = np.ones(len(rows), dtype=bool)
    for rule in checked:
        by_hand &= rule.holds(rows)
    try:
        space = RuledSpace(SPACE, checked)
    except InvalidSpec:
        assert not by_hand.any()
        return
    assert np.array_equal(space.valid(rows), by_hand)
    assert space.valid(np.stack([space.smallest(), space.largest()])).all()


def test_rules_that_leave_nothing_are_named() -> None:
    with pytest.raises(InvalidSpec, match=r"leave nothing of space temporal.*rules\[1\]"):
        _ruled({"always": {"width": 0.5}}, {"never": {"stage1.depth": [1, 2, 3]}})


def test_true_is_not_one() -> None:
    from nas_service.space.base import ImageShape
    from nas_service.space.mbconv import MbconvSpace

    space = MbconvSpace(ImageShape(16, 1, 4))
    (rule,) = rules_of(space, [{"never": {"stage1.se": True}}])
    row = parse(space, {**_decisions(space, space.smallest()), "stage1.se": True})
    assert not rule.holds(row[None]).any()
    with pytest.raises(InvalidSpec, match=r"stage1\.se cannot be 1"):
        rules_of(space, [{"never": {"stage1.se": 1}}])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "this one has nothing"),
        ({"sometimes": {}}, "this one has sometimes"),
        ({"always": {"width": 0.5}, "never": {"width": 1.0}}, "this one has always, never"),
        ({"if": {"width": 0.5}}, "this one has if"),
        ({"always": {}}, "always says conditions"),
        ({"always": {"widht": 0.5}}, "no decision 'widht'; it has steps, width"),
        ({"always": {"width": 0.6}}, r"width cannot be 0.6; it is one of \[0.25, 0.5, 0.75, 1.0\]"),
        ({"always": {"width": {"most": 0.6}}}, "width has most; a range has"),
        ({"always": {"width": {"at_most": "x"}}}, "at_most is 'x'"),
        ({"sum": "stage*.depth"}, "needs at_most or at_least"),
        ({"sum": "stage*.width", "at_most": 3}, r"no decision 'stage\*.width'"),
        ({"sum": "stage*.depth", "at_most": float("nan")}, "at_most is nan"),
    ],
)
def test_what_a_rule_cannot_say_is_named_by_its_number(rule: Any, said: str) -> None:
    with pytest.raises(InvalidSpec, match=said) as caught:
        rules_of(SPACE, [RULES[0], rule])
    assert str(caught.value).startswith("rules[1]: ")
    assert caught.value.fields["field"] == "rules"


def test_every_combination_of_a_small_rule_is_right() -> None:
    """All values of two decisions, by their truth table."""
    (rule,) = rules_of(SPACE, [{"if": {"width": [0.25, 0.5]}, "then": {"stage1.depth": 1}}])
    for width, depth in product(range(4), range(3)):
        row = SPACE.smallest()
        row[1], row[2] = width, depth
        assert bool(rule.holds(row[None])[0]) == (width > 1 or depth == 0)


def test_fractions_are_summed_as_they_are_written() -> None:
    """A tenth and two tenths are at most three tenths, whatever their sum in binary is."""
    given = {
        "name": "fractions",
        "input": "signal",
        "decisions": {"a": [0.1, 0.3], "b": [0.2, 0.4]},
        "layers": [
            {
                "block": "temporal_conv",
                "sizes": {"out_channels": {"round": 320, "by": "a"}, "kernel": 3},
            },
            {
                "block": "temporal_conv",
                "sizes": {"out_channels": {"round": 320, "by": "b"}, "kernel": 3},
            },
            {"block": "temporal_head"},
        ],
    }
    space = DescribedSpace("fractions", read_document(given), Window(100, 6, 4))
    (rule,) = rules_of(space, [{"sum": "[ab]", "at_most": 0.3}])
    rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert rule.holds(rows).tolist() == [True, False, False, False]
