"""`nas tables` and `nas price`: lookup tables, and estimates from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas_service import strict_json
from nas_service.cli import output
from nas_service.cli.cards import tables_with_cards
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.cli.remove import Force, remove_one
from nas_service.client import Client
from nas_service.errors import InvalidSpec

commands = typer.Typer(no_args_is_help=True, help="Lookup tables.")


@commands.command("list")
def tables_list(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List lookup tables."""
    with Client(server) as nas:
        rows = tables_with_cards(nas)
    output.show(
        rows,
        [
            ("version", "version"),
            ("target", "target"),
            ("space", "provenance.space"),
            ("entries", "n_entries"),
            ("blocks measured", "n_measured"),
            ("fill error", "provenance.fill.left_out_median_error"),
            ("check error", "latency_check.mean_error"),
            ("check Spearman", "latency_check.spearman"),
            ("measured", "card.verdict"),
            ("how", "card.text"),
        ],
        as_json=as_json,
        title="lookup tables",
    )


@commands.command("add")
def tables_add(file: Path, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Upload a lookup table file."""
    with Client(server) as nas:
        added = nas.upload_table(file)
    if as_json:
        output.show_json(added)
    else:
        print(f"added table {added['version']} with {added['n_entries']} entries")


@commands.command("remove")
def tables_remove(
    table: str, force: Force = False, server: ServerOption = LOCAL, as_json: JsonOption = False
) -> None:
    """Remove a table; searches that it priced are named, and stop it unless --force."""
    remove_one(server, "table", table, force=force, as_json=as_json)


@commands.command("retire")
def tables_retire(table: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Take a table out of use: the one before it prices the searches that follow."""
    _set_use(server, table, "retire", "is out of use", as_json=as_json)


@commands.command("use")
def tables_use(table: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Make a table the current one of its target."""
    _set_use(server, table, "use", "is the current one of its target", as_json=as_json)


def _set_use(server: str, table: str, verb: str, outcome: str, *, as_json: bool) -> None:
    with Client(server) as nas:
        stored = nas.post(f"/v1/lookup-tables/{table}:{verb}")
    output.tell(f"table {stored['version']} {outcome}", stored, as_json=as_json)


@commands.command("validate")
def tables_validate(file: Path, as_json: JsonOption = False) -> None:
    """Check a lookup table file; names every row and field at fault."""
    from lookup_tables import files
    from lookup_tables.errors import InvalidTable

    try:
        table = files.read(file)
    except InvalidTable as error:
        if as_json:
            output.show_json({"valid": False, "problems": list(error.problems)})
        else:
            for problem in error.problems:
                print(problem)
        raise typer.Exit(1) from None
    if as_json:
        output.show_json({"valid": True, "version": table.version})
    else:
        print(f"valid: table {table.version} with {len(table.entries)} entries")


@commands.command("import")
def tables_import(
    layout: Annotated[str, typer.Argument(help="ofa: block tables of Once-for-All, NSGANetV2.")],
    file: Path,
    out: Annotated[Path, typer.Argument(help="Table file to write; `nas tables add` uploads it.")],
    device: Annotated[str, typer.Option(help="Device that it was measured on.")],
    runtime: Annotated[str, typer.Option(help="Runtime that it was measured with.")],
    runtime_version: Annotated[str, typer.Option(help="Its version.")] = "unknown",
    precision: Annotated[str, typer.Option(help="fp32 or int8.")] = "fp32",
    as_json: JsonOption = False,
) -> None:
    """Turn a table of another layout into a table file, whole or not at all."""
    from lookup_tables import files, importers
    from lookup_tables.errors import InvalidTable
    from lookup_tables.target import PRECISIONS, Target

    if layout != "ofa":
        raise InvalidSpec(f"no layout {layout!r}; known: ofa", field="layout")
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise InvalidSpec(f"no precision {precision!r}; known: {known}", field="precision")
    try:
        table = importers.ofa_table(file, Target(device, runtime, runtime_version, precision))
    except InvalidTable as error:
        for problem in error.problems:
            print(problem)
        raise typer.Exit(1) from None
    files.write(table, out)
    told = {"wrote": str(out), "entries": len(table.entries), "version": table.version}
    output.tell(f"wrote {out} with {len(table.entries)} entries", told, as_json=as_json)


@commands.command("export")
def tables_export(
    table: str, file: Path, server: ServerOption = LOCAL, as_json: JsonOption = False
) -> None:
    """Save a lookup table as a file."""
    with Client(server) as nas:
        file.write_bytes(nas.fetch(f"/v1/lookup-tables/{table}/content"))
    output.tell(f"wrote {file}", {"wrote": str(file)}, as_json=as_json)


def price(
    architecture: Annotated[str, typer.Argument(help="Architecture JSON, or a file with it.")],
    device: Annotated[str, typer.Option(help="Device to price on.")] = "this-machine",
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Estimate what an architecture costs on a device's targets."""
    text = architecture
    try:
        if not text.lstrip().startswith("{"):
            text = Path(architecture).read_text(encoding="utf-8")
        described = strict_json.loads(text)
        request = {key: described[key] for key in ("space", "image", "decisions")}
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidSpec(
            f"not an architecture with space, image and decisions: {error}"
        ) from error
    with Client(server) as nas:
        prices = nas.price(device=device, **request)
    output.show(
        prices,
        [
            ("target", "target"),
            ("table", "table_version"),
            ("estimated ms", "estimated_latency_ms"),
            ("upper ms", "latency_upper_ms"),
            ("estimated bytes", "estimated_size_bytes"),
            ("MACs", "macs"),
            ("parameters", "parameters"),
        ],
        as_json=as_json,
        title="estimates",
    )
