"""The clients: every resource of the API, and waiting for jobs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from .async_resources import AsyncResources
from .errors import ClientError, JobFailed, TimedOut, Unreachable
from .models import Accepted, JobOut, SearchOut
from .requests import path, request
from .resources import Resources
from .sending import AsyncSender, Sender

URL = "http://127.0.0.1:8000"
OnProgress = Callable[[JobOut], None]
Waited = str | Accepted | JobOut | SearchOut
"""What can be waited for: a job, what was accepted with one, a search, or the id of either."""
_ENDED = ("failed", "cancelled")


def _options(url: str, token: str | None, timeout_s: float) -> dict[str, Any]:
    """What both kinds of httpx's clients are made with."""
    token = token or os.environ.get("NAS_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return {"base_url": url, "timeout": timeout_s, "trust_env": False, "headers": headers}


def _job_id(job: Waited) -> str:
    if isinstance(job, str):
        return job
    if isinstance(job, Accepted):
        return job.job.id
    if isinstance(job, JobOut | SearchOut):
        return job.id  # a search is its job
    raise TypeError(f"a job, a search or an id is waited for, not {type(job).__name__}")


class _Waiting:
    """One wait for a job: whether it has ended, and whether it still may."""

    def __init__(
        self,
        job: Waited,
        timeout_s: float | None,
        patience_s: float,
        on_progress: OnProgress | None,
    ) -> None:
        self.job_id = _job_id(job)
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._on_progress = on_progress
        self._started = self._heard = time.monotonic()

    def done(self, job: JobOut) -> bool:
        """Whether it has succeeded; raises where it will not, or where time is up."""
        self._heard = time.monotonic()
        if self._on_progress is not None:
            self._on_progress(job)
        if job.state in _ENDED:
            raise JobFailed(job)
        if job.state == "succeeded":
            return True
        if self._timeout_s is not None and self._heard - self._started > self._timeout_s:
            raise TimedOut(f"job {job.id} has not ended in {self._timeout_s:g} s")
        return False

    def lost(self, error: Unreachable) -> None:
        """Bear with a service that starts again, for as long as patience goes."""
        if time.monotonic() - self._heard > self._patience_s:
            raise error


class Client(Resources):
    """Calls the service and waits for what it answers.

    Args:
        url: the service's address.
        token: of a user or an agent; the one in `NAS_TOKEN` unless given.
        timeout_s: for one answer, in seconds.
        retries: how often a call that did not get through is sent again, where that is harmless.
        transport: httpx's, where calls go another way than over the network.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        options = _options(self.url, token, timeout_s)
        try:
            self._http = httpx.Client(**options, transport=transport)
        except httpx.InvalidURL as error:
            raise ClientError(f"{url!r} is no address of a service: {error}") from error
        self._sender = Sender(self._http, self.url, retries)
        super().__init__(self._sender)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def wait(
        self,
        job: Waited,
        *,
        timeout_s: float | None = None,
        poll_s: float = 0.5,
        patience_s: float = 0.0,
        on_progress: OnProgress | None = None,
    ) -> JobOut:
        """Wait until a job, or what was accepted with it, has succeeded.

        A service that cannot be reached, as while it starts again, is borne with for `patience_s`.

        Raises:
            JobFailed: it failed or was cancelled.
            TimedOut: it has not ended in `timeout_s`.
        """
        waiting = _Waiting(job, timeout_s, patience_s, on_progress)
        while True:
            try:
                found = self.jobs.get(waiting.job_id)
                if waiting.done(found):
                    return found
            except Unreachable as error:
                waiting.lost(error)
            time.sleep(poll_s)

    def download(self, artifact_id: str, file: Path) -> None:
        """Save an artifact's bytes, whole or not at all."""
        self._sender.save(path("/v1/artifacts/{}/content", artifact_id), file)

    def ready(self) -> bool:
        """Whether the service answers and can take work."""
        try:
            return self._sender.send(request("GET", "/readyz")).status_code == 200
        except ClientError:
            return False


class AsyncClient(AsyncResources):
    """As `Client`, awaited: `async with AsyncClient() as nas: await nas.searches.get(...)`."""

    def __init__(
        self,
        url: str = URL,
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 2,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        options = _options(self.url, token, timeout_s)
        try:
            self._http = httpx.AsyncClient(**options, transport=transport)
        except httpx.InvalidURL as error:
            raise ClientError(f"{url!r} is no address of a service: {error}") from error
        self._sender = AsyncSender(self._http, self.url, retries)
        super().__init__(self._sender)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def wait(
        self,
        job: Waited,
        *,
        timeout_s: float | None = None,
        poll_s: float = 0.5,
        patience_s: float = 0.0,
        on_progress: OnProgress | None = None,
    ) -> JobOut:
        """See `Client.wait`."""
        waiting = _Waiting(job, timeout_s, patience_s, on_progress)
        while True:
            try:
                found = await self.jobs.get(waiting.job_id)
                if waiting.done(found):
                    return found
            except Unreachable as error:
                waiting.lost(error)
            await asyncio.sleep(poll_s)

    async def download(self, artifact_id: str, file: Path) -> None:
        """Save an artifact's bytes, whole or not at all."""
        await self._sender.save(path("/v1/artifacts/{}/content", artifact_id), file)

    async def ready(self) -> bool:
        """Whether the service answers and can take work."""
        try:
            return (await self._sender.send(request("GET", "/readyz"))).status_code == 200
        except ClientError:
            return False
