"""From what was evaluated to candidates, front and winners. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from nas_service.engine.child import Progress
from nas_service.errors import InvalidData
from nas_service.jobs.params import SearchJob
from nas_service.jobs.results import WinnersChosen
from nas_service.learning.metric import Metric
from nas_service.plugins import PREDICTORS, load
from nas_service.search import certificate, winners
from nas_service.search.candidate_set import CandidateSet
from nas_service.search.candidates import Candidates, candidates_of, front_of
from nas_service.search.evaluate import Problem
from nas_service.search.evaluation import Evaluation
from nas_service.search.observed import Observed
from nas_service.search.spec import SearchSpec
from nas_service.space.base import FloatArray, IntArray, SearchSpace, require_decisions
from nas_service.space.genotypes import Genotype, Genotypes
from nas_service.storage import datasets, front_revisions, searches, supernets
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.searches import StoredSearch
from nas_service.worker.context import Context
from nas_service.worker.tasks.tables import open_problem
from predictors.quality import report_card
from predictors.saved import SavedPredictor

Evaluated = tuple[IntArray, FloatArray]
"""Architectures `(n, d)` and their accuracies `(n,)`."""


def choose_winners(context: Context, job: SearchJob, report: Progress) -> WinnersChosen:
    """Take winners from the last front; returns their ids.

    With `replace`, one more is taken for each winner of which no file could be certified.
    """
    del report
    with context.database.session() as session:
        search = searches.get_search(session, job.search_id)
        told = searches.evaluations_of(session, search.id)
        before = searches.winners_of(session, search.id) if job.replace else []
        before = before[: search.facts.n_chosen or 0]  # the same again if it is run again
        if job.replace and not _n_failed(before):
            return WinnersChosen(winners=[])
        dataset = datasets.get_dataset(session, search.dataset_id)
        last = front_revisions.front_body(session, search.id, search.revision)
        probes: set[tuple[int, ...]] = set()
        if search.facts.predictor_id:
            stored = supernets.get_predictor(session, search.facts.predictor_id)
            probes = {tuple(p["genotype"]) for p in stored.shipping.get("probes", [])}
    spec = search.value
    problem = open_problem(context, search)
    known = evaluated_before(context, search, problem.space.architectures)
    candidates = all_candidates(problem, spec, known, told)
    card = _last_card(last, len(known[1]) + len(told)) or predictor_card(problem, spec, known, told)
    # the front that is shown stays what was predicted; winners are taken from what is left of it
    front = front_of(problem, judged(problem, candidates, search.facts.certification))
    taken = {one.genotype.architecture for one in before}
    wanted = spec.n_winners if not before else _n_failed(before)
    metric = dataset.task.metric(spec.metric)
    resolution = _resolution(dataset, metric)
    chosen = winners.choose(front, wanted, barred=probes | taken, resolution=resolution)
    if not chosen and not before:  # in a small space all of the front may have been probes
        chosen = winners.choose(front, wanted, barred=taken, resolution=resolution)
    ids = []
    with context.database.session() as session:
        store_front(
            context,
            session,
            search.id,
            front_document(problem, metric, candidates, len(told), card),
            candidates,
        )
        for rank, one in enumerate(chosen, start=len(before)):
            estimates = {
                deployment.name: candidates.at(Genotype(one.genotype.architecture, i)).as_dict()
                for i, deployment in enumerate(problem.space.deployments)
            }
            added = searches.add_winner(session, search.id, rank, one.genotype, estimates)
            ids.append(added.id)
        if not job.replace:
            searches.add_facts(session, search.id, n_chosen=len(ids))
    return WinnersChosen(winners=ids)


def _resolution(dataset: StoredDataset, metric: Metric) -> winners.Resolution | None:
    """How far scores have to be apart for the test part to tell them apart; None if unknown."""
    task, n = dataset.task, int(dataset.facts["n_test"])
    expected = metric.expected_error or task.metric().expected_error
    if expected is None:
        return None
    alike = task.effective_samples(metric, dataset.facts, n)
    return partial(winners.resolution, expected, alike)


def _last_card(body: str | None, n: int) -> dict[str, Any] | None:
    """The predictor's card of the last front, where it is of all `n` evaluations, of any search."""
    card: dict[str, Any] = json.loads(body)["predictor"] if body else {}
    return card if card.get("n_known", card.get("n")) == n else None


def _n_failed(before: Sequence[searches.StoredWinner]) -> int:
    """Winners that were measured, of which no file keeps its limit for certain."""
    return sum(
        bool(one.results)
        and one.state == "measured"
        and all(row["verdict"] != certificate.CERTIFIED for row in one.results or [])
        for one in before
    )


def store_front(
    context: Context,
    session: Session,
    search_id: str,
    document: dict[str, Any],
    candidates: Candidates,
) -> None:
    """Store the next front, and beside it all candidates, as its points are few of them."""
    revision = front_revisions.add_front(session, search_id, document)
    content = CandidateSet.of(candidates).dump()
    sha256 = context.blobs.put_bytes(content)
    front_revisions.set_candidates(session, search_id, revision, sha256, len(candidates))


