"""The steps of a search, in process: what each leaves for the next, and what is measured."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas_service.search.certificate import UNDECIDED
from nas_service.storage import artifacts, certified, front_revisions, jobs, searches, supernets
from nas_service.worker.tasks import candidate_work, correction
from nas_service.worker.tasks import search as search_task
from nas_service.worker.tasks.correction import share_of_limit
from tests.inline import Inline, inline
from tests.prepared import copied
from tests.toy_search import toy_search


@pytest.fixture
def worker(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inline]:
    with inline(copied(prepared, tmp_path / "var"), monkeypatch) as made:
        yield made


def test_a_search_goes_from_tables_to_certificates(worker: Inline) -> None:
    spec = toy_search(precisions=("fp32", "int8"), measuring_budget=2)
    search_id, outcome = worker.search(spec)
    assert outcome == {"state": "succeeded", "problem": None}
    assert worker.steps == [  # the supernet of this data, seed and recipe is there already
        "select_tables",
        "check_feasible",
        "run_search",
        "measure_candidates",
        "choose_winners",
        "compress_winner",
        "measure_winner",
        "choose_winners",
        "finish_search",
    ]
    with worker.context.database.session() as session:
        search = searches.get_search(session, search_id)
        told = searches.evaluations_of(session, search_id)
        (winner,) = searches.winners_of(session, search_id)
        files = {one.name: one for one in artifacts.artifacts_of(session, search_id)}
        issued = certified.list_certificates(session, search_id, cursor=None, limit=10).items
        front = json.loads(front_revisions.front_body(session, search_id, search.revision) or "")
    assert search.state == "succeeded"
    assert len(told) == spec["n_queries"]
    assert front["n_evaluations"] == len(told)
    assert all(one["predicted_latency_ms"] > 0 for one in front["front"])
    rows = winner.results or []
    assert [row["precision"] for row in rows] == ["fp32", "int8"]
    for row in rows:
        assert row["verdict"] != "predicted only"
        assert 0.4 < row["measured_accuracy"] <= 1.0
        assert row["measured_latency_ms"] > 0
        assert row["measured_size_bytes"] == _size(worker, winner.id, row["file"])
    assert {one.artifact_id for one in issued} == {
        (winner.compressed or {})[row["file"]] for row in rows
    }
    with (
        worker.context.blobs.local(files["bundle.zip"].sha256) as path,
        zipfile.ZipFile(path) as bundle,
    ):
        names = set(bundle.namelist())
    assert {"report.json", "verify.py", "preprocess.py", "winner0/fp32.onnx"} <= names


def test_a_search_goes_on_with_the_tables_that_it_corrected(worker: Inline) -> None:
    spec = toy_search(precisions=("fp32",), sampler="exact", measuring_budget=4, corrections=2)
    search_id, outcome = worker.search(spec)
    assert outcome == {"state": "succeeded", "problem": None}
    with worker.context.database.session() as session:
        search = searches.get_search(session, search_id)
        told = searches.evaluations_of(session, search_id)
    rounds = search.facts.corrections
    limit_ms = search.facts.settled_limit_ms
    asked = worker.steps.count("correct_search")
    assert worker.steps.count("run_search") == worker.steps.count("measure_candidates")
    assert worker.steps.count("run_search") == 1 + len(rounds)
    if asked > len(rounds):  # it ended by itself: near enough, or nothing was corrected
        share = share_of_limit(search.facts.certification, limit_ms)
        nothing = not search.facts.certification["recalibrated_tables"]
        assert nothing or (share is not None and share >= 0.95)
    else:
        assert len(rounds) == asked == 2
    assert len(told) <= spec["n_queries"] + spec["batch"] * len(rounds)
    assert (len(told) > spec["n_queries"]) == bool(rounds)
    measured = search.facts.certification["measured"]
    assert {one["round"] for one in measured} <= set(range(len(rounds) + 1))
    assert len({tuple(one["genotype"]) for one in measured}) == len(measured)
    for one in rounds:  # each round's tables were those of the candidates measured before it
        assert one["tables"]
        assert one["share_of_limit"] is None or one["share_of_limit"] < 0.95


def test_each_round_of_corrections_adds_to_what_was_found(
    worker: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correction, "NEAR_ENOUGH", 9.9)  # it is never near enough
    # and each measurement counts, however unsteady this machine is
    monkeypatch.setattr(candidate_work, "PROTOCOL", SimpleNamespace(least_turns=0))
    spec = toy_search(precisions=("fp32",), sampler="exact", measuring_budget=4, corrections=1)
    search_id, outcome = worker.search(spec)
    assert outcome == {"state": "succeeded", "problem": None}
    with worker.context.database.session() as session:
        search = searches.get_search(session, search_id)
        told = searches.evaluations_of(session, search_id)
        (winner,) = searches.winners_of(session, search_id)
    certification = search.facts.certification
    (one,) = search.facts.corrections
    assert one["n_evaluations"] == spec["n_queries"]
    assert spec["n_queries"] < len(told) <= spec["n_queries"] + spec["batch"]
    assert one["counted"]["budget"] == 4
    assert certification["budget"] in {4, 6}  # half as much again, where anything was left
    assert certification["spent"] >= one["counted"]["spent"] >= 1
    # the median of the corrected table is another one: the limit is what was settled
    assert winner.results is not None
    assert {row["limit_ms"] for row in winner.results} == {search.facts.limit_ms}


def test_the_share_of_the_limit_is_the_slowest_certified_candidates() -> None:
    measured = [
        {"measured_latency_ms": 0.8, "certified": True},
        {"measured_latency_ms": 0.9, "certified": True},
        {"measured_latency_ms": 0.99, "certified": False},
    ]
    assert share_of_limit({"measured": measured}, 1.2) == 0.75
    assert share_of_limit({"measured": measured[2:]}, 1.2) is None
    assert share_of_limit({}, 1.2) is None


def test_winners_without_a_verdict_are_measured_again(worker: Inline) -> None:
    with worker.context.database.session() as session:
        search = searches.list_searches(session, cursor=None, limit=1).items[0]
        (winner,) = searches.winners_of(session, search.id)
        rows = [{**row, "verdict": UNDECIDED} for row in winner.results or []]
        searches.update_winner(session, winner.id, results=rows)
        params = {"search_id": search.id, "winners": [winner.id], "again": True}
        job = jobs.add_job(session, "job_again", "remeasure", subject=search.id, params=params)
    assert worker.run(job)["state"] == "succeeded"
    assert worker.steps == ["measure_winner", "finish_search"]
    with worker.context.database.session() as session:
        (again,) = searches.winners_of(session, search.id)
    assert all(row["verdict"] != UNDECIDED for row in again.results or [])


def test_a_limit_that_nothing_keeps_ends_before_anything_is_trained(worker: Inline) -> None:
    search_id, outcome = worker.search(toy_search(precisions=("fp32",), max_latency_ms=1e-6))
    assert outcome["state"] == "failed"
    assert worker.steps == ["select_tables", "check_feasible"]
    assert "infeasible: the fastest candidate takes" in outcome["problem"]["detail"]
    with worker.context.database.session() as session:
        assert searches.get_search(session, search_id).state == "failed"


def _size(worker: Inline, winner_id: str, name: str) -> int:
    with worker.context.database.session() as session:
        (one,) = [a for a in artifacts.artifacts_of(session, winner_id) if a.name == name]
    return one.size_bytes


@pytest.mark.usefixtures("torchvision")
def test_training_pictures_are_changed_as_a_search_asks_for(worker: Inline) -> None:
    training = {"epochs": 1, "finetune_epochs": 1, "batch": 16}
    found = []
    for own in ({}, {"augment": "trivial_augment"}):
        spec = toy_search(training=training | own, precisions=("fp32",), measuring_budget=0)
        search_id, outcome = worker.search(spec)
        assert outcome == {"state": "succeeded", "problem": None}
        with worker.context.database.session() as session:
            search = searches.get_search(session, search_id)
            told = searches.evaluations_of(session, search_id)
            stored = supernets.get_supernet(session, search.facts.supernet_id or "")
        found.append((stored.recipe, {one.genotype: one.accuracy for one in told}))
    (plain, first), (changed, second) = found
    assert "augment" not in plain
    assert changed == {**plain, "augment": "trivial_augment"}
    both = set(first) & set(second)
    assert any(first[one] != second[one] for one in both)


def test_fronts_are_stored_as_often_as_they_grow_and_at_the_end(
    worker: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_task, "STORE_GROWTH", 3.0)
    search_id, outcome = worker.search(toy_search(precisions=("fp32",), measuring_budget=0))
    assert outcome == {"state": "succeeded", "problem": None}
    with worker.context.database.session() as session:
        told = searches.evaluations_of(session, search_id)
        fronts = [json.loads(body) for body, _ in front_revisions.front_bodies(session, search_id)]
    assert [one.batch for one in told] == [0, 0, 1, 1, 2, 2, 3, 3]
    stored = list(dict.fromkeys(one["n_evaluations"] for one in fronts))
    assert stored == [2, 6, 8]  # of 4 it is not three times as many, of 8 the search is over


def test_a_search_that_begins_with_nothing_and_asks_for_one_at_a_time(worker: Inline) -> None:
    """No front before there is enough to fit a predictor on, and one from then on."""
    alone = toy_search(evaluator="standalone", sampler="random", precisions=("fp32",))
    search_id, outcome = worker.search(alone | {"n_queries": 3, "batch": 1, "n_probes": 0})
    assert outcome == {"state": "succeeded", "problem": None}
    with worker.context.database.session() as session:
        told = searches.evaluations_of(session, search_id)
        front = front_revisions.front_body(session, search_id, 1)
    assert [one.batch for one in told] == [0, 1, 2]
    assert json.loads(front)["n_evaluations"] == 2


def test_a_single_query_of_a_search_that_knows_nothing_is_refused(worker: Inline) -> None:
    alone = toy_search(evaluator="standalone", sampler="random", precisions=("fp32",))
    search_id, outcome = worker.search(alone | {"n_queries": 1, "batch": 1, "n_probes": 0})
    assert outcome["state"] == "failed"
    assert outcome["problem"]["field"] == "n_queries"
    assert "fitted on 2 evaluations at least" in outcome["problem"]["detail"]
    with worker.context.database.session() as session:
        assert not searches.evaluations_of(session, search_id)


def test_a_search_that_ends_early_stores_its_last_front(
    worker: Inline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_task, "STORE_GROWTH", 3.0)
    whole = search_task.run

    def cut_short(*given: Any, on_batch: Any, **named: Any) -> Any:
        """As when the front has not grown for long: after a batch whose front is not due."""

        def once_more(batch: Any) -> bool:
            on_batch(batch)
            return bool(batch[0].batch == 0)

        return whole(*given, on_batch=once_more, **named)

    monkeypatch.setattr(search_task, "run", cut_short)
    search_id, outcome = worker.search(toy_search(precisions=("fp32",), measuring_budget=0))
    assert outcome == {"state": "succeeded", "problem": None}
    with worker.context.database.session() as session:
        n_told = len(searches.evaluations_of(session, search_id))
        fronts = [json.loads(body) for body, _ in front_revisions.front_bodies(session, search_id)]
        (candidates,) = [front_revisions.candidates_of(session, search_id)]
    assert n_told == 4
    assert list(dict.fromkeys(one["n_evaluations"] for one in fronts)) == [2, 4]
    assert candidates is not None
    # of the front that came with them; what was measured is on one more
    last = [one["revision"] for one in fronts if one["n_evaluations"] == 4]
    assert candidates.revision == min(last)


def test_what_is_stored_of_a_long_search_grows_as_its_candidates_do() -> None:
    def stored(n_queries: int) -> list[int]:
        found = [0]
        for n in range(8, n_queries + 1, 8):
            if search_task.is_front_due(n, found[-1]):
                found.append(n)
        return found[1:]

    assert stored(400) == list(range(8, 401, 8))  # every batch of a usual search
    assert sum(stored(10_000)) < 60 * 10_000
    assert sum(stored(100_000)) < 60 * 100_000
