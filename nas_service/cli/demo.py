"""`nas demo`: start the service, then act as a client of its REST API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from nas_service.cli import output
from nas_service.client import ApiError, Client
from nas_service.settings import Settings

DEVICE = "this-machine"
DATASET = "digits"
SPACE = "mbconv"
TRAINING = {"epochs": 18, "batch": 64}
"""Twice as long as the default for so few images: subnets are as good as when trained alone."""
N_PROBES = 7
_START_TIMEOUT_S = 90.0
_EVERY_VERDICT = ("steady", "rough", "unknown")

Json = dict[str, Any]


def run(
    var_dir: Path,
    *,
    seed: int,
    profile_budget_s: float,
    max_latency_ms: float | None,
    port: int,
    keep: bool | None,
    as_json: bool = False,
) -> int:
    """The whole demo; returns the exit status."""
    started = time.monotonic()
    port = port or _free_port()
    var_dir = var_dir.resolve()
    folder = var_dir / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"NAS_VAR_DIR": str(var_dir), "NAS_HOST": "127.0.0.1", "NAS_PORT": str(port)}
    settings = Settings()
    log = folder / "service.log"
    url = f"http://127.0.0.1:{port}"
    with Memory() as memory, _service(log) as service, Client(url) as nas:
        spent = Spent(started)
        _await_ready(nas, service, log)
        print(f"service: {url} (log: {log})", file=sys.stderr)
        _device(nas)
        spent.on("start of the service")
        _dataset(nas)
        spent.on("data set")
        _profile(nas, profile_budget_s, seed)
        spent.on("profile")
        search_id = _search(nas, seed, profile_budget_s, max_latency_ms)
        spent.on("search")
        files = _download(nas, search_id, folder)
        spent.on("download")
        report = json.loads((folder / "report.json").read_text())
        report |= {
            "wall_s": round(time.monotonic() - started, 1),
            "demo_s": spent.seconds,
            "peak_rss_bytes": memory.peak_bytes,
        }
        (folder / "report.json").write_text(json.dumps(report, indent=1, sort_keys=True))
        if as_json:
            output.show_json(report)
        else:
            _print(report, files, f"{url}/searches/{search_id}", settings)
        stays = keep if keep is not None else sys.stdout.isatty()
        if stays:
            print("serving until Ctrl-C")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    return 0


def _device(nas: Client) -> None:
    try:
        device = nas.get(f"/v1/devices/{DEVICE}")
    except ApiError as error:
        if error.problem.get("status") != 404:
            raise
        device = nas.add_device(DEVICE, this_machine=True)
    facts = device["facts"]
    print(
        f"device: {facts['model'] or 'unknown model'}, {facts['n_cores']} cores, "
        f"{(facts['memory_bytes'] or 0) / 2**30:.0f} GiB, {', '.join(facts['instruction_sets'])}",
        file=sys.stderr,
    )


def _dataset(nas: Client) -> None:
    if DATASET in {one["name"] for one in nas.every("/v1/datasets")}:
        return
    job = nas.add_dataset(DATASET, builtin="digits")["job"]
    nas.wait(job["id"], on_progress=output.ProgressLine("data set"))


def _profile(nas: Client, budget_s: float, seed: int) -> None:
    """Make tables, unless this machine has some for these images already."""
    facts = nas.get(f"/v1/datasets/{DATASET}")["facts"]
    space = nas.get(
        f"/v1/search-spaces/{SPACE}",
        size=facts["size"],
        channels=facts["channels"],
        n_classes=len(facts["classes"]),
    )
    targets = {target["id"] for target in nas.get(f"/v1/devices/{DEVICE}/targets")}
    covered = {
        table["target_id"]
        for table in nas.every("/v1/lookup-tables")
        if space["digest"] in table["spaces"]
    }
    if targets <= covered:
        print("profile: tables of an earlier run are used again", file=sys.stderr)
        return
    request = {"space": SPACE, "dataset": DATASET, "profile_budget_s": budget_s, "seed": seed}
    job = nas.profile(DEVICE, **request)["job"]
    nas.wait(job["id"], on_progress=output.ProgressLine("profile"))


def _search(nas: Client, seed: int, profile_budget_s: float, max_latency_ms: float | None) -> str:
    submitted = nas.submit_search(
        dataset=DATASET,
        space=SPACE,
        device=DEVICE,
        seed=seed,
        profile_budget_s=profile_budget_s,
        max_latency_ms=max_latency_ms,
        training=TRAINING,
        n_probes=N_PROBES,
    )
    search_id = str(submitted["id"])
    print(f"search: {nas.url}/searches/{search_id}", file=sys.stderr)
    nas.wait(search_id, on_progress=output.ProgressLine("search"))
    return search_id


def _download(nas: Client, search_id: str, folder: Path) -> list[Path]:
    """Save report and bundle, and unpack the bundle's files beside it."""
    for artifact in nas.every("/v1/artifacts", owner=search_id):
        if artifact["owner"] == search_id:
            nas.download(artifact["id"], folder / artifact["name"])
    unpacked = folder / "bundle"
    with zipfile.ZipFile(folder / "bundle.zip") as archive:
        archive.extractall(unpacked)
    return [folder / "bundle.zip", *sorted(unpacked.rglob("*.onnx"))]


