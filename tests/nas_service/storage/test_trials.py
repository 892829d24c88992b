"""Leases of trials: whoever has lost one changes nothing, whatever they read before."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from lookup_tables.target import Device
from nas_service.errors import Conflict
from nas_service.search.spec import SearchSpec
from nas_service.storage import datasets, devices, searches, trials
from nas_service.storage.models.searches import TrialRow
from nas_service.storage.revisions import migrate
from nas_service.storage.session import Database, now
from nas_service.storage.trials import Trial


class World:
    """A search with one trial that was offered."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'nas.sqlite'}"
        migrate(url)
        self.database = Database(url)
        with self.database.session() as session:
            device = devices.add_device(session, Device("board"))
            dataset = datasets.add_dataset(session, "toy", {"builtin": "digits"})
            spec = SearchSpec(dataset="toy", space="mbconv", device="board", evaluator="outside")
            made = searches.add_search(
                session, spec, device_id=device.id, dataset_id=dataset.id, data_digest=None
            )
            self.search = made.id
            self.key = trials.offer(session, made.id, [0, 1], 1.0)

    def take(self, trainer: str) -> Trial:
        with self.database.session() as session:
            found = trials.take(session, self.search, trainer, 600.0)
        assert found is not None
        return found

    def expire(self) -> None:
        with self.database.session() as session:
            past = now() - timedelta(seconds=1)
            session.execute(update(TrialRow).values(lease_expires_at=past))

    def trial(self) -> Trial:
        with self.database.session() as session:
            return trials.by_key(session, self.search, [self.key])[self.key]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_trial_is_offered_once(world: World) -> None:
    with world.database.session() as session:
        assert trials.offer(session, world.search, [0, 1], 1.0) == world.key
        assert trials.offer(session, world.search, [0, 1], 0.5) != world.key
        assert len(trials.list_trials(session, world.search, cursor=None, limit=9).items) == 2


def test_who_lost_a_lease_neither_keeps_nor_fails_nor_reports(world: World) -> None:
    """With the trial as it was read before it was lost."""
    first = world.take("first")
    world.expire()
    second = world.take("second")
    assert second.id == first.id
    before = world.trial()
    with world.database.session() as session:
        assert not trials.keep(session, first, first.lease or "", 0.5, 600.0)
        with pytest.raises(Conflict, match="not yours any more"):
            trials.fail(session, first, first.lease or "", "late")
        with pytest.raises(Conflict, match="given to another trainer"):
            trials.complete(session, first, first.lease or "", 0.9)
    assert world.trial() == before
    with world.database.session() as session:
        trials.complete(session, second, second.lease or "", 0.8)
    assert (world.trial().state, world.trial().score) == ("done", 0.8)


def test_a_report_counts_once(world: World) -> None:
    taken = world.take("one")
    with world.database.session() as session:
        for _ in range(2):
            trials.complete(session, taken, taken.lease or "", 0.8)
        with pytest.raises(Conflict, match="another value"):
            trials.complete(session, taken, taken.lease or "", 0.7)


def test_a_lease_that_is_kept_is_not_given_to_another(world: World) -> None:
    taken = world.take("one")
    world.expire()
    with world.database.session() as session:
        assert trials.keep(session, taken, taken.lease or "", 0.5, 600.0)
        assert trials.take(session, world.search, "two", 600.0) is None


def test_what_three_vanish_over_has_failed_though_nobody_asks_again(world: World) -> None:
    for name in ("one", "two", "three"):
        world.take(name)
        with world.database.session() as session:
            trials.give_up(session, world.search)
        assert world.trial().state == "leased"
        world.expire()
    with world.database.session() as session:
        trials.give_up(session, world.search)
    assert world.trial().state == "failed"
    assert world.trial().problem == "3 trainers vanished over it"
