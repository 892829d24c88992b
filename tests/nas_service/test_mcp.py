"""Tools of the Model Context Protocol, asked for as a program asks: over a pipe."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests.prepared import copied
from tests.service import Service

READING = {
    *("list_devices", "list_datasets", "list_searches", "get_search", "get_front"),
    *("find_candidates", "get_winners", "get_certificates", "get_job"),
}


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(copied(prepared, tmp_path_factory.mktemp("mcp") / "var"))
    made.start()
    yield made
    made.stop()


def _asked(
    service: Service, ask: Callable[[Client], Coroutine[Any, Any, Any]], *options: str
) -> Any:
    command = ["-m", "nas_service.cli", "mcp", "--server", service.url, *options]
    server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))

    async def run() -> Any:
        async with Client(server) as client:
            return await ask(client)

    return asyncio.run(run())


def test_without_being_allowed_to_change_all_tools_read(service: Service) -> None:
    async def ask(client: Client) -> Any:
        return (await client.list_tools()).tools

    found = {tool.name: tool for tool in _asked(service, ask)}
    assert set(found) == READING
    assert all(tool.annotations.read_only_hint for tool in found.values())
    assert found["get_front"].output_schema["title"] == "FrontOut"


def test_a_front_is_what_the_api_answers(service: Service) -> None:
    async def ask(client: Client) -> Any:
        (search,) = (await client.call_tool("list_searches", {})).structured_content["result"]
        front = await client.call_tool("get_front", {"search_id": search["id"]})
        under = {"search_id": search["id"], "where": ["precision=int8"], "limit": 3}
        few = await client.call_tool("find_candidates", under)
        return search["id"], front.structured_content, few.structured_content

    search, front, few = _asked(service, ask)
    told = service.client.front(search)
    assert [one["index"] for one in front["front"]] == [one["index"] for one in told["front"]]
    assert [one["precision"] for one in few["items"]] == ["int8"] * 3


def test_an_error_is_the_services_own(service: Service) -> None:
    async def ask(client: Client) -> Any:
        return await client.call_tool("get_search", {"search_id": "sea_none"})

    answer = _asked(service, ask)
    assert answer.is_error
    assert "sea_none" in answer.content[0].text


def test_who_may_change_starts_and_cancels(service: Service) -> None:
    async def ask(client: Client) -> Any:
        asked = {"dataset": "toy", "device": "here", "n_queries": 5, "max_latency_ms": 3.5}
        started = await client.call_tool("start_search", asked)
        search = started.structured_content["id"]
        await client.call_tool("cancel_search", {"search_id": search})
        return search

    search = _asked(service, ask, "--allow-changes")
    spec = service.client.search(search)["spec"]
    assert (spec["n_queries"], spec["max_latency_ms"]) == (5, 3.5)
    job = service.client.job(search)
    assert job["state"] == "cancelled" or job["message"] != "waiting for a worker"
