"""What Prometheus is samples: requests by their route, and what waits."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from structlog.testing import capture_logs

from lookup_tables.target import Device
from nas_service.api.app import create_app
from nas_service.api.metrics import NO_ROUTE, OTHER, Counted, State
from nas_service.cli.databases import prepare
from nas_service.settings import Settings
from nas_service.storage import agents, counts, devices, jobs, leases
from nas_service.storage.models.devices import AgentRow
from nas_service.storage.models.jobs import JobRow
from nas_service.storage.session import Database, now
from tests.service import Service

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(var_dir=tmp_path / "var")
    prepare(made)
    return made


@pytest.fixture
def registry(settings: Settings) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(State(Database(settings.url), patience_s=120.0))
    return made


@pytest.fixture
def api(settings: Settings, registry: CollectorRegistry) -> Iterator[TestClient]:
    app = create_app(settings)
    app.wrap(lambda inner: Counted(inner, registry))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


def _samples(text: str) -> Samples:
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def _scraped(registry: CollectorRegistry) -> Samples:
    return _samples(generate_latest(registry).decode())


def _of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_requests_are_counted_by_the_pattern_of_their_route(
    api: TestClient, registry: CollectorRegistry
) -> None:
    for number in range(3):
        assert api.get(f"/v1/jobs/job_{number}").status_code == 404
    assert api.get("/healthz").status_code == 200
    assert api.head("/readyz").status_code == 200
    assert api.request("BREW", "/healthz").status_code == 405
    assert api.get("/no/such/place").status_code == 404
    assert api.get("/healthz", headers={"Host": "elsewhere.example"}).status_code == 403
    assert api.get("/v1/searches/srch_1/front").status_code == 404
    samples = _scraped(registry)

    def requests(route: str, status: str) -> float:
        return _of(samples, "nas_http_requests_total", method="GET", route=route, status=status)

    assert requests("/v1/jobs/{job_id}", "404") == 3
    assert requests("/healthz", "200") == 1
    heads = {"method": "HEAD", "route": "/readyz", "status": "200"}
    assert _of(samples, "nas_http_requests_total", **heads) == 1
    methods = {dict(labels).get("method") for _, labels in samples}
    assert methods == {None, "GET", "HEAD", OTHER}
    assert requests(NO_ROUTE, "404") == 1
    assert requests(NO_ROUTE, "403") == 1
    assert requests("/v1/searches/{search_id}/front", "404") == 1
    name = "nas_http_request_duration_seconds"
    route = {"method": "GET", "route": "/v1/jobs/{job_id}"}
    assert _of(samples, f"{name}_count", **route) == 3
    assert 0 < _of(samples, f"{name}_sum", **route) < 60
    assert _of(samples, f"{name}_bucket", le="+Inf", **route) == 3


def test_what_waits_is_told_by_kind(settings: Settings, registry: CollectorRegistry) -> None:
    database = Database(settings.url)
    with database.session() as session:
        for name, kind in (("a", "search"), ("b", "search"), ("c", "dataset"), ("d", "dataset")):
            jobs.add_job(session, name, kind, subject=name, params={})
        jobs.start(session, "b")
        jobs.finish(session, "d", "failed")
        old = now() - timedelta(seconds=100)
        session.execute(update(JobRow).where(JobRow.id == "a").values(created_at=old))
        leases.renew_lease(session, "one", ["cpu", "gpu"], 60)
        leases.renew_lease(session, "two", ["cpu"], 60)
        leases.renew_lease(session, "dead", ["cpu"], -1)
        for number, seen_at in enumerate((None, now(), now() - timedelta(seconds=500))):
            board = devices.add_device(session, Device(f"board{number}", "board"))
            agents.make_token(session, board, "somebody")
            row = session.get_one(AgentRow, board.id)
            row.seen_at = seen_at
    samples = _scraped(registry)
    found = {labels: n for (name, labels), n in samples.items() if name == "nas_jobs" and n}
    assert found == {
        frozenset({("kind", "search"), ("state", "queued")}): 1,
        frozenset({("kind", "search"), ("state", "running")}): 1,
        frozenset({("kind", "dataset"), ("state", "queued")}): 1,
    }
    age_s = _of(samples, "nas_oldest_waiting_job_age_seconds", kind="search")
    assert 100 <= age_s < 160
    assert _of(samples, "nas_oldest_waiting_job_age_seconds", kind="profile") == 0
    assert _of(samples, "nas_jobs", kind="profile", state="queued") == 0
    assert _of(samples, "nas_workers", queue="cpu") == 2
    assert _of(samples, "nas_workers", queue="gpu") == 1
    assert _of(samples, "nas_workers", queue="device") == 0
    assert _of(samples, "nas_agents", state="reachable") == 1
    assert _of(samples, "nas_agents", state="silent") == 2
    assert _of(samples, "nas_database_up") == 1
    database.close()


@pytest.mark.parametrize("why", ["away", "no tables", "too busy"])
def test_a_database_that_does_not_answer_is_told_and_breaks_nothing(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a folder cannot be opened; one without tables is another error on PostgreSQL
    url = f"sqlite:///{tmp_path}" if why == "away" else f"sqlite:///{tmp_path / 'nas.sqlite'}"
    errors = {"no tables": ProgrammingError("select", {}, Exception()), "too busy": PoolTimeout()}
    if why in errors:

        def broken(_: object) -> None:
            raise errors[why]

        monkeypatch.setattr(counts, "open_jobs", broken)
    registry = CollectorRegistry()
    registry.register(State(Database(url), 120.0))
    samples = _scraped(registry)
    assert _of(samples, "nas_database_up") == 0
    assert {name for name, _ in samples} == {"nas_build_info", "nas_database_up"}


def test_names_are_as_prometheus_has_them(api: TestClient, registry: CollectorRegistry) -> None:
    api.get("/healthz")
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        assert family.name.startswith("nas_")
        assert not family.name.endswith(("_ms", "_minutes", "_kb", "_mb", "_percent"))
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith(("_total", "_created"))
            assert not {"id", "job", "search", "device", "path"} & set(sample.labels)


@pytest.mark.parametrize("value", ["9464", "host", "127.0.0.1:", "127.0.0.1:x", "a:1/b", ":80"])
def test_an_address_without_a_port_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no address with a port"):
        Settings(var_dir=tmp_path, metrics_bind=value)


def test_they_are_served_beside_the_api_and_logs_are_json(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    own = {"NAS_METRICS_BIND": f"127.0.0.1:{port}", "NAS_LOG_FORMAT": "json"}
    service = Service(tmp_path / "var", **own)
    service.start()
    try:
        samples = _samples(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
        assert _of(samples, "nas_workers", queue="control") == 1
        assert sum(n for (name, _), n in samples.items() if name == "nas_http_requests_total") > 0
        assert httpx.get(f"{service.url}/metrics").status_code == 404
        (tmp_path / "bad.npz").write_bytes(b"no archive")
        job = service.client.upload_dataset("bad", tmp_path / "bad.npz")["job"]["id"]
        service.wait_until(lambda: service.client.job(job)["state"] == "failed", 60)
        lines = [json.loads(line) for line in service.log().splitlines()]
        (failed,) = [one for one in lines if one["event"] == "job failed"]
        assert failed["job"] == job
        ready = [one for one in lines if one["event"] == "worker ready"]
        assert {"timestamp", "level", "process", "executor", "queues"} <= set(ready[0])
    finally:
        service.stop()


def test_what_breaks_names_its_request_in_the_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(jobs, "list_jobs", broken)
    with (
        TestClient(
            create_app(settings), base_url="http://127.0.0.1:8000", raise_server_exceptions=False
        ) as client,
        capture_logs() as logs,
    ):
        answer = client.get("/v1/jobs")
    assert answer.status_code == 500
    (line,) = [one for one in logs if one["event"] == "unexpected error"]
    assert line["request"] == answer.headers["x-request-id"]
