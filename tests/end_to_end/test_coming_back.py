"""`nas wait` and `nas fetch` across a restart of the service, as processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search


def test_waiting_goes_on_while_the_service_starts_again(prepared: Path, tmp_path: Path) -> None:
    service = Service(copied(prepared, tmp_path / "var"))
    service.start()
    try:
        search = service.client.submit_search(**toy_search(measuring_budget=0))["id"]
        nas = [sys.executable, "-m", "nas_service.cli"]
        url = service.url
        waiting = subprocess.Popen(
            [*nas, "wait", search, "--server", url], stderr=subprocess.PIPE, text=True
        )
        service.kill()
        service.start()
        assert service.url == url
        _, told = waiting.communicate(timeout=300)
        assert waiting.returncode == 0, told
        fetched = subprocess.run(
            [*nas, "fetch", search, "--server", url, "--out", str(tmp_path / "out")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert fetched.returncode == 0, fetched.stderr
        assert {one.name for one in (tmp_path / "out").iterdir()} == {"report.json", "bundle.zip"}
    finally:
        service.stop()
