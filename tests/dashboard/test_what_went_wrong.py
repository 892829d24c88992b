"""What cannot be, what failed and what is not there yet: each page says so, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from nas_service.dashboard.home import _failed
from nas_service.storage.jobs import Job
from nas_service.storage.session import now
from tests.browser import chromium
from tests.prepared import copied
from tests.service import Service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(copied(prepared, tmp_path_factory.mktemp("wrong") / "var"))
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("metric", "nonsense", "no metric 'nonsense'"),
        ("precisions", "fp64, int8", "fp64"),
        ("objectives", "latency", "latency"),
        ("follows", "zzz", "zzz"),
        ("limits", "banana", "limits"),
        ("rules", "[]x", "rules"),
        ("rules", '[{"never": {"nothing": 1}}]', "no decision 'nothing'"),
        ("space", "nasbench201", "nasbench201"),
    ],
)
def test_checking_says_what_starting_would(
    browser: Browser, service: Service, field: str, value: str, said: str
) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    before = len(list(service.client.every("/v1/searches")))
    page.goto(f"{service.url}/searches/new?dataset=toy&device=here&{field}={value}")
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.locator(f"#f-{field}")).to_be_visible()  # where it is folded away, too
    assert len(list(service.client.every("/v1/searches"))) == before


def test_checking_says_that_nothing_is_wrong(browser: Browser, service: Service) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{service.url}/searches/new")
    expect(page.locator("#checked")).to_have_count(0)
    page.get_by_role("button", name="Check without starting").click()
    expect(page.locator("#checked")).to_contain_text("it can be started")


def test_a_data_set_that_cannot_be_read_ends_on_a_page_that_says_why(
    browser: Browser, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "bad.npz").write_bytes(b"no archive at all")
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto(f"{service.url}/datasets")
    page.locator("[name=name]").fill("bad set")  # refused before anything is sent
    page.locator("[name=file]").set_input_files(tmp_path / "bad.npz")
    page.get_by_role("button", name="Import it").click()
    assert page.url.endswith("/datasets")
    page.locator("[name=name]").fill("bad-set")
    page.get_by_role("button", name="Import it").click()
    expect(page.get_by_role("alert")).to_contain_text("not a readable .npz", timeout=60_000)
    assert "/jobs/" in page.url
    assert "allow_pickle" not in page.content()
    assert errors == []


def test_an_address_that_is_nothing_is_a_page_for_browsers(
    browser: Browser, service: Service
) -> None:
    page = browser.new_page()
    answer = page.goto(f"{service.url}/nonsense")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")
    expect(page.get_by_role("link", name="Searches")).to_be_visible()
    told = page.request.get(f"{service.url}/v1/nonsense", headers={"Accept": "text/html"})
    assert told.json()["status"] == 404


def test_a_search_without_candidates_says_so_everywhere(browser: Browser, service: Service) -> None:
    search = service.client.post(
        f"/v1/searches/{service.client.get('/v1/searches')['items'][0]['id']}:clone",
        {"max_latency_ms": 1e-6},
    )["id"]
    service.wait_until(lambda: service.client.job(search)["state"] == "failed", 120)
    page = browser.new_page()
    page.goto(f"{service.url}/searches/{search}/axes")
    expect(page.locator("main")).to_contain_text("no candidates yet")
    page.goto(f"{service.url}/searches/{search}/candidates/0")
    expect(page.locator("main")).to_contain_text("is failed: no candidates")
    page.goto(f"{service.url}/searches/{search}")
    expect(page.locator("#facts")).to_contain_text("1.00e-06 ms, as asked for")
    expect(page.get_by_role("button", name="Go on with more")).to_have_count(0)


def _job(kind: str, subject: str, state: str, detail: str = "", days: float = 0.0) -> Job:
    at = now() - timedelta(days=days)
    return Job(
        id=f"{kind}-{subject}-{days}",
        kind=kind,
        subject=subject,
        parent=None,
        state=state,
        priority="normal",
        start_tag=1,
        fraction=0.0,
        message="",
        eta_s=None,
        problem={"detail": detail} if detail else None,
        params={},
        cancel_requested=False,
        created_at=at,
        started_at=at,
        finished_at=at,
    )


def test_failures_that_were_made_good_and_old_ones_need_nobody() -> None:
    found = _failed(
        [
            _job("drift", "dev", "succeeded"),
            _job("search", "c", "failed", "no room", 0.1),
            _job("search", "b", "failed", "no room", 0.2),
            _job("drift", "dev", "failed", "profile it first", 0.3),
            _job("search", "a", "failed", "long ago", 4.0),
        ]
    )
    assert [(one.subject, times) for one, times in found] == [("c", 2)]
