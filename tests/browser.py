"""A real browser, for what users see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, sync_playwright

from tests.tools import lacks

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a screen; the test is skipped, with the reason, where it is not here."""
    if not CHROMIUM.exists():
        lacks("Chromium is not installed (Debian: chromium)")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield started
        started.close()


def followed(where: Locator) -> None:
    """Click what leads to another page, and wait until that page stands whole.

    A click alone returns when the next page has begun: what is read off it at once (a
    list of texts, a count) may then be empty, as nothing waits for rows that may rightly be none.
    """
    with where.page.expect_navigation():
        where.click()
