"""`nas searches`, `front`, `lineage`, `again`, `extend`, `clone` and `cancel`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.options import (
    LOCAL,
    JsonOption,
    ServerOption,
    field_of,
)
from nas_service.cli.waiting import show_front, why_not
from nas_service.client import ApiError, Client


def searches(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List searches."""
    with Client(server) as nas:
        output.show(
            ({**one, "why": why_not(one)} for one in nas.every("/v1/searches")),
            [
                ("id", "id"),
                ("state", "state"),
                ("data set", "spec.dataset"),
                ("space", "spec.space"),
                ("device", "spec.device"),
                ("limit ms", "facts.limit_ms"),
                ("published", "facts.n_published"),
                ("why", "why"),
            ],
            as_json=as_json,
            title="searches",
        )


def front(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show a search's front."""
    with Client(server) as nas:
        show_front(nas, search_id, as_json=as_json)


def lineage(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show what each winner went through: front, training, compression, compiling, measuring."""
    with Client(server) as nas:
        found = nas.lineage(search_id)
    if as_json:
        output.show_json(found)
        return
    rows = [{**one, **{s["stage"]: _told(s) for s in one["stages"]}} for one in found]
    stages = ("front", "trained", "compressed", "compiled", "measured", "certified")
    columns = [("winner", "rank"), ("deployment", "deployment"), *((s, s) for s in stages)]
    output.show(rows, columns, as_json=False, title=f"lineage of {search_id}")


def _told(stage: dict[str, Any]) -> str:
    """A stage in a few characters: the digest of its file, or what was found."""
    if stage["state"] != "done":
        return str(stage["state"])
    if stage["sha256"]:
        return f"{stage['name']} {stage['sha256'][:8]}"
    if stage["stage"] == "certified":
        return str(stage["stale"] or stage["verdict"])
    kind = "predicted_" if stage["stage"] == "front" else ""
    accuracy, latency_ms = stage[kind + "accuracy"], stage[kind + "latency_ms"]
    said = [
        None if accuracy is None else f"{100 * accuracy:.1f} %",
        None if latency_ms is None else f"{latency_ms:.3g} ms",
    ]
    return ", ".join(one for one in said if one) or "unknown"


def again(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show how a search went on the devices that it follows: what changed on each front."""
    with Client(server) as nas:
        found = nas.get(f"/v1/searches/{search_id}/again")
    rows = [{**one, **_changes(one["facts"].get("diff") or {})} for one in found]
    output.show(
        rows,
        [
            ("id", "id"),
            ("device", "spec.device"),
            ("state", "state"),
            ("entered", "n_entered"),
            ("left", "n_left"),
            ("stayed", "stayed"),
            ("gain, points", "gain_points"),
            ("published", "facts.n_published"),
        ],
        as_json=as_json,
        title="searches opened again",
    )


def _changes(diff: dict[str, Any]) -> dict[str, Any]:
    if not diff:
        return {}
    gain = diff["best_accuracy_gain"]
    return {
        "n_entered": len(diff["entered"]),
        "n_left": len(diff["left"]),
        "stayed": diff["stayed"],
        "gain_points": None if gain is None else round(100 * gain, 2),
    }


def extend(
    search_id: str,
    queries: Annotated[int, typer.Option(help="More queries to spend.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Go on with a search that has ended, in a new one that knows all that it was told."""
    with Client(server) as nas:
        made = nas.post(f"/v1/searches/{search_id}:extend", {"n_queries": queries})
    output.tell(made["id"], made, as_json=as_json)


def clone(
    search_id: str,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of what is to be otherwise; VALUE as in JSON."),
    ] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Start a search again with some things changed."""
    with Client(server) as nas:
        made = nas.post(f"/v1/searches/{search_id}:clone", dict(map(field_of, changes or [])))
    output.tell(made["id"], made, as_json=as_json)


def cancel(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Cancel a search, a compression or any other job, by its id."""
    with Client(server) as nas:
        try:
            job = nas.cancel_search(search_id)
        except ApiError as error:
            if error.problem.get("status") != 404:
                raise
            job = nas.post(f"/v1/jobs/{search_id}:cancel")
    if as_json:
        output.show_json(job)
    else:
        print(f"asked {search_id} to end")
