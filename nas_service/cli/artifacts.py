"""`nas artifacts`: stored files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client

commands = typer.Typer(no_args_is_help=True, help="Stored files.")


@commands.command("list")
def artifacts_list(
    owner: Annotated[str | None, typer.Option(help="A search or a winner.")] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """List artifacts."""
    with Client(server) as nas:
        output.show(
            nas.every("/v1/artifacts", owner=owner),
            [
                ("id", "id"),
                ("owner", "owner"),
                ("name", "name"),
                ("bytes", "size_bytes"),
                ("sha256", "sha256"),
            ],
            as_json=as_json,
            title="artifacts",
        )


@commands.command("get")
def artifacts_get(
    artifact_id: str, file: Path, server: ServerOption = LOCAL, as_json: JsonOption = False
) -> None:
    """Save an artifact."""
    with Client(server) as nas:
        nas.download(artifact_id, file)
    output.tell(f"wrote {file}", {"wrote": str(file)}, as_json=as_json)


@commands.command("delete")
def artifacts_delete(
    artifact_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False
) -> None:
    """Delete an artifact."""
    with Client(server) as nas:
        nas.delete_artifact(artifact_id)
    output.tell(f"deleted {artifact_id}", {"deleted": artifact_id}, as_json=as_json)


@commands.command("collect-garbage")
def artifacts_collect(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Remove bytes that nothing speaks of."""
    with Client(server) as nas:
        found = nas.collect_garbage()
    if as_json:
        output.show_json(found)
    else:
        print(f"removed {found['n_removed']} files")
        print(f"what was stored since {found['before'][:19]} UTC stays until later")
