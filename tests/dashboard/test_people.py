"""A person in a browser: in by the provider, through the settings, into another project, out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.api.provider import CLIENT_ID, provider
from tests.browser import chromium, followed
from tests.service import Service


def test_a_person_logs_in_with_the_provider(tmp_path: Path) -> None:
    var = tmp_path / "var"
    place = {"NAS_VAR_DIR": str(var), "NAS_REQUIRE_TOKEN": "true"}
    command = [sys.executable, "-m", "nas_service.cli", "tokens", "add", "--local", "--operator"]
    made = subprocess.run(
        [*command, "--json", "me"],
        env={**os.environ, **place},
        capture_output=True,
        text=True,
        check=True,
    )
    secret = json.loads(made.stdout)["secret"]
    with provider() as idp, chromium() as browser:
        idp.groups = ["ops"]
        service = Service(
            var,
            token=secret,
            NAS_REQUIRE_TOKEN="true",  # noqa: S106  # a switch
            NAS_OIDC_ISSUER=idp.url,
            NAS_OIDC_CLIENT_ID=CLIENT_ID,
            NAS_OIDC_GROUPS="ops=admin@default,ops=viewer@other",
        )
        service.start()
        try:
            service.client.post("/v1/projects", {"name": "other"})
            service.client.add_device("mine", this_machine=True)
            page = browser.new_page()
            complaints: list[str] = []
            page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
            page.goto(f"{service.url}/devices?x=1")
            page.get_by_role("link", name="Log in with your organisation").click()
            expect(page).to_have_url(f"{service.url}/devices?x=1")
            expect(page.locator("tbody")).to_contain_text("mine")
            page.get_by_role("link", name="Settings").click()
            expect(page.locator("#me")).to_contain_text("Ada")
            expect(page.locator("#members")).to_contain_text("Ada")
            page.get_by_label("For").fill("ci <b>")
            page.get_by_label("May").select_option("read")
            followed(page.get_by_role("button", name="Make a token"))
            shown = page.locator("#secret").inner_text()
            assert shown.startswith("nas_")
            followed(page.get_by_role("link", name="Settings"))
            expect(page.locator("#secret")).to_have_count(0)
            assert shown not in page.content()
            page.get_by_role("button", name="Revoke ci <b>").click()
            expect(page.locator("#tokens")).to_contain_text("revoked")
            expect(page.locator("#audit")).to_contain_text("settings_page_revoke_token")
            found = Axe().run(page).response["violations"]
            assert not [one["id"] for one in found if one["impact"] in {"serious", "critical"}]
            page.get_by_label("Go on in").select_option("other")
            page.get_by_role("button", name="Change", exact=True).click()
            expect(page).to_have_url(f"{service.url}/")
            page.goto(f"{service.url}/devices")
            expect(page.locator("main")).not_to_contain_text("mine")
            page.goto(f"{service.url}/settings")
            expect(page.locator("#tokens")).to_have_count(0)
            page.get_by_role("button", name="Log out").click()
            expect(page).to_have_url(f"{service.url}/login")
            assert complaints == []
        finally:
            service.stop()
