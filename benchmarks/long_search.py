"""What a batch of a search costs after many evaluations, and what is stored of all of them.

The driver runs with an evaluator that answers at once; batches, fronts and candidates are stored as
a worker stores them, in SQLite. The front, which is stored seldom, is timed by itself.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.large_search import FACTS, LargeSearch, large_search
from benchmarks.rows import Row, parser, report
from lookup_tables.target import Device
from nas_service.learning.registry import task_of
from nas_service.plugins import SAMPLERS, load
from nas_service.search.candidate_set import CandidateSet
from nas_service.search.driver import Plan, run
from nas_service.search.evaluation import Evaluation
from nas_service.search.spec import SearchSpec
from nas_service.search.testing import LawEvaluator
from nas_service.settings import Settings
from nas_service.space.base import FloatArray, IntArray
from nas_service.storage import devices, front_revisions, searches
from nas_service.storage.blobs import FileBlobs
from nas_service.storage.revisions import migrate
from nas_service.storage.session import Database
from nas_service.worker.tasks.front import all_candidates, front_document
from nas_service.worker.tasks.search import is_front_due
from predictors.linear import RidgePredictor

_N_TIMED = 20


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("long_search", __doc__ or "")
    options.add_argument("--queries", type=int, default=100_000)
    options.add_argument("--batch", type=int, default=250)
    options.add_argument("--sampler", action="append", help="by default guided")
    given = options.parse_args(arguments)
    rows = []
    for sampler in given.sampler or ["guided"]:
        with tempfile.TemporaryDirectory() as folder:
            rows += _searched(Path(folder), sampler, given.queries, given.batch, given.seed)
    report(rows, given.out)
    return 0


class _Noisy:
    """A law with what no feature knows: so few networks are on the front."""

    def __init__(self, law: LawEvaluator) -> None:
        self._law = law

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """See `AccuracyEvaluator.evaluate`."""
        value = self._law.evaluate(genotypes, fidelity=fidelity, seed=seed)
        self._law.seen.clear()
        noise = [np.random.default_rng([seed, *row]).normal(0, 0.01) for row in genotypes.tolist()]
        return np.clip(value + noise, 0.0, 0.99)


def _searched(folder: Path, sampler: str, n: int, batch: int, seed: int) -> list[Row]:
    settings = Settings(var_dir=folder)
    migrate(settings.url)
    with Database(settings.url).session() as session:
        devices.add_device(session, Device("here"))
    made = large_search(folder, 200, seed)
    first = made.candidates.genotypes.architectures[:16]
    evaluator = _Noisy(LawEvaluator(made.problem))
    known = first, evaluator.evaluate(first, fidelity=1.0, seed=seed)
    spec = SearchSpec(
        dataset="large", space="mbconv", device="here", max_latency_ms=3.0, predictor="ridge"
    )
    evaluated: list[Evaluation] = []
    batch_s: list[float] = []
    front_s: list[float] = []
    stored, at = 0, time.monotonic()

    def on_batch(fresh: list[Evaluation]) -> bool:
        nonlocal at, stored
        evaluated.extend(fresh)
        with made.database.session() as session:
            searches.add_evaluations(session, made.search_id, fresh)
        batch_s.append(time.monotonic() - at)
        if is_front_due(len(evaluated), stored):
            began, stored = time.monotonic(), len(evaluated)
            _store_front(made, spec, known, evaluated)
            front_s.append(time.monotonic() - began)
        if len(batch_s) % 20 == 0:
            left = (n - len(evaluated)) / batch * float(np.mean(batch_s[-20:]))
            print(f"{sampler}: {len(evaluated)} of {n}, {left:.0f} s left", file=sys.stderr)
        at = time.monotonic()
        return True

    plan = Plan(
        sampler=load(SAMPLERS, sampler),
        make_predictor=lambda: RidgePredictor(
            seed=0, names=made.problem.space.architectures.feature_names
        ),
        evaluator=evaluator,
        n_queries=n,
        batch=batch,
        seed=seed,
        initial_architectures=known[0],
        initial_accuracy=known[1],
    )
    run(made.problem, plan, on_batch=on_batch)
    full = batch_s[:-1]  # the last may be of fewer
    early, late = full[1 : 1 + _N_TIMED], full[-_N_TIMED:]
    files = [one for one in folder.rglob("*") if one.is_file()]
    database = sum(one.stat().st_size for one in files if "blobs" not in one.parts)
    blobs = sum(one.stat().st_size for one in files if "blobs" in one.parts)
    case = f"{len(evaluated)} evaluations in batches of {batch}"
    values = [
        ("a batch at first, s", float(np.median(early))),
        ("a batch at last, s", float(np.median(late))),
        ("last batch of the first", float(np.median(late) / np.median(early))),
        ("the last front, s", front_s[-1]),
        ("fronts stored", float(len(front_s))),
        ("database, MB", database / 1e6),
        ("files of candidates, MB", blobs / 1e6),
    ]
    return [Row("long_search", case, sampler, what, 1, value) for what, value in values]


def _store_front(
    made: LargeSearch,
    spec: SearchSpec,
    known: tuple[IntArray, FloatArray],
    evaluated: list[Evaluation],
) -> None:
    candidates = all_candidates(made.problem, spec, known, evaluated)
    metric = task_of(FACTS).metric("accuracy")
    document = front_document(
        made.problem, metric, candidates, len(evaluated), {"name": "none", "n": 0}
    )
    content = FileBlobs(made.settings.blobs_dir).put_bytes(CandidateSet.of(candidates).dump())
    with made.database.session() as session:
        revision = front_revisions.add_front(session, made.search_id, document)
        front_revisions.set_candidates(session, made.search_id, revision, content, len(candidates))
