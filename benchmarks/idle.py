"""What a service costs while there is nothing to do, and what keeping house costs while much waits.

Of an idle service: the processor time of each process, and how long a job waits that comes then. Of
many jobs that wait: a look for those that never reached the engine, beside a look at all of them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil

from benchmarks.rows import Row, parser, report
from benchmarks.service import service
from nas_service.engine import durable
from nas_service.queues import queue_of
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database
from nas_service.worker.lost import AT_ONCE, LostJobs

SETTLED_S, AGAIN_S = 75.0, 25.0
"""After this long the engine looks for schedules seldom, and queues are looked at seldom again."""
N_PICKED_UP = 3


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("idle", __doc__ or "")
    options.add_argument("--seconds", type=float, default=60.0, help="that processes are watched")
    options.add_argument("--jobs", type=int, default=10_000, help="that wait")
    given = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        rows = _idle(Path(scratch) / "idle", given.seconds)
        rows += _waiting(Path(scratch) / "waiting", given.jobs)
    report(rows, given.out)
    return 0


def _idle(var_dir: Path, seconds: float) -> list[Row]:
    var_dir.mkdir()
    rows = []
    with service(var_dir) as nas:
        (server,) = psutil.Process().children()
        time.sleep(SETTLED_S)
        watched = {_role(one): one for one in [server, *server.children()]}
        before = {name: _used_s(one) for name, one in watched.items()}
        time.sleep(seconds)
        for name, one in watched.items():
            share = 100 * (_used_s(one) - before[name]) / seconds
            rows.append(Row("idle", "nothing to do", name, "% of a core", 1, share))
        waited = []
        for number in range(N_PICKED_UP):
            job_id = nas.add_dataset(f"digits{number}", builtin="digits")["job"]["id"]
            nas.wait(job_id)
            job = nas.job(job_id)
            times = [datetime.fromisoformat(job[one]) for one in ("created_at", "started_at")]
            waited.append((times[1] - times[0]).total_seconds())
            time.sleep(AGAIN_S)
    rows.append(
        Row("idle", "nothing to do", "a job", "s until it begins", N_PICKED_UP, float(max(waited)))
    )
    return rows


def _role(process: psutil.Process) -> str:
    last = process.cmdline()[-1]
    return (
        "worker" if last == "worker" else "API" if "--api-only" in process.cmdline() else "parent"
    )


def _used_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _waiting(var_dir: Path, n: int) -> list[Row]:
    """A look at the jobs that wait, in a database of its own without a worker."""
    var_dir.mkdir()
    settings = Settings(var_dir=var_dir)
    migrate(settings.url)
    durable.prepare(settings.engine_url)
    database, client = Database(settings.url), durable.Client(settings.engine_url)
    names = [f"job{number:06}" for number in range(n)]
    with database.session() as session:
        for name in names:
            jobs.add_job(session, name, "dataset", subject=name, params={"dataset_id": name})
    for number, name in enumerate(names):
        client.enqueue(
            "dataset", queue_of("dataset", {}), name, {"dataset_id": name}, place=number + 1
        )
        if number % 1000 == 0:
            print(f"enqueued {number} of {n}", file=sys.stderr)
    time.sleep(3.0)  # until none is on its way any more
    looking, took_ms = LostJobs(database.of(SERVICE), settings.engine_url), []
    for _ in range(-(-n // AT_ONCE)):
        began = time.perf_counter()
        looking.enqueue_some()
        took_ms.append(1e3 * (time.perf_counter() - began))
    began = time.perf_counter()
    with database.session() as session:
        found = jobs.unfinished(session)
    client.known([one.id for one in found])
    whole_ms = 1e3 * (time.perf_counter() - began)
    client.close()
    database.close()
    case = f"{n} jobs wait"
    return [
        Row("idle", case, f"{AT_ONCE} at a time", "median, ms", n, float(np.median(took_ms))),
        Row("idle", case, f"{AT_ONCE} at a time", "slowest, ms", n, float(max(took_ms))),
        Row("idle", case, "all at once", "ms", n, whole_ms),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
