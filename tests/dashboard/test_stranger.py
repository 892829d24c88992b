"""From an empty service to a front that was chosen from and a bundle: by its pages alone."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from nas_service.api.documents.searches import SpecOut
from nas_service.api.search_requests import SearchIn
from nas_service.dashboard.new_search_page import as_cli, as_python, request_of
from nas_service.dashboard.search_page import View, clone_href
from tests.browser import chromium
from tests.service import Service

MOST_CLICKS = 12
SMALL = {
    "n_queries": "2",
    "n_winners": "1",
    "training.epochs": "1",
    "n_initial": "8",
    "n_holdout": "2",
    "batch": "2",
    "measuring_budget": "0",
    "profile_budget_s": "6",
    "precisions": "fp32",
    "predictor": "ridge",
    "max_latency_ms": "50",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("stranger") / "var")
    made.start()
    yield made
    made.stop()


class Hand:
    """Somebody at a page; counts clicks."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def click(self, where: Locator) -> None:
        where.click()
        self.clicks += 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_stranger_gets_a_bundle_without_a_command_line(
    browser: Browser, service: Service, tmp_path: Path
) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    hand = Hand(page)
    page.goto(service.url)
    hand.click(page.get_by_role("link", name="Add this machine"))
    hand.click(page.get_by_role("button", name="Add this machine"))
    expect(page.locator("h1")).to_contain_text("this-machine")
    hand.click(page.get_by_role("link", name="Data sets"))
    hand.click(page.get_by_role("button", name="Import the digits"))
    expect(page.locator("#classes tbody tr")).to_have_count(10, timeout=120_000)
    hand.click(page.get_by_role("link", name="Searches"))
    hand.click(page.get_by_role("link", name="New search"))
    hand.click(page.locator("summary", has_text="More"))
    for name, value in SMALL.items():
        field = page.locator(f"[name='{name}']")
        if field.evaluate("node => node.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    expect(page.locator("#as-cli")).to_contain_text("--queries 2")
    hand.click(page.get_by_role("button", name="Start the search"))
    expect(page.locator("#state")).to_have_text("succeeded", timeout=500_000)
    expect(page.locator("#winners tbody")).to_contain_text("certified")
    page.wait_for_selector("#front .points path")
    hand.click(page.locator("#candidates tbody tr[data-index] td:nth-child(2)").first)
    expect(page.locator("#chosen")).to_contain_text("candidate")
    with page.expect_download() as started:
        hand.click(page.get_by_role("link", name="bundle.zip"))
    started.value.save_as(tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        report = json.loads(bundle.read("report.json"))
        assert "winner0/fp32.onnx" in bundle.namelist()
    assert report["winners"][0]["verdict"] == "certified"
    assert hand.clicks <= MOST_CLICKS
    assert complaints == []


def test_what_cannot_be_is_said_at_its_field(browser: Browser, service: Service) -> None:
    nas = service.client
    if not nas.get("/v1/devices")["items"]:  # where this test runs alone
        nas.add_device("this-machine", this_machine=True)
        nas.wait(nas.add_dataset("digits", builtin="digits")["job"]["id"], timeout_s=120)
    for scripts in (True, False):
        page = browser.new_context(java_script_enabled=scripts).new_page()
        page.goto(f"{service.url}/searches/new")
        page.locator("[name=max_latency_ms]").fill("-3")
        page.locator("[name=precisions]").fill("int3")
        page.get_by_role("button", name="Start the search").click()
        expect(page.locator("#e-max_latency_ms")).to_contain_text("greater than 0")
        expect(page.locator("[name=max_latency_ms]")).to_have_value("-3")
        page.locator("[name=max_latency_ms]").fill("3")
        page.get_by_role("button", name="Start the search").click()
        expect(page.locator("#message")).to_contain_text("int3")


def test_the_same_request_is_a_command_and_a_program() -> None:
    asked = request_of(
        {
            "dataset": "my data",
            "n_queries": "7",
            "precisions": "fp32, int8+qat",
            "limits": "size_bytes=5000",
            "training.epochs": "3",
            "n_holdout": "9",
            "metric": "",
        }
    )
    assert asked == {
        "dataset": "my data",
        "n_queries": "7",
        "precisions": ["fp32", "int8+qat"],
        "limits": {"size_bytes": "5000"},
        "training": {"epochs": "3"},
        "n_holdout": "9",
    }
    assert as_cli({**asked, "n_holdout": 9}).replace(" \\\n ", "") == (
        "nas search --dataset 'my data' --queries 7 --precision fp32 --precision int8+qat "
        "--limit size_bytes=5000 --epochs 3 --set n_holdout=9"
    )
    sent: list[Any] = []

    class Client:
        def __init__(self, url: str) -> None:
            sent.append(url)

        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing was opened."""

        def submit_search(self, **given: Any) -> None:
            sent.append(given)

    program = as_python(asked, "http://here:8000/").replace("from nas_service.client import", "#")
    exec(program, {"Client": Client})  # noqa: S102  # what the page shows is what is sent
    assert sent == ["http://here:8000", asked]


def test_a_search_that_is_changed_and_run_loses_nothing_on_the_way() -> None:
    """Zeros, limits of many digits and what the form has no field for are in the link."""
    asked = SearchIn.model_validate(
        {
            "dataset": "d",
            "space": "mbconv",
            "device": "x",
            "measuring_budget": 0,
            "seed": 0,
            "limits": {"size_bytes": 3360659.0},
            "also_devices": ["y"],
            "limit_probability": 0.9,
            "training": {"flip": True, "batch": 16, "learning_rate": 0.0123456789},
        }
    )
    link = clone_href(SpecOut.model_validate(asked.model_dump(mode="json")))
    values = dict(parse_qsl(link.partition("?")[2]))
    assert SearchIn.model_validate(request_of(values)) == asked
    command = as_cli({"training": {"flip": False, "epochs": 3}})
    assert "--flip" not in command
    shown = View.of({"max.size_bytes": "3360659"}).href()
    assert View.of(dict(parse_qsl(shown[1:]))).limits == {"size_bytes": 3360659.0}
