"""A worker that stood still past its lease, whose work others took over, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_service.engine.leases import Keeper
from nas_service.errors import TakenOver
from nas_service.storage import jobs
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, migrate


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    migrate(url)
    made = Database(url, SERVICE)
    yield made
    made.close()


def _guarded(database: Database, executor: str) -> Database:
    return database.guarded(lambda session: jobs.require_lease(session, executor))


def _renewed(database: Database, executor: str, *, first: bool = False) -> None:
    with database.session() as session:
        jobs.renew_lease(session, executor, ["gpu"], 60.0, first=first)


def _add(database: Database, job_id: str) -> None:
    from nas_service.storage.scope import DEFAULT

    with database.of(DEFAULT).session() as session:
        jobs.add_job(session, job_id, "supernet", subject="x", params={})


def _stored(database: Database) -> set[str]:
    with database.session() as session:
        return {one for one, _ in jobs.unfinished_after(session, "", jobs.database_now(session), 9)}


def test_what_a_worker_writes_is_stored_while_its_work_is_its_own(database: Database) -> None:
    _renewed(database, "one", first=True)
    _add(_guarded(database, "one"), "job-1")
    assert _stored(database) == {"job-1"}


def test_nothing_of_a_fenced_worker_is_stored_and_it_lives_no_more(database: Database) -> None:
    _renewed(database, "one", first=True)
    _renewed(database, "two", first=True)
    with database.session() as session:
        jobs.fence(session, ["one"])
    with pytest.raises(TakenOver, match="took over the work of one"):
        _add(_guarded(database, "one"), "job-1")
    with pytest.raises(TakenOver):
        _renewed(database, "one")
    _add(_guarded(database, "two"), "job-2")
    assert _stored(database) == {"job-2"}


def test_one_that_was_forgotten_is_as_one_that_was_fenced(database: Database) -> None:
    with pytest.raises(TakenOver):
        _add(_guarded(database, "never"), "job-1")
    with pytest.raises(TakenOver):
        _renewed(database, "never")
    assert _stored(database) == set()


def test_whoever_only_reads_is_not_asked(database: Database) -> None:
    with _guarded(database, "never").session() as session:
        assert jobs.live_workers(session) == {}


class _Clock:
    """A clock on the wall that can be set."""

    def __init__(self) -> None:
        self.ahead_s = 0.0


@pytest.mark.parametrize(("moved_s", "taken"), [(0.0, True), (3600.0, False), (-3600.0, False)])
def test_who_sees_a_clock_being_set_takes_nothing_over_at_once(
    moved_s: float, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, rounds, recovered = _Clock(), [0], list[list[str]]()
    monkeypatch.setattr("nas_service.engine.leases._ahead_s", lambda: clock.ahead_s)

    def renew() -> None:
        rounds[0] += 1
        if rounds[0] == 1:
            clock.ahead_s += moved_s
        if rounds[0] == 3:
            keeper._ended.set()

    keeper = Keeper(
        lease_s=0.3,
        renew=renew,
        live=set,
        pending=lambda: {"other"},
        recover=recovered.append,
        tidy=lambda: None,
        lost=lambda _: None,
    )
    keeper._keep()
    assert rounds[0] == 3
    assert (recovered[:1] == [["other"]] and len(recovered) == 3) is taken
    if not taken:  # for as long as a lease lasts; others have renewed theirs by then
        assert len(recovered) <= 1


def test_a_worker_that_is_told_of_others_having_its_work_ends() -> None:
    said: list[str] = []

    def renew() -> None:
        raise TakenOver("others took over the work of this")

    keeper = Keeper(
        lease_s=0.03,
        renew=renew,
        live=set,
        pending=set,
        recover=lambda _: None,
        tidy=lambda: None,
        lost=lambda reason: (said.append(reason), keeper._ended.set())[0],
    )
    keeper._keep()
    assert said == ["others took over the work of this"]
