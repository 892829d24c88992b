"""How often bounds held, and how a device moved: by hand, and on the page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from nas_service.api.documents.devices import DriftCheck
from nas_service.dashboard.reliability import Prediction, coverage_of, drift_history
from nas_service.settings import Settings
from nas_service.storage import devices
from nas_service.storage.session import Database
from tests.browser import chromium, followed
from tests.prepared import copied
from tests.service import Service

Z_95 = 1.6448536
Z_80 = 0.8416212


def _prediction(measured_ms: float, spread: float = 0.1) -> Prediction:
    """Of 2 ms, with errors whose logarithm has this standard deviation."""
    return Prediction(2.0, 2.0 * math.exp(Z_95 * spread), 0.95, measured_ms)


def test_bounds_of_other_levels_follow_from_the_one_that_is_known() -> None:
    one = _prediction(2.0)
    assert one.bound_ms(0.5) == pytest.approx(2.0)
    assert one.bound_ms(0.95) == pytest.approx(one.upper_ms)
    assert one.bound_ms(0.8) == pytest.approx(2.0 * math.exp(Z_80 * 0.1))


def test_a_bound_that_is_the_estimate_is_one_at_every_level() -> None:
    """As a table without a calibration gives it: nothing tells how far it is off."""
    one = Prediction(2.0, 2.0, 0.95, 3.0)
    assert [one.bound_ms(level) for level in (0.5, 0.99)] == [2.0, 2.0]


def test_coverage_counts_what_stayed_below_each_bound() -> None:
    # errors in standard deviations: one below each of the levels, and one above all
    errors = [-1.0, 0.1, 0.4, 0.7, 1.0, 1.4, 1.8, 3.0]
    found = coverage_of([_prediction(2.0 * math.exp(0.1 * one)) for one in errors])
    assert found is not None
    # z of 50, 60, 70, 80, 90, 95, 99 %: 0, .253, .524, .842, 1.282, 1.645, 2.326
    assert [one.within for one in found.rows] == [1, 2, 3, 4, 5, 6, 7]
    assert found.rows[-1].share == 7 / 8
    assert len(found.points.split()) == 7


def test_few_measurements_say_nothing() -> None:
    assert coverage_of([_prediction(2.0)] * 4) is None
    assert coverage_of([]) is None


def _check(day: int, **targets: object) -> DriftCheck:
    at = datetime(2026, 3, day, tzinfo=UTC)
    return DriftCheck.model_validate({"checked_at": at, "targets": targets})


def test_shifts_are_drawn_over_time_and_told_newest_first() -> None:
    first = _check(1, a={"moved": False, "shift": 0.0}, b={"moved": False, "shift": -0.01})
    second = _check(3, a={"moved": True, "shift": 0.1}, b={"moved": None, "reason": "no luck"})
    found = drift_history([first, second])
    assert [(row.at.day, row.target, row.moved) for row in found.rows] == [
        (3, "a", True),
        (3, "b", None),
        (1, "a", False),
        (1, "b", False),
    ]
    assert found.rows[0].text == "has moved: 10.0% slower"
    assert "no luck" in found.rows[1].text
    lines = {one.target: one for one in found.lines}
    (x1, y1), (x2, y2) = lines["a"].dots
    assert x2 > x1
    assert y2 < y1  # slower is higher, and SVG counts downwards
    assert len(lines["b"].dots) == 1
    assert found.quiet is not None
    top, height = found.quiet
    assert top < y1 < top + height  # no shift is within the band
    assert y2 < top


def test_one_check_is_a_row_and_no_line() -> None:
    found = drift_history([_check(1, a={"moved": False, "shift": 0.01})])
    assert (len(found.rows), found.lines) == (1, ())
    assert drift_history([]).rows == ()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_the_page_tells_coverage_and_drift_and_looks_again(
    browser: Browser, prepared: Path, tmp_path: Path
) -> None:
    folder = copied(prepared, tmp_path / "var")
    database = Database(Settings(var_dir=folder).url)
    with database.session() as session:
        device = devices.get_device(session, "here")
        key = devices.targets_of(session, device.id)[0].key
        for day, shift in ((1, 0.0), (2, 0.08)):
            told = {key: {"moved": shift > 0.05, "shift": shift, "n_probes": 5}}
            at = datetime(2026, 3, day, tzinfo=UTC).isoformat()
            devices.note_drift(session, device.id, {"checked_at": at, "targets": told})
    database.close()
    service = Service(folder)
    service.start()
    try:
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(f"{service.url}/devices/here")
        rows = page.locator("#checks tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("8.0% slower")
        assert page.locator("#drift svg circle").count() == 2
        n_points = page.locator("#points tbody tr").count()
        said = "nothing can be said yet" if n_points < 5 else f"Of {n_points} files"
        expect(page.locator("#coverage")).to_contain_text(said)
        followed(page.get_by_role("button", name="Look for drift now"))
        expect(page.get_by_role("heading", level=1)).to_contain_text("Drift")
        page.get_by_role("button", name="Cancel").click()
        job = page.url.rpartition("/")[2]
        service.wait_until(
            lambda: service.client.job(job)["state"] in {"cancelled", "succeeded"}, 120
        )
        page.goto(f"{service.url}/jobs")
        followed(page.get_by_role("button", name=f"Run {job} again"))
        assert page.url.rpartition("/")[2] != job
        expect(page.get_by_role("heading", level=1)).to_contain_text("Drift")
        service.client.post(f"/v1/jobs/{page.url.rpartition('/')[2]}:cancel")
    finally:
        service.stop()
