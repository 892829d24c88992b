"""A worker that stood still past its lease, whose work others took over, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_service.engine.leases import Keeper
from nas_service.errors import TakenOver, Unavailable
from nas_service.storage import jobs, leases
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, database_now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    migrate(url)
    made = Database(url, SERVICE)
    yield made
    made.close()


def _guarded(database: Database, executor: str) -> Database:
    return database.guarded(lambda session: leases.require_lease(session, executor))


def _renewed(database: Database, executor: str, *, first: bool = False) -> None:
    with database.session() as session:
        leases.renew_lease(session, executor, ["gpu"], 60.0, first=first)


def _add(database: Database, job_id: str) -> None:
    from nas_service.storage.scope import DEFAULT

    with database.of(DEFAULT).session() as session:
        jobs.add_job(session, job_id, "supernet", subject="x", params={})


def _stored(database: Database) -> set[str]:
    with database.session() as session:
        return {one for one, _ in jobs.unfinished_after(session, "", database_now(session), 9)}


def test_what_a_worker_writes_is_stored_while_its_work_is_its_own(database: Database) -> None:
    _renewed(database, "one", first=True)
    _add(_guarded(database, "one"), "job-1")
    assert _stored(database) == {"job-1"}


def test_nothing_of_a_fenced_worker_is_stored_and_it_lives_no_more(database: Database) -> None:
    _renewed(database, "one", first=True)
    _renewed(database, "two", first=True)
    with database.session() as session:
        leases.fence(session, ["one"])
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
        assert leases.live_workers(session) == {}


class _Clocks:
    """Time that passes when the keeper waits, and a clock on the wall that is set in between."""

    def __init__(self, n_rounds: int, set_by_s: float) -> None:
        self.now, self.ahead_s = 100.0, 0.0
        self._left, self._set_by_s = n_rounds, set_by_s

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self._left -= 1
        if self._left == 6:
            self.ahead_s += self._set_by_s
        return self._left < 0

    def set(self) -> None:
        self._left = 0


@pytest.mark.parametrize(("set_by_s", "taken"), [(0.0, 8), (3600.0, 5), (-3600.0, 5)])
def test_who_sees_a_clock_being_set_takes_nothing_over_for_as_long_as_a_lease(
    set_by_s: float, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten rounds of a third of a lease; nothing in the first, when others have yet to renew."""
    clocks, recovered, tidied = _Clocks(9, set_by_s), list[list[str]](), list[int]()
    monkeypatch.setattr("nas_service.engine.leases.time", clocks)
    monkeypatch.setattr("nas_service.engine.leases._ahead_s", lambda: clocks.ahead_s)
    keeper = Keeper(
        lease_s=6.0,
        renew=lambda: None,
        live=dict,
        pending=lambda: {"other"},
        recover=recovered.append,
        tidy=lambda: tidied.append(1),
        lost=lambda _: None,
    )
    monkeypatch.setattr(keeper, "_ended", clocks)
    keeper._keep()
    assert len(recovered) == len(tidied) == taken


def test_work_of_a_dead_one_is_taken_over_when_its_lease_has_run_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looks are two seconds apart, and one comes where the lease ends; it ends at 107.5."""
    clocks, recovered = _Clocks(5, 0.0), list[float]()
    monkeypatch.setattr("nas_service.engine.leases.time", clocks)
    monkeypatch.setattr("nas_service.engine.leases._ahead_s", lambda: 0.0)

    def live() -> dict[str, float]:
        left = {"this": 6.0, "other": 107.5 - clocks.now}
        return {name: seconds for name, seconds in left.items() if seconds > 0}

    keeper = Keeper(
        lease_s=6.0,
        renew=lambda: None,
        live=live,
        pending=lambda: {"this", "other"},
        recover=lambda dead: recovered.extend(clocks.now for one in dead if one == "other"),
        tidy=lambda: None,
        lost=lambda _: None,
    )
    monkeypatch.setattr(keeper, "_ended", clocks)
    keeper._keep()
    assert 107.6 <= recovered[0] <= 107.8


def test_who_could_not_renew_takes_nothing_over_for_as_long_as_a_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The third round fails, at 106: others could not renew either. One comes every two seconds."""
    clocks, recovered, asked = _Clocks(8, 0.0), list[float](), list[float]()
    monkeypatch.setattr("nas_service.engine.leases.time", clocks)
    monkeypatch.setattr("nas_service.engine.leases._ahead_s", lambda: 0.0)

    def renew() -> None:
        asked.append(clocks.now)
        if len(asked) == 3:
            raise Unavailable("the database does not answer")

    keeper = Keeper(
        lease_s=6.0,
        renew=renew,
        live=dict,
        pending=lambda: {"other"},
        recover=lambda _: recovered.append(clocks.now),
        tidy=lambda: None,
        lost=lambda _: None,
    )
    monkeypatch.setattr(keeper, "_ended", clocks)
    keeper._keep()
    assert asked == [102.0, 104.0, 106.0, 108.0, 110.0, 112.0, 114.0, 116.0]
    assert recovered == [104.0, 112.0, 114.0, 116.0]


def test_a_worker_that_is_told_of_others_having_its_work_ends() -> None:
    said: list[str] = []

    def renew() -> None:
        raise TakenOver("others took over the work of this")

    keeper = Keeper(
        lease_s=0.03,
        renew=renew,
        live=dict,
        pending=set,
        recover=lambda _: None,
        tidy=lambda: None,
        lost=lambda reason: (said.append(reason), keeper._ended.set())[0],
    )
    keeper._keep()
    assert said == ["others took over the work of this"]
