"""Run a search on its predictor and tables, and choose its winners."""

from __future__ import annotations

from typing import Any

import numpy as np

from nas_service.engine.child import Progress
from nas_service.plugins import EVALUATORS, PREDICTORS, SAMPLERS, load
from nas_service.search import winners
from nas_service.search.accuracy import AccuracyEvaluator
from nas_service.search.candidates import Candidate, candidates_of, front_of
from nas_service.search.driver import Evaluation, Plan, run
from nas_service.search.evaluate import Problem
from nas_service.search.spec import SearchSpec
from nas_service.space.base import FloatArray, IntArray, SearchSpace
from nas_service.storage import datasets, searches, supernets
from nas_service.storage.searches import StoredSearch
from nas_service.training.data import load as load_data
from nas_service.training.loop import TrainRecipe
from nas_service.worker.context import Context
from nas_service.worker.recipes import supernet_recipe
from nas_service.worker.tasks.supernet import open_supernet, training_set
from nas_service.worker.tasks.tables import open_problem


def run_search(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Query the evaluator under the sampler's guidance; every batch is stored with its front."""
    context = Context.from_params(params)
    with context.database.session() as session:
        search = searches.get_search(session, params["search_id"])
        done = searches.evaluations_of(session, search.id)
    spec = search.value
    problem = open_problem(context, search)
    evaluator, genotypes, accuracy = _evaluator(context, search, problem.space.architectures)
    make = load(PREDICTORS, spec.predictor)
    plan = Plan(
        sampler=load(SAMPLERS, spec.sampler),
        make_predictor=lambda: make(seed=spec.seed),
        evaluator=evaluator,
        n_queries=spec.n_queries,
        batch=spec.batch,
        seed=spec.seed,
        initial_architectures=genotypes,
        initial_accuracy=accuracy,
    )
    told = list(done)

    def on_batch(batch: list[Evaluation]) -> bool:
        told.extend(batch)
        candidates = _candidates(problem, plan, told)
        with context.database.session() as session:
            searches.add_evaluations(session, search.id, batch)
            searches.add_front(session, search.id, front_document(problem, candidates, len(told)))
        report(len(told) / spec.n_queries, f"{len(told)} of {spec.n_queries} queries")
        return True

    run(problem, plan, done=done, on_batch=on_batch)
    return {"n_evaluations": len(told)}


def choose_winners(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Take winners from the last front; returns their ids."""
    del report
    context = Context.from_params(params)
    with context.database.session() as session:
        search = searches.get_search(session, params["search_id"])
        told = searches.evaluations_of(session, search.id)
        barred: set[tuple[int, ...]] = set()
        if search.facts.get("predictor_id"):
            stored = supernets.get_predictor(session, search.facts["predictor_id"])
            barred = {tuple(p["genotype"]) for p in stored.shipping.get("probes", [])}
    spec = search.value
    problem = open_problem(context, search)
    genotypes, accuracy = _known(context, search, problem.space.architectures)
    make = load(PREDICTORS, spec.predictor)
    plan = Plan(
        sampler=load(SAMPLERS, spec.sampler),
        make_predictor=lambda: make(seed=spec.seed),
        evaluator=_NoEvaluator(),
        n_queries=spec.n_queries,
        batch=spec.batch,
        seed=spec.seed,
        initial_architectures=genotypes,
        initial_accuracy=accuracy,
    )
    candidates = _candidates(problem, plan, told)
    front = front_of(problem, candidates)
    chosen = winners.choose(front, spec.n_winners, barred=barred)
    by_key = {(one.genotype[:-1], one.precision): one for one in candidates}
    ids = []
    with context.database.session() as session:
        searches.add_front(session, search.id, front_document(problem, candidates, len(told)))
        for rank, one in enumerate(chosen):
            estimates = {
                precision: by_key[one.genotype[:-1], precision].as_dict()
                for precision in problem.space.precisions
            }
            added = searches.add_winner(session, search.id, rank, one.genotype, estimates)
            ids.append(added.id)
    return {"winners": ids}


def front_document(problem: Problem, candidates: list[Candidate], n: int) -> dict[str, Any]:
    """The front as clients poll it: predicted points alone; measured ones are added later."""
    front = front_of(problem, candidates)
    on_front = {(one.genotype, one.precision) for one in front.candidates}
    return {
        "limit_ms": problem.limit_ms,
        "n_evaluations": n,
        "hypervolume": round(front.hypervolume, 6),
        "tables": [cost.target.key for cost in problem.costs],
        "front": [one.as_dict() for one in front.candidates],
        "dominated": [
            {
                "precision": one.precision,
                "predicted_accuracy": one.predicted_accuracy,
                "predicted_latency_ms": one.predicted_latency_ms,
            }
            for one in candidates
            if (one.genotype, one.precision) not in on_front
        ],
        "measured": [],
    }


def _candidates(problem: Problem, plan: Plan, told: list[Evaluation]) -> list[Candidate]:
    """Everything evaluated on this data, in each precision, as the predictor now sees it."""
    rows = np.array([one.genotype[:-1] for one in told], dtype=np.int64)
    values = np.array([one.accuracy for one in told])
    architectures = plan.initial_architectures
    accuracy = plan.initial_accuracy
    if len(told):
        architectures = np.concatenate([architectures, rows])
        accuracy = np.concatenate([accuracy, values])
    space = problem.space.architectures
    predictor = plan.make_predictor()
    features = space.features(architectures)
    predictor.fit(features, accuracy)
    prediction = predictor.predict(features)
    every = problem.space.every_precision(architectures)
    p = len(problem.space.precisions)
    return candidates_of(
        problem, every, np.repeat(prediction.mean, p), np.repeat(prediction.std, p)
    )


def _known(
    context: Context, search: StoredSearch, space: SearchSpace
) -> tuple[IntArray, FloatArray]:
    """What was evaluated before this search: the predictor's training set."""
    if not search.facts.get("predictor_id"):
        return np.empty((0, len(space.decisions)), dtype=np.int64), np.empty(0)
    with context.database.session() as session:
        stored = supernets.get_predictor(session, search.facts["predictor_id"])
    return training_set(context, stored, space)


def _evaluator(
    context: Context, search: StoredSearch, space: SearchSpace
) -> tuple[AccuracyEvaluator, IntArray, FloatArray]:
    spec: SearchSpec = search.value
    with context.database.session() as session:
        dataset = datasets.get_dataset(session, search.dataset_id)
        shared = (
            supernets.get_supernet(session, search.facts["supernet_id"])
            if search.facts.get("supernet_id")
            else None
        )
    genotypes, accuracy = _known(context, search, space)
    make = load(EVALUATORS, spec.evaluator)
    if shared is not None:
        supernet, data = open_supernet(context, shared, dataset)
        return make(supernet, data), genotypes, accuracy
    data = load_data(
        context.blobs.path(dataset.sha256 or ""), max_train=spec.training.max_train_images
    )
    recipe = TrainRecipe(**supernet_recipe(spec.training, len(data.train)))
    return make(space, data, recipe), genotypes, accuracy


class _NoEvaluator:
    """Stands where nothing is evaluated."""

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        del fidelity, seed
        raise AssertionError(f"{len(genotypes)} evaluations asked for after the search")
