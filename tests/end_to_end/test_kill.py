"""Kill -9 of everything, in the middle of a search and again in compression; then it goes on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import cluster
from tests.prepared import copied
from tests.service import Service
from tests.toy_search import toy_search

SEARCH = toy_search(
    n_queries=16,  # eight batches of a second each: enough time to be killed in their middle
    n_winners=3,
    max_latency_ms=5.0,
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with cluster() as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_killed_service_goes_on_where_it_was(
    kind: str, tmp_path: Path, toy_arrays: Path, request: pytest.FixtureRequest
) -> None:
    """On SQLite it goes on from the prepared folder; on PostgreSQL it begins with nothing."""
    url = request.getfixturevalue("postgres") if kind == "postgresql" else None
    if url is None:
        copied(request.getfixturevalue("prepared"), tmp_path / "var")
    # no lease ends in this time: whoever starts in a dead one's place takes its work up at once
    service = Service(tmp_path / "var", database_url=url, NAS_LEASE_S="3600")
    service.start()
    nas = service.client
    try:
        if url is not None:
            nas.add_device("here", this_machine=True)
            nas.wait(nas.upload_dataset("toy", toy_arrays)["job"]["id"], timeout_s=240)
        submitted = nas.submit_search(idempotency_key="once", **SEARCH)
        search = submitted["id"]

        def n_candidates() -> int:
            return len(nas.get(f"/v1/searches/{search}/evaluations")["items"])

        def state() -> str:
            return str(nas.search(search)["state"])

        service.wait_until(lambda: n_candidates() >= 4, 240)
        assert state() == "searching"
        before = nas.get(f"/v1/searches/{search}/evaluations")["items"]
        service.kill()
        service.start()
        assert nas.submit_search(idempotency_key="once", **SEARCH)["id"] == search

        service.wait_until(lambda: _started(service, f"{search}-w0-compress"), 240)
        service.kill()
        finished = _finished_before(tmp_path / "var", url)
        service.start()
        service.wait_until(lambda: state() in {"succeeded", "failed", "cancelled"}, 240)
        assert state() == "succeeded", nas.search(search)["problem"]

        after = nas.get(f"/v1/searches/{search}/evaluations")["items"]
        assert after[: len(before)] == before
        assert [one["number"] for one in after] == list(range(SEARCH["n_queries"]))
        architectures = {str(one["architecture"]) for one in after}
        assert len(architectures) == SEARCH["n_queries"]
        winners = nas.winners(search)
        assert [one["rank"] for one in winners] == list(range(len(winners)))
        assert all(len(one["results"]) == 2 for one in winners)

        again = Counter[tuple[str, str]]()
        for job in nas.every("/v1/jobs"):
            for event in nas.get(f"/v1/jobs/{job['id']}/events"):
                if event["event"] == "finished":
                    again[job["id"], event["step"]] += 1
        assert set(finished) <= set(again)
        assert set(again.values()) == {1}
        starts = Counter[tuple[str, str]]()
        for job in nas.every("/v1/jobs"):
            for event in nas.get(f"/v1/jobs/{job['id']}/events"):
                starts[job["id"], event["step"]] += event["event"] == "started"
        assert all(starts[step] == 1 for step in _once(finished, search))
    finally:
        service.stop()


def _started(service: Service, job_id: str) -> bool:
    jobs = {job["id"]: job for job in service.client.every("/v1/jobs")}
    if job_id not in jobs:
        return False
    events = service.client.get(f"/v1/jobs/{job_id}/events")
    time.sleep(0.3)
    return any(event["event"] == "started" for event in events)


def _finished_before(var_dir: Path, url: str | None) -> list[tuple[str, str]]:
    """Steps that had finished when the service was killed, read from the database itself."""
    from sqlalchemy import create_engine, text

    address = (
        url.replace("postgresql://", "postgresql+psycopg://")
        if url
        else (f"sqlite:///{var_dir / 'nas.sqlite'}")
    )
    engine = create_engine(address)
    with engine.connect() as connection:
        rows = connection.execute(
            text("select job_id, step from job_events where event = 'finished'")
        ).all()
    engine.dispose()
    return [(row[0], row[1]) for row in rows]


def _once(finished: list[tuple[str, str]], search: str) -> list[tuple[str, str]]:
    """Finished steps that no kill had interrupted: all but the search's queries."""
    return [step for step in finished if step != (search, "search")]
