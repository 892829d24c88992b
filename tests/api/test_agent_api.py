"""What the service answers to agents that misbehave: raw requests against the real application."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from lookup_tables.agent import pack_array
from lookup_tables.target import Target
from nas_service.api.app import create_app
from nas_service.engine import durable
from nas_service.settings import Settings
from nas_service.storage import agents, devices, jobs
from nas_service.storage.revisions import migrate

TIMING: dict[str, Any] = {
    "p10_ms": 1.0,
    "p50_ms": 1.1,
    "p90_ms": 1.2,
    "p99_ms": 1.5,
    "spread": 0.1,
    "n": 30,
    "stable": True,
    "measured_at": "1999-01-01T00:00:00+00:00",
    "cpu_ratio": 1.0,
}


class World:
    """Two devices with agents; one task for the first."""

    def __init__(self, api: TestClient, folder: Path) -> None:
        self.api = api
        self.services = api.app.state.services  # type: ignore[attr-defined]
        self.tokens: dict[str, str] = {}
        for name in ("board", "phone"):
            api.post("/v1/devices", json={"name": name, "kind": "board"})
            self.tokens[name] = api.post(f"/v1/devices/{name}:token").json()["token"]
        content = b"a model"
        (folder / "model").write_bytes(content)
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.services.blobs.put(folder / "model")
        with self.services.database.session() as session:
            device = devices.get_device(session, "board")
            jobs.add_job(session, "job_1", "profile", subject=device.id, params={})
            payload = {
                "target": Target("board", "onnxruntime", "1", "fp32").as_dict(),
                "models": {"a": self.sha256},
                "protocol": {},
                "seed": 0,
                "budget_s": None,
                "inputs": None,
                "outputs_of": [],
            }
            agents.add_task(session, "task_1", device_id=device.id, job_id="job_1", payload=payload)

    def post(self, path: str, body: Any, *, token: str = "board") -> Any:  # noqa: S107
        headers = {"Authorization": f"Bearer {self.tokens.get(token, token)}"}
        return self.api.post(path, json=body, headers=headers)

    def hello(self, *, at: float | None = None, instance: str = "instance1") -> Any:
        body = {"instance": instance, "runtimes": {"onnxruntime": "1"}, "model": "a board"}
        return self.post("/v1/agent:hello", {**body, "conditions": {"at": at or time.time()}})

    def take(self, *, token: str = "board", instance: str = "instance1") -> Any:  # noqa: S107
        return self.post("/v1/agent/tasks:take", {"instance": instance, "wait_s": 0}, token=token)

    def task(self) -> agents.DeviceTask:
        with self.services.database.session() as session:
            return agents.get_task(session, "task_1")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = Settings(var_dir=tmp_path / "var")
    settings.scratch_dir.mkdir(parents=True)
    migrate(settings.url)
    durable.prepare(settings.engine_url)
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as api:
        yield World(api, tmp_path)


MACHINE = {
    "kind": "processor",
    "reference": {
        "levels_ms": {"compute": 0.03},
        "tolerances": {"compute": 0.06},
        "share": 0.9,
        "visits": 3,
        "watched_s": 20.0,
    },
    "state_share": 0.9,
    "watched_s": 12.0,
}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"reference": {**MACHINE["reference"], "levels_ms": {"compute": -1.0}}}, "levels_ms"),  # type: ignore[dict-item]
        ({"reference": {**MACHINE["reference"], "tolerances": {}}}, "tolerances"),  # type: ignore[dict-item]
        ({"state_share": 1.5}, "state_share"),
    ],
)
def test_an_impossible_state_is_refused_by_the_field(
    world: World, wrong: dict[str, Any], field: str
) -> None:
    lease = world.take().json()["lease"]
    report = {"lease": lease, "timings": {"a": TIMING}, "machine": {**MACHINE, **wrong}}
    answer = world.post("/v1/agent/tasks/task_1:finish", report)
    assert answer.status_code == 422
    assert field in answer.text


def test_what_a_device_waits_for_is_noted(world: World) -> None:
    lease = world.take().json()["lease"]
    body = {"lease": lease, "fraction": 0.25, "note": "waiting for the reference state"}
    assert world.post("/v1/agent/tasks/task_1:progress", body).status_code == 200
    assert world.task().note == "waiting for the reference state"


def _finish(world: World, lease: str, timing: dict[str, Any] | None = None) -> Any:
    timings = {"a": {**TIMING, **(timing or {})}}
    report = {"lease": lease, "timings": timings, "machine": MACHINE}
    return world.post("/v1/agent/tasks/task_1:finish", report)


RECORDED = hashlib.sha256(b"a sample").hexdigest()


def _answering(world: World) -> str:
    """The lease of a task that asks for two outputs of `a` to two samples."""
    with world.services.database.session() as session:
        first = agents.get_task(session, "task_1")
        payload = {
            **first.payload,
            "outputs_of": ["a"],
            "feeds": {"a": RECORDED},
            "recorded": [RECORDED, RECORDED],
        }
        device = devices.get_device(session, "board")
        agents.add_task(session, "task_2", device_id=device.id, job_id="job_1", payload=payload)
    world.take()
    task = world.take().json()
    assert (task["id"], task["recorded"], task["feeds"]) == (
        "task_2",
        [RECORDED] * 2,
        {"a": RECORDED},
    )
    return str(task["lease"])


def _answered(world: World, lease: str, answers: Any) -> Any:
    report = {"lease": lease, "timings": {"a": TIMING}, "machine": MACHINE, "answers": answers}
    return world.post("/v1/agent/tasks/task_2:finish", report)


def test_answers_by_name_are_kept_as_they_are_and_their_samples_given_out(world: World) -> None:
    world.services.blobs.put_bytes(b"a sample")
    lease = _answering(world)
    headers = {"Authorization": f"Bearer {world.tokens['board']}"}
    given = world.api.get(f"/v1/agent/files/{RECORDED}", headers=headers)
    assert given.content == b"a sample"
    words = pack_array(np.array([[7, -1]], np.int64))
    nothing = pack_array(np.zeros((1, 0, 4), np.float32))
    assert _answered(world, lease, {"a": [[words, nothing], [words, nothing]]}).status_code == 200
    with world.services.database.session() as session:
        result = agents.get_task(session, "task_2").result
    assert result is not None
    assert result["answers"]["a"][1] == [words, nothing]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({}, "outputs of a are missing"),
        ({"a": [[pack_array(np.zeros(3))]]}, "1 answers to 2 samples"),
        ({"a": [[{**pack_array(np.zeros(3)), "shape": [4]}]] * 2}, "bytes are not"),
        ({"a": [[{**pack_array(np.zeros(3)), "dtype": "object"}]] * 2}, "dtype"),
        ({"a": [[{**pack_array(np.zeros(3)), "content": "?"}]] * 2}, "content"),
    ],
)
def test_answers_that_are_none_are_refused_by_what_is_wrong(
    world: World, answers: Any, told: str
) -> None:
    refused = _answered(world, _answering(world), answers)
    assert refused.status_code == 422
    assert told in refused.text


def test_only_a_known_token_is_answered(world: World) -> None:
    assert world.api.post("/v1/agent/tasks:take", json={}).status_code == 401
    assert world.take(token="made up").status_code == 401  # noqa: S106
    old = world.tokens["board"]
    assert not old.startswith("-")
    world.tokens["board"] = world.api.post("/v1/devices/board:token").json()["token"]
    assert world.take(token=old).status_code == 401
    assert world.take().status_code == 200


def test_a_task_and_its_files_are_for_their_own_device_alone(world: World) -> None:
    assert world.take(token="phone").status_code == 204  # noqa: S106
    lease = world.take().json()["lease"]
    for path in ("/v1/agent/tasks/task_1:finish", "/v1/agent/tasks/task_1:progress"):
        body: dict[str, Any] = {"lease": lease}
        if path.endswith("progress"):
            body["fraction"] = 0.5
        answer = world.post(path, body, token="phone")  # noqa: S106
        assert answer.status_code == 404
    headers = {"Authorization": f"Bearer {world.tokens['phone']}"}
    assert world.api.get(f"/v1/agent/files/{world.sha256}", headers=headers).status_code == 404
    headers = {"Authorization": f"Bearer {world.tokens['board']}"}
    assert world.api.get(f"/v1/agent/files/{world.sha256}", headers=headers).content == b"a model"
    assert world.task().state == "leased"


def test_a_report_that_comes_twice_counts_once(world: World) -> None:
    lease = world.take().json()["lease"]
    assert _finish(world, lease).status_code == 200
    first = world.task()
    assert _finish(world, lease, {"p50_ms": 1.15}).status_code == 200
    assert world.task() == first
    assert world.take().status_code == 204


def test_a_second_run_gets_a_task_only_when_the_first_has_vanished(world: World) -> None:
    first = world.take().json()["lease"]
    assert world.take(instance="instance2").status_code == 204
    world.hello(instance="instance2")
    assert world.take(instance="instance2").status_code == 204
    world.hello(instance="instance1")  # it started again: what it had is free
    second = world.take(instance="instance2").json()["lease"]
    assert second != first
    answer = world.post("/v1/agent/tasks/task_1:progress", {"lease": first, "fraction": 0.9})
    assert answer.json() == {"cancelled": True}
    assert _finish(world, first).status_code == 409
    assert _finish(world, second).status_code == 200


def test_an_agent_that_always_vanishes_fails_its_task(world: World) -> None:
    for _ in range(agents.MAX_ATTEMPTS):
        assert world.take().status_code == 200
        world.hello()
    assert world.take().status_code == 204
    assert world.task().state == "failed"
    assert "vanished" in (world.task().problem or "")


@pytest.mark.parametrize(
    ("timing", "says"),
    [
        ({"p50_ms": -1.0}, "timings.a.p50_ms"),
        ({"p50_ms": 0.0}, "timings.a.p50_ms"),
        ({"p50_ms": 0.5}, "percentiles"),
        ({"n": 0}, "timings.a.n"),
    ],
)
def test_impossible_reports_are_refused_and_the_task_stays_open(
    world: World, timing: dict[str, Any], says: str
) -> None:
    lease = world.take().json()["lease"]
    answer = _finish(world, lease, timing)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert world.task().state in {"leased", "queued"}
    assert world.task().result is None


def test_a_report_about_other_files_is_refused(world: World) -> None:
    lease = world.take().json()["lease"]
    answer = world.post("/v1/agent/tasks/task_1:finish", {"lease": lease, "timings": {"b": TIMING}})
    assert answer.status_code == 422
    assert "timings of a are missing" in answer.json()["detail"]


def test_a_wrong_clock_is_noted_and_does_not_date_results(world: World) -> None:
    skew = world.hello(at=time.time() - 1e8).json()["clock_skew_s"]
    assert skew == pytest.approx(-1e8, abs=5)
    _finish(world, world.take().json()["lease"])
    said = (world.task().result or {})["timings"]["a"]["measured_at"]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(said)).total_seconds()) < 10


def test_nobody_is_given_work_that_nobody_waits_for(world: World) -> None:
    lease = world.take().json()["lease"]
    with world.services.database.session() as session:
        jobs.request_cancel(session, "job_1")
    answer = world.post("/v1/agent/tasks/task_1:progress", {"lease": lease, "fraction": 0.5})
    assert answer.json() == {"cancelled": True}
    world.hello()
    assert world.take().status_code == 204


def test_this_machine_needs_no_agent(world: World) -> None:
    world.api.post("/v1/devices", json={"name": "here", "this_machine": True})
    answer = world.api.post("/v1/devices/here:token")
    assert answer.status_code == 422
    assert "needs no agent" in answer.json()["detail"]
