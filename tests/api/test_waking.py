"""On PostgreSQL who waits is woken by what is stored, and looks where nothing can wake it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lookup_tables.target import Device
from nas_service.api import agent_waiting, waking
from nas_service.api.agent_waiting import AgentsWaiting
from nas_service.api.waking import Waking
from nas_service.cli.databases import prepare
from nas_service.errors import Conflict
from nas_service.settings import Settings
from nas_service.storage import agents, bell, devices, jobs
from nas_service.storage.session import Database
from tests.postgres import Cluster, restartable

NEVER_S = 300.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with restartable() as made:
        yield made


@pytest.fixture
def settings(cluster: Cluster, tmp_path: Path) -> Settings:
    made = Settings(var_dir=tmp_path / "var", database_url=cluster.url)
    prepare(made)
    return made


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database(settings.url)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nobody_looks_by_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_waiting, "POLL_S", NEVER_S)
    monkeypatch.setattr(waking, "LISTENING_POLL_S", NEVER_S)


def _board(database: Database, name: str) -> str:
    with database.session() as session:
        board = devices.add_device(session, Device(name, "board"))
        agents.make_token(session, board, "somebody")
        return board.id


def _add_task(database: Database, device_id: str) -> None:
    with database.session() as session:
        job = jobs.add_job(session, f"job_{device_id}", "profile", subject=device_id, params={})
        agents.add_task(
            session, f"task_{device_id}", device_id=device_id, job_id=job.id, payload={}
        )


@asynccontextmanager
async def _listening(settings: Settings) -> AsyncIterator[Waking]:
    """One that has begun to listen."""
    made = Waking(settings)
    made.start()
    try:
        async with asyncio.timeout(30):
            while made._listener is None or not made._listener.listens:
                await asyncio.sleep(0.01)
        yield made
    finally:
        made.stop()


def test_an_agent_hears_of_its_task_when_that_is_committed(
    settings: Settings, database: Database
) -> None:
    board = _board(database, "heard")

    async def scenario() -> float:
        async with _listening(settings) as made:
            waiting = AgentsWaiting(database, made)
            mine = asyncio.create_task(waiting.for_work(board, NEVER_S, made.ticket()))
            await asyncio.sleep(0.5)
            assert not mine.done()
            await asyncio.to_thread(_add_task, database, board)
            added = time.monotonic()
            async with asyncio.timeout(30):
                await mine
            return time.monotonic() - added

    assert asyncio.run(scenario()) < 10.0


def test_what_is_stored_between_looking_and_waiting_is_not_missed(
    settings: Settings, database: Database
) -> None:
    board = _board(database, "between")

    async def scenario() -> None:
        async with _listening(settings) as made:
            waiting = AgentsWaiting(database, made)
            ticket = made.ticket()  # and here it looks, in vain
            await asyncio.to_thread(_add_task, database, board)
            async with asyncio.timeout(30):
                await ticket.wait()
                await waiting.for_work(board, NEVER_S, ticket)

    asyncio.run(scenario())


def test_it_listens_again_after_the_database_was_away(
    settings: Settings, database: Database, cluster: Cluster
) -> None:
    board = _board(database, "again")

    async def scenario() -> None:
        async with _listening(settings) as made:
            waiting = AgentsWaiting(database, made)
            mine = asyncio.create_task(waiting.for_work(board, NEVER_S, made.ticket()))
            await asyncio.to_thread(cluster.restart)
            database.engine.dispose()
            await asyncio.to_thread(_add_task, database, board)
            async with asyncio.timeout(60):
                await mine

    asyncio.run(scenario())


def _ring_and_fail(database: Database) -> None:
    with database.session() as session:
        bell.ring(session)
        raise Conflict("not to be stored")


def test_nothing_rings_that_was_rolled_back_and_sqlite_is_looked_at(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    heard: list[float] = []
    listener = bell.Listener(settings.engine_url, lambda: heard.append(time.monotonic()))
    listener.start()
    try:
        until = time.monotonic() + 30
        while not heard:  # once, when it begins
            assert time.monotonic() < until
            time.sleep(0.01)
        with pytest.raises(Conflict):
            _ring_and_fail(database)
        time.sleep(0.5)
        assert len(heard) == 1
        with database.session() as session:
            bell.ring(session)
            bell.ring(session)
        while len(heard) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        listener.stop()
    assert not bell.can_ring(f"sqlite:///{tmp_path}/nas.sqlite")
