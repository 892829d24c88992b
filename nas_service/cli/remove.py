"""`nas remove`: delete what is stored."""

from __future__ import annotations

from typing import Annotated

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client
from nas_service.errors import InvalidSpec

_ROUTES = {
    "dataset": "datasets",
    "device": "devices",
    "table": "lookup-tables",
    "search": "searches",
    "supernet": "supernets",
    "compression": "compressions",
    "model": "artifacts",
}

_DEPENDED_ON = ("dataset", "device", "table")

Force = Annotated[bool, typer.Option("--force", help="Remove what depends on it, too.")]


def remove(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(_ROUTES)}.")],
    name: Annotated[str, typer.Argument(help="Its name or id.")],
    force: Force = False,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Remove something that is stored; what depends on it is named, and stops it unless --force."""
    remove_one(server, kind, name, force=force, as_json=as_json)


def remove_one(server: str, kind: str, name: str, *, force: bool, as_json: bool) -> None:
    """Ask the service to remove one thing, and print what went."""
    if kind not in _ROUTES:
        raise InvalidSpec(f"KIND: {kind!r} is none of {', '.join(_ROUTES)}", field="kind")
    if force and kind not in _DEPENDED_ON:
        raise InvalidSpec(f"--force: nothing depends on a {kind}; leave it out", field="force")
    query = "?force=true" if force else ""
    with Client(server) as nas:
        answer = nas.delete(f"/v1/{_ROUTES[kind]}/{name}{query}")
    removed = answer["removed"] if answer else [{"kind": kind, "id": name, "name": name}]
    if as_json:
        output.show_json(removed)
        return
    for one in removed:
        print(f"removed {one['kind']} {one['name']}")
