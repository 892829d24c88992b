"""Every page of a service in which a search has run: light, dark, without scripts."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import chromium, followed
from tests.prepared import copied
from tests.service import Service

PAGES = (
    "/",
    "/searches",
    "/searches/{search}",
    "/searches/{search}/candidates/0",
    "/devices",
    "/devices/here",
    "/datasets",
    "/datasets/toy",
    "/models",
    "/predictors",
    "/jobs",
    "/jobs/{search}",
    "/health",
    "/login",
    "/settings",
    "/schedules",
    "/searches/{search}/axes",
    "/compare?c={search}:0&c={search}:3",
)
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@dataclass(frozen=True)
class Site:
    """A service with one search, and where its pages are."""

    service: Service
    search: str

    def at(self, path: str) -> str:
        return self.service.url + path.replace("{search}", self.search)


@pytest.fixture(scope="module")
def site(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    service = Service(copied(prepared, tmp_path_factory.mktemp("pages") / "var"))
    service.start()
    yield Site(service, service.client.get("/v1/searches")["items"][0]["id"])
    service.stop()


def _opened(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    answer = page.goto(url)
    assert answer is not None
    assert answer.status == 200
    page.wait_for_load_state("networkidle")
    return page, complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_breaks_no_rule_of_its_policy_or_of_access(
    browser: Browser, site: Site, path: str, scheme: str
) -> None:
    """No script error, no violation of the content policy, no serious finding of axe."""
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page, complaints = _opened(context, site.at(path))
    assert page.locator("h1").count() == 1
    assert page.title().endswith("NAS service")
    found = Axe().run(page).response["violations"]
    context.close()
    assert complaints == []
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in SERIOUS]
    assert serious == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_says_the_same_without_scripts(browser: Browser, site: Site, path: str) -> None:
    plain = browser.new_context(java_script_enabled=False)
    scripted = browser.new_context()
    words = []
    for context in (plain, scripted):
        page, _ = _opened(context, site.at(path))
        cells = page.locator("main table td:not(:has(time)), main dd").all_inner_texts()
        words.append([one.strip() for one in cells if "ago" not in one])
        context.close()
    assert words[0] == words[1]
    assert words[0] or path in {"/login", "/searches/{search}/axes"}  # no table there


def test_the_plot_and_the_table_show_the_same_candidate(browser: Browser, site: Site) -> None:
    page, complaints = _opened(browser.new_context(), site.at("/searches/{search}"))
    page.wait_for_selector("#front .points path")
    row = page.locator("#candidates tbody tr[data-index]").nth(3)
    index = row.get_attribute("data-index")
    row.locator("td").nth(1).click()
    expect(page.locator("#chosen")).to_have_text(f"Chosen: candidate {index}")
    expect(row).to_have_class("chosen")
    expect(page.locator("#front .annotation-text").last).to_have_text(f"candidate {index}")
    page.locator("#chosen a").click()
    expect(page).to_have_url(site.at(f"/searches/{{search}}/candidates/{index}"))
    assert complaints == []


def test_a_limit_leaves_what_keeps_it_and_is_in_the_address(browser: Browser, site: Site) -> None:
    page, _ = _opened(browser.new_context(), site.at("/searches/{search}"))
    rows = site.service.client.get(f"/v1/searches/{site.search}/candidates")["items"]
    latencies = sorted(one["estimates"]["latency_ms"]["value"] for one in rows)
    middle = round((latencies[9] + latencies[10]) / 2, 6)
    page.locator("input[name='max.latency_ms']").fill(str(middle))
    page.locator("input[name='max.latency_ms']").press("Enter")
    expect(page.locator("#candidates-section .soft")).to_contain_text(f"10 of {len(rows)}")
    assert f"max.latency_ms={middle}" in page.url
    again, _ = _opened(browser.new_context(java_script_enabled=False), page.url)
    expect(again.locator("#candidates-section .soft")).to_contain_text(f"10 of {len(rows)}")
    assert again.locator("#candidates tbody tr").count() == 10


def test_the_table_is_sorted_by_its_heads_without_scripts(browser: Browser, site: Site) -> None:
    page, _ = _opened(browser.new_context(java_script_enabled=False), site.at("/searches/{search}"))
    followed(page.locator("#candidates th a", has_text="size_bytes"))
    followed(page.locator("#candidates th a", has_text="size_bytes"))
    head = page.locator("#candidates th", has_text="size_bytes")
    expect(head).to_have_attribute("aria-sort", "ascending")
    column = [one.strip() for one in page.locator("#candidates thead th").all_inner_texts()]
    cells = page.locator(f"#candidates tbody td:nth-child({column.index('size_bytes') + 1})")
    sizes = [float(one.replace(",", "")) for one in cells.all_inner_texts()]
    assert sizes == sorted(sizes)


def test_axes_and_colour_are_any_quantities(browser: Browser, site: Site) -> None:
    page, complaints = _opened(browser.new_context(), site.at("/searches/{search}"))
    page.wait_for_selector("#front .points path")
    page.locator("select[name=x]").select_option("size_bytes")
    page.locator("select[name=y]").select_option("macs")
    page.locator("select[name=colour]").select_option("latency_ms")
    page.locator("select[name=scale]").select_option("log")
    expect(page.locator("#front .xtitle")).to_have_text("size bytes")
    expect(page.locator("#front .ytitle")).to_have_text("macs")
    expect(page.locator("#scale")).to_contain_text("latency ms")
    for part in ("x=size_bytes", "y=macs", "colour=latency_ms", "scale=log"):
        assert part in page.url
    assert complaints == []


def test_all_candidates_are_a_file_for_spreadsheets(browser: Browser, site: Site) -> None:
    page, _ = _opened(browser.new_context(), site.at("/searches/{search}"))
    with page.expect_download() as started:
        page.get_by_role("link", name="As CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(started.value.path()).read_text())))
    listed = site.service.client.get(f"/v1/searches/{site.search}/candidates")
    assert len(rows) == listed["n_candidates"]
    by_index = {int(row["index"]): row for row in rows}
    for one in listed["items"]:
        row = by_index[one["index"]]
        latency = one["estimates"]["latency_ms"]
        assert float(row["latency_ms"]) == pytest.approx(latency["value"])
        assert float(row["latency_ms_upper"]) == pytest.approx(latency["upper"])
        assert row["precision"] == one["precision"]


def test_a_candidate_says_what_each_block_takes(browser: Browser, site: Site) -> None:
    shown, precision = _published(site)
    page, _ = _opened(browser.new_context(), site.at(f"/searches/{{search}}/candidates/{shown}"))
    told = site.service.client.get(f"/v1/searches/{site.search}/candidates/{shown}/blocks")
    n = len(told["blocks"])
    assert page.locator("#diagram g").count() == n
    assert page.locator("#blocks tbody tr").count() == n + 1
    for costs in told["costs"]:
        assert sum(costs["latency_ms"]) == pytest.approx(costs["sum_ms"], rel=1e-3)
        assert sum(costs["share"]) == pytest.approx(1.0, abs=1e-3)
    assert page.locator("#variants tbody tr").count() == 2  # fp32 and int8
    row = page.locator("#variants tbody tr", has=page.get_by_text(precision, exact=True))
    expect(row).to_contain_text("published")


def _published(site: Site) -> tuple[int, str]:
    """A candidate whose file is published, and its precision: which ones differs by machine."""
    winners = site.service.client.winners(site.search)
    rank, precision = next(
        (row["rank"], row["precision"])
        for winner in winners
        for row in winner["results"]
        if row["published"]
    )
    taken = site.service.client.get(f"/v1/searches/{site.search}/candidates?limit=1000")["items"]
    return next(one["index"] for one in taken if one["winner"] == rank), precision


def test_a_search_is_cancelled_and_run_again_from_its_page(browser: Browser, site: Site) -> None:
    page, complaints = _opened(browser.new_context(), site.at("/searches/{search}"))
    page.get_by_role("button", name="Run it again").click()
    page.wait_for_url(lambda url: url != site.at("/searches/{search}"))
    again = page.url.rpartition("/")[2]
    spec = site.service.client.search(site.search)["spec"]
    assert site.service.client.search(again)["spec"] == spec
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#state")).to_have_text("cancelled", timeout=30_000)
    assert complaints == []


def test_the_command_line_names_the_page_of_whatever_it_is_given(site: Site) -> None:
    for name, path in ((site.search, "/searches/{search}"), ("here", "/devices/here"), ("", "/")):
        command = [sys.executable, "-m", "nas_service.cli", "open", *([name] if name else [])]
        done = subprocess.run(
            [*command, "--print", "--server", site.service.url],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == site.at(path)


def test_a_data_set_shows_some_of_its_samples(browser: Browser, site: Site) -> None:
    """Toy images are bright on the left in class 0, on the right in class 1: rows of the sheet."""
    page, complaints = _opened(browser.new_context(), site.at("/datasets/toy"))
    picture = page.locator("#samples")
    assert picture.evaluate("one => one.naturalWidth") > 0
    assert "a row a class: 0, 1" in (picture.get_attribute("alt") or "")
    content = site.service.client.fetch("/v1/datasets/toy/preview")
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("L"), dtype=float)
    for row, brighter in ((0, slice(0, 24)), (1, slice(32, 56))):
        tile = pixels[row * 60 : row * 60 + 56, 0:56]
        assert tile[:, brighter].mean() > tile.mean() + 20
    assert complaints == []


def test_a_search_is_scheduled_on_a_page(browser: Browser, site: Site) -> None:
    page, complaints = _opened(browser.new_context(), site.at("/schedules"))
    page.get_by_label("Search").fill(site.search)
    page.get_by_label("Minute, hour").fill("30 4 1 1 *")
    page.get_by_role("button", name="Run it again then").click()
    expect(page.locator("#schedules tbody")).to_contain_text("30 4 1 1 *")
    (made,) = site.service.client.get("/v1/schedules")["items"]
    assert (made["search_id"], made["cron"]) == (site.search, "30 4 1 1 *")
    page.get_by_role("button", name="End the schedule").click()
    expect(page.locator("#schedules tbody")).to_contain_text("No search runs by the clock")
    page.get_by_label("Address").fill("http://127.0.0.1:9/hook")
    page.get_by_role("button", name="Tell it").click()
    expect(page.locator("#message")).to_contain_text("url")
    page.goto(site.at("/schedules"))
    page.get_by_label("Address").fill("https://hooks.example/x")
    followed(page.get_by_role("button", name="Tell it"))
    assert page.locator("#secret").inner_text().startswith("whsec_")
    page.get_by_role("button", name="Forget").click()
    expect(page.locator("#webhooks tbody")).to_contain_text("Nobody is told")
    assert complaints == [
        "Failed to load resource: the server responded with a status of 422 (Unprocessable Entity)"
    ]


def test_what_is_not_there_is_said_on_a_page(browser: Browser, site: Site) -> None:
    page = browser.new_page()
    for path, named in (
        ("/searches/sea_none", "no search 'sea_none'"),
        ("/searches/{search}/candidates/99999", "not 99999"),
        ("/devices/none", "no device 'none'"),
        ("/datasets/none", "no data set 'none'"),
        ("/jobs/none", "no job 'none'"),
        ("/models/cmp_none", "cmp_none"),
    ):
        answer = page.goto(site.at(path))
        assert answer is not None
        assert answer.status == 404
        expect(page.locator("#message")).to_contain_text(named)


def test_a_page_is_used_by_the_keyboard_alone(browser: Browser, site: Site) -> None:
    page, _ = _opened(browser.new_context(), site.at("/"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    for _ in range(60):
        if page.evaluate("document.activeElement.textContent") == site.search:
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(site.at("/searches/{search}"))
