"""One large search in a service's folder: candidates by the ten thousand, of any worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas_service.learning.registry import task_of
from nas_service.search.candidate_set import CandidateSet
from nas_service.search.candidates import Candidates, candidates_of, front_of
from nas_service.search.evaluate import Problem
from nas_service.search.spec import SearchSpec
from nas_service.search.testing import small_problem
from nas_service.settings import Settings
from nas_service.space.base import FloatArray
from nas_service.space.sampling import distinct
from nas_service.storage import datasets, devices, front_revisions, jobs, searches
from nas_service.storage.blobs import FileBlobs
from nas_service.storage.session import Database

SIZE = 16


@dataclass
class LargeSearch:
    """A search whose fronts are stored by hand, as a worker stores them."""

    settings: Settings
    database: Database
    search_id: str
    problem: Problem
    candidates: Candidates

    def add_front(self, best: float | None = None) -> int:
        """Store a front and its candidates; with `best`, its best member has that accuracy."""
        found = self.candidates
        if best is not None:
            accuracy = found.accuracy.copy()
            accuracy[int(np.argmax(np.where(found.keeps_limits, accuracy, 0.0)))] = best
            found = _with(found, accuracy)
        front = front_of(self.problem, found)
        document: dict[str, Any] = {
            "limit_ms": self.problem.limit_ms,
            "n_evaluations": len(found) // 2,
            "metric": "accuracy",
            "metric_scale": task_of(FACTS).metric("accuracy").as_dict(),
            "objectives": ["latency_ms"],
            "limits": {},
            "predictor": {
                "name": "none",
                "n": 0,
                "kendall": None,
                "mean_error": None,
                "coverage": {},
            },
            "hypervolume": round(front.hypervolume, 6),
            "tables": [],
            "front": [
                {"index": found.row(one.genotype), **one.as_dict()} for one in front.candidates
            ],
            "n_candidates": len(found),
            "measured": [],
        }
        sha256 = FileBlobs(self.settings.blobs_dir).put_bytes(CandidateSet.of(found).dump())
        with self.database.session() as session:
            revision = front_revisions.add_front(session, self.search_id, document)
            front_revisions.set_candidates(session, self.search_id, revision, sha256, len(found))
        return revision


FACTS: dict[str, Any] = {
    "size": SIZE,
    "channels": 1,
    "classes": list("abcd"),
    "n_train": 1000,
    "n_validation": 100,
    "n_test": 100,
}


def large_search(var_dir: Path, n: int, seed: int) -> LargeSearch:
    """A search of `n` candidates, `n / 2` architectures in fp32 and int8, in a migrated folder."""
    settings = Settings(var_dir=var_dir)
    database = Database(settings.url)
    problem = small_problem(size=SIZE)
    generator = np.random.default_rng(seed)
    architectures = distinct(problem.space.architectures, n // 2, generator)
    every = problem.space.in_every_deployment(architectures)
    accuracy = np.repeat(_accuracy(problem, architectures, generator), 2)
    candidates = candidates_of(problem, every, accuracy, np.full(len(every), 0.01))
    with database.session() as session:
        device = devices.get_device(session, "here")
        dataset = datasets.add_dataset(session, "large", {"builtin": "digits"})
        datasets.set_imported(session, dataset.id, digest="d" * 64, sha256="a" * 64, facts=FACTS)
        spec = SearchSpec(dataset="large", space="mbconv", device="here", max_latency_ms=3.0)
        made = searches.add_search(
            session, spec, device_id=device.id, dataset_id=dataset.id, data_digest=None
        )
        searches.add_facts(session, made.id, limit_ms=3.0, limit_source="request")
        jobs.add_job(session, made.id, "search", subject=made.id, params={"search_id": made.id})
        jobs.start(session, made.id)
    found = LargeSearch(settings, database, made.id, problem, candidates)
    found.add_front()
    return found


def _accuracy(problem: Problem, architectures: Any, generator: np.random.Generator) -> FloatArray:
    """It rises with the work done, and scatters."""
    macs = np.log(problem.structure(architectures).macs)
    value = 0.6 + 0.3 * (macs - macs.min()) / np.ptp(macs)
    return np.asarray(np.clip(value + generator.normal(0, 0.02, len(value)), 0.0, 0.99))


def _with(found: Candidates, accuracy: FloatArray) -> Candidates:
    return Candidates(
        found.space,
        found.deployments,
        found.targets,
        found.genotypes,
        accuracy,
        found.accuracy_std,
        found.estimates,
        found.objectives,
        found.keeps_limits,
    )
