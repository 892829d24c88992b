"""Measuring through a device's agent: files become tasks, tasks become timings.

Tasks are named by what they ask, so that a step that was cut off and runs again finds the answers
that came in between.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookup_tables.measure import Protocol, Timing
from lookup_tables.runtimes import runtime_versions
from lookup_tables.target import Target
from nas_service.errors import StepFailed, Unreachable, Unsupported
from nas_service.plugins import COMPILERS, names
from nas_service.storage import agents
from nas_service.storage.agents import DeviceTask
from nas_service.storage.devices import StoredDevice
from nas_service.storage.session import now
from nas_service.worker.context import Context

CHUNK = 32
"""Files a task: a device that restarts loses no more than that."""
_POLL_S = 0.3

Outputs = dict[str, npt.NDArray[np.float32]]


@dataclass
class AgentProfiler:
    """A `Profiler` whose files run on a device with an agent; see `lookup_tables.profile`."""

    context: Context
    device: StoredDevice
    job_id: str

    def measure(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: Protocol,
        budget_s: float | None = None,
        seed: int = 0,
        on_round: Callable[[int, int], None] | None = None,
    ) -> dict[str, Timing]:
        """Time each file on the device.

        Raises:
            Unreachable: the agent was not heard of for long, or has another runtime by now.
            StepFailed: a task failed too often.
        """
        timings, _ = self.run(
            models,
            target,
            protocol=protocol,
            budget_s=budget_s,
            seed=seed,
            on_round=on_round,
        )
        return timings

    def run(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: Protocol,
        budget_s: float | None = None,
        seed: int = 0,
        on_round: Callable[[int, int], None] | None = None,
        inputs: Path | None = None,
        outputs_of: tuple[str, ...] = (),
    ) -> tuple[dict[str, Timing], Outputs]:
        """`measure`, and outputs of some of the models on the `images` of the file `inputs`."""
        given = None if inputs is None else self.context.blobs.put(inputs)
        names = list(models)
        ids = []
        for start in range(0, len(names), CHUNK):
            part = names[start : start + CHUNK]
            share = None if budget_s is None else budget_s * len(part) / len(names)
            payload = {
                "target": target.as_dict(),
                "models": {name: self.context.blobs.put(models[name]) for name in part},
                "protocol": protocol.as_dict(),
                "seed": seed,
                "budget_s": share,
                "inputs": given,
                "outputs_of": [name for name in part if name in outputs_of],
            }
            ids.append(self._ask(payload))
        timings: dict[str, Timing] = {}
        outputs: Outputs = {}
        for number, task_id in enumerate(ids):
            result = self._wait(task_id, number, len(ids), on_round)
            told = result["runtime_version"]
            if target.runtime_version and told != target.runtime_version:
                raise Unreachable(
                    f"device {self.device.name!r} measured with {target.runtime} {told}, not "
                    f"{target.runtime_version}; profile it again"
                )
            timings |= {name: Timing(**one) for name, one in result["timings"].items()}
            outputs |= {name: _unpack(one) for name, one in result["outputs"].items()}
        return {name: timings[name] for name in names}, outputs

    def _ask(self, payload: dict[str, Any]) -> str:
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

    def _wait(
        self, task_id: str, number: int, of: int, on_round: Callable[[int, int], None] | None
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
                raise Unreachable(
                    f"device {self.device.name!r} has not been heard of for {silent_s:.0f} s; "
                    "is its agent running?"
                )
            self._report(task, number, of, on_round)
            time.sleep(_POLL_S)

    @staticmethod
    def _report(
        task: DeviceTask, number: int, of: int, on_round: Callable[[int, int], None] | None
    ) -> None:
        if on_round is not None:
            on_round(round(1000 * (number + task.fraction)), 1000 * of)


def require_agent(context: Context, device: StoredDevice) -> dict[str, Any]:
    """What the device's agent said of itself; `Unsupported` where none was ever heard."""
    with context.database.session() as session:
        agent = agents.get_agent(session, device.id)
    if agent is None or agent.seen_at is None:
        raise Unsupported(
            f"device {device.name!r} has no agent that was ever heard of: "
            f"`nas devices token {device.name}` makes a token for one"
        )
    return agent.facts


def runtimes_of(context: Context, device: StoredDevice) -> dict[str, str] | None:
    """Runtimes that can be compiled for and measured on a device; None where nothing can be."""
    if device.local:
        there = runtime_versions()
    else:
        with context.database.session() as session:
            agent = agents.get_agent(session, device.id)
        if agent is None or agent.seen_at is None:
            return None
        there = agent.facts["runtimes"]
    return {name: version for name, version in there.items() if name in names(COMPILERS)}


def can_measure(context: Context, device: StoredDevice, targets: Iterable[Target]) -> bool:
    """Whether files for these targets can be measured on the device now, as it is now."""
    there = runtimes_of(context, device)
    if there is None or not reachable(context, device):
        return False
    return all(there.get(one.runtime) == one.runtime_version for one in targets)


def reachable(context: Context, device: StoredDevice) -> bool:
    """Whether something can be measured on the device now: it is here, or its agent calls."""
    if device.local:
        return True
    with context.database.session() as session:
        agent = agents.get_agent(session, device.id)
    if agent is None or agent.seen_at is None:
        return False
    return (now() - agent.seen_at).total_seconds() <= context.settings.agent_patience_s


def _unpack(packed: dict[str, Any]) -> npt.NDArray[np.float32]:
    content = base64.b64decode(packed["float32"], validate=True)
    return np.frombuffer(content, dtype="<f4").reshape(packed["shape"]).astype(np.float32)
