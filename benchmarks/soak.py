"""What a service keeps of a day's work: memory, descriptors, threads, rows; a day in minutes.

A day is made short by its periods: leases, looks at queues and keeping house come so many times
more often. So do a dashboard's polls, an agent that asks for work, imports and searches, which are
removed again as a user would. Memory is what each process holds, shared pages among it, in MB; its
slope is that of a line through the samples after the first third of the day, in which all that is
loaded late has been loaded.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.rows import Row, parser, report
from benchmarks.service import service
from benchmarks.spread import prepared
from nas_service.client import FINAL, ApiError, Client
from nas_service.settings import Settings

_DAY_S = 86400.0
_POLLED = ("/v1/jobs", "/v1/searches", "/", "/devices/here", "/work")
N_POLLS, N_TAKES, N_IMPORTS, N_SEARCHES = 17_280, 2_880, 144, 24
"""Of a day: a page every five seconds, an agent's waits of 30 s, imports and searches."""
N_SAMPLES = 48


@dataclass
class _Watched:
    """A process and what it had at each sample."""

    process: psutil.Process
    memory_mb: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def look(self) -> None:
        self.memory_mb.append(self.process.memory_info().rss / 1e6)
        self.descriptors.append(self.process.num_fds())
        self.threads.append(self.process.num_threads())


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("soak", __doc__ or "")
    options.add_argument("--minutes", type=float, default=24.0, help="that the day takes")
    options.add_argument("--searches", type=int, default=N_SEARCHES)
    given = options.parse_args(arguments)
    shorter = _DAY_S / (60.0 * given.minutes)
    with tempfile.TemporaryDirectory() as scratch, _shorter_periods(shorter):
        var_dir = Path(scratch) / "var"
        var_dir.mkdir()
        with service(var_dir) as nas:
            watched = _watched()
            asked = prepared(nas) | {"evaluator": "supernet", "n_queries": 8, "batch": 4}
            asked |= {"n_initial": 8, "n_holdout": 3, "n_probes": 1}
            _warm(nas, asked)
            sizes: list[float] = []

            def sample() -> None:
                for each in watched.values():
                    each.look()
                sizes.append(sum(one.stat().st_size for one in var_dir.glob("*.sqlite*")) / 1e6)

            _a_day(nas, asked, given.minutes, given.searches, sample)
            counts = nas.get("/v1/jobs", state="failed", limit=100)["items"]
    rows = [one for name, each in watched.items() for one in _rows(name, each)]
    rows.append(Row("soak", "a day", "jobs", "failed", 1, float(len(counts))))
    rows.append(Row("soak", "a day", "database", "MB after a third", 1, sizes[len(sizes) // 3]))
    rows.append(Row("soak", "a day", "database", "MB at its end", 1, sizes[-1]))
    print(f"{shorter:.0f} times as fast as a day", file=sys.stderr)
    report(rows, given.out)
    return 0


@contextlib.contextmanager
def _shorter_periods(shorter: float) -> Iterator[None]:
    """What a service does by the clock comes so many times as often."""
    usual = Settings()
    ours = {
        "NAS_LEASE_S": f"{max(0.3, usual.lease_s / shorter):g}",
        "NAS_HOUSEKEEPING_EVERY_S": f"{max(1.0, usual.housekeeping_every_s / shorter):g}",
        "NAS_RATE_LIMIT": "",
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _watched() -> dict[str, _Watched]:
    (server,) = psutil.Process().children()
    found = {"parent": server}
    for one in server.children():
        found["worker" if one.cmdline()[-1] == "worker" else "API"] = one
    return {name: _Watched(one) for name, one in found.items()}


def _warm(nas: Client, asked: dict[str, Any]) -> None:
    """A search, after which every process has loaded what it ever will."""
    nas.wait(nas.submit_search(**asked)["id"], timeout_s=600)


def _a_day(
    nas: Client, asked: dict[str, Any], minutes: float, n_searches: int, sample: Callable[[], None]
) -> None:
    """Everything of a day, evenly spread over it."""
    nas.add_device("far")
    token = nas.post("/v1/devices/far:token")["token"]
    due = sorted(
        [(number / N_POLLS, "poll", number) for number in range(N_POLLS)]
        + [(number / N_TAKES, "take", number) for number in range(N_TAKES)]
        + [(number / N_IMPORTS, "import", number) for number in range(N_IMPORTS)]
        + [(number / n_searches, "search", number) for number in range(n_searches)]
        + [(number / N_SAMPLES, "sample", number) for number in range(N_SAMPLES + 1)]
    )
    open_searches: list[str] = []
    began = time.monotonic()
    with Client(nas.url, token=token) as far:
        for at, what, number in due:
            time.sleep(max(0.0, began + 60.0 * minutes * at - time.monotonic()))
            if what == "poll":
                nas.fetch(_POLLED[number % len(_POLLED)])
            elif what == "take":
                far.call("POST", "/v1/agent/tasks:take", {"instance": "soak", "wait_s": 0})
            elif what == "import":
                _imported(nas, number)
            elif what == "search":
                open_searches.append(nas.submit_search(**asked | {"seed": number + 1})["id"])
                _remove_ended(nas, open_searches)
            else:
                sample()
                print(f"{100 * at:.0f} % of the day", file=sys.stderr)
    for one in open_searches:
        with contextlib.suppress(ApiError):  # a search that failed is counted among the rows
            nas.wait(one, timeout_s=600)


def _imported(nas: Client, number: int) -> None:
    """A data set comes, and the one before the last goes."""
    nas.add_dataset(f"digits{number}", builtin="digits")
    if number > 1:
        nas.delete(f"/v1/datasets/digits{number - 2}")


def _remove_ended(nas: Client, searches: list[str]) -> None:
    """What ended is removed; what has not is kept for the next time."""
    for one in list(searches):
        if nas.search(one)["state"] in FINAL:
            nas.delete(f"/v1/searches/{one}")
            searches.remove(one)


def _rows(name: str, watched: _Watched) -> Iterator[Row]:
    late = len(watched.memory_mb) // 3
    memory = np.array(watched.memory_mb[late:])
    hours = np.linspace(8.0, 24.0, len(memory))
    slope = float(np.polyfit(hours, memory, 1)[0])
    yield Row("soak", "a day", name, "MB after a third", 1, float(memory[0]))
    yield Row("soak", "a day", name, "MB at its end", 1, float(memory[-1]))
    yield Row("soak", "a day", name, "MB more an hour of the day", len(memory), slope)
    for what, counted in (("descriptors", watched.descriptors), ("threads", watched.threads)):
        yield Row("soak", "a day", name, f"{what} after a third", 1, float(counted[late]))
        yield Row("soak", "a day", name, f"{what} at its end", 1, float(counted[-1]))
