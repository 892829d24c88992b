"""How much sooner a search's evaluations are done by many workers than by one.

Each evaluation takes a second, in which it sleeps: so workers of many machines can stand beside
each other on one, each in a folder of its own on the database and files of the service. Timed are
the search's own step, from the job's record, of workers that have run before, and the batches after
its first one, by when all processes have been started; the sampler is the random one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.rows import Row, parser, report
from benchmarks.service import service
from nas_service.client import ApiError, Client
from nas_service.queues import GPU
from nas_service.settings import Settings
from nas_service.storage import jobs, leases, searches
from nas_service.storage.models.searches import EvaluationRow
from nas_service.storage.session import Database

_EVALUATOR = """
import time

import numpy as np


class Sleeping:
    spreads = True

    def evaluate(self, genotypes, *, fidelity, seed):
        time.sleep({seconds} * len(genotypes))
        return 0.1 + (genotypes.sum(axis=1) % 80) / 100


def sleeping(context):
    return Sleeping()
"""


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("spread", __doc__ or "")
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--queries", type=int, default=192)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--seconds", type=float, default=1.0, help="that an evaluation takes")
    given = options.parse_args(arguments)
    took: dict[int, float] = {}
    later: dict[int, float] = {}
    fronts: dict[int, list[object]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        install_sleeping(folder / "site", given.seconds)
        before = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder / "site"), *before.split(":")])
        var_dir = folder / "var"
        var_dir.mkdir()
        with service(var_dir) as nas:
            asked = prepared(nas)
            asked |= {"n_queries": given.queries, "batch": given.batch, "seed": given.seed}
            for n in (1, given.workers):
                with _workers(folder, var_dir, n - 1):
                    if n > 1:  # a worker's first process loads its libraries
                        again = {"seed": given.seed + 1, "n_queries": given.batch}
                        _searched(nas, var_dir, asked | again)
                    took[n], later[n], fronts[n] = _searched(nas, var_dir, asked)
                print(f"{n} workers: {took[n]:.1f} s", file=sys.stderr)
    many = given.workers
    case = f"{given.queries} evaluations of {given.seconds:g} s, batches of {given.batch}"
    rows = [Row("spread", case, f"{n} workers", "s", 1, value) for n, value in took.items()]
    rows += [
        Row("spread", case, f"{n} workers", "s a batch after the first", 1, value)
        for n, value in later.items()
    ]
    for what, seconds in (("times as fast", took), ("times as fast after the first batch", later)):
        rows.append(Row("spread", case, f"{many} workers", what, 1, seconds[1] / seconds[many]))
    same = float(fronts[1] == fronts[many])
    rows.append(Row("spread", case, f"{many} workers", "same evaluations as one's", 1, same))
    report(rows, given.out)
    return 0


def install_sleeping(site: Path, seconds: float) -> None:
    """An evaluator that sleeps, as a package of somebody else's would have it."""
    (site / "sleeping_evaluator-1.0.dist-info").mkdir(parents=True)
    (site / "sleeping_evaluator.py").write_text(_EVALUATOR.format(seconds=seconds))
    info = site / "sleeping_evaluator-1.0.dist-info"
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: sleeping-evaluator\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        "[nas_service.accuracy_evaluators]\nsleeping = sleeping_evaluator:sleeping\n"
    )


def prepared(nas: Client) -> dict[str, Any]:
    """A data set, a device and its tables; gives what to ask of a search."""
    nas.wait(nas.add_dataset("digits", builtin="digits")["job"]["id"])
    nas.add_device("here", this_machine=True)
    profile: dict[str, Any] = {"space": "mbconv", "dataset": "digits", "precisions": ["fp32"]}
    nas.wait(nas.profile("here", **profile, profile_budget_s=5)["job"]["id"], timeout_s=400)
    return {
        "dataset": "digits",
        "space": "mbconv",
        "device": "here",
        "evaluator": "sleeping",
        "sampler": "random",
        "predictor": "ridge",
        "precisions": ["fp32"],
        "n_winners": 1,
        "training": {"epochs": 1, "finetune_epochs": 1},
    }


@contextlib.contextmanager
def _workers(folder: Path, var_dir: Path, n: int) -> Iterator[None]:
    """So many more workers that train, each as if on a machine of its own."""
    made = [worker_beside(folder / f"machine-{number}", var_dir) for number in range(n)]
    try:
        with contextlib.closing(Database(Settings(var_dir=var_dir).url)) as database:
            while made and _n_training(database) <= n:
                time.sleep(0.5)
        yield
    finally:
        for one in made:
            one.terminate()
        for one in made:
            one.wait()


def worker_beside(own: Path, var_dir: Path, queues: str = GPU) -> subprocess.Popen[bytes]:
    """A worker as if on a machine of its own: a folder, on the service's database and files."""
    own.mkdir()
    for name in ("nas.sqlite", "engine.sqlite"):
        (own / name).symlink_to(var_dir / name)
    env = {
        **os.environ,
        "NAS_VAR_DIR": str(own),
        "NAS_BLOBS_URL": str(var_dir / "blobs"),
        "NAS_MACHINE": own.name,
        "NAS_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    ours = [sys.executable, "-m", "nas_service.cli", "worker", "--queues", queues]
    return subprocess.Popen(ours, env=env, stdout=sys.stderr)  # noqa: S603  # our own module


def _n_training(database: Database) -> int:
    with database.session() as session:
        return sum(GPU in queues for queues in leases.live_workers(session).values())


def _searched(
    nas: Client, var_dir: Path, asked: dict[str, Any]
) -> tuple[float, float, list[object]]:
    """Seconds of the search's own step, of a batch after the first, and evaluations in order."""
    search = nas.submit_search(**asked)["id"]
    with contextlib.closing(Database(Settings(var_dir=var_dir).url)) as database:
        while True:
            with database.session() as session:
                events = {
                    one.event: one.at
                    for one in jobs.events_of(session, search)
                    if one.step == "search"
                }
                told = searches.evaluations_of(session, search)
                ended = jobs.get_job(session, search).problem
            if ended:
                raise RuntimeError(f"the search failed: {ended}")
            if "finished" in events:
                break
            time.sleep(0.5)
    nas.cancel_search(search)
    with contextlib.suppress(ApiError):  # it says that it was cancelled
        nas.wait(search)
    took = (events["finished"] - events["started"]).total_seconds()
    with (
        contextlib.closing(Database(Settings(var_dir=var_dir).url)) as database,
        database.session() as session,
    ):
        query = select(EvaluationRow.batch, func.max(EvaluationRow.created_at))
        query = query.where(EvaluationRow.search_id == search).group_by(EvaluationRow.batch)
        stored = sorted(at for _, at in session.execute(query))
    later = (stored[-1] - stored[0]).total_seconds() / max(1, len(stored) - 1)
    return took, later, [(one.genotype, one.accuracy) for one in told]
