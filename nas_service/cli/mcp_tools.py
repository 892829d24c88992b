"""The service as tools of the Model Context Protocol."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from nas_service.client.typed import AsyncClient, ClientError, models

P = ParamSpec("P")
T = TypeVar("T")

INSTRUCTIONS = (
    "Hardware-aware neural architecture search. A search gives a front of architectures for a "
    "device; what was predicted and what was measured are different fields, and a limit holds only "
    "where a certificate says so. Latencies are in ms, sizes in bytes, accuracies from 0 to 1."
)
_MOST = 100


def server_of(url: str, *, changes: bool) -> MCPServer:
    """The server with its tools; the token is the one in `NAS_TOKEN`."""
    made = MCPServer("nas-service", instructions=INSTRUCTIONS)
    _add_reading(made, AsyncClient(url))
    if changes:
        _add_changing(made, AsyncClient(url))
    return made


def _with_errors_shown(tool: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """A tool whose errors say what the service said: others are kept from the caller."""

    @functools.wraps(tool)
    async def run(*values: P.args, **named: P.kwargs) -> T:
        try:
            return await tool(*values, **named)
        except ClientError as error:
            raise ToolError(str(error)) from error

    return run


def _add_reading(server: MCPServer, nas: AsyncClient) -> None:
    reads = ToolAnnotations(read_only_hint=True)

    @server.tool(annotations=reads)
    @_with_errors_shown
    async def list_devices() -> list[models.DeviceOut]:
        """Devices that networks are searched for."""
        return [one async for one in nas.devices.all()]

    @server.tool(annotations=reads)
    @_with_errors_shown
    async def list_datasets() -> list[models.DatasetOut]:
        """Data sets that searches can use."""
        return [one async for one in nas.datasets.all()]

    @server.tool(annotations=reads)
    @_with_errors_shown
    async def list_searches(state: str | None = None) -> list[models.SearchOut]:
        """Searches, newest first; of a state, as running or succeeded, where one is named."""
        found = []
        async for one in nas.searches.all():
            if state is None or one.state == state:
                found.append(one)
            if len(found) >= _MOST:
                break
        return found

    @server.tool(annotations=reads)
    @_with_errors_shown
    async def get_search(search_id: str) -> models.SearchOut:
        """A search: what was asked for, how it stands, why it failed if it did."""
        return await nas.searches.get(search_id)

    @server.tool(annotations=reads)
    @_with_errors_shown
    async def get_front(search_id: str) -> models.FrontOut:
        """A search's newest front: predicted members, and those of them that were measured."""
        return await nas.searches.front(search_id)

    @server.tool(annotations=reads)
    @_with_errors_shown
    async def find_candidates(
        search_id: str, where: list[str] | None = None, sort: str = "-score", limit: int = 20
    ) -> models.CandidatesOut:
        """A search's candidates: where has conditions as latency_ms<=5, -score is best first."""
        return await nas.searches.candidates(
            search_id, where=where or [], sort=sort, limit=min(limit, _MOST)
        )

    @server.tool(annotations=reads)
    @_with_errors_shown
    async def get_winners(search_id: str) -> list[models.WinnerOut]:
        """What a search delivered: each file with what was predicted and what was measured."""
        return await nas.searches.winners(search_id)

    @server.tool(annotations=reads)
    @_with_errors_shown
    async def get_certificates(search_id: str) -> list[models.CertificateOut]:
        """Certificates of a search's files; a stale one says what has moved since."""
        return [one async for one in nas.searches.certificates(search_id)]

    @server.tool(annotations=reads)
    @_with_errors_shown
    async def get_job(job_id: str) -> models.JobOut:
        """How a job stands: progress from 0 to 1, seconds left, why it failed."""
        return await nas.jobs.get(job_id)


def _add_changing(server: MCPServer, nas: AsyncClient) -> None:
    @server.tool()
    @_with_errors_shown
    async def start_search(
        dataset: str,
        device: str,
        space: str = "mbconv",
        max_latency_ms: float | None = None,
        n_queries: int = 40,
        precisions: list[str] | None = None,
    ) -> models.Accepted:
        """Start a search; its id is also that of its job."""
        asked = {"dataset": dataset, "device": device, "space": space, "n_queries": n_queries}
        if max_latency_ms is not None:
            asked["max_latency_ms"] = max_latency_ms
        if precisions:
            asked["precisions"] = precisions
        return await nas.searches.create(models.SearchIn.model_validate(asked))

    @server.tool()
    @_with_errors_shown
    async def cancel_search(search_id: str) -> models.JobOut:
        """Ask a search to end."""
        return await nas.searches.cancel(search_id)
