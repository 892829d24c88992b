"""What people and programs wait for: polls, a page of 50,000 candidates, the look-up of a token.

    nas bench surface

Polls come from eight clients at once while a search stores progress, beside an application that
does nothing under the same server. The page is opened in Chromium, where that is installed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np

from benchmarks.large_search import LargeSearch, large_search
from benchmarks.polling import N_CLIENTS, polls
from benchmarks.rows import Row, parser, report
from benchmarks.serving import api_service, free_port
from nas_service.access.identity import Permission
from nas_service.cli.databases import prepare
from nas_service.client import Client
from nas_service.settings import Settings
from nas_service.storage import jobs, tokens
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
N_TOKENS = 10_000


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("surface", __doc__ or "")
    options.add_argument("--candidates", type=int, default=50_000)
    options.add_argument("--seconds", type=float, default=5.0, help="of each kind of poll")
    given = options.parse_args(arguments)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var_dir=Path(folder) / "var")
        prepare(settings)
        with api_service(settings) as url, Client(url) as nas:
            nas.add_device("here", this_machine=True)
            began = time.monotonic()
            search = large_search(settings.var_dir, given.candidates, given.seed)
            print(f"{given.candidates} candidates were made in {time.monotonic() - began:.0f} s")
            rows += _polled(url, search, given.seconds)
            rows += _first_poll(url, search)
            rows += _in_a_browser(url, search)
            search.database.close()
        rows += _tokens(settings)
    report(rows, given.out)
    return 0


def _row(case: str, method: str, metric: str, n: int, value: float) -> Row:
    return Row("surface", case, method, metric, n, value)


def _polled(url: str, search: LargeSearch, seconds: float) -> list[Row]:
    port, bare_port = int(url.rpartition(":")[2]), free_port()
    path = f"/v1/searches/{search.search_id}/front"
    tag = httpx.get(url + path, trust_env=False).headers["ETag"]
    rows = []
    with _bare(bare_port), _running(search):
        for case, at, where, headers in (
            ("bare application", bare_port, "/", {}),
            ("front, unchanged", port, path, {"If-None-Match": tag}),
            ("front, changed", port, path, {}),
            ("bare application, again", bare_port, "/", {}),
        ):
            found = polls(at, where, headers, seconds)
            rows.append(_row(case, "polls", "a second", N_CLIENTS, found.per_second))
            rows.append(_row(case, "polls", "p99, ms", N_CLIENTS, found.p99_ms))
    return rows


def _first_poll(url: str, search: LargeSearch) -> list[Row]:
    """What a page or a program reads first: the front and the cloud beside it."""
    n = len(search.candidates)
    base = f"{url}/v1/searches/{search.search_id}"
    with httpx.Client(trust_env=False) as client:
        began = time.perf_counter()
        sizes = [len(client.get(f"{base}/{one}").content) for one in ("front", "cloud")]
        took = time.perf_counter() - began
    return [
        _row("first poll", "front and cloud", "kB", n, sum(sizes) / 1000),
        _row("first poll", "front and cloud", "s", n, took),
    ]


def _in_a_browser(url: str, search: LargeSearch) -> list[Row]:
    if not CHROMIUM.exists():
        print(f"no page was opened: there is no {CHROMIUM}")
        return []
    from playwright.sync_api import sync_playwright

    n = len(search.candidates)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        began = time.perf_counter()
        page.goto(f"{url}/searches/{search.search_id}")
        page.wait_for_selector("#front .points path")
        page.locator("#candidates tbody tr[data-index] td:nth-child(3)").first.click()
        page.wait_for_selector("#chosen a")
        interactive = time.perf_counter() - began
        shown = max(_shown_after(page, search, 0.9995 + 1e-5 * i) for i in range(5))
        browser.close()
    return [
        _row("page", "Chromium", "interactive after, s", n, interactive),
        _row("page", "Chromium", "a new front is shown after, s (slowest of 5)", n, shown),
    ]


def _shown_after(page: Page, search: LargeSearch, best: float) -> float:
    """Seconds from the commit of a front until the page has it."""
    revision = search.add_front(best=best)
    began = time.perf_counter()
    while not page.inner_text("#front-note").startswith(f"Revision {revision}:"):
        page.wait_for_timeout(20)
    page.wait_for_selector("#front .points path")
    return time.perf_counter() - began


def _tokens(settings: Settings) -> list[Row]:
    database = Database(settings.url)
    with database.session() as session:
        made = [
            tokens.add_token(session, f"t{i}", [Permission.READ], created_by="a benchmark")[1]
            for i in range(N_TOKENS)
        ]
    generator = np.random.default_rng(0)
    found = []
    service = database.of(SERVICE)
    for i in generator.integers(0, N_TOKENS, 3000).tolist():
        began = time.perf_counter()
        with service.session() as session:
            tokens.identity_of(session, made[i])
        found.append(1e3 * (time.perf_counter() - began))
    database.close()
    late = found[500:]  # the first ones note that they were used, once a minute
    return [
        _row("token", "look-up", "p50, ms", N_TOKENS, float(np.percentile(late, 50))),
        _row("token", "look-up", "p99, ms", N_TOKENS, float(np.percentile(late, 99))),
    ]


@contextlib.contextmanager
def _bare(port: int) -> Iterator[None]:
    code = f"from benchmarks.polling import serve_bare; serve_bare({port})"
    process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": "."}
    )
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _running(search: LargeSearch) -> Iterator[None]:
    """A search that stores its progress twice a second, as workers do."""
    ended = threading.Event()
    database = Database(search.settings.url)

    def work() -> None:
        step = 0
        while not ended.wait(0.5):
            step += 1
            with database.session() as session:
                jobs.progress(
                    session,
                    search.search_id,
                    fraction=min(0.99, step / 1000),
                    message=f"{step} of 1000 queries",
                    eta_s=60.0,
                )

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        database.close()
