"""What a service has: jobs, spaces, plug-ins, supernets, predictors, models; any call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nas_service import strict_json
from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.cli.own_model import size_of
from nas_service.client import Client
from nas_service.errors import InvalidSpec

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def jobs(
    kind: Annotated[str | None, typer.Option(help="search, profile, compress, ...")] = None,
    state: Annotated[
        str | None, typer.Option(help="queued, running, succeeded, failed, cancelled")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="The id of what it is about.")] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    with Client(server) as nas:
        found = list(nas.every("/v1/jobs", kind=kind, state=state, subject=subject))
    if not as_json:
        found = [{**one, "problem": one["problem"] or {"detail": "-"}} for one in found]
    columns = [("id", "id"), ("kind", "kind"), ("state", "state"), ("progress", "progress")]
    columns += [("message", "message"), ("why", "problem.detail")]
    output.show(found, columns, as_json=as_json, title="jobs")


def spaces(
    name: Annotated[str | None, typer.Argument(help="A space; none lists them.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The data set that it is for; small images unless given.")
    ] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """List search spaces, or show the decisions of one."""
    with Client(server) as nas:
        if name is None:
            names = nas.get("/v1/search-spaces")
            output.show(
                [{"name": one} for one in names],
                [("name", "name")],
                as_json=as_json,
                title="search spaces",
            )
            return
        found = nas.get(f"/v1/search-spaces/{name}", dataset=dataset)
    if as_json:
        output.show_json(found)
        return
    columns = [("decision", "name"), ("values", "values")]
    output.show(found["decisions"], columns, as_json=False, title=found["name"])
    print(size_of(found))
    for one in found["stages"]:
        print(f"stage {one['name']}: up to {one['n_layers']} layers, alike at first")
    if found["own_model"] is not None:
        columns = [("layer", "layer"), ("kind", "kind"), ("decisions", "decisions")]
        columns += [("frozen, because", "reason")]
        layers = found["own_model"]["layers"]
        output.show(layers, columns, as_json=False, title="layers of the model")
        for note in found["own_model"]["notes"]:
            print(f"note: {note}")


def plugins(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List what is installed beside and in the service, a group of plug-ins a row."""
    with Client(server) as nas:
        found = nas.get("/v1/plugins")
    if as_json:
        output.show_json(found)
        return
    rows = [{"group": group, "names": names} for group, names in sorted(found.items())]
    output.show(rows, [("group", "group"), ("names", "names")], as_json=False, title="plug-ins")


def supernets(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List supernets: weights that many searches share."""
    columns = [("id", "id"), ("space", "space"), ("data set", "dataset_id"), ("seed", "seed")]
    columns += [("made", "created_at"), ("file", "sha256")]
    _list("/v1/supernets", columns, server, as_json=as_json, title="supernets")


def predictors(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List accuracy predictors with how good they were on what they had not seen."""
    columns = [("id", "id"), ("name", "name"), ("space", "space"), ("data set", "dataset_id")]
    columns += [("Kendall's tau", "quality.kendall"), ("mean error", "quality.mean_abs_error")]
    _list("/v1/predictors", columns, server, as_json=as_json, title="predictors")


def compressions(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List models that were compressed."""
    columns = [("id", "subject"), ("job", "id"), ("state", "state"), ("progress", "progress")]
    columns += [("message", "message"), ("why", "problem.detail")]
    _list("/v1/compressions", columns, server, as_json=as_json, title="compressed models")


def _list(
    path: str, columns: list[output.Column], server: str, *, as_json: bool, title: str
) -> None:
    with Client(server) as nas:
        output.show(list(nas.every(path)), columns, as_json=as_json, title=title)


def api(
    method: Annotated[str, typer.Argument(help="GET, POST, PUT, PATCH or DELETE.")],
    path: Annotated[str, typer.Argument(help="As /v1/searches?state=running.")],
    data: Annotated[
        str | None,
        typer.Option(help="The JSON body; @FILE reads it from a file, @- from standard input."),
    ] = None,
    server: ServerOption = LOCAL,
) -> None:
    """Make any call of the REST API and print the JSON that it answers."""
    verb = method.upper()
    if verb not in _METHODS:
        raise InvalidSpec(f"METHOD: {method!r} is none of {', '.join(_METHODS)}", field="method")
    if not path.startswith("/v1/"):
        raise InvalidSpec(f"PATH: {path!r} does not begin with /v1/", field="path")
    with Client(server) as nas:
        answer = nas.call(verb, path, None if data is None else _body(data))
    if answer is not None:
        output.show_json(answer)


def _body(data: str) -> Any:
    try:
        if data == "@-":
            return strict_json.loads(sys.stdin.read())
        return strict_json.loads(Path(data[1:]).read_text() if data.startswith("@") else data)
    except OSError as error:
        raise InvalidSpec(f"--data: {error.strerror}: {data[1:]}", field="data") from error
    except strict_json.GivenTwice as error:
        raise InvalidSpec(f"--data: {error}", field="data") from error
    except ValueError as error:
        raise InvalidSpec(f"--data: not JSON: {error}", field="data") from error
