"""What goes wrong on the command line is one line that names it, and a non-zero exit."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nas_service import cli

NOWHERE = "http://127.0.0.1:9"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: object) -> None:
        """Quietly."""


@pytest.fixture
def page() -> Iterator[str]:
    """Something else that answers."""
    server = HTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def _fails(
    arguments: list[str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["nas", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert len(told.strip().splitlines()) == 1, told
    assert named in told


def test_no_service_or_another_one(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "file"
    get = ["artifacts", "get", "x", str(out), "--server"]
    _fails([*get, NOWHERE], "start one with: nas serve", monkeypatch, capsys)
    _fails(["searches", "--server", page], "is not this service", monkeypatch, capsys)
    _fails(["searches", "--server", "http://[::1"], "no address of", monkeypatch, capsys)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text("[")
    (tmp_path / "latin").write_bytes(b"{\xe9}")
    recipe = ["compress", "m.onnx", "--dataset", "d", "--server", NOWHERE, "--recipe"]
    _fails([*recipe, str(tmp_path / "bad.json")], "bad.json is not JSON", monkeypatch, capsys)
    _fails(["price", str(tmp_path / "latin")], "not an architecture", monkeypatch, capsys)
    kit = ["devices", "import-kit", "d", "k", str(tmp_path / "latin"), "--runtime-version", "1"]
    _fails(kit, "is not UTF-8", monkeypatch, capsys)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("NAS_PORT", "abc", "NAS_PORT: Input should be a valid integer"),
        ("NAS_PORT", "70000", "NAS_PORT: Input should be less than or equal to 65535"),
        ("NAS_DATABASE_URL", "foo", "NAS_DATABASE_URL: 'foo' is none of sqlite, postgresql"),
        ("NAS_DATABASE_URL", "postgresql://127.0.0.1:9/x", "the database does not answer"),
    ],
)
def test_settings_that_cannot_be(
    name: str,
    value: str,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NAS_VAR_DIR", str(tmp_path))
    monkeypatch.setenv(name, value)
    _fails(["migrate"], named, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--limit", "macs=1", "--limit", "macs=1e9"], "--limit: macs is given twice"),
        (["--set", "seed=1", "--set", "seed=2"], "--set: seed is given twice"),
        (
            ["--set", 'limits={"macs": 1, "macs": 2}'],
            "--set: limits: 'macs' is given twice",
        ),
        (
            ["--max-latency-ms", "5", "--set", "max_latency_ms=0.01"],
            "--set: max_latency_ms is given as --max-latency-ms, too",
        ),
    ],
)
def test_a_limit_is_given_once(
    options: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["search", "--dataset", "d", "--device", "here", *options]
    _fails(arguments, said, monkeypatch, capsys)
