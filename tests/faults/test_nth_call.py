"""The n-th call of database or disk fails, for all n of a job: it is done, and done once."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nas_service.storage import artifacts, datasets, jobs, searches
from nas_service.storage.revisions import migrate
from nas_service.worker import steps
from tests.faults.injected import Calls, database_calls, file_calls
from tests.inline import Inline, inline
from tests.prepared import copied
from tests.toy_search import save_toy_arrays, toy_search

Failing = Callable[[Calls], AbstractContextManager[None]]
EVERY = bool(os.environ.get("NAS_TEST_FAULTS"))
"""Whether every call of a search is tried in turn, and not some of them."""
ONLY = [int(one) for one in os.environ.get("NAS_TEST_CALLS", "").split(":") if one]
"""From which call on, and before which: the hours that all of them take can be had in parts."""
N_TRIED = 3
N_REPEATED = 10


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nobody waits before trying again."""
    monkeypatch.setattr(steps, "PAUSES_S", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(steps.time, "sleep", lambda _: None)
    return monkeypatch


def _failing(kind: str, folder: Path) -> Failing:
    return database_calls if kind == "database" else partial(file_calls, below=folder)


def _import(worker: Inline) -> dict[str, Any]:
    """A data set and its job, stored before anything fails; then the job runs."""
    with worker.context.database.session() as session:
        source = {"path": str(worker.context.settings.var_dir / "toy.npz")}
        stored = datasets.add_dataset(session, "new", source)
        job = jobs.add_job(
            session, "job-import", "dataset", subject=stored.id, params={"dataset_id": stored.id}
        )
    return {"job": job, "dataset": stored.id}


def _sound(worker: Inline) -> None:
    """No file is left in the making, and every one has the content of its name."""
    var_dir = worker.context.settings.var_dir
    assert not list(var_dir.rglob("partial-*"))
    scratch = worker.context.settings.scratch_dir
    assert not [one for one in scratch.rglob("*") if one.is_file()]
    for blob in (var_dir / "blobs").glob("??/*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


@pytest.mark.parametrize("kind", ["database", "disk"])
def test_an_import_is_done_whichever_call_fails(
    kind: str, tmp_path: Path, at_once: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    save_toy_arrays(first / "toy.npz")
    migrate(f"sqlite:///{first / 'nas.sqlite'}")
    n, expected, calls = 0, None, Calls()
    while n == 0 or calls.n > n - 1:
        folder = tmp_path / f"run-{n}"
        shutil.copytree(first, folder)
        with inline(folder, at_once) as worker:
            asked = _import(worker)
            calls = Calls(fails_at=n - 1)  # nothing fails the first time
            with _failing(kind, folder)(calls):
                outcome = worker.run(asked["job"])
            assert outcome == {"state": "succeeded", "problem": None}, f"call {n - 1}"
            with worker.context.database.session() as session:
                stored = datasets.get_dataset(session, asked["dataset"])
                names = [one.name for one in artifacts.artifacts_of(session, stored.id)]
            found = (stored.digest, stored.sha256, stored.facts, names)
            expected = expected or found
            assert found == expected, f"call {n - 1}"
            _sound(worker)
        shutil.rmtree(folder)
        n += 1
    assert n > 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["database", "disk"])
def test_a_search_is_the_same_whichever_call_fails(
    kind: str, prepared: Path, tmp_path: Path, at_once: pytest.MonkeyPatch
) -> None:
    spec = toy_search(precisions=("fp32",), measuring_budget=2)
    whole, undisturbed = _searched(spec, kind, Calls(), copied(prepared, tmp_path / "w"), at_once)
    every = range(whole.n)[slice(*ONLY)] if ONLY else range(whole.n)
    tried = every if EVERY else sorted(random.Random(3).sample(every, N_TRIED))  # noqa: S311
    for n in tried:
        folder = copied(prepared, tmp_path / f"run-{n}")
        calls, found = _searched(spec, kind, Calls(n), folder, at_once)
        # what is measured again on a busy machine asks again: the last may have no like here
        assert calls.n > n or calls.n >= whole.n - N_REPEATED, f"{calls.n} calls of {whole.n}"
        assert found == undisturbed, f"call {n} of {whole.n}"
        shutil.rmtree(folder)


def _searched(
    spec: dict[str, Any], kind: str, calls: Calls, folder: Path, patch: pytest.MonkeyPatch
) -> tuple[Calls, list[Any]]:
    """What a search asked, in order, and how many winners have files."""
    with inline(folder, patch) as worker:
        search_id, run = worker.stored_search(spec)
        with _failing(kind, folder)(calls):
            outcome = run()
        assert outcome == {"state": "succeeded", "problem": None}, f"call {calls.fails_at}"
        with worker.context.database.session() as session:
            told = searches.evaluations_of(session, search_id)
            winners = searches.winners_of(session, search_id)
            names = sorted(one.name for one in artifacts.artifacts_of(session, search_id))
        _sound(worker)
    rows = [(one.number, one.genotype, one.accuracy) for one in told]
    return calls, [rows, [len(one.results or []) for one in winners], names]
