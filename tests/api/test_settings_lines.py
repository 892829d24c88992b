"""What is wrong with settings, port or database is one line at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas_service.api.uploads import sweep
from nas_service.cli import in_options


def _nas(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nas_service.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=60,
    )


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("NAS_LOG_LEVEL", "LOUD", "NAS_LOG_LEVEL: 'LOUD' is none of DEBUG"),
        ("NAS_DATABASE_URL", "mysql://x/y", "NAS_DATABASE_URL: 'mysql' is none of"),
        ("NAS_PORT", "99999", "NAS_PORT: Input should be less than or equal to 65535"),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    setting: str, value: str, named: str, tmp_path: Path
) -> None:
    done = _nas("migrate", **{setting: value, "NAS_VAR_DIR": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr.startswith(f"nas: {named}")
    assert len(done.stderr.splitlines()) == 1


def test_a_port_in_use_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        started = time.monotonic()
        done = _nas("serve", "--port", port, NAS_VAR_DIR=str(tmp_path))
    assert done.returncode == 1
    assert f"nas: port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert "--port" in done.stderr
    assert time.monotonic() - started < 20  # it took three quarters of a minute, and four starts


@pytest.mark.parametrize("command", ["migrate", "serve", "worker"])
def test_a_database_that_is_none_is_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "nas.sqlite").write_bytes(b"this is no database" * 100)
    done = _nas(command, NAS_VAR_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "cannot be used: file is not a database" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-latency-ms", "nan"),
        ("--learning-rate", "inf"),
        ("--limit", "size_bytes=nan"),
        ("--limit-probability", "NaN"),
    ],
)
def test_numbers_that_are_none_are_refused_by_their_option(arguments: tuple[str, ...]) -> None:
    done = _nas("search", "--dataset", "digits", *arguments)
    assert done.returncode != 0
    assert arguments[0] in done.stderr
    assert "finite" in done.stderr
    assert "Traceback" not in done.stderr


def test_force_where_nothing_depends_is_refused() -> None:
    done = _nas("remove", "search", "sea_1", "--force")
    assert done.returncode != 0
    assert "--force: nothing depends on a search" in done.stderr


def test_what_a_killed_service_left_of_uploads_is_swept(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in ("upload-1", "upload-2", "job_1"))
    for folder in (old, new, other):
        folder.mkdir()
        (folder / "part.png").write_bytes(b"1")
    (tmp_path / "upload-3.zip").write_bytes(b"1")
    for one in (old, other, tmp_path / "upload-3.zip"):
        os.utime(one, (0, 0))
    sweep(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {"upload-2", "job_1"}


def test_the_version_is_told_by_an_option_too() -> None:
    assert _nas("--version").stdout == _nas("version").stdout != ""


def test_a_benchmark_tells_its_own_options() -> None:
    done = _nas("bench", "transfer", "--help")
    assert done.returncode == 0
    assert "--seeds" in done.stdout


def test_errors_name_the_option_that_was_typed() -> None:
    problem = {"errors": [{"field": "n_queries"}, {"field": "training.learning_rate"}]}
    text = "n_queries: Input should be greater than 0; training.learning_rate: too high"
    typed = ["nas", "search", "--queries", "0", "--learning-rate=9"]
    assert in_options(text, problem, typed) == (
        "--queries: Input should be greater than 0; --learning-rate: too high"
    )
    assert in_options(text, problem, ["nas", "search"]) == text
