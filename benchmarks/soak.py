"""What a service keeps of a day's work: memory, descriptors, threads, rows; a day in minutes.

A day is made short by its periods: leases, looks at queues and keeping house come so many times
more often. So do a dashboard's polls, an agent that asks for work, imports and searches, which are
removed again as a user would. Memory is what each process that stays holds, shared pages among it,
in MB (`steps` is the one that steps are forked from); its slope is that of a line through the
samples after the first third of the day, in which all that is loaded late has been loaded.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import psutil

from benchmarks.rows import Row, parser, report
from benchmarks.service import service
from benchmarks.spread import prepared
from nas_service.client import FINAL, ApiError, Client
from nas_service.settings import Settings

_DAY_S = 86400.0
_POLLED = ("/v1/jobs", "/v1/searches", "/", "/devices/here", "/jobs")
N_POLLS, N_IMPORTS, N_SEARCHES = 17_280, 144, 24
"""Of a day: a page every five seconds, imports, searches."""
_AGENT_WAITS_S = 30.0
_LEAST_ASKED = 10
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


@dataclass
class _Day:
    """What is asked of a service over a day, and what is seen of it."""

    nas: Client
    asked: dict[str, Any]
    minutes: float
    watched: dict[str, _Watched]
    var_dir: Path
    at_hour: list[float] = field(default_factory=list)
    stored_mb: list[float] = field(default_factory=list)
    n_failed: int = 0
    took_s: float = 0.0
    _searches: list[str] = field(default_factory=list)
    _imports: dict[str, str] = field(default_factory=dict)

    def go(self, n_searches: int) -> None:
        """Have it happen, evenly spread over the time that it is given."""
        counts = {"poll": N_POLLS, "import": N_IMPORTS, "search": n_searches, "sample": N_SAMPLES}
        due = sorted(
            (number / n, what, number) for what, n in counts.items() for number in range(n)
        )
        began = time.monotonic()
        for at, what, number in due:
            time.sleep(max(0.0, began + 60.0 * self.minutes * at - time.monotonic()))
            if what == "poll":
                self.nas.fetch(_POLLED[number % len(_POLLED)])
            elif what == "import":
                self._import(number)
            elif what == "search":
                self._search(number)
            else:
                self._sample(time.monotonic() - began)
                print(f"{100 * at:.0f} % of the day", file=sys.stderr)
        for one in list(self._searches):
            with contextlib.suppress(ApiError):  # that it failed is counted below
                self.nas.wait(one, timeout_s=600)
        self._remove_ended()
        self.took_s = time.monotonic() - began
        self._sample(self.took_s)

    def _sample(self, elapsed_s: float) -> None:
        for each in self.watched.values():
            each.look()
        self.at_hour.append(24.0 * elapsed_s / (60.0 * self.minutes))
        stored = sum(one.stat().st_size for one in self.var_dir.glob("*.sqlite*"))
        self.stored_mb.append(stored / 1e6)

    def _import(self, number: int) -> None:
        """A data set comes, and the one before the last goes."""
        name, gone = f"digits{number}", f"digits{number - 2}"
        self._imports[name] = self.nas.add_dataset(name, builtin="digits")["job"]["id"]
        if gone in self._imports:
            self.n_failed += self.nas.job(self._imports.pop(gone))["state"] == "failed"
            self.nas.delete(f"/v1/datasets/{gone}")

    def _search(self, number: int) -> None:
        self._searches.append(self.nas.submit_search(**self.asked, seed=number + 1)["id"])
        self._remove_ended()

    def _remove_ended(self) -> None:
        """What ended is removed; what has not is kept for the next time."""
        for one in list(self._searches):
            state = self.nas.search(one)["state"]
            if state in FINAL:
                self.n_failed += state != "succeeded"
                self.nas.delete(f"/v1/searches/{one}")
                self._searches.remove(one)

    def rows(self) -> Iterator[Row]:
        """What was seen."""
        late = len(self.at_hour) // 3
        for name, one in self.watched.items():
            slope = float(np.polyfit(self.at_hour[late:], one.memory_mb[late:], 1)[0])
            seen: dict[str, list[float]] = {
                "MB": one.memory_mb,
                "descriptors": [float(n) for n in one.descriptors],
                "threads": [float(n) for n in one.threads],
            }
            for what, values in seen.items():
                yield Row("soak", "a day", name, f"{what} after a third", 1, values[late])
                yield Row("soak", "a day", name, f"{what} at its end", 1, values[-1])
            n = len(self.at_hour) - late
            yield Row("soak", "a day", name, "MB more an hour of the day", n, slope)
        stored = self.stored_mb
        yield Row("soak", "a day", "databases", "MB after a third", 1, stored[late])
        yield Row("soak", "a day", "databases", "MB at its end", 1, stored[-1])
        yield Row("soak", "a day", "jobs", "failed", 1, float(self.n_failed))
        yield Row("soak", "a day", "the day", "times as fast", 1, _DAY_S / self.took_s)


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("soak", __doc__ or "")
    options.add_argument("--minutes", type=float, default=24.0, help="that the day takes")
    options.add_argument("--searches", type=int, default=N_SEARCHES)
    given = options.parse_args(arguments)
    shorter = _DAY_S / (60.0 * given.minutes)
    with (
        tempfile.TemporaryDirectory() as scratch,
        patch.dict(os.environ, _shorter_periods(shorter)),
    ):
        var_dir = Path(scratch) / "var"
        var_dir.mkdir()
        with service(var_dir) as nas:
            asked = prepared(nas) | {"evaluator": "supernet", "n_queries": 8, "batch": 4}
            asked |= {"n_initial": 8, "n_holdout": 3, "n_probes": 1}
            # after this, every process has loaded what it ever will
            nas.wait(nas.submit_search(**asked)["id"], timeout_s=600)
            day = _Day(nas, asked, given.minutes, _watched(), var_dir)
            with _agent_that_waits(nas, _AGENT_WAITS_S / shorter):
                day.go(given.searches)
    report(list(day.rows()), given.out)
    return 0


def _shorter_periods(shorter: float) -> dict[str, str]:
    """Settings with which what a service does by the clock comes so many times as often."""
    usual = Settings()
    return {
        "NAS_LEASE_S": f"{max(0.3, usual.lease_s / shorter):g}",
        "NAS_HOUSEKEEPING_EVERY_S": f"{max(1.0, usual.housekeeping_every_s / shorter):g}",
        "NAS_RATE_LIMIT": "",
    }


@contextlib.contextmanager
def _agent_that_waits(nas: Client, wait_s: float) -> Iterator[None]:
    """A device's agent that waits for work, and waits again when there is none."""
    nas.add_device("far")
    token = nas.make_token("far")["token"]
    enough = threading.Event()

    def ask() -> int:
        with Client(nas.url, token=token) as far:
            far.post("/v1/agent:hello", {"instance": "soaking-agent", "runtimes": {}})
            n_asked = 0
            while not enough.is_set():
                wanted = {"instance": "soaking-agent", "wait_s": wait_s}
                far.call("POST", "/v1/agent/tasks:take", wanted)
                n_asked += 1
        return n_asked

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            enough.set()
        if asking.result() < _LEAST_ASKED:  # raises what ended it
            raise RuntimeError(f"the agent asked for work {asking.result()} times only")


def _watched() -> dict[str, _Watched]:
    (server,) = psutil.Process().children()
    found = {"parent": server}
    for one in server.children():
        found["worker" if one.cmdline()[-1] == "worker" else "API"] = one
    forked = [one for one in found["worker"].children() if "forkserver" in " ".join(one.cmdline())]
    found["steps"] = forked[0]
    return {name: _Watched(one) for name, one in found.items()}
