"""A compose file's services brought up as processes of this machine, in the order it asks for.

Of the file are taken: commands, environments with their variables, what a service waits for and how
that is checked, health checks, whether it is started again. This machine's are: ports, folders in
the place of volumes, and PostgreSQL in the place of the database's image.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$\{(\w+)(?::\?([^}]*))?\}")


class Composed:
    """Services, each a process; `database_url` stands for the one that is called `database`."""

    def __init__(self, path: Path, folder: Path, database_url: str, env: dict[str, str]) -> None:
        self._services: dict[str, dict[str, Any]] = yaml.safe_load(_filled(path.read_text(), env))[
            "services"
        ]
        self._folder = folder
        self._database = database_url.partition("@")[2].partition("/")[0]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def up(self, name: str) -> None:
        """Start a service once what it depends on is as it has to be."""
        for other, how in self._services[name].get("depends_on", {}).items():
            if other not in self.processes and other != "database":
                self.up(other)
            if how["condition"] == "service_completed_successfully":
                assert self.processes[other].wait(timeout=120) == 0, self.log(other)
            else:
                assert how["condition"] == "service_healthy"
                self._wait_until_healthy(other)
        with (self._folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._ours(self._services[name]["command"]),
                env=self._environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, name: str, command: list[str]) -> str:
        """A command in the place of a service's own, as `docker compose run --rm` has it."""
        for other in self._services[name].get("depends_on", {}):
            if other not in self.processes and other != "database":
                self.up(other)
                assert self.processes[other].wait(timeout=120) == 0, self.log(other)
        done = subprocess.run(
            self._ours(command),
            env=self._environment(name),
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def keep_up(self) -> None:
        """Start those again that ended and are to be started again."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None and self._services[name]["restart"] != "no":
                assert self._services[name]["restart"] == "unless-stopped"
                self.up(name)

    def down(self) -> None:
        """SIGTERM to all of them."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(timeout=30)

    def log(self, name: str) -> str:
        """What a service printed."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def _wait_until_healthy(self, name: str) -> None:
        check = self._services[name]["healthcheck"]
        assert check["test"][0] == "CMD"
        host, _, port = self._database.partition(":")
        for _ in range(check["retries"]):
            env = {**os.environ, "PGHOST": host, "PGPORT": port}
            if subprocess.run(check["test"][1:], env=env, check=False).returncode == 0:
                return
            time.sleep(1.0)
        raise TimeoutError(f"{name} is not healthy")

    def _environment(self, name: str) -> dict[str, str]:
        own = {key: str(value) for key, value in self._services[name]["environment"].items()}
        (volume,) = self._services[name]["volumes"]
        kept, _, inside = volume.partition(":")
        assert own["NAS_VAR_DIR"] == inside
        # the port is published on 127.0.0.1 alone, and here it is opened there
        published = self._services[name].get("ports", ["127.0.0.1::"])
        assert all(one.startswith("127.0.0.1:") for one in published)
        return {
            **os.environ,
            **own,
            "NAS_DATABASE_URL": own["NAS_DATABASE_URL"].replace("database:5432", self._database),
            "NAS_VAR_DIR": str(self._folder / kept),
            "NAS_HOST": "127.0.0.1",
            "NAS_REQUIRE_TOKEN": json.dumps(own["NAS_HOST"] != "127.0.0.1"),
            "NAS_PORT": str(self.port),
        }

    @staticmethod
    def _ours(command: list[str]) -> list[str]:
        assert command[0] == "nas"
        return [sys.executable, "-m", "nas_service.cli", *command[1:]]


def _filled(text: str, env: dict[str, str]) -> str:
    """With variables in their places; one that is lacking is told as compose tells it."""

    def value(found: re.Match[str]) -> str:
        if not env.get(found[1]):
            raise KeyError(f"{found[1]}: {found[2]}")
        return env[found[1]]

    return _VARIABLE.sub(value, text)
