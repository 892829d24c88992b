"""Hundreds of bad files: each refused with a reason, and nothing kept of it."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lookup_tables.target import Device
from nas_service.api.app import create_app
from nas_service.cli.databases import prepare
from nas_service.compilation.uploads.any_graph import inspect_graph
from nas_service.compilation.uploads.inspect import inspect_signature
from nas_service.errors import InvalidSpec, NasError, Unsupported
from nas_service.settings import Settings
from nas_service.storage import datasets, devices, jobs
from nas_service.storage.session import Database
from tests.faults.bad_uploads import KINDS, Bad
from tests.inline import Inline, inline

MOST_MORE_BYTES = 200 * 1024**2
REFUSED = {"InvalidSpec", "InvalidData", "Unsupported", "Conflict", "UnknownPlugin"}
Refuse = Callable[[Bad], str]
"""Hands a file in; gives the reason for which it was refused."""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inline]:
    settings = Settings(var_dir=tmp_path / "var")
    prepare(settings)
    with inline(tmp_path / "var", monkeypatch) as made:
        yield made


@pytest.fixture
def as_table(tmp_path: Path) -> Iterator[Refuse]:
    settings = Settings(var_dir=tmp_path / "api")
    prepare(settings)
    database = Database(settings.url)
    with database.session() as session:
        devices.add_device(session, Device("here"))
    app = create_app(settings)
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:

        def kept() -> int:
            return len(client.get("/v1/lookup-tables?limit=200").json()["items"])

        def refuse(bad: Bad) -> str:
            before = kept()
            answer = client.post("/v1/lookup-tables", content=bad.content)
            assert 400 <= answer.status_code < 500, answer.text
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert kept() == before
            return str(answer.json()["detail"])

        yield refuse
    database.close()


@pytest.fixture
def as_data(worker: Inline) -> Refuse:
    context = worker.context

    def refuse(bad: Bad) -> str:
        source = {"sha256": context.blobs.put_bytes(bad.content), "filename": bad.filename}
        with context.database.session() as session:
            stored = datasets.add_dataset(session, "bad", source)
            job = jobs.add_job(
                session,
                f"import-{stored.id}",
                "dataset",
                subject=stored.id,
                params={"dataset_id": stored.id},
            )
        outcome = worker.run(job)
        assert outcome["state"] == "failed"
        problem = outcome["problem"]
        assert problem["kind"] in REFUSED, problem
        with context.database.session() as session:
            assert not datasets.list_datasets(session, cursor=None, limit=9).items
        left = [one for one in context.settings.scratch_dir.rglob("*") if one.is_file()]
        assert left == []
        return str(problem["detail"])

    return refuse


@pytest.fixture
def as_graph(tmp_path: Path) -> Refuse:
    def refuse(bad: Bad) -> str:
        path = tmp_path / bad.filename
        path.write_bytes(bad.content)
        read = inspect_graph if bad.filename.endswith(".onnx") else inspect_signature
        with pytest.raises((InvalidSpec, Unsupported)) as caught:
            read(path, tmp_path / "normalised.onnx")
        assert isinstance(caught.value, NasError)
        return caught.value.detail

    return refuse


def _all_refused(kind: str, refuse: Refuse) -> int:
    """How many there were; every one that was taken, or broke something, is named."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wrong: list[str] = []
    n = 0
    for bad in KINDS[kind]():
        n += 1
        try:
            reason = refuse(bad)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  # all are told at once
            wrong.append(f"{bad.name}: {type(error).__name__} {str(error)[:160]}")
            continue
        if len(reason) < 10:
            wrong.append(f"{bad.name}: {reason!r} says nothing")
    assert not wrong, f"{len(wrong)} of {n}:\n" + "\n".join(wrong)
    more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert more < MOST_MORE_BYTES + 400 * 1024**2  # and the corpus itself, which is made here
    return n


def test_tables(as_table: Refuse) -> None:
    assert _all_refused("tables", as_table) >= 150


@pytest.mark.parametrize("kind", ["arrays", "archives", "rows"])
def test_data_sets(kind: str, as_data: Refuse) -> None:
    assert _all_refused(kind, as_data) >= 20


def test_graphs(as_graph: Refuse) -> None:
    assert _all_refused("graphs", as_graph) >= 25


def test_there_are_hundreds() -> None:
    names = [bad.name for make in KINDS.values() for bad in make()]
    assert len(set(names)) == len(names) >= 300
