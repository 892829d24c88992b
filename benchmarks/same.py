"""Are results those of an earlier version, to the last digit? Searches and rows of benchmarks.

    nas bench same --keep FOLDER      with the version before: tables, and what came of them
    nas bench same --against FOLDER   with the one at hand: names whatever differs

Candidates and predicted fronts of searches on the same tables, under the same seeds, up to where
something is measured; rows of `search`, `predictor`, `transfer` and `certify` with few seeds,
where their data are there. Clocks decide neither. Takes a quarter of an hour.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import parser
from nas_service.client import Client

Json = dict[str, Any]

SEARCH: Json = {
    "dataset": "halves",
    "space": "mbconv",
    "device": "here",
    "n_initial": 12,
    "n_holdout": 4,
    "n_queries": 12,
    "batch": 4,
    "n_winners": 1,
    "n_probes": 2,
    "profile_budget_s": 5,
    "measuring_budget": 0,
    "seed": 7,
    "training": {"epochs": 1, "finetune_epochs": 1, "batch": 16},
}
SEARCHES: Mapping[str, Json] = {
    "guided": {},
    "ridge": {"predictor": "ridge"},
    "forest, two objectives": {"predictor": "forest", "objectives": ["latency_ms", "size_bytes"]},
    "a recipe": {"precisions": ["fp32", "int8", "int8+qat"], "predictor": "ridge"},
    "memory limit": {"limits": {"peak_memory_bytes": 20_000}, "predictor": "ridge"},
    "random": {"sampler": "random", "predictor": "ridge"},
    "tpe": {"sampler": "tpe", "predictor": "ridge"},
    "nsga2": {"sampler": "nsga2", "predictor": "ridge"},
    "alone": {"evaluator": "standalone", "n_queries": 4, "predictor": "ridge"},
    "cheap looks": {"evaluator": "standalone", "n_queries": 4, "cheap_fidelity": 0.5},
    "balanced": {"metric": "balanced_accuracy", "predictor": "ridge"},
}
ROWS: Mapping[str, tuple[str, ...]] = {
    "search": ("--seeds", "1", "--peer-seeds", "1", "--queries", "50", "--method", "guided"),
    "predictor": ("--seeds", "1", "--n", "50", "--without-peers"),
    "transfer": ("--seeds", "1", "--k", "10", "--space", "nasbench201"),
    "certify": ("--seeds", "1", "--device", "edgegpu"),
}
_BEFORE_MEASURING = {"queued", "profiling", "training", "searching"}


def main(arguments: list[str]) -> int:
    """Keep results, or compare with kept ones; 1 where something differs."""
    options = parser("same", __doc__ or "")
    folder = options.add_mutually_exclusive_group(required=True)
    folder.add_argument("--keep", type=Path, metavar="FOLDER")
    folder.add_argument("--against", type=Path, metavar="FOLDER")
    options.add_argument("--search", action="append", choices=list(SEARCHES))
    options.add_argument("--rows", action="append", choices=[*ROWS, "none"])
    given = options.parse_args(arguments)
    searches = given.search or list(SEARCHES)
    rows = [name for name in given.rows or list(ROWS) if name != "none"]
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
        found = _results(given.keep, searches, rows)
        (given.keep / "results.json").write_text(json.dumps(found, indent=1, sort_keys=True))
        print(f"kept {len(found)} results in {given.keep}")
        return 0
    before = json.loads((given.against / "results.json").read_text())
    found = json.loads(json.dumps(_results(given.against, searches, rows)))
    differing = 0
    for name, value in found.items():
        places = list(differences(before.get(name), value, name))
        differing += bool(places)
        print(f"{name}: {'same' if not places else f'{len(places)} differences'}")
        for place in places[:5]:
            print(f"  {place}")
        if new := sorted(added(before.get(name), value)):
            print(f"  new beside them: {', '.join(new)}")
    return 1 if differing else 0


def differences(before: Any, now: Any, place: str) -> Iterator[str]:
    """Where two JSON values differ, with both."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before):
            yield from differences(before[key], now.get(key), f"{place}.{key}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif before != now:
        yield f"{place}: {str(before)[:60]} before, {str(now)[:60]} now"


def added(before: Any, now: Any) -> set[str]:
    """Names of fields that are there now and were not before, wherever."""
    if isinstance(before, dict) and isinstance(now, dict):
        deeper = (added(value, now.get(key)) for key, value in before.items())
        return set(now) - set(before) | set().union(*deeper)
    if isinstance(before, list) and isinstance(now, list):
        return set().union(*(added(*pair) for pair in zip(before, now, strict=False)))
    return set()


def _results(folder: Path, searches: list[str], rows: list[str]) -> Json:
    found: Json = {}
    for name in rows:
        if (rows_of_it := _rows(name)) is not None:
            found[f"rows of {name}"] = rows_of_it
    with tempfile.TemporaryDirectory() as var, _service(Path(var)) as nas:
        _prepare(nas, folder, Path(var))
        for name in searches:
            began = time.monotonic()
            found[f"search {name}"] = _searched(nas, SEARCHES[name])
            print(f"search {name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return found


def _rows(name: str) -> list[Json] | None:
    """Rows of a benchmark, without what clocks gave; None where its data are not there."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "nas_service.cli", "bench", name, *ROWS[name]]
        command += ["--out", str(out)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # noqa: S603  # our own command
        if not out.exists():
            print(f"rows of {name}: no data", file=sys.stderr)
            return None
        every = json.loads(out.read_text())
    kept = ("case", "method", "metric", "n", "value", "std")
    return [{key: row[key] for key in kept} for row in every if not _by_clock(row["metric"])]


def _by_clock(metric: str) -> bool:
    return metric.endswith(("_s", " s", "_ms")) or "second" in metric


@contextmanager
def _service(var: Path) -> Iterator[Client]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"NAS_VAR_DIR": str(var), "NAS_PORT": str(port), "NAS_THREADS": "1"}
    with (var / "service.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "nas_service.cli", "serve"],
            stdout=log,
            stderr=log,
            env={**os.environ, **settings, "OMP_NUM_THREADS": "1"},
        )
    try:
        with Client(f"http://127.0.0.1:{port}") as nas:
            _until(nas.ready, 90)
            yield nas
    finally:
        process.terminate()
        process.wait(timeout=60)


def _prepare(nas: Client, folder: Path, var: Path) -> None:
    """A device with the kept tables, or with such as are measured and kept now; a data set."""
    generator = np.random.default_rng(0)
    labels = np.arange(240) % 2
    images = generator.integers(0, 150, (240, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        image[:, 4 * label : 4 * label + 4] += 70
    np.savez(var / "halves.npz", x=images.astype(np.uint8), y=labels)
    nas.add_device("here", this_machine=True)
    nas.wait(nas.upload_dataset("halves", var / "halves.npz")["job"]["id"], timeout_s=240)
    tables = sorted(folder.glob("*.jsonl"))
    if not tables:
        profiled = nas.profile("here", space="mbconv", dataset="halves", profile_budget_s=5)
        nas.wait(profiled["job"]["id"], timeout_s=600)
        for table in nas.every("/v1/lookup-tables"):
            content = nas.fetch(f"/v1/lookup-tables/{table['version']}/content")
            (folder / f"{table['version']}.jsonl").write_bytes(content)
        return
    for kept in tables:
        nas.upload_table(kept)


def _searched(nas: Client, own: Json) -> Json:
    """What a search evaluated, and its front before anything is measured."""
    search = nas.submit_search(**{**SEARCH, **own})["id"]
    _until(lambda: nas.search(search)["state"] not in _BEFORE_MEASURING, 600)
    state = nas.search(search)
    if state["problem"] is not None:
        return {"problem": state["problem"]["detail"]}
    found = {
        "tables": state["facts"]["tables"],
        "limit_ms": state["facts"]["limit_ms"],
        "candidates": list(nas.every(f"/v1/searches/{search}/evaluations")),
        "front": nas.front(search)["front"],
    }
    nas.cancel_search(search)
    _until(lambda: nas.search(search)["state"] in {"cancelled", "succeeded"}, 300)
    return found


def _until(done: Callable[[], Any], timeout_s: float) -> None:
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > timeout_s:
            raise TimeoutError(f"nothing came within {timeout_s:.0f} s")
        time.sleep(0.2)
