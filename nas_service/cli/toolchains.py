"""`nas toolchains`: what this machine can compile with, and how to get the rest."""

from __future__ import annotations

import typer

from nas_service.cli import output
from nas_service.cli.options import JsonOption

commands = typer.Typer(
    invoke_without_command=True, help="Compilers that are here, and how to get the others."
)


@commands.callback()
def toolchains_list(context: typer.Context, as_json: JsonOption = False) -> None:
    """List toolchains."""
    if context.invoked_subcommand is not None:
        return
    from nas_service.compilation import toolchains  # half a second that --help need not wait
    from nas_service.compilation.registry import converters
    from nas_service.settings import Settings

    settings = Settings()
    known = converters().values()
    rows = [toolchains.status(one.toolchain, settings).as_dict() for one in known]
    if not as_json:
        for row in rows:
            row["missing"] = ", ".join(row["missing"])
            row["how"] = "" if row["ready"] else row["how"]
            row["runs on"] = row["hardware"] or "this machine"
    columns = [("name", "name"), ("ready", "ready"), ("version", "version")]
    columns += [("runs on", "runs on"), ("missing", "missing"), ("how to get it", "how")]
    output.show(rows, columns, as_json=as_json, title="toolchains")


@commands.command("install")
def toolchains_install(name: str, as_json: JsonOption = False) -> None:
    """Install a toolchain from pinned requirements, where needed in an environment of its own."""
    from nas_service.compilation import toolchains
    from nas_service.settings import Settings

    one = toolchains.toolchain(name)
    settings = Settings()
    toolchains.install(one, settings)
    told = toolchains.status(one, settings)
    output.tell(f"toolchain {name} {told.version} is ready", told.as_dict(), as_json=as_json)
