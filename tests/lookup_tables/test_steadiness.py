"""What a table's card says of how it was measured; tables of any age have one."""

from typing import Any

import pytest

from lookup_tables.steadiness import ROUGH, STEADY, UNKNOWN, card_of

CALIBRATION = {
    "relative_errors": [0.01, -0.02, 0.03] * 4,
    "form": "overhead",
    "errors_of_forms": {"plain": 0.4, "overhead": 0.02},
}
CHECK = {"mean_error": 0.02, "n": 20, "mean_error_of_plain_sum": 0.4}
MEASURED: dict[str, Any] = {
    "space": "mbconv",
    "image": {"size": 16},
    "budget_s": 60.0,
    "steadiness": {"state_share": 0.8, "n_files": 100, "n_stable": 99},
}


def test_a_steady_table_says_why_and_needs_no_mending() -> None:
    card = card_of(MEASURED, CALIBRATION, CHECK, "board")
    assert card.verdict == STEADY
    assert card.mend == ""
    assert card.text == (
        "the device was in its reference state 80% of the time; 99 of 100 files were measured "
        "stably; correction overhead, 2.0% off on left-out networks (the plain sum of blocks "
        "40.0%); estimates are 2.0% off on 20 networks in no fit"
    )


@pytest.mark.parametrize(
    ("steadiness", "calibration", "check", "text"),
    [
        ({"state_share": 0.02}, {}, {}, "in its reference state 2% of the time"),
        ({"n_stable": 60}, {}, {}, "60 of 100 files were measured stably"),
        ({}, {"relative_errors": [0.01] * 6}, {}, "calibrated on 6 networks alone"),
        ({}, {"relative_errors": [0.2] * 12}, {}, "20.0% off on left-out networks"),
        ({}, {}, {"mean_error": 0.24}, "estimates are 24.0% off on 20 networks in no fit"),
        (
            {},
            {},
            {"mean_error": 0.09, "mean_error_of_plain_sum": 0.06},
            "worse than the plain sum of blocks (6.0%)",
        ),
    ],
)
def test_a_table_that_was_measured_badly_says_what_mends_it(
    steadiness: dict[str, Any], calibration: dict[str, Any], check: dict[str, Any], text: str
) -> None:
    provenance = {**MEASURED, "steadiness": {**MEASURED["steadiness"], **steadiness}}
    card = card_of(provenance, {**CALIBRATION, **calibration}, {**CHECK, **check}, "board")
    assert card.verdict == ROUGH
    assert text in card.text
    assert card.mend == (
        "nas devices profile board --space mbconv --image-size 16 --profile-budget-s 120"
    )


def test_an_old_table_is_told_for_what_it_is() -> None:
    old = {"space": "mbconv", "image": {"size": 32}, "anchor_p50_ms": 0.05}
    card = card_of(old, CALIBRATION, CHECK, "this-machine")
    assert card.verdict == UNKNOWN
    assert "not known" in card.text
    assert "nas devices profile this-machine" in card.mend
    assert card_of({}, None, None, "paper").verdict == UNKNOWN


def test_doubts_and_what_more_time_would_give_are_told() -> None:
    doubtful = {
        **MEASURED,
        "references": {"processor": {"doubt": "the machine was watched for 9 s"}},
        "steadiness": {**MEASURED["steadiness"], "n_unsettled": 7, "more_s": 30.2},
    }
    text = card_of(doubtful, CALIBRATION, CHECK, "board").text
    assert "the machine was watched for 9 s" in text
    assert "7 files would settle in about 30 s more" in text
