"""`deploy/compose.yaml`, its services as processes: from nothing to a job outliving a worker."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from nas_service.client import ApiError, Client
from nas_service.queues import CONCURRENCY
from tests.composed import Composed
from tests.postgres import cluster
from tests.tools import lacks
from tests.toy_search import save_toy_arrays

FILE = Path(__file__).parents[2] / "deploy" / "compose.yaml"
PASSWORD = {"POSTGRES_PASSWORD": "not-asked-for-here"}


@pytest.fixture
def composed(tmp_path: Path) -> Iterator[Composed]:
    if shutil.which("pg_isready") is None:
        lacks("pg_isready is not installed (Debian: postgresql-client)")
    with cluster() as url:
        database = yaml.safe_load(FILE.read_text())["services"]["database"]["environment"]
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{database["POSTGRES_DB"]}"')
        made = Composed(FILE, tmp_path, url, PASSWORD)
        yield made
        made.down()


def _until(done: Callable[[], Any], composed: Composed) -> None:
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < 90, composed.log("api") + composed.log("worker")
        time.sleep(0.2)


def test_a_password_that_is_not_set_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match=r"POSTGRES_PASSWORD: set it in \.env"):
        Composed(FILE, tmp_path, "postgresql://nas@127.0.0.1:1/postgres", {})


def test_as_its_first_lines_say_it_comes_up_and_outlives_a_worker(
    composed: Composed, tmp_path: Path
) -> None:
    """The first lines: a token is made before the API is up, which has to have one."""
    first = FILE.read_text().partition("name:")[0]
    assert "run --rm api nas tokens add --local --operator me" in first
    said = composed.run("api", ["nas", "tokens", "add", "--local", "--operator", "me"])
    token = said.strip().rpartition("=")[2]
    composed.up("api")
    composed.up("worker")
    save_toy_arrays(tmp_path / "toy.npz")
    with Client(f"http://127.0.0.1:{composed.port}", token=token) as nas:
        _until(nas.ready, composed)
        nas.add_device("here", this_machine=True)
        nas.wait(nas.upload_dataset("toy", tmp_path / "toy.npz")["job"]["id"], timeout_s=120)
        job = nas.profile("here", space="mbconv", dataset="toy", profile_budget_s=5)["job"]["id"]
        _until(lambda: nas.job(job)["state"] == "running", composed)
        composed.processes["worker"].kill()
        composed.processes["worker"].wait()
        composed.keep_up()
        assert nas.wait(job, timeout_s=240)["state"] == "succeeded"
        assert {one["event"] for one in nas.get(f"/v1/jobs/{job}/events")} >= {"finished"}
    nobody = Client(f"http://127.0.0.1:{composed.port}")
    with nobody, pytest.raises(ApiError) as refused:
        nobody.get("/v1/datasets")
    assert refused.value.problem["status"] == 401


def test_every_queue_has_a_worker() -> None:
    services = yaml.safe_load(FILE.read_text())["services"]
    assert set(services["worker"]["command"][-1].split(",")) == set(CONCURRENCY)
