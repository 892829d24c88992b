"""Networks that drop every packet for a while, between database, service and agent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text

from nas_service.access.identity import Permission
from nas_service.errors import Unavailable
from nas_service.settings import Settings
from nas_service.storage import tokens
from nas_service.storage.session import Database
from tests.agent_process import add_agent
from tests.faults.networks import FIRST, SECOND, Hosts, two_hosts
from tests.postgres import cluster
from tests.prepared import copied, prepare
from tests.service import Service
from tests.toy_search import toy_search

pytestmark = pytest.mark.slow
NOTICED_S = 45.0
"""What is gone is known to be by then: 25 s of silence, and what was under way."""
CUT_S = 30.0
"""Longer than leases (3 s), and than connections wait for a word."""


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with two_hosts() as made:
        yield made


def _until(done: Callable[[], Any], timeout_s: float) -> float:
    """How long it takes until something is true."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > timeout_s:
            raise TimeoutError(f"not within {timeout_s} s")
        time.sleep(0.2)
    return time.monotonic() - began


def test_locks_of_a_client_that_is_gone_are_let_go_and_it_waits_no_longer(hosts: Hosts) -> None:
    with (
        hosts.on(FIRST),
        cluster(FIRST) as url,
        psycopg.connect(url, autocommit=True) as there,
    ):
        there.execute("CREATE TABLE one (id int PRIMARY KEY)")
        there.execute("INSERT INTO one VALUES (1)")

        def locked() -> bool:
            return not there.execute("SELECT 1 FROM one FOR UPDATE SKIP LOCKED").fetchall()

        far = Database(url.replace("postgresql://", "postgresql+psycopg://"))
        with hosts.on(SECOND), closing(far):
            with pytest.raises(Unavailable):
                _ask_while_it_is_cut(far, hosts, locked)
            _until(lambda: not locked(), NOTICED_S)
            hosts.mend()
            with far.session() as session:
                assert session.scalar(text("SELECT count(*) FROM one")) == 1


def _ask_while_it_is_cut(far: Database, hosts: Hosts, locked: Callable[[], bool]) -> None:
    with far.session() as session:
        session.execute(text("SELECT 1 FROM one FOR UPDATE"))
        assert locked()
        hosts.cut()
        began = time.monotonic()
        try:
            session.execute(text("SELECT 1 FROM one"))
        finally:
            assert time.monotonic() - began < NOTICED_S


def _found(service: Service, search: str) -> list[Any]:
    evaluations = service.client.every(f"/v1/searches/{search}/evaluations")
    told = [(one["number"], str(one["architecture"]), one["accuracy"]) for one in evaluations]
    front = service.client.get(f"/v1/searches/{search}/front")["front"]
    return [sorted(told), sorted((str(one["architecture"])) for one in front)]


def test_a_search_goes_on_after_its_database_was_out_of_reach(hosts: Hosts, tmp_path: Path) -> None:
    spec = toy_search(precisions=["fp32"], n_queries=60)
    with hosts.on(FIRST), cluster(FIRST) as url:
        with hosts.on(SECOND):
            prepare(tmp_path / "made", url)
        with psycopg.connect(url.replace("/postgres", "/template1"), autocommit=True) as server:
            for name in ("whole", "cut"):
                server.execute(f'CREATE DATABASE "{name}" TEMPLATE postgres')
        found = {}
        for name in ("whole", "cut"):
            with hosts.on(SECOND):
                own = url.replace("/postgres", f"/{name}")
                service = Service(copied(tmp_path / "made", tmp_path / name), database_url=own)
                service.start()
                try:
                    search = service.client.submit_search(**spec)["id"]
                    if name == "cut":
                        _cut_in_the_midst(hosts, service, search)
                    service.client.wait(search, timeout_s=400)
                    found[name] = _found(service, search)
                finally:
                    service.stop()
    assert Counter(one[0] for one in found["cut"][0]) == Counter(range(spec["n_queries"]))
    assert found["cut"] == found["whole"]
    assert not list((tmp_path / "cut").rglob("partial-*"))


def _cut_in_the_midst(hosts: Hosts, service: Service, search: str) -> None:
    service.wait_until(lambda: service.client.search(search)["revision"] > 4, 120)
    hosts.cut()
    began = time.monotonic()
    answer = httpx.get(f"{service.url}/v1/searches", timeout=NOTICED_S, trust_env=False)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert httpx.get(f"{service.url}/healthz", timeout=5, trust_env=False).status_code == 200
    time.sleep(max(0.0, CUT_S - (time.monotonic() - began)))
    hosts.mend()
    service.wait_until(service.client.ready, 60)


def test_an_agent_that_was_out_of_reach_ends_what_it_had_begun(
    hosts: Hosts, tmp_path: Path, prepared: Path
) -> None:
    place = copied(prepared, tmp_path / "var")
    with closing(Database(Settings(var_dir=place).url)) as database, database.session() as session:
        _, secret = tokens.add_token(session, "a", [Permission.ADMIN], created_by="a test")
    with hosts.on(FIRST):
        service = Service(place, token=secret, address=FIRST)
        service.start()
        agent = add_agent(service, tmp_path, "board")
        try:
            with hosts.on(SECOND):
                agent.start()
            profile = {"space": "mbconv", "image": {"size": 8, "channels": 1, "n_classes": 2}}
            nas = service.client
            service.wait_until(lambda: nas.get("/v1/devices/board")["agent"]["seen_at"], 60)
            job = nas.profile("board", **profile, profile_budget_s=20, precisions=["fp32"])
            service.wait_until(lambda: "task" in agent.log(), 120)
            hosts.cut()
            time.sleep(CUT_S)
            hosts.mend()
            assert nas.wait(job["job"]["id"], timeout_s=400)["state"] == "succeeded"
            (target,) = nas.get("/v1/devices/board/targets")
            (table,) = nas.get("/v1/lookup-tables", target_id=target["id"])["items"]
            assert table["calibration"] is not None
            assert table["n_measured"] >= 32
        finally:
            agent.kill()
            service.stop()
