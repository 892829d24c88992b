"""The agent: runs on a device, pulls work from the service, measures, reports.

    python -m lookup_tables.agent --server URL --token TOKEN

It opens connections and accepts none, so it works behind a router. It needs Python, numpy and the
runtimes it is to measure. Work is small: a few dozen files, then a report. Files and reports that
the service has not acknowledged yet lie in a folder, so that an agent that was killed goes on.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lookup_tables.agent_service import Json, Refused, Service, say
from lookup_tables.conditions import conditions, meter_of_this_machine, operating_point
from lookup_tables.errors import LookupTableError
from lookup_tables.measuring.feeds import random_inputs, read_feeds
from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.protocol import measure
from lookup_tables.measuring.timing import REFERENCE, SUSTAINED, Protocol
from lookup_tables.model import joined
from lookup_tables.profile import references_from
from lookup_tables.runtimes.registry import (
    load,
    runtime,
    runtime_versions,
    state_of,
)
from lookup_tables.target import Target, this_device

UNDERSTANDS = ("recorded",)
"""What tasks may have that those for agents of earlier versions may not: samples by name."""
_SIGN_EVERY_S = 5.0
_LONGEST = 3000
"""Characters of a problem that the service is told."""


class Cancelled(Exception):
    """Nobody waits for this work any more."""


class _Heart:
    """Signs of life of a task, from a thread: a slow model must not look like a dead agent."""

    def __init__(self, service: Service, task: Json) -> None:
        self._service = service
        self._task = task
        self._ended = threading.Event()
        self._unwanted = threading.Event()
        self._fraction = 0.0
        self._note = ""
        self._thread = threading.Thread(target=self._beat, name="signs-of-life", daemon=True)

    def __enter__(self) -> _Heart:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def note(self, fraction: float, note: str = "") -> None:
        """How far the work is; raises `Cancelled` where nobody waits for it."""
        self._fraction, self._note = min(fraction, 1.0), note
        if self._unwanted.is_set():
            raise Cancelled

    def _beat(self) -> None:
        path = f"/v1/agent/tasks/{self._task['id']}:progress"
        while not self._ended.wait(_SIGN_EVERY_S):
            body = {
                "lease": self._task["lease"],
                "fraction": self._fraction,
                "note": self._note,
            }
            try:
                if self._service.call(path, body)["cancelled"]:
                    self._unwanted.set()
                    return
            except (Refused, ValueError):  # what is wrong shows when the report is sent
                return


def hello(instance: str) -> Json:
    """What the service is told of this machine."""
    device = this_device("agent")
    return {
        "instance": instance,
        "model": device.model,
        "n_cores": device.n_cores,
        "memory_bytes": device.memory_bytes,
        "instruction_sets": list(device.instruction_sets),
        "machine": device.labels["machine"],
        "system": device.labels["system"],
        "runtimes": runtime_versions(),
        "operating_point": operating_point(),
        "measures_energy": meter_of_this_machine() is not None,
        "understands": list(UNDERSTANDS),
        "conditions": conditions(),
    }


def run(service: Service, folder: Path, *, once: bool = False) -> None:
    """Work until told to stop; with `once`, until there is nothing to do.

    Raises:
        Refused: the token is not known any more.
    """
    files, reports = folder / "files", folder / "reports"
    for one in (files, reports):
        one.mkdir(parents=True, exist_ok=True)
    instance = _instance(folder / "instance")
    known = service.call("/v1/agent:hello", hello(instance))
    say(f"connected as device {known['device']}")
    for left in sorted(reports.glob("*.json")):  # measured before, never acknowledged
        _deliver(service, left)
    while True:
        wanted = {"instance": instance, "wait_s": 0 if once else 20}
        task = service.call("/v1/agent/tasks:take", wanted)
        if not task:
            if once:
                return
            continue
        say(f"task {task['id']}: {len(task['models'])} files on {task['target']['runtime']}")
        report = reports / f"{task['id']}.json"
        try:
            found = _work(service, task, files)
        except Cancelled:
            say("not wanted any more")
            continue
        except Exception as failed:  # noqa: BLE001  # a broken file must not end the agent
            said = f"{type(failed).__name__}: {failed}"[:_LONGEST]
            found = {"lease": task["lease"], "problem": said}
            say(said)
        partial = report.with_suffix(".partial")
        partial.write_text(json.dumps(found))
        partial.replace(report)
        _deliver(service, report)
        for one in files.iterdir():
            one.unlink(missing_ok=True)


def _instance(place: Path) -> str:
    """A name that stays with the folder, so that a restart is told from a second agent."""
    if not place.exists():
        place.write_text(secrets.token_hex(8))
    return place.read_text()


def _work(service: Service, task: Json, files: Path) -> Json:
    """Time the task's files; a sign of life goes out every few seconds."""
    with _Heart(service, task) as heart:
        return _timed(service, task, files, heart)


