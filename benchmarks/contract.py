"""Requests that the OpenAPI document allows, and ones that it does not: is every answer as it says?

    nas bench contract --cases 20000

Schemathesis makes the requests; ids in paths are real ones three times in four. A fault is a
server's error, a status or a content type that the document does not name, or a body that is not of
the shape that it names.
"""

from __future__ import annotations

import collections
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable

from benchmarks.large_search import large_search
from benchmarks.rows import Row, parser, report
from benchmarks.serving import api_service
from nas_service.cli.databases import prepare
from nas_service.client import Client
from nas_service.settings import Settings

HERE = "http://127.0.0.1"
_REAL_OF = 4
"""One id in so many is made up."""
_MOST_ROUNDS = 50
Send = Callable[..., Any]
"""Sends a request of `method`, `url`, `headers` and what else httpx takes."""


@dataclass(frozen=True, slots=True)
class Explored:
    """How many requests were answered, with what, and what of that the document does not say."""

    n: int
    statuses: Mapping[int, int]
    faults: Mapping[str, Sequence[str]]
    """Requests, as `curl` sends them, by operation and what was wrong."""


STREAMS = {"streams_events"}
"""What answers until something ends is not asked for here."""


def explore(
    document: dict[str, Any], send: Send, ids: Mapping[str, str], n_cases: int, start: int = 0
) -> Explored:
    """Send at least `n_cases` requests, the same ones again under the same `start`.

    What deletes comes last in each round, so that ids stay real as long as they can.
    """
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.failures import FailureGroup
    from schemathesis.core.result import Ok
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    operations = [one for one in operations if one.definition.raw.get("operationId") not in STREAMS]
    operations.sort(key=lambda one: one.method.upper() == "DELETE")
    statuses: collections.Counter[int] = collections.Counter()
    faults: dict[str, list[str]] = {}
    numbers = itertools.count()

    def judge(case: Any) -> None:
        for name in case.path_parameters or {}:
            if name in ids and next(numbers) % _REAL_OF:
                case.path_parameters[name] = ids[name]
        answer = send(**_request(case))
        statuses[int(answer.status_code)] += 1
        try:
            case.validate_response(answer, checks=checks)
        except FailureGroup as failed:
            for one in failed.exceptions:
                place = f"{case.operation.label}: {type(one).__name__} ({answer.status_code})"
                faults.setdefault(place, []).append(f"{case.as_curl_command()}\n{one}")

    able = list(itertools.product(operations, GenerationMode))
    for round_ in range(_MOST_ROUNDS):
        lacking = n_cases - statuses.total()
        if lacking <= 0 or not able:
            break
        each = -(-lacking // len(able))
        more = []
        for operation, mode in able:
            before = statuses.total()
            _ask(operation.as_strategy(generation_mode=mode), judge, each, start + round_)
            if statuses.total() - before == each:  # others have no more
                more.append((operation, mode))
        able = more
    return Explored(statuses.total(), dict(sorted(statuses.items())), faults)


def _ask(cases: Any, judge: Callable[[Any], None], n_cases: int, start: int) -> None:
    """Judge so many cases, fewer where there are no more."""
    asked = settings(
        max_examples=n_cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    ask = seed(start)(asked(given(cases)(judge)))  # type: ignore[no-untyped-call]  # its own
    try:
        ask()
    except Unsatisfiable:
        return  # an operation that takes nothing cannot be asked for something else


def _request(case: Any) -> dict[str, Any]:
    found: dict[str, Any] = case.as_transport_kwargs(base_url=HERE)
    found.pop("cookies", None)
    if isinstance(found.get("data"), bytes | str):
        found["content"] = found.pop("data")
    return {name: value for name, value in found.items() if value is not None}


def main(arguments: list[str]) -> int:
    """Run and report; 1 where there are faults."""
    options = parser("contract", __doc__ or "")
    options.add_argument("--cases", type=int, default=20_000)
    given_ = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        where = Settings(var_dir=Path(folder) / "var")
        prepare(where)
        with api_service(where) as url, Client(url) as nas:
            nas.add_device("here", this_machine=True)
            search = large_search(where.var_dir, 500, given_.seed)
            ids = {"search_id": search.search_id, "name": "here", "index": "0"}
            for name in ("job", "artifact", "token", "target"):
                items = nas.get(f"/v1/{name}s")["items"]
                ids |= {f"{name}_id": items[0]["id"]} if items else {}
            with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:

                def send(**request: Any) -> httpx.Response:
                    request["url"] = url + str(request["url"]).removeprefix(HERE)
                    return client.request(**request)

                document = client.get("/openapi.json").json()
                found = explore(document, send, ids, given_.cases, given_.seed)
            search.database.close()
    for place, requests in found.faults.items():
        print(f"{place}, {len(requests)} times, as in\n{requests[0]}\n")
    rows = [
        Row("contract", f"answered {status}", "schemathesis", "requests", found.n, n)
        for status, n in found.statuses.items()
    ]
    n_faults = sum(map(len, found.faults.values()))
    rows.append(Row("contract", "not as documented", "schemathesis", "requests", found.n, n_faults))
    report(rows, given_.out)
    return 1 if found.faults else 0
