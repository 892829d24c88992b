"""`nas open`: the page of a search, a model, a data set, a device or a job, in the browser."""

from __future__ import annotations

import webbrowser
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.cli.waiting import job_of
from nas_service.client import ApiError, Client

_PAGES = {"search": "searches", "compression": "models"}
"""Of jobs that are about something with a page of its own."""


def open_(
    name: Annotated[
        str | None, typer.Argument(help="An id, or a device's or data set's name; home without.")
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the address, open no browser.")
    ] = False,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Open the page of a search, a model, a data set, a device or a job."""
    with Client(server) as nas:
        path = "/" if name is None else _path(nas, name)
    address = server.rstrip("/") + path
    output.tell(address, {"url": address}, as_json=as_json)
    if not (only_print or as_json or webbrowser.open(address)):
        print("no browser could be opened here")


def _path(nas: Client, name: str) -> str:
    quoted = quote(name, safe="")
    for kind in ("devices", "datasets"):
        if _there(nas, f"/v1/{kind}/{quoted}"):
            return f"/{kind}/{quoted}"
    job: dict[str, Any] = job_of(nas, name)
    page = _PAGES.get(job["kind"])
    return f"/jobs/{job['id']}" if page is None else f"/{page}/{job['subject']}"


def _there(nas: Client, path: str) -> bool:
    try:
        nas.get(path)
    except ApiError as error:
        if error.problem.get("status") == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True
