"""`nas datasets`: data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.archive import packed
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client
from nas_service.errors import InvalidSpec

commands = typer.Typer(no_args_is_help=True, help="Data sets.")


@commands.command("list")
def datasets_list(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List data sets."""
    with Client(server) as nas:
        output.show(
            nas.every("/v1/datasets"),
            [
                ("name", "name"),
                ("size", "facts.size"),
                ("channels", "facts.channels"),
                ("train", "facts.n_train"),
                ("validation", "facts.n_validation"),
                ("test", "facts.n_test"),
                ("digest", "digest"),
            ],
            as_json=as_json,
            title="data sets",
        )


@commands.command("add")
def datasets_add(
    name: str,
    path: Annotated[Path | None, typer.Argument(help="Folder, .zip, .npz or .parquet.")] = None,
    builtin: Annotated[str | None, typer.Option(help="A built-in data set: digits.")] = None,
    server_path: Annotated[
        str | None, typer.Option(help="A path on the server, below NAS_DATA_ROOTS.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Pixels a side.")] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Import a data set: upload PATH, or name a built-in one or a path on the server."""
    with Client(server) as nas:
        added = add_dataset(
            nas, name, path, builtin=builtin, server_path=server_path, image_size=image_size
        )
        nas.wait(added["job"]["id"], on_progress=output.ProgressLine("import", quiet=as_json))
        found = nas.get(f"/v1/datasets/{name}")
    if as_json:
        output.show_json(found)
    else:
        facts = found["facts"]
        print(
            f"added data set {name}: {len(facts['classes'])} classes, {facts['n_train']} training, "
            f"{facts['n_validation']} validation and {facts['n_test']} test images"
        )


def add_dataset(
    nas: Client,
    name: str,
    path: Path | None,
    *,
    builtin: str | None = None,
    server_path: str | None = None,
    image_size: int | None = None,
) -> dict[str, Any]:
    given = [value for value in (path, builtin, server_path) if value is not None]
    if len(given) != 1:
        raise InvalidSpec("give exactly one of PATH, --builtin and --server-path")
    if path is None:
        return nas.add_dataset(name, builtin=builtin, path=server_path, image_size=image_size)
    with packed(path) as archive:
        return nas.upload_dataset(name, archive, image_size=image_size)
