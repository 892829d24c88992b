"""Polls of a front: what was stored when somebody asked, and no question too many."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from lookup_tables.target import Device
from nas_service.api.polling import Asked, Fronts
from nas_service.errors import Conflict, NotFound
from nas_service.search.spec import SearchSpec
from nas_service.settings import Settings
from nas_service.storage import audit, datasets, devices, front_revisions, searches
from nas_service.storage.audit import Action
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import Scope
from nas_service.storage.session import Database, new_id
from tests.postgres import cluster


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        made = Settings(var_dir=tmp_path_factory.mktemp("polls")).url
        migrate(made)
        yield made
        return
    with cluster() as address:
        made = Settings(var_dir=Path("unused"), database_url=address).url
        migrate(made)
        yield made


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = Database(url)
    yield made
    made.close()


def _search(database: Database) -> Asked:
    with database.session() as session:
        name = new_id("d")
        device = devices.add_device(session, Device(name, "cpu", "a model", 1))
        dataset = datasets.add_dataset(session, name, {"builtin": "digits"})
        spec = SearchSpec(dataset=name, space="mbconv", device=name)
        made = searches.add_search(
            session, spec, device_id=device.id, dataset_id=dataset.id, data_digest=None
        )
    return Asked("default", made.id)


def test_each_poll_is_told_what_was_stored_when_it_asked(database: Database, url: str) -> None:
    asked, writer = _search(database), Database(url)

    async def follow() -> None:
        fronts = Fronts(database)
        assert b'"revision": 0' in (await fronts.newest(asked)).body
        for number in range(1, 40):
            with writer.session() as session:  # another connection, as a worker's is
                front_revisions.add_front(session, asked.search_id, {"front": [], "n": number})
            several = await asyncio.gather(*(fronts.newest(asked) for _ in range(8)))
            assert {one.tag for one in several} == {f'"{asked.search_id}.{number}"'.encode()}
            assert f'"n": {number}'.encode() in several[0].body

    asyncio.run(follow())
    writer.close()


def test_polls_at_once_are_one_question_and_none_where_nobody_wrote(database: Database) -> None:
    asked, questions = _search(database), []

    def note(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        questions.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)

    async def poll() -> list[int]:
        fronts = Fronts(database)
        counts = []
        for _ in range(3):
            questions.clear()
            await asyncio.gather(*(fronts.newest(asked) for _ in range(50)))
            counts.append(len(questions))
        return counts

    first, second, third = asyncio.run(poll())
    event.remove(database.engine, "before_cursor_execute", note)
    assert first == 2  # which front is the newest, and its body
    again = 0 if database.engine.dialect.name == "sqlite" else 1
    assert (second, third) == (again, again)


def test_a_search_of_another_project_is_not_found_among_those_that_are(database: Database) -> None:
    asked = _search(database)

    async def both() -> list[Any]:
        fronts = Fronts(database)
        foreign = Asked("elsewhere", asked.search_id)
        nobody = Asked("default", "sea_none")
        return await asyncio.gather(
            *(fronts.newest(one) for one in (asked, foreign, nobody, asked)),
            return_exceptions=True,
        )

    found, foreign, nobody, again = asyncio.run(both())
    assert found.tag == again.tag
    assert isinstance(foreign, NotFound)
    assert isinstance(nobody, NotFound)


def _add_twice(session: Session) -> None:
    for _ in range(2):
        datasets.add_dataset(session, "undone", {"builtin": "digits"})


def test_a_change_is_audited_in_its_transaction_and_for_good(database: Database) -> None:
    action = Action("token tok_1", "ci", "devices_register", "x", "r1", "default")
    acting = database.of(Scope("default"), audit.watching(action))
    with pytest.raises(Conflict), acting.session() as session:
        _add_twice(session)
    with acting.session() as session:
        datasets.list_datasets(session, cursor=None, limit=5)  # reads alone: nothing to note
    with database.session() as session:
        assert audit.list_events(session, cursor=None, limit=5).items == []
    with acting.session() as session:
        datasets.add_dataset(session, "done", {"builtin": "digits"})
    with database.session() as session:
        (made,) = audit.list_events(session, cursor=None, limit=5).items
    assert (made.actor, made.action, made.request_id) == ("token tok_1", "devices_register", "r1")
    for change in ("UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events"):
        with database.engine.connect() as connection, pytest.raises(DatabaseError, match="append"):
            connection.execute(text(change))
