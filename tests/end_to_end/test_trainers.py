"""A search whose architectures somebody else trains: two trainers, and one that vanishes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_service.client import ApiError, Client
from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(copied(prepared, tmp_path_factory.mktemp("trainers") / "var"))
    made.start()
    yield made
    made.stop()


def _law(trial: dict[str, Any]) -> float:
    """What a trainer would find: deeper and wider is better."""
    numbers = [float(one) for one in trial["architecture"]["decisions"].values()]
    return round(0.5 + 0.4 * (sum(numbers) % 97) / 97, 6)


class _Trainer(threading.Thread):
    """Trains until the search has no more of it; across restarts of the service."""

    def __init__(self, service: Service, search: str, name: str) -> None:
        super().__init__(name=name)
        self._service, self._search = service, search
        self.reported: dict[str, float] = {}
        self.enough = threading.Event()

    def run(self) -> None:
        with Client(self._service.url) as nas:
            while not self.enough.is_set():
                try:
                    trial = nas.suggest(self._search, trainer=self.name, lease_s=10, wait_s=1)
                    if trial is None:
                        continue
                    assert nas.keep(trial, 0.5, lease_s=10)
                    told = nas.complete(trial, value=_law(trial))
                    self.reported[told["id"]] = told["value"]
                except ApiError as error:
                    if error.problem.get("status") == 409:  # the search has ended
                        return
                    if not error.away:
                        raise
                    time.sleep(0.2)


def test_accuracies_come_from_trainers_outside(service: Service) -> None:
    nas = service.client
    asked = toy_search(evaluator="outside", n_queries=10, batch=2, seed=11)
    search = nas.submit_search(**asked)["id"]
    path = f"/v1/searches/{search}/trials"
    gone = _first(nas, search)
    assert gone["metric"] == "accuracy"
    assert nas.get(f"{path}/{gone['id']}")["state"] == "leased"
    with pytest.raises(ApiError, match="accuracy is 1 at best and 0 at worst, not 93"):
        nas.complete(gone, value=93.0)
    failed = _first(nas, search)
    assert failed["id"] != gone["id"]
    again = nas.complete(failed, problem="out of memory")
    assert (again["state"], again["problem"]) == ("waiting", "out of memory")
    with pytest.raises(ApiError, match="not yours any more"):
        nas.complete(failed, problem="out of memory")

    trainers = [_Trainer(service, search, name) for name in ("one", "two")]
    trainers[0].start()
    while not trainers[0].reported:
        time.sleep(0.1)
    service.kill()  # trainers wait, and what they reported stays
    service.start()
    trainers[1].start()
    try:
        done = nas.wait(search, timeout_s=300)
    finally:
        for one in trainers:
            one.enough.set()
            one.join()
    assert done["state"] == "succeeded"
    told = {one["id"]: one for one in nas.every(path)}
    assert {one["state"] for one in told.values()} == {"done"}
    assert told[gone["id"]]["attempts"] == 2  # the one that vanished lost it to another
    assert told[failed["id"]]["attempts"] == 2
    reported = trainers[0].reported | trainers[1].reported
    assert {key: one["value"] for key, one in told.items()} == pytest.approx(reported)
    queries = list(nas.every(f"/v1/searches/{search}/evaluations"))
    assert len(queries) == 10
    of_trials = {str(one["architecture"]): one["value"] for one in told.values()}
    for one in queries:
        assert one["accuracy"] == pytest.approx(of_trials[str(one["architecture"])])
    with pytest.raises(ApiError, match="has succeeded: nothing is to be trained"):
        nas.suggest(search)
    with pytest.raises(ApiError, match="given to another trainer"):
        nas.complete(gone, value=0.9)
    assert nas.keep(gone, 0.9) is False


def test_what_every_trainer_fails_at_ends_the_search(service: Service) -> None:
    nas = service.client
    search = nas.submit_search(**toy_search(evaluator="outside", seed=12))["id"]
    first = _first(nas, search)
    states = []
    trial: dict[str, Any] | None = first
    while trial is not None and len(states) < 3:
        if trial["id"] == first["id"]:
            states.append(nas.complete(trial, problem="this layer is not there")["state"])
        else:
            nas.complete(trial, value=0.5)
        trial = nas.suggest(search) if len(states) < 3 else None
    assert states == ["waiting", "waiting", "failed"]
    with pytest.raises(ApiError, match="this layer is not there"):
        nas.wait(search, timeout_s=120)


def test_a_search_of_another_evaluator_has_no_trainers(service: Service) -> None:
    nas = service.client
    search = nas.get("/v1/searches")["items"][-1]["id"]
    with pytest.raises(ApiError, match="only one with the evaluator 'outside'"):
        nas.suggest(search)


def _first(nas: Client, search: str) -> dict[str, Any]:
    for _ in range(120):
        found = nas.suggest(search, trainer="first", lease_s=10, wait_s=1)
        if found is not None:
            return found
    raise AssertionError("nothing was suggested in two minutes")
