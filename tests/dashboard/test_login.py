"""A service that asks for tokens, as its first user meets it: a shell, then a browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from nas_service.client import ApiError, Client
from tests.browser import chromium
from tests.service import Service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def _nas(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nas_service.cli", *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_service_for_others_starts_when_it_has_a_token_and_not_before(
    browser: Browser, tmp_path: Path
) -> None:
    var = tmp_path / "var"
    place = {"NAS_VAR_DIR": str(var), "NAS_REQUIRE_TOKEN": "true", "NAS_PORT": "0"}
    refused = _nas("serve", **place)
    assert refused.returncode != 0
    assert "nas tokens add --local --operator" in refused.stderr

    made = _nas("tokens", "add", "--local", "--operator", "--json", "me", **place)
    assert made.returncode == 0, made.stderr
    secret = json.loads(made.stdout)["secret"]
    service = Service(var, NAS_REQUIRE_TOKEN="true")  # noqa: S106  # a switch
    service.start()
    try:
        with Client(service.url) as stranger, pytest.raises(ApiError, match="who are you"):
            stranger.get("/v1/searches")
        told = _nas("whoami", "--server", service.url, NAS_TOKEN=secret)
        assert told.stdout.startswith("me in project default: may admin, read, write")
        with Client(service.url, token=secret) as own:
            assert own.add_device("mine", this_machine=True)["name"] == "mine"
        _log_in_and_out(browser, service.url, secret)
        audit = json.loads(
            _nas("audit", "--json", "--server", service.url, NAS_TOKEN=secret).stdout
        )
        assert [(one["actor_name"], one["action"]) for one in audit] == [("me", "devices_register")]
    finally:
        service.stop()


def _log_in_and_out(browser: Browser, url: str, secret: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/datasets?view=1")
    expect(page).to_have_url(f"{url}/login?next=%2Fdatasets%3Fview%3D1")
    page.get_by_label("Token").fill("nas_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("no device has this token")
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{url}/datasets?view=1")
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"]) == ("__Host-nas", True, True)
    assert cookie["sameSite"] == "Strict"
    assert secret not in cookie["value"]
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{url}/login")
    assert context.cookies() == []
    page.goto(f"{url}/datasets")
    expect(page).to_have_url(f"{url}/login?next=%2Fdatasets")
    context.close()
