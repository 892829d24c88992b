"""A batch shared among workers: the same scores in the same order, whoever evaluates what."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from lookup_tables.target import Device
from nas_service.errors import StepFailed
from nas_service.search.spec import SearchSpec
from nas_service.settings import Settings
from nas_service.space.base import FloatArray, IntArray
from nas_service.storage import datasets, devices, searches, trials
from nas_service.storage.models.searches import TrialRow
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import DEFAULT, SERVICE
from nas_service.storage.session import Database
from nas_service.worker.locks import PROCESSOR, held, wanted
from nas_service.worker.spread import Evaluating, Spread

ROWS = np.arange(12, dtype=np.int64).reshape(6, 2)


class Counting:
    """The sum of a genotype over 100, after so long; some fail."""

    spreads = True

    def __init__(self, takes_s: float = 0.0, broken: tuple[int, ...] = ()) -> None:
        self.seen: list[list[int]] = []
        self._takes_s = takes_s
        self._broken = broken

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        del fidelity, seed
        self.seen += genotypes.tolist()
        time.sleep(self._takes_s * len(genotypes))
        if any(row[0] in self._broken for row in genotypes.tolist()):
            raise StepFailed("no such layer")
        return genotypes.sum(axis=1) / 100.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    migrate(url)
    made = Database(url)
    yield made
    made.close()


@pytest.fixture
def search_id(database: Database) -> str:
    with database.session() as session:
        device = devices.add_device(session, Device("here"))
        dataset = datasets.add_dataset(session, "toy", {"builtin": "digits"})
        spec = SearchSpec(dataset="toy", space="mbconv", device="here", max_latency_ms=3.0)
        made = searches.add_search(
            session, spec, device_id=device.id, dataset_id=dataset.id, data_digest=None
        )
        searches.set_state(session, made.id, "searching")
        return made.id


def _spread(
    database: Database,
    search_id: str,
    evaluator: Counting,
    *,
    others: bool = True,
    lease_s: float = 0.6,
) -> Spread:
    return Spread(evaluator, database, search_id, lease_s=lease_s, others=lambda: others)


def _helper(
    database: Database,
    search_id: str,
    evaluator: Counting,
    name: str = "other",
    lease_s: float = 0.6,
) -> Evaluating:
    return Evaluating(database, search_id, evaluator, name=name, seed=0, lease_s=lease_s)


def _offered(database: Database, search_id: str, *rows: list[int]) -> list[str]:
    with database.session() as session:
        return [trials.offer(session, search_id, row, 1.0, by_workers=True) for row in rows]


def _n_stored(database: Database) -> int:
    with database.session() as session:
        return session.scalar(select(func.count()).select_from(TrialRow)) or 0


def test_alone_nothing_is_stored(database: Database, search_id: str) -> None:
    own = Counting()
    spread = _spread(database, search_id, own, others=False)
    assert spread.evaluate(ROWS, fidelity=1.0, seed=0).tolist() == (ROWS.sum(1) / 100).tolist()
    assert _n_stored(database) == 0


def test_others_take_part_and_the_order_is_that_of_the_batch(
    database: Database, search_id: str
) -> None:
    own, theirs = Counting(0.05), Counting(0.02)
    found: list[FloatArray] = []
    batch = threading.Thread(
        target=lambda: found.append(
            _spread(database, search_id, own, lease_s=60.0).evaluate(ROWS, fidelity=1.0, seed=0)
        )
    )
    batch.start()
    helper = _helper(database, search_id, theirs, lease_s=60.0)
    while batch.is_alive():
        if not helper.one():
            time.sleep(0.01)
    batch.join()
    assert found[0].tolist() == (ROWS.sum(1) / 100).tolist()
    assert theirs.seen
    assert sorted(own.seen + theirs.seen) == ROWS.tolist()
    assert _n_stored(database) == 0  # what was told is kept with the search


def test_a_worker_that_vanished_loses_what_it_had(database: Database, search_id: str) -> None:
    own = Counting()
    _offered(database, search_id, ROWS[0].tolist(), ROWS[1].tolist())
    with database.session() as session:
        gone = trials.take(session, search_id, "gone", 0.3)
    assert gone is not None
    scores = _spread(database, search_id, own).evaluate(ROWS[:2], fidelity=1.0, seed=0)
    assert scores.tolist() == (ROWS[:2].sum(1) / 100).tolist()
    assert sorted(own.seen) == ROWS[:2].tolist()


def test_a_worker_that_stood_still_past_its_lease_writes_nothing(
    database: Database, search_id: str
) -> None:
    (key,) = _offered(database, search_id, ROWS[0].tolist())
    with database.session() as session:
        stale = trials.take(session, search_id, "stale", 0.0)
        fresh = trials.take(session, search_id, "fresh", 60.0)
    assert stale is not None
    assert fresh is not None
    late = _helper(database, search_id, Counting())
    late._report(stale, lambda s: trials.complete(s, stale, stale.lease or "", 0.99))
    with database.session() as session:
        now = trials.by_key(session, search_id, [key])[key]
    assert (now.state, now.trainer, now.score) == ("leased", "fresh", None)


def test_a_lease_is_prolonged_while_an_evaluation_runs(database: Database, search_id: str) -> None:
    (key,) = _offered(database, search_id, ROWS[0].tolist())
    assert _helper(database, search_id, Counting(takes_s=1.5)).one()  # its lease is for 0.6 s
    with database.session() as session:
        trial = trials.by_key(session, search_id, [key])[key]
    assert (trial.state, trial.attempts, trial.score) == ("done", 1, 0.01)


def test_one_that_fails_with_everybody_fails_by_its_cause(
    database: Database, search_id: str
) -> None:
    theirs = _helper(database, search_id, Counting(broken=(2,)))
    _offered(database, search_id, ROWS[1].tolist())
    with pytest.raises(StepFailed, match="no such layer"):
        theirs.one()
    with pytest.raises(StepFailed, match="no such layer"):
        _spread(database, search_id, Counting(broken=(2,))).evaluate(ROWS, fidelity=1.0, seed=0)


def test_what_was_evaluated_before_a_crash_is_not_evaluated_again(
    database: Database, search_id: str
) -> None:
    _offered(database, search_id, *ROWS.tolist())
    before = _helper(database, search_id, Counting())
    assert before.one()
    assert before.one()
    own = Counting()
    scores = _spread(database, search_id, own).evaluate(ROWS, fidelity=1.0, seed=0)
    assert scores.tolist() == (ROWS.sum(1) / 100).tolist()
    assert len(own.seen) == 4


def test_helpers_see_what_waits_for_them_alone(database: Database, search_id: str) -> None:
    service = database.of(SERVICE)

    def waiting() -> list[tuple[str, object]]:
        with service.session() as session:
            return list(trials.wanted(session))

    assert waiting() == []
    with database.session() as session:
        trials.offer(session, search_id, [1, 2], 1.0)  # for trainers outside
    assert waiting() == []
    _offered(database, search_id, [3, 4])
    assert waiting() == [(search_id, DEFAULT)]
    with database.session() as session:
        assert [
            one.genotype
            for one in trials.list_trials(session, search_id, cursor=None, limit=9).items
        ] == [[1, 2]]
        searches.set_state(session, search_id, "cancelled")
    assert waiting() == []


def test_what_is_given_back_waits_as_if_never_taken(database: Database, search_id: str) -> None:
    (key,) = _offered(database, search_id, [3, 4])
    with database.session() as session:
        trials.take(session, search_id, "leaving", 60.0)
        trials.release(session, search_id, "leaving")
    with database.session() as session:
        found = trials.by_key(session, search_id, [key])[key]
    assert (found.state, found.attempts, found.lease) == ("waiting", 0, None)


def test_whoever_waits_for_a_machine_is_seen_by_others(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path)
    got, done = threading.Event(), threading.Event()

    def wait() -> None:
        with held((PROCESSOR,), settings):
            got.set()
            done.wait(10)

    assert not wanted((PROCESSOR,), settings)
    with held((PROCESSOR,), settings):
        assert not wanted((PROCESSOR,), settings)
        thread = threading.Thread(target=wait)
        thread.start()
        until = time.monotonic() + 10
        while not wanted((PROCESSOR,), settings):
            assert time.monotonic() < until
            time.sleep(0.01)
    assert got.wait(10)
    assert not wanted((PROCESSOR,), settings)
    done.set()
    thread.join()


def test_what_is_lacking_here_is_not_held_against_the_network(
    database: Database, search_id: str
) -> None:
    class Full(Counting):
        def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
            del genotypes, fidelity, seed
            raise OSError(28, "No space left on device")

    (key,) = _offered(database, search_id, [3, 4])
    for _ in range(5):
        with pytest.raises(OSError, match="No space"):
            _helper(database, search_id, Full()).one()
    with database.session() as session:
        found = trials.by_key(session, search_id, [key])[key]
    assert (found.state, found.attempts) == ("waiting", 0)


def test_a_search_whose_own_worker_is_killed_again_and_again_goes_on(
    database: Database, search_id: str
) -> None:
    _offered(database, search_id, *ROWS.tolist())
    for _ in range(5):  # each time in the middle of an evaluation
        with database.session() as session:
            assert trials.take(session, search_id, "the search's own worker", 60.0)
            trials.release(session, search_id, "the search's own worker")
    with database.session() as session:
        assert trials.take(session, search_id, "the search's own worker", 60.0)
    scores = _spread(database, search_id, Counting()).evaluate(ROWS, fidelity=1.0, seed=0)
    assert scores.tolist() == (ROWS.sum(1) / 100).tolist()


def test_one_that_does_not_train_takes_part_only_while_nobody_else_does(
    database: Database, search_id: str
) -> None:
    own, theirs = Counting(), Counting()
    spread = Spread(
        own, database, search_id, lease_s=0.6, others=lambda: True, trains=lambda: False
    )
    found: list[FloatArray] = []
    batch = threading.Thread(
        target=lambda: found.append(spread.evaluate(ROWS, fidelity=1.0, seed=0))
    )
    batch.start()
    helper = _helper(database, search_id, theirs)
    while batch.is_alive():
        if not helper.one():
            time.sleep(0.01)
    assert own.seen == []
    assert theirs.seen == ROWS.tolist()
    alone = Spread(
        own, database, search_id, lease_s=0.6, others=lambda: False, trains=lambda: False
    )
    assert len(alone.evaluate(ROWS, fidelity=1.0, seed=0)) == len(own.seen) == 6


def test_no_number_is_no_score(database: Database, search_id: str) -> None:
    class Nan(Counting):
        def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
            del fidelity, seed
            return np.full(len(genotypes), np.nan)

    with pytest.raises(StepFailed, match="an evaluation gave nan"):
        _spread(database, search_id, Nan()).evaluate(ROWS, fidelity=1.0, seed=0)


def test_nothing_is_left_of_a_search_that_ended(database: Database, search_id: str) -> None:
    _offered(database, search_id, *ROWS.tolist())
    with database.session() as session:
        searches.set_state(session, search_id, "failed")
    assert _n_stored(database) == 0
