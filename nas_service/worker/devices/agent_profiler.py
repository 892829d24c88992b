"""Measuring through a device's agent: files become tasks, tasks become timings.

Tasks are named by what they ask, so that a step that was cut off and runs again finds the answers
that came in between.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.measuring.feeds import feeds_beside
from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.reference import Reference
from lookup_tables.measuring.timing import Protocol, Timing
from lookup_tables.profile import NO_PROTOCOLS, References, references_as_dict
from lookup_tables.runtimes.registry import state_of
from lookup_tables.target import Target
from nas_service.errors import StepFailed, Unreachable, Unsupported
from nas_service.recorded.feeds import Named, by_place
from nas_service.storage import agents, webhooks
from nas_service.storage.devices import StoredDevice
from nas_service.storage.session import now
from nas_service.worker.context import Context

CHUNK = 32
"""Files a task: a device that restarts loses no more than that."""
_POLL_S = 0.3

Outputs = dict[str, npt.NDArray[np.float32]]


ONCE = Protocol(turns=1, most_turns=1, warmups=0, repeats=1, patience_s=0.0)
LEARNING_S = 15.0
"""How long an agent watches its machine before anything is measured there for the first time."""


@dataclass
class AgentProfiler:
    """A `Profiler` whose files run on a device with an agent; see `lookup_tables.profile`.

    `known` are the device's references; with `relearn`, the agent is asked first whether it still
    sees them.
    """

    context: Context
    device: StoredDevice
    job_id: str
    known: Mapping[str, Reference] = field(default_factory=dict)
    relearn: bool = False
    steadiness: Steadiness | None = None
    _asked: set[str] = field(default_factory=set)

    @property
    def references(self) -> References:
        """See `Profiler`."""
        return self.known

    def measure(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: Protocol,
        protocols: Mapping[str, Protocol] = NO_PROTOCOLS,
        budget_s: float | None = None,
        seed: int = 0,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Timing]:
        """Time each file on the device.

        Raises:
            Unreachable: the agent was not heard of for long, or has another runtime by now.
            StepFailed: a task failed too often.
        """
        self._know(target, protocol, on_progress)
        parts: list[tuple[list[str], Protocol]] = []
        for one in dict.fromkeys([protocols.get(name, protocol) for name in models]):
            names = [name for name in models if protocols.get(name, protocol) == one]
            parts += [(names[i : i + CHUNK], one) for i in range(0, len(names), CHUNK)]
        tasks = []
        for names, own in parts:
            share = None if budget_s is None else budget_s * len(names) / len(models)
            tasks.append(
                self._ask({name: models[name] for name in names}, target, own, seed, share)
            )
        timings: dict[str, Timing] = {}
        for result in self._results(tasks, target, on_progress):
            timings |= {name: Timing(**one) for name, one in result["timings"].items()}
            machine = {k: v for k, v in result["machine"].items() if k != "kind"}
            self.steadiness = Steadiness.from_dict(machine)
        return {name: timings[name] for name in models}

    def outputs(self, models: Mapping[str, Path], target: Target, samples: Path) -> Outputs:
        """First output of each file on the sole array of an npz, as the device computes them."""
        tasks = [self._ask(models, target, ONCE, 0, None, inputs=samples, outputs_of=tuple(models))]
        found: Outputs = {}
        for result in self._results(tasks, target, None):
            found |= {name: _unpack(one) for name, one in result["outputs"].items()}
        return found

    def answers(
        self, models: Mapping[str, Path], target: Target, samples: Sequence[Path]
    ) -> dict[str, list[Named]]:
        """All outputs of each file, by place, to samples that `save_feeds` wrote."""
        asked = self._ask(models, target, ONCE, 0, None, recorded=samples, outputs_of=tuple(models))
        found: dict[str, list[Named]] = {}
        for result in self._results([asked], target, None):
            for name, told in result["answers"].items():
                found[name] = [by_place([_array(one) for one in answer]) for answer in told]
        return found

    def _know(self, target: Target, protocol: Protocol, on_progress: OnProgress | None) -> None:
        """Have the device's reference state, before files are sent in several tasks."""
        kind = state_of(target.runtime)
        if protocol.sustained_s > 0:
            return  # known only under load, which the task itself brings about
        if kind in self._asked or (kind in self.known and not self.relearn):
            return
        self._asked.add(kind)
        task = self._ask({}, target, ONCE, 0, None, relearn=True, watch_s=LEARNING_S)
        for result in self._results([task], target, on_progress):
            learned = Reference.from_dict(result["machine"]["reference"])
            self.known = {**self.known, kind: learned}

    def _results(
        self, tasks: list[str], target: Target, on_progress: OnProgress | None
    ) -> Iterator[dict[str, Any]]:
        for number, task_id in enumerate(tasks):
            result = self._wait(task_id, number, len(tasks), on_progress)
            there = result["runtime_version"]
            if target.runtime_version and there != target.runtime_version:
                raise Unreachable(
                    f"device {self.device.name!r} measured with {target.runtime} {there}, not "
                    f"{target.runtime_version}; profile it again"
                )
            yield result

    def _ask(
        self,
        models: Mapping[str, Path],
        target: Target,
        protocol: Protocol,
        seed: int,
        budget_s: float | None,
        *,
        inputs: Path | None = None,
        recorded: Sequence[Path] = (),
        outputs_of: tuple[str, ...] = (),
        relearn: bool = False,
        watch_s: float = 0.0,
    ) -> str:
        put = self.context.blobs.put
        payload = {
            "target": target.as_dict(),
            "models": {name: put(path) for name, path in models.items()},
            "protocol": protocol.as_dict(),
            "references": references_as_dict(self.known),
            "seed": seed,
            "budget_s": budget_s,
            "inputs": None if inputs is None else put(inputs),
            "outputs_of": list(outputs_of),
            "relearn": relearn,
            "watch_s": watch_s,
        }
        # only where there are some: what is asked of other models is called as it always was
        if feeds := {name: put(one) for name in models if (one := feeds_beside(models[name]))}:
            payload["feeds"] = feeds
        if recorded:
            payload["recorded"] = [put(one) for one in recorded]
        self._require_understood(payload)
        # how much time is left differs from run to run, what is asked does not
        named = {k: v for k, v in payload.items() if k != "budget_s"}
        digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:24]
        with self.context.database.session() as session:
            task = agents.add_task(
                session,
                f"{self.job_id}-{digest}",
                device_id=self.device.id,
                job_id=self.job_id,
                payload=payload,
            )
        return task.id

    def _require_understood(self, payload: Mapping[str, Any]) -> None:
        if not ("feeds" in payload or "recorded" in payload):
            return
        with self.context.database.session() as session:
            agent = agents.get_agent(session, self.device.id)
        if agent is None or not agents.understands(agent, agents.RECORDED):
            raise Unsupported(
                f"the agent of device {self.device.name!r} is of an earlier version, which knows "
                "models of one input alone: have it run the agent.pyz of this service"
            )

    def _announce_silence(self, silent_s: float) -> None:
        told = {"device": self.device.name, "job": self.job_id, "silent_s": round(silent_s)}
        with self.context.database.session() as session:
            subject = f"{self.device.id}-{self.job_id}"
            webhooks.announce(session, "device.unreachable", subject, told)

    def _wait(
        self, task_id: str, number: int, of: int, on_progress: OnProgress | None
    ) -> dict[str, Any]:
        patience_s = self.context.settings.agent_patience_s
        while True:
            with self.context.database.session() as session:
                task = agents.get_task(session, task_id)
                agent = agents.get_agent(session, self.device.id)
            if task.state == "done":
                return task.result or {}
            if task.state == "failed":
                raise StepFailed(f"device {self.device.name!r}: {task.problem}")
            heard = None if agent is None else agent.seen_at
            silent_s = (now() - max(heard or task.created_at, task.created_at)).total_seconds()
            if silent_s > patience_s:
                self._announce_silence(silent_s)
                raise Unreachable(
                    f"device {self.device.name!r} has not been heard of for {silent_s:.0f} s; "
                    "is its agent running?"
                )
            if on_progress is not None:
                on_progress((number + task.fraction) / of, task.note or "")
            time.sleep(_POLL_S)


def _unpack(packed: dict[str, Any]) -> npt.NDArray[np.float32]:
    content = base64.b64decode(packed["float32"], validate=True)
    return np.frombuffer(content, dtype="<f4").reshape(packed["shape"]).astype(np.float32)


def _array(packed: dict[str, Any]) -> npt.NDArray[Any]:
    content = base64.b64decode(packed["content"], validate=True)
    dtype = np.dtype(packed["dtype"])
    found = np.frombuffer(content, dtype=dtype.newbyteorder("<")).reshape(packed["shape"])
    return found.astype(dtype)
