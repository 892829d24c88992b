"""What a search has to have trained before it can start, shared with every search that needs it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from nas_service.compression.searched import graphs_of
from nas_service.errors import NasError, Unavailable
from nas_service.jobs.params import SupernetJob
from nas_service.space.base import digest
from nas_service.space.elastic.space import is_own
from nas_service.storage import datasets, jobs, searches, supernets
from nas_service.storage.spaces import open_space
from nas_service.worker.context import Context
from nas_service.worker.recipes import finetune_options, supernet_recipe


def needed_training(context: Context, search_id: str) -> dict[str, Any]:
    """The supernet and predictor of a search, and the job that makes them, if one is needed.

    Raises:
        Unavailable: the database does not answer now; all else is told as a value.
    """
    try:
        return _training(context, search_id)
    except Unavailable:
        raise
    except NasError as error:
        return {"error": error.as_dict()}


def _training(context: Context, search_id: str) -> dict[str, Any]:
    with context.database.session() as session:
        search = searches.get_search(session, search_id)
        spec = search.value
        if spec.evaluator != "supernet":
            return {"job": None}
        dataset = datasets.get_dataset(session, search.dataset_id)
        space = open_space(session, context.blobs, spec.space, dataset.sample)
        n_train = int(dataset.facts["n_train"])
        shared = supernets.ensure_supernet(
            session,
            dataset_id=dataset.id,
            data_digest=dataset.digest or "",
            space=spec.space,
            space_digest=digest(space),
            recipe=supernet_recipe(
                spec.training, n_train, dataset.task.training, from_weights=is_own(space)
            ),
            seed=spec.seed,
        )
        finetune = finetune_options(spec.training, n_train, dataset.task.training)
        with_recipe = [graph for graph in graphs_of(spec.deployments) if "." in graph]
        more: dict[str, Any] = {"graphs": sorted(with_recipe)} if with_recipe else {}
        if spec.metric != dataset.task.metric().name:  # those of the first are named as ever
            more["metric"] = spec.metric
        predictor = supernets.ensure_predictor(
            session,
            dataset_id=dataset.id,
            supernet_id=shared.id,
            space=spec.space,
            name=spec.predictor,
            facts={
                "seed": spec.seed,
                "n_initial": spec.n_initial,
                "n_holdout": spec.n_holdout,
                "n_probes": spec.n_probes,
                "finetune": finetune,
                **more,
            },
        )
        searches.add_facts(session, search.id, supernet_id=shared.id, predictor_id=predictor.id)
        if predictor.shipping:
            return {"job": None}
        return {
            "job": _next_attempt(session, predictor.id),
            "params": SupernetJob(
                supernet_id=shared.id,
                predictor_id=predictor.id,
                n_initial=spec.n_initial,
                n_holdout=spec.n_holdout,
                n_probes=spec.n_probes,
                finetune=finetune,
                graphs=sorted(with_recipe),
                metric=spec.metric,
            ).as_dict(),
        }


def _next_attempt(session: Session, predictor_id: str) -> str:
    """The job that trains: the one that goes on, or one after those that failed."""
    attempt = 0
    known = {job.id: job for job in jobs.jobs_starting(session, f"{predictor_id}-train")}
    while (job := known.get(f"{predictor_id}-train{attempt}")) is not None and job.state in {
        "failed",
        "cancelled",
    }:
        attempt += 1
    return f"{predictor_id}-train{attempt}"
