"""Agents that wait are told of work as it comes, and share their questions to the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from lookup_tables.target import Device
from nas_service.api.agent_waiting import POLL_S, AgentsWaiting
from nas_service.api.waking import Waking
from nas_service.cli.databases import prepare
from nas_service.settings import Settings
from nas_service.storage import agents, devices, jobs
from nas_service.storage.session import Database

N_DEVICES = 60


class _Counting(AgentsWaiting):
    """Notes how many devices it was asked about at each look."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, Waking(Settings()))
        self.looks: list[int] = []

    def _look(self, devices: Collection[str]) -> set[str]:
        self.looks.append(len(devices))
        return super()._look(devices)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    settings = Settings(var_dir=tmp_path / "var")
    prepare(settings)
    made = Database(settings.url)
    yield made
    made.close()


@pytest.fixture
def boards(database: Database) -> list[str]:
    """Ids of devices with agents."""
    found = []
    with database.session() as session:
        for number in range(N_DEVICES):
            board = devices.add_device(session, Device(f"board{number}", "board"))
            agents.make_token(session, board, "somebody")
            found.append(board.id)
    return found


def _add_task(database: Database, device_id: str) -> None:
    with database.session() as session:
        job = jobs.add_job(session, f"job_{device_id}", "profile", subject=device_id, params={})
        agents.add_task(
            session, f"task_{device_id}", device_id=device_id, job_id=job.id, payload={}
        )


def _seen(database: Database, device_id: str) -> datetime | None:
    with database.session() as session:
        agent = agents.get_agent(session, device_id)
    assert agent is not None
    return agent.seen_at


def test_all_who_wait_are_one_question(database: Database, boards: list[str]) -> None:
    waiting, told = _Counting(database), dict[str, float]()

    async def wait(device_id: str) -> None:
        await waiting.for_work(device_id, 30.0, asyncio.Event())
        told[device_id] = time.monotonic()

    async def scenario() -> float:
        tasks = [asyncio.create_task(wait(one)) for one in boards]
        await asyncio.sleep(2.2 * POLL_S)
        before = dict(told)
        _add_task(database, boards[7])
        added = time.monotonic()
        while boards[7] not in told:
            await asyncio.sleep(0.01)
        await asyncio.sleep(2.2 * POLL_S)
        assert before == {}
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return told[boards[7]] - added

    began = time.monotonic()
    took_s = asyncio.run(scenario())
    assert took_s < 2.0
    assert set(told) == {boards[7]}
    assert len(waiting.looks) <= (time.monotonic() - began) / POLL_S + 1
    assert waiting.looks[0] == N_DEVICES
    assert waiting.looks[-1] == N_DEVICES - 1
    assert all(_seen(database, one) is not None for one in boards)


def test_it_ends_when_its_time_is_over_and_nobody_looks_any_more(
    database: Database, boards: list[str]
) -> None:
    waiting = _Counting(database)

    async def scenario() -> None:
        began = time.monotonic()
        await waiting.for_work(boards[0], 1.3 * POLL_S, asyncio.Event())
        assert 1.2 * POLL_S < time.monotonic() - began < 2.0
        await asyncio.sleep(1.5 * POLL_S)
        n_looks = len(waiting.looks)
        await asyncio.sleep(2 * POLL_S)
        assert len(waiting.looks) == n_looks

    asyncio.run(scenario())


def test_two_runs_of_an_agent_are_both_told(database: Database, boards: list[str]) -> None:
    """Which one gets the task is the lease's business."""
    waiting = AgentsWaiting(database, Waking(Settings()))

    async def scenario() -> None:
        both = [
            asyncio.create_task(waiting.for_work(boards[0], 30.0, asyncio.Event()))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        _add_task(database, boards[0])
        async with asyncio.timeout(10):
            await asyncio.gather(*both)

    asyncio.run(scenario())


def test_an_outage_of_the_database_keeps_them_waiting(
    database: Database, boards: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waiting = AgentsWaiting(database, Waking(Settings()))
    away = Database(f"sqlite:///{tmp_path}")  # a folder, which cannot be opened

    async def scenario() -> None:
        monkeypatch.setattr(waiting, "_database", away)
        one = asyncio.create_task(waiting.for_work(boards[0], 30.0, asyncio.Event()))
        _add_task(database, boards[0])
        await asyncio.sleep(2.5 * POLL_S)
        assert not one.done()
        monkeypatch.setattr(waiting, "_database", database)
        async with asyncio.timeout(10):
            await one

    asyncio.run(scenario())
