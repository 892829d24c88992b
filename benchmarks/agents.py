"""Agents by the thousand that wait for work at one process of the API.

Each holds a request open, as an agent does. Printed are the processor time of the API meanwhile and
how long it takes from a task that is stored until its agent has it.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil

from benchmarks.rows import Row, parser, report
from benchmarks.service import service
from lookup_tables.target import Device, Target
from nas_service.settings import Settings
from nas_service.storage import agents, devices, jobs
from nas_service.storage.session import Database

WAIT_S = 30
SETTLED_S = 20.0


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("agents", __doc__ or "")
    options.add_argument("--agents", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=60.0, help="that the API is watched")
    options.add_argument("--tasks", type=int, default=50, help="that are stored one by one")
    given = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        rows = _waiting(Path(scratch) / "var", given.agents, given.seconds, given.tasks)
    report(rows, given.out)
    return 0


def _waiting(var_dir: Path, n: int, seconds: float, n_tasks: int) -> list[Row]:
    var_dir.mkdir()
    with service(var_dir) as nas:
        database = Database(Settings(var_dir=var_dir).url)
        tokens: dict[str, str] = {}
        with database.session() as session:
            for number in range(n):
                board = devices.add_device(session, Device(f"board{number}", "board"))
                tokens[board.id] = agents.make_token(session, board, "benchmark")
        (server,) = psutil.Process().children()
        (api,) = (one for one in server.children() if "--api-only" in one.cmdline())
        port = int(nas.url.rpartition(":")[2])
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        asking = context.Process(target=_ask, args=(port, tokens, theirs), daemon=True)
        asking.start()
        time.sleep(SETTLED_S)
        before, began = api.cpu_times(), time.monotonic()
        time.sleep(seconds)
        after, took_s = api.cpu_times(), time.monotonic() - began
        used_s = after.user + after.system - before.user - before.system
        waited = []
        for device_id in list(tokens)[:n_tasks]:
            stored = time.time()
            _add_task(database, device_id)
            taken_by, at = ours.recv()
            assert taken_by == device_id, "another agent was given the task"
            waited.append(at - stored)
        asking.terminate()
        asking.join()
        database.close()
    case = f"{n} agents wait"
    return [
        Row("agents", case, "API", "% of a core", n, 100 * used_s / took_s),
        Row("agents", case, "a task", "median s until taken", n_tasks, float(np.median(waited))),
        Row("agents", case, "a task", "slowest, s", n_tasks, float(max(waited))),
    ]


def _add_task(database: Database, device_id: str) -> None:
    payload = {
        "target": Target("board", "onnxruntime", "1", "fp32").as_dict(),
        "models": {"a": "0" * 64},
        "protocol": {},
        "seed": 0,
        "budget_s": None,
        "inputs": None,
        "outputs_of": [],
    }
    with database.session() as session:
        job = jobs.add_job(session, f"job_{device_id}", "drift", subject=device_id, params={})
        agents.add_task(
            session, f"task_{device_id}", device_id=device_id, job_id=job.id, payload=payload
        )


def _ask(port: int, tokens: dict[str, str], results: Connection) -> None:
    """Be all of the agents; sends whose task came, and when."""

    async def agent(device_id: str, token: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        body = json.dumps({"instance": f"instance-{device_id}"[:40], "wait_s": WAIT_S}).encode()
        head = (
            f"POST /v1/agent/tasks:take HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            writer.write(head + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            status = answer.split(b" ", 2)[1]
            if status == b"200":
                results.send((device_id, time.time()))
                return
            if status != b"204":
                raise RuntimeError(f"answered {status.decode()}")

    async def every() -> None:
        apart_s = SETTLED_S / 2 / len(tokens)
        each = enumerate(tokens.items())
        await asyncio.gather(*(agent(one, token, at * apart_s) for at, (one, token) in each))

    asyncio.run(every())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
