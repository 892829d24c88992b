"""Polls of several clients at once, as fast as they are answered."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

N_CLIENTS = 8


@dataclass(frozen=True, slots=True)
class Polls:
    """How many were answered a second, and how long the slowest hundredth took."""

    per_second: float
    p99_ms: float


async def bare(scope: Mapping[str, Any], _receive: Any, send: Any) -> None:
    """The least that an ASGI application can do."""
    if scope["type"] == "http":
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


def serve_bare(port: int) -> None:
    """Serve it as the service is served."""
    import uvicorn

    uvicorn.run(bare, host="127.0.0.1", port=port, log_config=None, access_log=False)


def polls(port: int, path: str, headers: Mapping[str, str], seconds: float) -> Polls:
    """Poll from a process of their own, each client on a connection that it keeps."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        latencies = pool.apply(_poll, (port, path, dict(headers), seconds))
    return Polls(len(latencies) / seconds, 1e3 * float(np.percentile(latencies, 99)))


def _poll(port: int, path: str, headers: dict[str, str], seconds: float) -> list[float]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode()
    found: list[float] = []

    async def client(until: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < until:
            began = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            status = head.split(b" ", 2)[1]
            if status not in {b"200", b"304"}:
                raise RuntimeError(f"answered {status.decode()}")
            if b"content-length:" in head and status == b"200":
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
            found.append(time.perf_counter() - began)
        writer.close()

    async def together() -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(client(until) for _ in range(N_CLIENTS)))

    asyncio.run(together())
    return found
