"""Run a search: query an evaluator under the guidance of predictor and tables."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from nas_service.engine.child import Progress
from nas_service.errors import InvalidSpec
from nas_service.jobs.params import HelpJob, SearchJob
from nas_service.plugins import EVALUATORS, PREDICTORS, SAMPLERS, load
from nas_service.queues import GPU
from nas_service.search.accuracy import AccuracyEvaluator
from nas_service.search.driver import Plan, run
from nas_service.search.evaluation import Evaluation
from nas_service.search.promotion import Promotion
from nas_service.search.spec import SearchSpec
from nas_service.space.base import SearchSpace
from nas_service.space.elastic.space import is_own
from nas_service.storage import datasets, front_revisions, leases, searches, supernets
from nas_service.storage.searches import StoredSearch
from nas_service.training.loop import TrainRecipe
from nas_service.worker.context import Context
from nas_service.worker.data import open_data
from nas_service.worker.evaluators import EvaluatorContext
from nas_service.worker.recipes import standalone_recipe
from nas_service.worker.spread import Evaluating, Spread, spreads
from nas_service.worker.tasks.front import (
    all_candidates,
    evaluated_before,
    front_document,
    predictor_card,
    store_front,
)
from nas_service.worker.tasks.supernet import open_supernet
from nas_service.worker.tasks.tables import open_problem
from nas_service.worker.trainers import Trainers

CARD_GROWTH = 1.25
"""The predictor is examined anew when the data has grown by this factor, and at the end."""


STINT_S = 120.0
"""So long a worker helps with one search before it looks whether others need it."""
PATIENCE_S = 5.0
"""So long it waits for the next batch."""
_LOOK_EVERY_S = 0.1

STORE_GROWTH = 1.02
"""A front, with all candidates, is stored when there are so many times the evaluations of the last
one: what is stored in all grows as the candidates do."""


LEAST_FITTED = 2
"""Evaluations that a predictor is fitted on at least; before that a search has no front."""


def is_front_due(n: int, n_stored: int) -> bool:
    """Whether to store the front of `n` evaluations where the last one stored is of `n_stored`."""
    return n >= STORE_GROWTH * n_stored


def run_search(context: Context, job: SearchJob, report: Progress) -> None:
    """Query the evaluator under the sampler's guidance; every batch is stored, its front if due."""
    with context.database.session() as session:
        search = searches.get_search(session, job.search_id)
        done = searches.evaluations_of(session, search.id)
        dataset = datasets.get_dataset(session, search.dataset_id)
        body = front_revisions.front_body(session, search.id, search.revision)
    spec = search.value
    metric = dataset.task.metric(spec.metric)
    problem = open_problem(context, search)
    space = problem.space.architectures
    known = evaluated_before(context, search, space)
    trainers = Trainers(context.database, search.id, report)
    evaluator = _evaluator(context, search, space, trainers)
    if spreads(evaluator):
        evaluator = Spread(
            evaluator,
            context.database,
            search.id,
            lease_s=context.settings.lease_s,
            others=lambda: _trains(context, others=True),
            trains=lambda: _trains(context, others=False),
        )
    if len(known[1]) + spec.n_queries < LEAST_FITTED:
        raise InvalidSpec(
            f"n_queries: {spec.n_queries}, and nothing is known of this space and data set yet; "
            f"a predictor is fitted on {LEAST_FITTED} evaluations at least",
            field="n_queries",
        )
    make = load(PREDICTORS, spec.predictor)
    n_queries, patience = spec.n_queries, spec.patience
    if search.facts.corrections:  # one batch more than there were when it went on, whatever came
        n_queries = search.facts.corrections[-1]["n_evaluations"] + spec.batch
        patience = None
    plan = Plan(
        sampler=load(SAMPLERS, spec.sampler),
        make_predictor=lambda: make(seed=spec.seed, names=space.feature_names),
        evaluator=evaluator,
        n_queries=n_queries,
        batch=spec.batch,
        seed=spec.seed,
        initial_architectures=known[0],
        initial_accuracy=known[1],
        patience=patience,
        promotion=_promotion(spec, space.feature_names),
        near_limit=bool(search.facts.corrections),
    )
    told = list(done)
    n_stored = json.loads(body)["n_evaluations"] if body else 0
    card: dict[str, Any] = {}

    def store(batch: Sequence[Evaluation], *, last: bool) -> None:
        nonlocal n_stored
        n_known = len(known[1]) + len(told)
        if not (last or (is_front_due(len(told), n_stored) and n_known >= LEAST_FITTED)):
            with context.database.session() as session:
                searches.add_evaluations(session, search.id, batch)
            return
        candidates = all_candidates(problem, spec, known, told)
        if not card or last or n_known >= CARD_GROWTH * card["n_known"]:
            card.update(predictor_card(problem, spec, known, told))
        with context.database.session() as session:
            searches.add_evaluations(session, search.id, batch)
            document = front_document(problem, metric, candidates, len(told), card)
            store_front(context, session, search.id, document, candidates)
        n_stored = len(told)

    def on_batch(batch: list[Evaluation]) -> bool:
        told.extend(batch)
        store(batch, last=len(told) >= n_queries)
        trainers.done = len(told) / n_queries
        report(trainers.done, f"{len(told)} of {n_queries} queries")
        return True

    run(problem, plan, done=done, on_batch=on_batch)
    if n_stored < len(told):  # it ended before all queries were made
        store((), last=True)


