from typing import Any

import pytest

from nas_service.errors import InvalidSpec
from nas_service.search.reopen import check_follows, front_diff, is_followed, reopened
from nas_service.search.spec import SearchSpec


@pytest.mark.parametrize(
    ("follows", "followed"),
    [
        (("all",), True),
        (("name:pi*",), True),
        (("name:Pi*",), False),
        (("label:site=oslo",), True),
        (("label:site=bergen",), False),
        (("label:rack=1", "name:pi5"), True),
        ((), False),
    ],
)
def test_rules_say_which_devices_are_followed(follows: tuple[str, ...], followed: bool) -> None:
    check_follows(follows)
    assert is_followed(follows, "pi5", {"site": "oslo"}) is followed


@pytest.mark.parametrize("rule", ["", "every", "name:", "label:site", "label:=x", "label:site="])
def test_a_rule_that_says_nothing_is_refused(rule: str) -> None:
    with pytest.raises(InvalidSpec, match="follows"):
        check_follows([rule])


def test_a_search_opened_again_asks_less_and_follows_nothing() -> None:
    spec = SearchSpec("digits", "mbconv", "here", n_queries=40, batch=8, follows=("all",))
    again = reopened(spec, "there")
    assert (again.device, again.n_queries, again.follows) == ("there", 10, ())
    assert (again.space, again.seed, again.dataset) == (spec.space, spec.seed, spec.dataset)


def _front(volume: float, *members: tuple[int, str, float]) -> dict[str, Any]:
    return {
        "hypervolume": volume,
        "limit_ms": 1.0,
        "front": [
            {
                "genotype": [number, 0],
                "precision": precision,
                "architecture": {"number": number},
                "predicted_accuracy": accuracy,
                "predicted_latency_ms": 0.5,
            }
            for number, precision, accuracy in members
        ],
    }


def test_a_diff_names_what_entered_what_left_and_what_it_gains() -> None:
    before = _front(0.5, (1, "fp32", 0.80), (2, "int8", 0.85))
    after = _front(0.6, (2, "int8", 0.86), (2, "fp32", 0.90), (3, "fp32", 0.70))
    found = front_diff(before, after, same_device=True)
    assert [(e["architecture"]["number"], e["precision"]) for e in found["entered"]] == [
        (2, "fp32"),
        (3, "fp32"),
    ]
    assert [e["architecture"]["number"] for e in found["left"]] == [1]
    assert found["stayed"] == 1
    assert found["best_accuracy_gain"] == pytest.approx(0.05)
    assert found["hypervolume_gain"] == pytest.approx(0.1)
    assert front_diff(before, after, same_device=False)["hypervolume_gain"] is None
    assert front_diff({}, after, same_device=True)["best_accuracy_gain"] is None


def test_what_was_asked_on_the_device_is_asked_of_the_own_one() -> None:
    spec = SearchSpec(
        "digits",
        "mbconv",
        "here",
        max_latency_ms=2.0,
        objectives=("latency_ms", "latency_ms@there", "latency_ms@worst", "macs"),
        limits={"latency_ms@there": 1.0, "energy_mj@there": 5.0, "macs": 1e6},
        also_devices=("there",),
    )
    again = reopened(spec, "there")
    assert again.also_devices == ()
    assert again.objectives == ("latency_ms", "macs")
    assert again.limits == {"energy_mj": 5.0, "macs": 1e6}
    assert again.max_latency_ms == 1.0
    elsewhere = reopened(spec, "board")
    assert elsewhere.objectives == spec.objectives
    assert elsewhere.limits == spec.limits
