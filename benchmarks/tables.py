"""Tables of this machine: how near they are, how repeatable measuring is, what drift looks like.

With `--with-service`, a service and an agent run as processes of their own: how long an agent
takes to a calibrated table, and a second device to its front on a search that is already trained.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import Row, parser, report
from lookup_tables.drift import MAX_PROBES, drift
from lookup_tables.profile import LocalProfiler
from lookup_tables.runtimes.ort_memory import peak_memory_bytes
from lookup_tables.runtimes.registry import runtime_versions
from lookup_tables.target import PRECISIONS, Target
from nas_service.client import Client
from nas_service.plugins import SPACES, load
from nas_service.search.memory import MemoryModel
from nas_service.space.base import FloatArray, ImageShape, SearchSpace
from nas_service.space.sampling import distinct
from nas_service.worker.tasks.profile_files import network_files
from nas_service.worker.tasks.profile_space import profile_space
from nas_service.worker.tasks.profile_timings import NETWORK_PROTOCOL

N_FIT, N_UNSEEN = 13, 30
N_REPEATED, N_RUNS = 10, 10
SHIFT = 0.05


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("tables", __doc__ or "")
    options.add_argument("--data", help="not needed: accepted as by the other benchmarks")
    options.add_argument("--space", default="mbconv")
    options.add_argument("--size", type=int, default=32)
    options.add_argument("--budget-s", type=float, default=90.0)
    options.add_argument("--with-service", action="store_true")
    options.add_argument("--without-device", action="store_true", help="simulated rows alone")
    given = options.parse_args(arguments)
    rows = _drifts(given.seed)
    if not given.without_device:
        space = load(SPACES, given.space)(ImageShape(given.size, 3, 10))
        rows += _estimates(space, given.budget_s, given.seed)
        rows += _repeats(space, given.seed)
        rows += _memories(space, given.seed)
    if given.with_service:
        rows += _service(given.space, given.budget_s, given.seed)
    report(rows, given.out)
    return 0


def _estimates(space: SearchSpace, budget_s: float, seed: int) -> list[Row]:
    """A table from 13 networks and some blocks, against 30 networks that no fit has seen."""
    version = runtime_versions()["onnxruntime"]
    targets = [Target("this-machine", "onnxruntime", version, p) for p in PRECISIONS]
    with tempfile.TemporaryDirectory() as folder:
        made = profile_space(
            space, targets, budget_s, seed, Path(folder), _say, networks=(N_FIT, N_UNSEEN)
        )
    rows = []
    for table, check in made:
        case = f"this-machine/{space.name}, {table.target.precision}"
        rows += [
            Row("tables", case, "table", metric, check["n"], check[metric])
            for metric in ("mean_error", "max_error", "spearman")
        ]
        plain = check["mean_error_of_plain_sum"]
        rows.append(Row("tables", case, "plain sum", "mean_error", check["n"], plain))
        spent = float(table.provenance["profiled_s"])
        rows.append(Row("tables", case, "table", "profile_s", N_FIT, spent))
    return rows


def _repeats(space: SearchSpace, seed: int) -> list[Row]:
    """The same networks measured ten times: coefficient of variation of their p50."""
    target = Target("this-machine", "onnxruntime", runtime_versions()["onnxruntime"], "fp32")
    networks = distinct(space, N_REPEATED, np.random.default_rng([seed, 5]))
    found = []
    with tempfile.TemporaryDirectory() as name:
        files = network_files(
            space, networks, [target], Path(name), _say, (0.0, 1.0), None, N_REPEATED
        )
        models = {str(i): one["fp32"] for i, one in files.items()}
        for run in range(N_RUNS):
            _say(run / N_RUNS, f"run {run + 1} of {N_RUNS}")
            timed = LocalProfiler().measure(models, target, protocol=NETWORK_PROTOCOL, seed=run)
            found.append([timed[one].p50_ms for one in models])
    values = np.array(found)
    variation = values.std(axis=0, ddof=1) / values.mean(axis=0)
    case = f"this-machine/{space.name}, fp32, the same network"
    return [
        Row("tables", case, "protocol", "median_cv", N_RUNS, float(np.median(variation))),
        Row("tables", case, "protocol", "max_cv", N_RUNS, float(variation.max())),
    ]


def _memories(space: SearchSpace, seed: int) -> list[Row]:
    """Planned peaks of activations against what ONNX Runtime allocates."""
    networks = distinct(space, N_UNSEEN, np.random.default_rng([seed, 6]))
    target = Target("this-machine", "onnxruntime", runtime_versions()["onnxruntime"], "fp32")
    with tempfile.TemporaryDirectory() as name:
        files = network_files(
            space, networks, [target], Path(name), _say, (0.0, 1.0), None, N_UNSEEN
        )
        told = peak_memory_bytes([one["fp32"] for one in files.values()])
    known = np.array([one is not None for one in told])
    measured = np.array([one or 1 for one in told], dtype=np.float64)[known]
    error = np.abs(MemoryModel(space).peak_bytes(networks)[known] / measured - 1.0)
    case = f"this-machine/{space.name}, fp32, peak memory"
    values = {"mean_error": error.mean(), "max_error": error.max()}
    values["within_5_percent"] = (error <= 0.05).mean()
    return [
        Row("tables", case, "plan", metric, int(known.sum()), float(value))
        for metric, value in values.items()
    ]


def _drifts(seed: int, runs: int = 2000) -> list[Row]:
    """How often a shift of 5 % is found with ten probes, and how often one is imagined."""
    generator = np.random.default_rng(seed)
    rows = []
    laws: dict[str, Callable[[tuple[int, ...]], FloatArray]] = {
        "normal": generator.standard_normal,
        "t(3)": lambda size: generator.standard_t(3, size),
    }
    for name, draw in laws.items():
        for noise in (0.01, 0.02, 0.03):
            then = np.exp(generator.normal(0.0, 1.0, (runs, MAX_PROBES)))
            for shift, metric in ((SHIFT, "found_share"), (0.0, "false_alarm_share")):
                now = then * (1.0 + shift) * np.exp(noise * draw(then.shape))
                share = np.mean([drift(a, b).moved for a, b in zip(then, now, strict=True)])
                case = f"drift, {100 * noise:.0f} % noise {name}"
                rows.append(
                    Row("tables", case, "drift", metric, MAX_PROBES, float(share), seeds=runs)
                )
    return rows


def _service(space: str, budget_s: float, seed: int) -> list[Row]:
    """An agent to its table, and a second device to its front."""
    with tempfile.TemporaryDirectory() as name, _serving(Path(name) / "var") as (nas, url):
        nas.add_device("this-machine", this_machine=True)
        job = nas.add_dataset("digits", builtin="digits")["job"]
        nas.wait(job["id"])
        _say(0.1, "first search")
        request: dict[str, Any] = {"dataset": "digits", "space": space, "seed": seed}
        request["follows"] = ["name:board"]
        started = time.monotonic()
        first = nas.submit_search(device="this-machine", profile_budget_s=budget_s, **request)["id"]
        nas.wait(first)
        cost_s = time.monotonic() - started
        _say(0.6, "an agent on a second device")
        nas.add_device("board", kind="board")
        token = nas.make_token("board")["token"]
        connected = time.time()
        agent = _agent(Path(name), nas, url, token)
        try:
            while not (found := nas.get(f"/v1/searches/{first}/again")):
                time.sleep(0.2)
            again = found[0]["id"]
            nas.wait(again)
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait()
        steps = _steps(nas)
        profiled = steps[f"{again}-profile", "profile"][1]
        front = steps[again, "search"][1]
        measured = nas.get(f"/v1/jobs/{again}")
        whole = datetime.fromisoformat(measured["finished_at"]).timestamp()
        networks = len(
            nas.get(f"/v1/lookup-tables/{nas.search(again)['facts']['tables'][0]}")["provenance"][
                "calibration_networks"
            ]
        )
    case = "second device, search trained before"
    return [
        Row("tables", "agent to calibrated table", "agent", "s", networks, profiled - connected),
        Row("tables", case, "guided", "front_s_after_table", 1, front - profiled),
        Row("tables", case, "guided", "certified_winners_s_after_table", 1, whole - profiled),
        Row("tables", case, "guided", "share_of_first_search", 1, (front - profiled) / cost_s),
    ]


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[tuple[Client, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "NAS_VAR_DIR": str(folder), "NAS_PORT": str(port)}
    folder.mkdir(parents=True)
    with (folder / "service.log").open("w") as log:
        process = subprocess.Popen(  # our own command
            [sys.executable, "-m", "nas_service.cli", "serve"],
            env={**environment, "NAS_LOG_LEVEL": "WARNING"},
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        with Client(url) as nas:
            while not nas.ready():
                time.sleep(0.2)
            yield nas, url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _agent(folder: Path, nas: Client, url: str, token: str) -> subprocess.Popen[bytes]:
    file = folder / "agent.pyz"
    file.write_bytes(nas.fetch("/agent.pyz"))
    arguments = ["--server", url, "--token", token, "--folder", str(folder / "agent")]
    return subprocess.Popen(  # noqa: S603  # the file that the service gives out
        [sys.executable, str(file), *arguments], stdout=subprocess.DEVNULL
    )


def _steps(nas: Client) -> dict[tuple[str, str], tuple[float, float]]:
    """When each step of each job started and finished."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for job in nas.every("/v1/jobs"):
        for event in nas.get(f"/v1/jobs/{job['id']}/events"):
            at = datetime.fromisoformat(event["at"]).timestamp()
            key = (job["id"], event["step"])
            found[key] = (at, at) if event["event"] == "started" else (found[key][0], at)
    return found


def _say(fraction: float, message: Any) -> None:
    print(f"{100 * fraction:3.0f} % {message}", file=sys.stderr)