def help_search(context: Context, job: HelpJob, report: Progress) -> None:
    """Evaluate what other workers' search has to offer, until it has had nothing for a while."""
    with context.database.session() as session:
        search = searches.get_search(session, job.search_id)
    space = open_problem(context, search).space.architectures
    evaluator = _evaluator(context, search, space, Trainers(context.database, search.id, report))
    evaluating = Evaluating(
        context.database,
        search.id,
        evaluator,
        name=job.name,
        seed=search.value.seed,
        lease_s=context.settings.lease_s,
    )
    until = time.monotonic() + STINT_S
    offered = time.monotonic()
    while time.monotonic() < until and time.monotonic() - offered < PATIENCE_S:
        if evaluating.one():
            offered = time.monotonic()
        else:
            time.sleep(_LOOK_EVERY_S)


def _trains(context: Context, *, others: bool) -> bool:
    """Whether other workers train now, or this one does."""
    with context.database.session() as session:
        live = leases.live_workers(session)
    return any(GPU in live[name] for name in live if (name != context.executor) is others)


def _promotion(spec: SearchSpec, names: Sequence[str]) -> Promotion | None:
    if spec.cheap_fidelity is None:
        return None
    make = load(PREDICTORS, spec.predictor)
    return Promotion(
        fidelity=spec.cheap_fidelity,
        candidates=spec.candidates_per_query,
        make=lambda named: make(seed=spec.seed, names=named),
        names=names,
    )


def _evaluator(
    context: Context, search: StoredSearch, space: SearchSpace, trainers: Trainers
) -> AccuracyEvaluator:
    spec: SearchSpec = search.value
    with context.database.session() as session:
        dataset = datasets.get_dataset(session, search.dataset_id)
        shared = (
            supernets.get_supernet(session, search.facts.supernet_id)
            if search.facts.supernet_id
            else None
        )
    supernet = None
    if shared is not None:
        supernet, data = open_supernet(context, shared, dataset)
    else:
        data = open_data(context, dataset, spec.training.max_train_images, space=space)
    told = standalone_recipe(
        spec.training, len(data.train), data.task.training, from_weights=is_own(space)
    )
    recipe = TrainRecipe(**told)
    made: AccuracyEvaluator = load(EVALUATORS, spec.evaluator)(
        EvaluatorContext(space, data, recipe, spec.metric, supernet, trainers.ask)
    )
    return made
