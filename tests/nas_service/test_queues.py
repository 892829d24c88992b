"""Every kind of job has a queue, and one that measures that of its device."""

from __future__ import annotations

import pytest

from nas_service.queues import (
    AGENT,
    CONCURRENCY,
    DEVICE,
    QUEUE_OF,
    Queue,
    agent_queue,
    by_agent,
    machine_queue,
    queue_of,
    served,
)

MEASURING = {"profile", "certify", "measure", "drift", "measure_model"}


@pytest.mark.parametrize("kind", sorted(MEASURING))
def test_what_measures_goes_to_its_device(kind: str) -> None:
    here = queue_of(kind, {"device_queue": machine_queue("host-b")})
    assert here == Queue("device-host-b")
    assert here.label == DEVICE
    there = queue_of(kind, {"device_queue": agent_queue("dev_1")})
    assert (there.device, there.label) == ("dev_1", AGENT)
    assert there.name == queue_of(kind, {"device_queue": agent_queue("dev_2")}).name


@pytest.mark.parametrize("kind", sorted(set(QUEUE_OF) - MEASURING))
def test_what_does_not_measure_goes_where_its_kind_says(kind: str) -> None:
    assert queue_of(kind, {"device_queue": agent_queue("dev_1")}) == Queue(QUEUE_OF[kind])


def test_jobs_of_the_version_before_go_where_they_went() -> None:
    assert queue_of("profile", {"remote": False}) == Queue("device")
    assert queue_of("profile", {"remote": True}) == Queue("agent")


def test_a_worker_serves_its_own_machine_and_no_other() -> None:
    queues = served(list(CONCURRENCY), "host-b")
    assert machine_queue("host-b") in queues
    assert machine_queue("local") not in queues
    assert queue_of("profile", {"device_queue": agent_queue("dev_1")}).name in queues
    assert not [name for name in served(["control", "cpu"], "host-b") if name.startswith("device")]
    # whatever can be enqueued somewhere is served by a worker that takes everything
    ways = [{}, {"remote": True}, {"device_queue": machine_queue("host-b")}]
    assert {queue_of(kind, way).name for kind in QUEUE_OF for way in ways} <= set(queues)


def test_agents_are_served_one_job_at_a_time_each() -> None:
    queues = served([AGENT], "local")
    shared = queue_of("profile", {"device_queue": agent_queue("dev_1")})
    assert queues[shared.name].by_device
    assert queues[shared.name].concurrency > 1
    assert by_agent(agent_queue("dev_1"))
    assert not by_agent(machine_queue("local"))
