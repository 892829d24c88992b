"""How well measurements repeat, alone and with busy neighbours; and simulated machines of any mood.

Ten networks are measured ten times each, alone and while two processes of this benchmark's own
keep the processor busy. Then machines are simulated with two and three modes, spikes, drift and
throttling: each is profiled, ten candidates are certified against a limit, and what a certificate
says is held against the truth that the simulation knows.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import Row, keep, parser, report
from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.protocol import measure
from lookup_tables.measuring.simulated import ANCHORS_MS, Mode, SimulatedMachine
from lookup_tables.profile import LocalProfiler
from lookup_tables.runtimes.registry import runtime_versions
from lookup_tables.target import Target
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.plugins import SPACES, load
from nas_service.search import certificate
from nas_service.search.certifier import Certifier
from nas_service.space.base import ImageShape
from nas_service.space.sampling import distinct
from nas_service.worker.tasks.profile_files import network_files
from nas_service.worker.tasks.profile_timings import NETWORK_PROTOCOL

N_NETWORKS, N_SESSIONS = 10, 10
N_PROFILED, N_CANDIDATES = 40, 10
PROFILE_S = 90.0
"""How long a simulated machine is profiled."""
KINDS = ("two modes", "three modes", "spikes", "slow drift", "throttling after 60 s")


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("steadiness", __doc__ or "")
    options.add_argument("--space", default="mbconv")
    options.add_argument("--size", type=int, default=32)
    options.add_argument("--machines", type=int, default=200, help="simulated ones of each kind")
    options.add_argument("--without-device", action="store_true", help="simulated rows alone")
    options.add_argument("--jobs", type=int, default=2)
    given = options.parse_args(arguments)
    rows: list[Row] = []
    if not given.without_device:
        rows += _repeats(given.space, given.size, given.seed)
        keep(rows, given.out)
    for kind in KINDS if given.machines else ():
        rows += _simulated(kind, given.machines, given.seed, given.jobs)
        keep(rows, given.out)
    report(rows, given.out)
    return 0


def _repeats(space_name: str, size: int, seed: int) -> list[Row]:
    """The same networks in sessions of their own: coefficient of variation of their p50."""
    space = load(SPACES, space_name)(ImageShape(size, 3, 10))
    version = runtime_versions()["onnxruntime"]
    targets = [Target("this-machine", "onnxruntime", version, p) for p in ("fp32", "int8")]
    rows = []
    networks = distinct(space, N_NETWORKS, np.random.default_rng([seed, 5]))
    with tempfile.TemporaryDirectory() as name:
        files = network_files(
            space, networks, targets, Path(name), _say, (0.0, 1.0), None, N_NETWORKS
        )
        models = {f"{p}/{i}": one[p] for i, one in files.items() for p in ("fp32", "int8")}
        profiler = LocalProfiler()
        profiler.measure(models, targets[0], protocol=NETWORK_PROTOCOL, seed=seed)
        for case, around in (("alone", contextlib.nullcontext), ("two busy neighbours", busy)):
            with around():
                rows += _sessions(f"{space_name} at {size}, {case}", models, targets[0], profiler)
    return rows


def _sessions(
    case: str, models: dict[str, Path], target: Target, profiler: LocalProfiler
) -> list[Row]:
    found, shares, unstable = [], [], 0
    began_s = time.monotonic()
    for run in range(N_SESSIONS):
        _say(run / N_SESSIONS, f"{case}: session {run + 1} of {N_SESSIONS}")
        held = LocalProfiler(profiler.references)
        timed = held.measure(models, target, protocol=NETWORK_PROTOCOL, seed=run)
        found.append([timed[one].p50_ms for one in models])
        shares.append(held.steadiness.state_share if held.steadiness else 0.0)
        unstable += sum(not one.stable for one in timed.values())
        time.sleep(2.0)  # sessions of their own, not one long one
    values = np.array(found)
    variation = values.std(axis=0, ddof=1) / values.mean(axis=0)
    n = len(models)
    return [
        Row("steadiness", case, "protocol", "median_cv", n, float(np.median(variation))),
        Row("steadiness", case, "protocol", "max_cv", n, float(variation.max())),
        Row("steadiness", case, "protocol", "state_share", N_SESSIONS, float(np.mean(shares))),
        Row("steadiness", case, "protocol", "unstable", n * N_SESSIONS, float(unstable)),
        Row("steadiness", case, "protocol", "wall_s", N_SESSIONS, time.monotonic() - began_s),
    ]


@contextlib.contextmanager
def busy(n: int = 2) -> Iterator[None]:
    """Processes that keep the processor busy for as long as this is entered."""
    spawn = multiprocessing.get_context("spawn")
    neighbours = [spawn.Process(target=_spin, daemon=True) for _ in range(n)]
    for one in neighbours:
        one.start()
    try:
        time.sleep(1.0)
        yield
    finally:
        for one in neighbours:
            one.kill()
            one.join()


def _spin() -> None:
    values = np.ones(2**18, dtype=np.float32)
    while True:  # arithmetic and memory, as training has them
        values = values * np.float32(1.0001)


@dataclass(frozen=True)
class Outcome:
    """What came of one simulated machine."""

    state_share: float
    wrong_reference: bool
    doubted: bool
    violations: int
    certified: int
    undecided: int
    candidates: int
    worst_error: float


def _simulated(kind: str, n: int, seed: int, jobs: int) -> list[Row]:
    _say(0.0, f"{n} simulated machines: {kind}")
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as workers:
        outcomes = list(workers.map(_outcome, [kind] * n, range(seed, seed + n), chunksize=4))
    seen = [one for one in outcomes if one.state_share >= 0.10]
    certified = sum(one.certified for one in outcomes)
    silent = [one for one in outcomes if one.wrong_reference and not one.doubted]
    values: dict[str, tuple[int, float]] = {
        "violations_of_certified": (
            certified,
            sum(one.violations for one in outcomes) / max(certified, 1),
        ),
        "undecided_where_seen_10_percent": (
            len(seen),
            sum(one.undecided for one in seen) / max(sum(one.candidates for one in seen), 1),
        ),
        "wrong_reference_silently": (n, float(len(silent))),
        "wrong_reference": (n, float(sum(one.wrong_reference for one in outcomes))),
        "doubted": (n, float(np.mean([one.doubted for one in outcomes]))),
        "median_of_worst_errors": (n, float(np.median([one.worst_error for one in outcomes]))),
    }
    case = f"simulated, {kind}"
    return [
        Row("steadiness", case, "protocol and certificates", metric, count, value, seeds=n)
        for metric, (count, value) in values.items()
    ]


def machine_of(kind: str, seed: int) -> SimulatedMachine:
    """A machine of a kind: 5 to 90 % of the time in one mode, stays of .1 to 30 s."""
    generator = np.random.default_rng([seed, KINDS.index(kind)])
    n_modes = 3 if kind == "three modes" else 2
    share = float(generator.uniform(0.05, 0.90))
    others = generator.dirichlet(np.ones(n_modes - 1)) * (1.0 - share)
    modes = [Mode(1.0 if generator.random() < 0.5 else 1.3, share)]
    for other in others:
        wander = float(generator.choice([0.0, 0.02, 0.2]))
        modes.append(Mode(float(generator.uniform(1.1, 2.2)), float(other), wander))
    dwell_s = float(np.exp(generator.uniform(np.log(0.1), np.log(30.0))))
    options: dict[str, Any] = {}
    if kind == "spikes":
        options = {"spike_share": 0.05, "spike_factor": 4.0}
    elif kind == "slow drift":
        options = {"drift_per_hour": float(generator.uniform(-0.05, 0.05))}
    elif kind == "throttling after 60 s":
        options = {
            "throttled_after_s": 60.0,
            "throttled_factor": float(generator.uniform(1.1, 1.6)),
        }
    return SimulatedMachine(modes, dwell_s, seed, **options)


def _outcome(kind: str, seed: int) -> Outcome:
    """Profile a simulated machine, certify candidates on it, and compare with the truth."""
    simulated = machine_of(kind, seed)
    generator = np.random.default_rng([seed, 9])
    machine = Machine(simulated.anchors(), clock=simulated)
    machine.watch(PROFILE_S / 2)
    profiled = {
        str(i): simulated.runner(float(ms), float(felt))
        for i, (ms, felt) in enumerate(
            zip(
                np.geomspace(0.05, 1.0, N_PROFILED),
                generator.uniform(0.9, 1.1, N_PROFILED),
                strict=True,
            )
        )
    }
    measure(profiled, NETWORK_PROTOCOL, machine, seed=seed, budget_s=PROFILE_S / 2)
    reference = machine.know()
    mode, _ = simulated.densest()
    level = float(np.log(reference.levels_ms["compute"] / ANCHORS_MS["compute"] / mode.factor))
    wrong = abs(level) > 0.06 + 2.0 * mode.wander
    # candidates from a tenth below the limit to a tenth above, as the device truly is in that state
    limit_ms = 0.3
    felt = generator.uniform(0.9, 1.1, N_CANDIDATES)
    true_ms = limit_ms * np.exp(generator.uniform(-0.1, 0.1, N_CANDIDATES))
    base_ms = [
        true / simulated.state_ms(reference.levels_ms, 1.0, one)
        for true, one in zip(true_ms, felt, strict=True)
    ]
    runners = {
        str(i): simulated.runner(float(ms), float(one))
        for i, (ms, one) in enumerate(zip(base_ms, felt, strict=True))
    }
    estimate = true_ms * np.exp(0.04 * generator.standard_normal(N_CANDIDATES))
    certifier = Certifier(limit_ms, np.ones(N_CANDIDATES), estimate, 0.04)
    rows = list(range(N_CANDIDATES))
    share, errors = [], []
    for number in range(certificate.MAX_SESSIONS):
        found = measure(runners, PROTOCOL, machine, seed=seed + number)
        share.append(found.steadiness.state_share)
        for row in rows:
            timing = found.timings[str(row)]
            if timing.stable:
                certifier.add(row, timing.p50_ms)
                errors.append(abs(timing.p50_ms / true_ms[row] - 1.0))
        if certificate.settled(certifier, rows):
            break
    given = [
        certificate.certificate_of(certifier, row, 0.95, float(estimate[row]), 0.04) for row in rows
    ]
    certified = [row for row in rows if given[row].verdict == certificate.CERTIFIED]
    # what is within what repeats tell of the limit cannot be decided by anybody
    clear = [row for row in rows if abs(np.log(true_ms[row] / limit_ms)) > 0.03]
    undecided = [row for row in clear if given[row].verdict == certificate.UNDECIDED]
    return Outcome(
        state_share=float(np.mean(share)),
        wrong_reference=bool(wrong),
        doubted=bool(machine.know().doubt),
        violations=sum(bool(true_ms[row] > limit_ms) for row in certified),
        certified=len(certified),
        undecided=len(undecided),
        candidates=len(clear),
        worst_error=max(errors, default=0.0),
    )


def _say(fraction: float, message: Any) -> None:
    print(f"{100 * fraction:3.0f} % {message}", file=sys.stderr)
