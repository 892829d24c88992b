"""The images, built without a daemon on a base that is made here, and each of them run.

Takes ten minutes, a network and 10 GB: NAS_TEST_IMAGES=1 has it run.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools import lacks

ROOT = Path(__file__).parents[2]
TARGETS = ("agent", "worker", "api", "service")
CERTIFICATES = Path("/etc/ssl/certs")
DEBIAN = "http://deb.debian.org/debian"
PACKAGES = "python3,python3-venv,ca-certificates"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif("NAS_TEST_IMAGES" not in os.environ, reason="NAS_TEST_IMAGES is not set"),
]


@dataclass(frozen=True)
class Images:
    """Buildah with a store of its own; `run` is a command in a container of an image."""

    folder: Path

    def buildah(self, *arguments: str) -> str:
        store = ["--root", str(self.folder / "store"), "--runroot", str(self.folder / "run")]
        done = subprocess.run(
            ["buildah", *store, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout.strip()

    def run(self, image: str, *command: str) -> str:
        container = self.buildah("from", "--pull-never", image)
        try:
            return self.buildah("run", "--isolation", "chroot", container, "--", *command)
        finally:
            self.buildah("rm", container)

    def config(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.buildah("inspect", "--type", "image", image))
        config: dict[str, Any] = found["OCIv1"]["config"]
        return config


def _folders_of_pip() -> list[str]:
    """Folders of wheels that pip looks into on this machine, to be seen while images are built."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    words = [word.strip("'\"") for word in told.replace("=", " ").split()]
    return sorted({word for word in words if word.startswith("/") and Path(word).is_dir()})


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    for tool in ("buildah", "debootstrap"):
        if shutil.which(tool) is None:
            lacks(f"{tool} is not installed (Debian: {tool})")
    folder = tmp_path_factory.mktemp("images")
    made = Images(folder)
    base = folder / "base"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", base, DEBIAN],
        check=True,
        capture_output=True,
    )
    empty = made.buildah("from", "scratch")
    made.buildah("add", "-q", empty, str(base), "/")
    made.buildah("commit", "-q", empty, "localhost/base")
    wheels = _folders_of_pip()
    pip = f"--quiet --cert {CERTIFICATES}/ca-certificates.crt"
    pip += "".join(f" --find-links {one}" for one in wheels)
    seen = [f"--volume={one}:{one}:ro" for one in (str(CERTIFICATES), *wheels)]
    for target in TARGETS:
        made.buildah(
            *("bud", "--isolation", "chroot", "--layers", "--target", target, *seen),
            *("--build-arg", "BASE=localhost/base", "--build-arg", f"PIP_ARGS={pip}"),
            *("-t", f"localhost/nas-{target}", str(ROOT)),
        )
    yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("target", TARGETS)
def test_nobody_in_an_image_is_root(images: Images, target: str) -> None:
    assert images.config(f"localhost/nas-{target}")["User"] == "nas"
    assert images.run(f"localhost/nas-{target}", "id", "-u") == "10001"


def test_each_image_has_what_it_needs_and_no_more(images: Images) -> None:
    ask = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"
    asked = ask.format(["torch", "nas_service", "predictors", "lookup_tables", "onnxruntime"])
    has = {
        one: images.run(f"localhost/nas-{one}", "python", "-c", asked) for one in ("worker", "api")
    }
    assert has["worker"] == str(
        ["torch", "nas_service", "predictors", "lookup_tables", "onnxruntime"]
    )
    assert has["api"] == str(["nas_service", "predictors", "lookup_tables", "onnxruntime"])
    agent = images.run(
        "localhost/nas-agent", "env", "PYTHONPATH=/opt/nas/agent", "python", "-c", asked
    )
    assert agent == str(["lookup_tables", "onnxruntime"])


def test_the_agent_says_what_it_wants(images: Images) -> None:
    entry = images.config("localhost/nas-agent")["Entrypoint"]
    said = images.run("localhost/nas-agent", *entry, "--help")
    assert "--server" in said


@pytest.mark.parametrize("target", ["api", "service"])
def test_the_api_of_an_image_answers_and_its_health_check_says_so(
    images: Images, target: str
) -> None:
    """Within the container, where its port is that of the check."""
    stage = (ROOT / "Dockerfile").read_text().partition(f" AS {target}\n")[2].partition("FROM")[0]
    check = shlex.join(json.loads(stage.partition("HEALTHCHECK")[2].split("CMD", 2)[1].strip()))
    script = """
set -e
nas migrate > /dev/null
NAS_HOST=127.0.0.1 NAS_PORT=8000 {command} > /tmp/log 2>&1 &
for i in $(seq 60); do
  {check} 2> /dev/null && break
  sleep 1
done
{check}
python -c "import urllib.request as r; print(r.urlopen('$1').read().decode())"
kill $!
"""
    url = "http://127.0.0.1:8000/healthz"
    command = images.config(f"localhost/nas-{target}")["Cmd"]
    script = script.replace("{check}", check).replace("{command}", shlex.join(command))
    told = json.loads(images.run(f"localhost/nas-{target}", "sh", "-c", script, "sh", url))
    assert told["status"] == "ok"
    assert told["torch_imported"] is False


def test_the_worker_of_an_image_is_a_worker(images: Images) -> None:
    assert images.config("localhost/nas-worker")["Cmd"] == ["nas", "worker"]
    assert images.config("localhost/nas-service")["Cmd"] == ["nas", "serve"]
    script = "nas migrate > /dev/null; timeout 20 nas worker 2>&1 | grep -m 1 'worker ready'"
    assert "worker ready" in images.run("localhost/nas-worker", "sh", "-c", script)
