"""The page of a search in a real browser: predicted points, then measured ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy.orm import Session

from nas_service.search.candidate_set import CandidateSet
from nas_service.search.spec import SearchSpec
from nas_service.space.base import ImageShape
from nas_service.space.genotypes import Genotype
from nas_service.space.mbconv import MbconvSpace
from nas_service.storage import artifacts, datasets, devices, front_revisions, jobs, searches
from nas_service.storage.blobs import FileBlobs
from nas_service.storage.session import Database
from tests.browser import chromium
from tests.service import Service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "var"


@pytest.fixture(scope="module")
def service(var: Path) -> Iterator[Service]:
    """For all of this file: each test has a search of its own."""
    made = Service(var)
    made.start()
    made.client.add_device("here", this_machine=True)
    database = Database(_url(var))
    with database.session() as session:
        toy = datasets.add_dataset(session, "toy", {"builtin": "digits"})
        facts = {"size": 8, "channels": 1, "classes": list("0123456789"), "n_test": 100}
        datasets.set_imported(session, toy.id, digest="d" * 64, sha256="a" * 64, facts=facts)
    database.close()
    yield made
    made.stop()


def _url(var: Path) -> str:
    return f"sqlite:///{var / 'nas.sqlite'}"


def _search(url: str) -> str:
    database = Database(url)
    with database.session() as session:
        device = devices.get_device(session, "here")
        dataset = datasets.get_dataset(session, "toy")
        spec = SearchSpec(dataset="toy", space="mbconv", device="here")
        made = searches.add_search(
            session, spec, device_id=device.id, dataset_id=dataset.id, data_digest=None
        )
        check = {"unsupported_operators": ["Sigmoid"], "dropped_share": 0.94}
        searches.add_facts(
            session, made.id, limit_ms=1.0, limit_source="request", operator_check=check
        )
        params = {"search_id": made.id}
        jobs.add_job(session, made.id, "search", subject=made.id, params=params)
        jobs.start(session, made.id)
        jobs.progress(session, made.id, fraction=0.5, message="20 of 40 queries", eta_s=61.0)
    database.close()
    return made.id


def _point(**values: Any) -> dict[str, Any]:
    return {
        "precision": "fp32",
        "predicted_accuracy": 0.9,
        "predicted_latency_ms": 0.5,
        **values,
    }


FRONT: dict[str, Any] = {
    "limit_ms": 1.0,
    "n_evaluations": 8,
    "predictor": {
        "name": "ensemble",
        "n": 72,
        "folds": 5,
        "kendall": 0.6912,
        "mean_error": 0.0123,
        "coverage": {"0.8": 0.81, "0.9": None},
    },
    "hypervolume": 0.5,
    "front": [
        _point(index=0),
        _point(index=1, predicted_accuracy=0.8, predicted_latency_ms=0.3),
    ],
    "measured": [],
}


def _add_front(session: Session, search: str, var: Path) -> None:
    """The front with all three candidates beside it, of which one is dominated."""
    latency = np.array([0.5, 0.3, 0.5])
    stored = CandidateSet(
        architectures=np.zeros((3, len(MbconvSpace(ImageShape(8, 1, 10)).decisions)), dtype=int),
        deployments=np.zeros(3, dtype=int),
        values={"score": np.array([0.9, 0.8, 0.5]), "latency_ms": latency},
        uppers={"latency_ms": latency},
        score_std=np.zeros(3),
        keeps_limits=np.ones(3, dtype=bool),
        on_front=np.array([True, True, False]),
    )
    revision = front_revisions.add_front(session, search, FRONT)
    sha256 = FileBlobs(var / "blobs").put_bytes(stored.dump())
    front_revisions.set_candidates(session, search, revision, sha256, 3)


def test_the_page_follows_a_search(browser: Browser, service: Service, var: Path) -> None:
    url = _url(var)
    search = _search(url)
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.goto(f"{service.url}/searches/{search}")
    expect(page.locator("#stage")).to_contain_text("20 of 40 queries", timeout=20_000)
    assert "about 1 min 1 s left" in page.inner_text("#stage")
    assert page.inner_text("#percent") == "50 %"
    assert "1.00 ms (request)" in page.inner_text("#facts")
    assert "94 % of the space needs Sigmoid: dropped" in page.inner_text("#facts")

    database = Database(url)
    with database.session() as session:
        _add_front(session, search, var)
    page.wait_for_selector("#front .points path")
    assert page.locator("#front .points path").count() == 3

    measured = _point(
        rank=0,
        winner=f"{search}-w0",
        measured_accuracy=0.88,
        measured_accuracy_standard_error=0.01,
        measured_latency_ms=0.52,
        published=True,
        reason="",
    )
    with database.session() as session:
        front_revisions.add_front(session, search, {**FRONT, "measured": [measured]})
    database.close()
    card = page.locator("#predictor-card")
    expect(card).to_contain_text("ensemble on 72 networks")
    expect(card).to_contain_text("Kendall's tau 0.69, mean error 1.2 points")
    expect(card).to_contain_text("80 % intervals held 81 %, 90 % intervals held unknown")
    expect(page.locator("#front-note")).to_contain_text("1 measured", timeout=20_000)
    expect(page.locator("#front .points path")).to_have_count(4)
    fills = page.eval_on_selector_all(
        "#front .points path", "paths => paths.map(p => getComputedStyle(p).fill)"
    )
    assert sum(fill == "none" for fill in fills) == 3  # hollow: predicted; solid: measured
    # plotly adds rules for its tool bar by script; the policy blocks them, plotly.css has the rest
    assert [text for text in complaints if "inline style" not in text] == []


def test_the_page_shows_what_a_winner_went_through(
    browser: Browser, service: Service, var: Path, tmp_path: Path
) -> None:
    search = _search(_url(var))
    estimate = {
        "precision": "int8",
        "predicted_accuracy": 0.91,
        "predicted_latency_ms": 0.5,
        "measured_size_bytes": 1000,
    }
    database = Database(_url(var))
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    with database.session() as session:
        estimates = {name: {**estimate, "precision": name} for name in ("fp32", "int8")}
        winner = searches.add_winner(session, search, 0, Genotype((0, 0, 0), 0), estimates)
        made = artifacts.add_artifact(
            session,
            FileBlobs(var / "blobs"),
            weights,
            owner=winner.id,
            name="weights.pt",
            kind="torch_weights",
            lineage={},
        )
    database.close()
    page = browser.new_page()
    page.goto(f"{service.url}/searches/{search}")
    row = page.locator("#lineage tbody tr").nth(1)
    expect(row).to_contain_text("91.0 %, 0.500 ms", timeout=20_000)
    cells = row.locator("td").all_inner_texts()
    assert cells[:2] == ["0", "int8"]
    assert cells[3:] == ["weights.pt", "waiting", "waiting", "waiting", "waiting"]
    link = row.locator("a").first.get_attribute("href")
    assert link == f"/v1/artifacts/{made.id}/content"


def test_the_page_says_how_steady_the_device_was_and_which_winners_are_ties(
    browser: Browser, service: Service, var: Path
) -> None:
    search = _search(_url(var))
    command = "nas devices profile here --space mbconv --image-size 8 --profile-budget-s 120"
    card = {
        "precision": "fp32",
        "table": "t1",
        "verdict": "rough",
        "text": "the device was in its reference state 3% of the time",
        "mend": command,
    }
    row = {
        **_point(rank=0, winner=f"{search}-w0"),
        "measured_accuracy": 0.88,
        "measured_accuracy_standard_error": 0.01,
        "measured_latency_ms": 0.52,
        "measured_size_bytes": 1000,
        "verdict": "certified",
        "published": True,
        "reason": "",
        "tied_with": [2],
        "on_front": False,
        "outdone_by": {"rank": 2, "precision": "int8"},
        "latency": {"observed_p50_ms": 0.53, "observed_p90_ms": 0.91, "state_share": 0.42},
        "classification": {
            "accuracy": 0.88,
            "balanced_accuracy": 0.75,
            "macro_f1": 0.7,
            "recall": {"common": 0.95, "rare": 0.55},
            "confusion": [[76, 4], [9, 11]],
        },
    }
    database = Database(_url(var))
    with database.session() as session:
        told_apart = {"text": "710 test images tell accuracies apart that differ by 1.2 points"}
        searches.add_facts(session, search, steadiness=[card], test_part=told_apart)
        winner = searches.add_winner(session, search, 0, Genotype((0, 0, 0), 0), {"fp32": {}})
        searches.update_winner(session, winner.id, results=[row], state="measured")
    database.close()
    page = browser.new_page()
    page.goto(f"{service.url}/searches/{search}")
    facts = page.locator("#facts")
    steadiness = page.locator("#steadiness")
    expect(steadiness.locator("summary")).to_contain_text("Table fp32: rough", timeout=20_000)
    expect(steadiness).to_contain_text(f"Mend it with: {command}")
    expect(facts).to_contain_text("p50 in the device's reference state")
    expect(facts).to_contain_text("710 test images tell accuracies apart")
    # asked until they are there: a poll replaces the whole table
    cells = page.locator("#winners tbody tr").first.locator("td")
    expect(cells.nth(4)).to_have_text("winner 2")
    expect(cells.nth(7)).to_have_text("0.530 / 0.910 (42 %)")
    expect(cells.nth(11)).to_have_text("outdone by winner 2 int8")
    told = page.locator("#classes tbody tr").first.locator("td")
    expect(told.nth(2)).to_have_text("88.0 %")
    expect(told.nth(3)).to_have_text("75.0 %")
    expect(told.nth(5)).to_have_text("rare 55 %, common 95 %")
    page.locator("#confusions summary").click()
    expect(page.locator("#confusions tbody tr").nth(1)).to_have_text("rare911")
    heads = page.locator("#winners thead")
    expect(heads).to_contain_text("tied with")
    expect(heads).to_contain_text("observed p50 / p90")


def test_the_list_leads_to_the_search(browser: Browser, service: Service, var: Path) -> None:
    search = _search(_url(var))
    page = browser.new_page()
    page.goto(service.url)
    page.click(f"text={search}")
    page.wait_for_url(f"**/searches/{search}")


def test_a_search_that_is_not_there_says_so(browser: Browser, service: Service) -> None:
    page = browser.new_page()
    page.goto(f"{service.url}/searches/sea_none")
    page.wait_for_selector("#message:not([hidden])")
    assert "no search 'sea_none'" in page.inner_text("#message")
