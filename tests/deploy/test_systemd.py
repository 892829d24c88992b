"""The units: systemd takes them, and their commands are there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import lacks

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
NAS = "/opt/nas/bin/nas"
UNITS = {
    "nas-api.service": "nas-api.service",
    "nas-agent.service": "nas-agent.service",
    "nas-worker@.service": "nas-worker@1.service",
}


def test_every_unit_is_looked_at() -> None:
    assert {one.name for one in FOLDER.iterdir()} == set(UNITS)


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_systemd_finds_nothing_wrong(unit: str, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        lacks("systemd-analyze is not installed (Debian: systemd)")
    text = (FOLDER / unit).read_text()
    (tmp_path / unit).write_text(text.replace(NAS, "/bin/true"))  # the program has to be there
    (tmp_path / UNITS[unit]).write_text(text.replace(NAS, "/bin/true"))
    done = subprocess.run(
        [str(verify), "verify", "--man=no", str(tmp_path / UNITS[unit])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_what_a_unit_runs_is_a_command_with_those_options(unit: str) -> None:
    commands = re.findall(rf"^Exec\w+={NAS} (.*)$", (FOLDER / unit).read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        words = command.split()
        told = subprocess.run(
            [sys.executable, "-m", "nas_service.cli", words[0], "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for option in (one for one in words if one.startswith("--")):
            assert option in told, f"nas {words[0]} has no {option}"


@pytest.mark.parametrize("unit", ["nas-api.service", "nas-worker@.service"])
def test_what_exits_is_started_again(unit: str) -> None:
    text = (FOLDER / unit).read_text()
    assert "\nRestart=always\n" in text
    assert "\nNoNewPrivileges=yes\n" in text
