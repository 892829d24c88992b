"""Comparing, parallel axes, what matters, and how the front grew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.browser import chromium, followed
from tests.prepared import copied
from tests.service import Service

SERIOUS = {"serious", "critical"}


@dataclass(frozen=True)
class Site:
    """A service with a search and one that went on from it."""

    service: Service
    search: str
    extended: str


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def site(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    service = Service(copied(prepared, tmp_path_factory.mktemp("insights") / "var"))
    service.start()
    search = service.client.get("/v1/searches")["items"][0]["id"]
    more = service.client.post(f"/v1/searches/{search}:extend", {"n_queries": 4})
    service.client.wait(more["id"], timeout_s=300)
    yield Site(service, search, more["id"])
    service.stop()


def test_candidates_that_are_ticked_are_compared(browser: Browser, site: Site) -> None:
    """By what differs alone: rows are the decisions in which the architectures differ, and more."""
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{site.service.url}/searches/{site.search}?sort=index")
    for index in (0, 3):
        page.get_by_label(f"compare candidate {index}", exact=True).check()
    followed(page.get_by_role("button", name="Compare those"))
    taken = [
        site.service.client.get(f"/v1/searches/{site.search}/candidates/{index}")
        for index in (0, 3)
    ]
    decisions = taken[0]["architecture"]
    differ = {k for k, v in decisions.items() if taken[1]["architecture"][k] != v}
    rows = set(page.locator("#compared tbody th").all_inner_texts())
    assert rows & set(decisions) == differ
    followed(page.get_by_role("link", name="Everything"))
    rows = set(page.locator("#compared tbody th").all_inner_texts())
    assert rows >= set(decisions) | {"latency_ms", "Verdict"}


def test_a_search_that_went_on_is_compared_with_its_first(browser: Browser, site: Site) -> None:
    told = site.service.client.get(f"/v1/searches/{site.search}/differences/{site.extended}")
    fronts = [site.service.client.front(one)["front"] for one in (site.search, site.extended)]
    keys = [{(str(one["architecture"]), one["precision"]) for one in front} for front in fronts]
    assert len(told["entered"]) == len(keys[1] - keys[0])
    assert len(told["left"]) == len(keys[0] - keys[1])
    assert told["stayed"] == len(keys[0] & keys[1])
    page = browser.new_page()
    page.goto(f"{site.service.url}/searches/{site.extended}")
    followed(page.get_by_role("link", name="What entered and what left"))
    expect(page.locator("#facts")).to_contain_text(f"Stayed\n{told['stayed']}", use_inner_text=True)
    rows = page.locator("#entered tbody tr td:nth-child(4)").count()
    assert rows == len(told["entered"])


def test_the_front_grows_over_queries(browser: Browser, site: Site) -> None:
    told = site.service.client.get(f"/v1/searches/{site.extended}/history")
    queries = [one["n_evaluations"] for one in told]
    assert queries == sorted(queries)
    assert queries[-1] == 4
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{site.service.url}/searches/{site.extended}")
    drawn = page.locator("#history polyline").get_attribute("points") or ""
    assert len(drawn.split()) == len([one for one in told if one["hypervolume"] is not None])


def test_what_matters_is_told_with_its_values(browser: Browser, site: Site) -> None:
    told = site.service.client.get(f"/v1/searches/{site.search}/importance?of=latency_ms")
    shares = [one["share"] for one in told["decisions"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.0 < shares[0] <= 1.0
    for one in told["decisions"]:
        assert sum(each["n"] for each in one["values"]) == told["n_candidates"]
    page = browser.new_page()
    page.goto(f"{site.service.url}/searches/{site.search}")
    assert page.locator("#importance tbody tr").count() == 8


def test_an_axis_narrows_the_lines(browser: Browser, site: Site) -> None:
    """By dragging as by numbers, with scripts as without, and the address has the view."""
    address = f"{site.service.url}/searches/{site.search}/axes"
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.goto(address)
    every = page.locator("#axes polyline")
    n_all = every.count()
    items = site.service.client.get(f"/v1/searches/{site.search}/candidates?limit=1000")["items"]
    assert n_all == len(items)
    latencies = sorted(one["estimates"]["latency_ms"]["value"] for one in items)
    gaps = {n: latencies[n] - latencies[n - 1] for n in range(n_all // 3, 2 * n_all // 3)}
    half = max(gaps, key=lambda n: gaps[n])  # where lines stand apart, so that no pixel decides
    middle = round((latencies[half - 1] + latencies[half]) / 2, 6)
    page.locator("input[name='least.latency_ms']").fill(str(middle))
    expect(page.locator("#axes polyline:not(.off)")).to_have_count(n_all - half)
    assert f"least.latency_ms={middle}" in page.url
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(page.url)
    assert plain.locator("#axes polyline:not(.off)").count() == n_all - half
    assert plain.locator("#left a").count() == n_all - half
    page.locator("input[name='least.latency_ms']").fill("")
    grip = page.locator("g[data-axis='latency_ms'] .grip").bounding_box()
    assert grip is not None
    x = grip["x"] + grip["width"] / 2
    page.mouse.move(x, grip["y"] + 1)
    page.mouse.down()
    page.mouse.move(x, grip["y"] + grip["height"] / 2, steps=4)
    page.mouse.up()
    least = float(page.locator("input[name='least.latency_ms']").input_value())
    kept = sum(one >= least for one in latencies)
    expect(page.locator("#axes polyline:not(.off)")).to_have_count(kept)
    assert 0 < kept < n_all
    page.locator("input[name='least.latency_ms']").fill("")
    resolutions = [one["architecture"]["resolution"] for one in items]
    page.goto(address)
    name = "resolution"
    if page.locator(f"select[name='least.{name}']").count():  # among those that matter most
        page.locator(f"select[name='least.{name}']").select_option(label=str(max(resolutions)))
        expect(page.locator("#axes polyline:not(.off)")).to_have_count(
            resolutions.count(max(resolutions))
        )
    found = Axe().run(page).response["violations"]
    assert not [one["id"] for one in found if one["impact"] in SERIOUS]
    assert complaints == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/compare?c=sea_none:1&c=sea_none:2", "no search"),
        ("/compare?c=x", "not SEARCH:INDEX"),
        ("/compare?front=a", "two searches are compared"),
        ("/compare", "Choose two candidates"),
    ],
)
def test_what_cannot_be_compared_is_said(browser: Browser, site: Site, path: str, why: str) -> None:
    page = browser.new_page()
    page.goto(site.service.url + path)
    expect(page.locator("#message")).to_contain_text(why)
