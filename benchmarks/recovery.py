"""How soon a service that was killed is ready again, and another worker has a dead one's work.

Killed is with SIGKILL, every process at once. Ready is when the API answers and a new worker has
every queue. A takeover is timed from the death of a worker in the middle of a search's step until
another worker, which has waited beside it for a lease and longer, has begun that step; what is left
of the dead one's lease then is all of it at most.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.rows import Row, parser, report
from benchmarks.service import free_port, served
from benchmarks.spread import install_sleeping, prepared, worker_beside
from nas_service.client import Client
from nas_service.queues import CONCURRENCY
from nas_service.settings import Settings
from nas_service.storage import jobs, leases
from nas_service.storage.session import Database

_PATIENCE_S = 120.0


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("recovery", __doc__ or "")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--deaths", type=int, default=10)
    given = options.parse_args(arguments)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        install_sleeping(folder / "site", 5.0)
        before = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder / "site"), *before.split(":")])
        var_dir = folder / "var"
        var_dir.mkdir()
        ready_s = sorted(_restarts(var_dir, given.kills))
        taken_s = sorted(_takeovers(folder, var_dir, given.deaths, given.seed))
    lease_s = Settings(var_dir=var_dir).lease_s
    for case, seconds in (
        (f"killed {given.kills} times: ready again", ready_s),
        (f"{given.deaths} workers of a lease of {lease_s:g} s killed: taken over", taken_s),
    ):
        rows.append(Row("recovery", case, "median", "s", 1, seconds[len(seconds) // 2]))
        rows.append(Row("recovery", case, "slowest", "s", 1, seconds[-1]))
    report(rows, given.out)
    return 0


def _restarts(var_dir: Path, n: int) -> Iterator[float]:
    port, known = free_port(), set[str]()
    with (
        Client(f"http://127.0.0.1:{port}") as nas,
        contextlib.closing(Database(Settings(var_dir=var_dir).url)) as database,
    ):
        for number in range(n + 1):
            began = time.monotonic()
            process = served(var_dir, port)
            try:
                # a dead worker's lease goes on for a while, and is not this one's
                _wait_until(partial(_has_another_worker, nas, database, frozenset(known)))
                known = _live(database)
                if number:  # the first makes the databases
                    yield time.monotonic() - began
                    print(f"killed {number} times", file=sys.stderr)
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _takeovers(folder: Path, var_dir: Path, n: int, seed: int) -> Iterator[float]:
    """Two workers on a service's work, of which the one that has it dies, and gets a successor."""
    generator = random.Random(seed)  # noqa: S311  # moments to kill at
    port, lease_s = free_port(), Settings(var_dir=var_dir).lease_s
    api: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = []
    process = served(var_dir, port)
    try:
        with Client(f"http://127.0.0.1:{port}") as nas:
            _wait_until(nas.ready)
            asked = prepared(nas) | {"n_queries": 100 * n, "batch": 1, "seed": seed}
            process.terminate()
            process.wait()
            api = served(var_dir, port, "--api-only")
            nas.wait_until_it_answers(60.0)
            workers = [_worker(folder, var_dir, number) for number in range(2)]
            _wait_until(nas.ready)
            search = nas.submit_search(**asked)["id"]
            with contextlib.closing(Database(Settings(var_dir=var_dir).url)) as database:
                for number in range(n):
                    _wait_until(lambda: _running(database, search) in _ids(workers))
                    _wait_until(lambda: {_id_of(one) for one in _live(database)} >= _ids(workers))
                    time.sleep(lease_s + generator.uniform(0.0, lease_s))
                    dead = _running(database, search)
                    one = next(worker for worker in workers if worker.pid == dead)
                    workers.remove(one)
                    began = time.monotonic()
                    one.kill()
                    one.wait()
                    _wait_until(lambda: _running(database, search) in _ids(workers))
                    yield time.monotonic() - began
                    print(f"{number + 1} workers died", file=sys.stderr)
                    workers.append(_worker(folder, var_dir, number + 2))
    finally:
        for each in (process, api, *workers):
            if each is not None and each.poll() is None:
                each.kill()
                each.wait()


def _worker(folder: Path, var_dir: Path, number: int) -> subprocess.Popen[bytes]:
    return worker_beside(folder / f"beside-{number}", var_dir, ",".join(CONCURRENCY))


def _ids(workers: list[subprocess.Popen[bytes]]) -> set[int]:
    return {one.pid for one in workers}


def _running(database: Database, search: str) -> int | None:
    """The process that began the search's own step the last; None where none has."""
    with database.session() as session:
        events = jobs.events_of(session, search)
    begun = [one for one in events if one.step == "search" and one.event == "started"]
    return _id_of(begun[-1].executor) if begun else None


def _has_another_worker(nas: Client, database: Database, known: frozenset[str]) -> bool:
    return nas.ready() and bool(_live(database) - known)


def _live(database: Database) -> set[str]:
    with database.session() as session:
        return set(leases.live_workers(session))


def _id_of(executor: str) -> int:
    """The process of a worker, by its name."""
    return int(executor.rpartition("_")[0].rpartition("-")[2])


def _wait_until(done: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > _PATIENCE_S:
            raise TimeoutError(f"not done in {_PATIENCE_S:g} s")
        time.sleep(0.05)
