"""A data folder of an earlier version, and its agent, under the service at hand."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.service import Service

FOLDER = Path(__file__).parents[1] / "fixtures" / "folder.tar.xz"


def _has(now: Any, then: Any) -> bool:
    """Whether all that was said then is said now, at every depth; there may be more beside it."""
    if isinstance(then, dict):
        return all(name in now and _has(now[name], one) for name, one in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(map(_has, now, then))
    return bool(now == then)


@pytest.mark.slow
def test_an_earlier_versions_folder_and_agent_go_on(tmp_path: Path) -> None:
    var = tmp_path / "var"
    with tarfile.open(FOLDER) as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            path = var / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
    expected = json.loads((var / "expected.json").read_text())
    service = Service(var)
    service.start()
    nas = service.client
    try:
        search = expected["search"]
        assert nas.search(search)["state"] == "succeeded"
        assert nas.front(search) == expected["front"]
        for now, then in zip(nas.winners(search), expected["winners"], strict=True):
            assert _has(now, then)
        assert all(one["stages"] for one in nas.lineage(search))
        page = nas.fetch(f"/searches/{search}").decode()
        assert search in page
        files = {one["name"]: one for one in nas.every("/v1/artifacts", owner=search)}
        assert {"report.json", "fp32.onnx", "int8.onnx"} <= set(files)
        for one in files.values():
            nas.download(one["id"], tmp_path / one["name"])
            content = (tmp_path / one["name"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == one["sha256"]
        agent = [sys.executable, str(var / "agent.pyz"), "--server", service.url, "--once"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(
            [*agent, "--token", expected["token"], "--folder", str(tmp_path / "agent")],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        board = nas.get("/v1/devices/board")
        assert board["agent"]["seen_at"] is not None
    finally:
        service.stop()