def _print(report: Json, files: list[Path], page: str, settings: Settings) -> None:
    output.show(
        output.winner_rows(report["winners"]),
        output.winner_columns("accuracy", report["winners"]),
        as_json=False,
        title=f"front on {DEVICE}, limit {report['limit_ms']:g} ms",
    )
    quality = report["predictor"]
    print(
        f"predictor: Kendall tau {quality['kendall']} on {quality['n_holdout']} held-out subnets, "
        f"error {100 * quality['mean_abs_error']:.2f} points "
        f"(a constant: {100 * quality['constant_mean_abs_error']:.2f}), "
        f"coverage {quality['coverage']:.2f} at {quality['coverage_level']}"
    )
    for precision, check in report["latency_check"].items():
        print(
            f"latency check {precision}: mean error {100 * check['mean_error']:.1f} % "
            f"(plain sum of blocks: {100 * check['mean_error_of_plain_sum']:.1f} %), "
            f"Spearman {check['spearman']:.3f} on {check['n']} networks in no fit"
        )
    if report["test_part"]["text"]:
        print(report["test_part"]["text"])
    for line in output.steadiness_lines(report["steadiness"], verdicts=_EVERY_VERDICT):
        print(line)
    print("time, s: " + ", ".join(f"{k} {v:.0f}" for k, v in report["demo_s"].items()))
    within = {k: v for k, v in report["time_by_part_s"].items() if v >= 1.0}
    print("the search, s: " + ", ".join(f"{k} {v:.0f}" for k, v in within.items()))
    print(
        f"time {output.duration(report['wall_s'])}, "
        f"peak memory {report['peak_rss_bytes'] / 2**30:.2f} GiB, "
        f"tables {report['table_version']}"
    )
    for file in files:
        print(f"  {file}")
    print(f"report: {settings.var_dir / 'demo' / 'report.json'}")
    print(f"dashboard: {page}")


@contextlib.contextmanager
def _service(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(  # our own interpreter and module
            [sys.executable, "-m", "nas_service.cli", "serve"],
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "NAS_PARENT_PID": str(os.getpid())},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(nas: Client, service: subprocess.Popen[bytes], log: Path) -> None:
    started = time.monotonic()
    while not nas.ready():
        if service.poll() is not None or time.monotonic() - started > _START_TIMEOUT_S:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise ApiError({"detail": f"the service did not start; its log ends with:\n{tail}"})
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Spent:
    """Seconds a part, noted one after the other."""

    def __init__(self, began_s: float) -> None:
        self.seconds: dict[str, float] = {}
        self._last_s = began_s

    def on(self, part: str) -> None:
        """The time since the part before went to this one."""
        now_s = time.monotonic()
        self.seconds[part] = round(now_s - self._last_s, 1)
        self._last_s = now_s


class Memory:
    """Largest memory of this process and all below it: summed PSS, every half second."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=2)

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._ended.wait(0.5):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    info = process.memory_full_info()
                    total += getattr(info, "pss", info.rss)
            self.peak_bytes = max(self.peak_bytes, total)