def _timed(service: Service, task: Json, files: Path, heart: _Heart) -> Json:
    target = Target(**task["target"])
    places = {name: _place(service, files, sha) for name, sha in task["models"].items()}
    before = conditions()
    runners: dict[str, Callable[[], object]] = {}
    outputs: Json = {}
    answers: Json = {}
    given = _inputs(service, files, task.get("inputs"))
    recorded = [_feeds(service, files, one) for one in task.get("recorded") or ()]
    own = task.get("feeds") or {}
    for number, (name, place) in enumerate(places.items()):
        model = load(place, target)
        if name in task.get("outputs_of", ()):
            if recorded:
                answers[name] = [_answers(model, sample) for sample in recorded]
            else:
                outputs[name] = _pack(_outputs(model, given))
        feeds = _feeds(service, files, own[name]) if name in own else random_inputs(model.inputs)
        runners[name] = _bound(model, {one: feeds[one] for one in model.inputs})
        heart.note(number / (4 * len(places)))
    protocol = Protocol(**task["protocol"])
    kind = state_of(target.runtime)
    if protocol.sustained_s > 0:
        kind = f"{kind} {SUSTAINED}"
    known = references_from(task.get("references")).get(kind)
    state = SUSTAINED if protocol.sustained_s > 0 else REFERENCE
    machine = Machine(runtime(target.runtime).anchors(), known, state=state)
    if task.get("relearn"):
        machine.confirm()
    if not runners:  # asked for its reference state alone
        machine.watch(float(task.get("watch_s") or 0.0))
    found = measure(
        runners,
        protocol,
        machine,
        threads=target.threads,
        seed=int(task["seed"]),
        budget_s=task.get("budget_s"),
        on_progress=heart.note,
        meter=meter_of_this_machine(),
    )
    return {
        "lease": task["lease"],
        "timings": {name: one.as_dict() for name, one in found.timings.items()},
        "machine": {**found.steadiness.as_dict(), "kind": kind},
        "outputs": outputs,
        **({"answers": answers} if answers else {}),
        "conditions": {"before": before, "after": conditions()},
        "runtime_version": runtime_versions().get(target.runtime, ""),
    }


def _bound(model: Any, feeds: Mapping[str, Any]) -> Callable[[], object]:
    return lambda: model.run(feeds)


def _outputs(model: Any, given: Any) -> Any:
    """Outputs of each prepared sample `(n, ...)`, one at a time."""
    (name,) = model.inputs
    return np.concatenate([joined(model.run({name: one[None]})) for one in given])


def _answers(model: Any, sample: Mapping[str, Any]) -> list[Json]:
    """All outputs of one sample, in the model's order, each as it is."""
    outputs = model.run({name: sample[name] for name in model.inputs})
    return [pack_array(one) for one in outputs]


def pack_array(values: Any) -> Json:
    """An array of numbers of any type as JSON has it."""
    flat = np.ascontiguousarray(values)
    little = flat.astype(flat.dtype.newbyteorder("<"), copy=False)
    content = base64.b64encode(little.tobytes()).decode()
    return {"shape": list(np.shape(values)), "dtype": flat.dtype.name, "content": content}


def _feeds(service: Service, files: Path, sha256: str) -> dict[str, Any]:
    return read_feeds(_place(service, files, sha256))


def _pack(values: Any) -> Json:
    flat = np.ascontiguousarray(values, dtype="<f4")
    return {"shape": list(flat.shape), "float32": base64.b64encode(flat.tobytes()).decode()}


def _inputs(service: Service, files: Path, sha256: str | None) -> Any:
    if sha256 is None:
        return ()
    with np.load(_place(service, files, sha256), allow_pickle=False) as arrays:
        return arrays[arrays.files[0]]


def _place(service: Service, files: Path, sha256: str) -> Path:
    place = files / sha256
    if not place.exists():
        service.fetch(sha256, place)
    return place


def _deliver(service: Service, report: Path) -> None:
    """Send a report; one that the service refuses is of no use to anybody."""
    try:
        service.call(f"/v1/agent/tasks/{report.stem}:finish", json.loads(report.read_text()))
    except Refused as refused:
        if refused.status in {401, 403}:
            raise
        say(f"report of {report.stem} was refused: {refused}")
    report.unlink()


def main(arguments: list[str] | None = None) -> int:
    """The command line; the token may come from `NAS_AGENT_TOKEN`."""
    options = argparse.ArgumentParser(prog="agent", description=__doc__)
    options.add_argument("--server", required=True, help="address of the service")
    options.add_argument("--token", default=os.environ.get("NAS_AGENT_TOKEN"))
    options.add_argument("--folder", type=Path, default=Path.home() / ".cache" / "nas-agent")
    options.add_argument("--once", action="store_true", help="end when there is nothing to do")
    options.add_argument("--forget", action="store_true", help="remove the folder first")
    given = options.parse_args(arguments)
    if not given.token:
        options.error("--token, or NAS_AGENT_TOKEN, is needed: nas devices token NAME makes one")
    # reports of another token are not this agent's to send
    folder = given.folder / hashlib.sha256(given.token.encode()).hexdigest()[:12]
    if given.forget:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        run(Service(given.server, given.token), folder, once=given.once)
    except (Refused, LookupTableError) as failed:
        print(f"agent: {failed}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