def judged(problem: Problem, candidates: Candidates, certification: dict[str, Any]) -> Candidates:
    """Candidates as measurements before shipping leave them: refused ones keep no limit."""
    verdicts = {
        Genotype.from_list(one["genotype"]): one for one in certification.get("measured", [])
    }
    if not verdicts:
        return candidates
    otherwise = replace(problem, limit_ms=np.inf).feasible(candidates.genotypes)
    keeps = candidates.keeps_limits.copy()
    for row, genotype in enumerate(candidates.genotypes):
        told = verdicts.get(genotype)
        if told is not None:
            likely = keeps[row] and told["probability_over"] <= 0.5
            keeps[row] = otherwise[row] if told["certified"] else likely
    return replace(candidates, keeps_limits=keeps)


def all_candidates(
    problem: Problem, spec: SearchSpec, known: Evaluated, told: Sequence[Evaluation]
) -> Candidates:
    """Everything evaluated on this data, in each precision, as the predictor now sees it."""
    architectures, accuracy = _together(known, told)
    space = problem.space.architectures
    predictor = load(PREDICTORS, spec.predictor)(seed=spec.seed, names=space.feature_names)
    fitted = Observed(problem, *known, told).fitted
    predictor.fit(space.features(architectures[fitted]), accuracy[fitted])
    prediction = predictor.predict(space.features(architectures))
    every = problem.space.in_every_deployment(architectures)
    p = len(problem.space.deployments)
    return candidates_of(
        problem, every, np.repeat(prediction.mean, p), np.repeat(prediction.std, p)
    )


def predictor_card(
    problem: Problem, spec: SearchSpec, known: Evaluated, told: Sequence[Evaluation]
) -> dict[str, Any]:
    """How the search's predictor does on what it has not seen, among what it is fitted on."""
    architectures, accuracy = _together(known, told)
    space = problem.space.architectures
    make = load(PREDICTORS, spec.predictor)
    fitted = Observed(problem, *known, told).fitted
    card = report_card(
        lambda: make(seed=spec.seed, names=space.feature_names),
        space.features(architectures[fitted]),
        accuracy[fitted],
        spec.seed,
    )
    return {"name": spec.predictor, **card, "n_known": len(accuracy)}


def _new(earlier: Sequence[Evaluation], known: IntArray) -> list[Evaluation]:
    """Those of other architectures than known ones, each once."""
    seen = {tuple(row) for row in known.tolist()}
    found = []
    for one in earlier:
        if one.genotype.architecture not in seen:
            seen.add(one.genotype.architecture)
            found.append(one)
    return found


def _together(known: Evaluated, told: Sequence[Evaluation]) -> Evaluated:
    architectures, accuracy = known
    if told:
        rows = Genotypes.of(one.genotype for one in told).architectures
        architectures = np.concatenate([architectures, rows])
        accuracy = np.concatenate([accuracy, np.array([one.accuracy for one in told])])
    return architectures, accuracy


def front_document(
    problem: Problem,
    metric: Metric,
    candidates: Candidates,
    n: int,
    card: dict[str, Any],
) -> dict[str, Any]:
    """The front as clients poll it: predicted points alone; measured ones are added later."""
    front = front_of(problem, candidates)
    return {
        "limit_ms": problem.limit_ms,
        "n_evaluations": n,
        "metric": metric.name,
        "metric_scale": metric.as_dict(),
        "objectives": list(problem.objectives),
        "limits": dict(problem.limits),
        "predictor": card,
        "hypervolume": round(front.hypervolume, 6),
        "tables": [cost.target.key for cost in problem.costs],
        "front": [
            {"index": candidates.row(one.genotype), **one.as_dict()} for one in front.candidates
        ],
        "n_candidates": len(candidates),
        "measured": [],
    }


def evaluated_before(context: Context, search: StoredSearch, space: SearchSpace) -> Evaluated:
    """What was evaluated before this search: the predictor's training set, and earlier searches.

    A search that was opened again starts from all that the ones before it were told.
    """
    known = np.empty((0, len(space.decisions)), dtype=np.int64), np.empty(0)
    if search.facts.predictor_id:
        with context.database.session() as session:
            stored = supernets.get_predictor(session, search.facts.predictor_id)
        known = training_set(context, stored, space)
    earlier: list[Evaluation] = []
    before = search.reopens
    with context.database.session() as session:
        while before is not None:
            earlier.extend(searches.evaluations_of(session, before))
            before = searches.get_search(session, before).reopens
    for one in earlier[:1]:
        require_decisions(space, len(one.genotype.architecture))
    return _together(known, _new(earlier, known[0]))


def training_set(
    context: Context, stored: supernets.StoredPredictor, space: SearchSpace
) -> Evaluated:
    """Genotypes `(n, d)` and accuracies `(n,)` that a stored predictor rests on."""
    with context.blobs.local(stored.sha256 or "") as path:
        saved = SavedPredictor.load(path)
    d = len(space.decisions)
    if saved.genotypes is None and saved.features.shape[1] == d + len(space.feature_names):
        return np.rint(saved.features[:, :d]).astype(np.int64), saved.accuracy  # as first stored
    if saved.genotypes is None or saved.genotypes.shape[1] != len(space.decisions):
        raise InvalidData(f"predictor {stored.id} does not say which networks it was fitted on")
    return saved.genotypes, saved.accuracy
