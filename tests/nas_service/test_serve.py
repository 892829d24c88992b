"""One service has a data folder to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.service import Service


def _second(var_dir: Path) -> subprocess.CompletedProcess[str]:
    """`nas serve` on that folder and another port."""
    return subprocess.run(
        [sys.executable, "-m", "nas_service.cli", "serve"],
        env={**os.environ, "NAS_VAR_DIR": str(var_dir), "NAS_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_second_service_on_a_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    first, other = Service(tmp_path / "var"), Service(tmp_path / "var")
    first.start()
    try:
        refused = _second(tmp_path / "var")
        assert first.client.ready()
    finally:
        first.kill()  # as by kill -9: nobody cleans up
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert f"at {first.url} serves {tmp_path / 'var'} already" in line
    other.start()
    try:
        assert other.client.ready()
    finally:
        other.stop()
        first.client.close()
