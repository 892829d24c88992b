"""`nas measure`: settle what a search or a compression could not measure steadily."""

from __future__ import annotations

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.cli.waiting import show_front, wait_for
from nas_service.client import Client
from nas_service.errors import InvalidSpec

_GROUPS = {"sea_": "searches", "cmp_": "compressions"}


def measure(name: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Measure again what a search or a compression has without a verdict; NAME is its id."""
    group = next((of for prefix, of in _GROUPS.items() if name.startswith(prefix)), None)
    if group is None:
        raise InvalidSpec(f"{name!r} is no id of a search (sea_...) or a compression (cmp_...)")
    with Client(server) as nas:
        nas.wait_until_it_answers()
        job = nas.post(f"/v1/{group}/{name}:measure")["job"]["id"]
        wait_for(nas, job, output.ProgressLine("measure", quiet=as_json), name=job)
        if group == "searches":
            show_front(nas, name, as_json=as_json)
            return
        told = nas.compression(name)
    if as_json:
        output.show_json(told)
    else:
        output.show(
            told["rows"], output.compression_columns(told["request"]), as_json=False, title=name
        )
