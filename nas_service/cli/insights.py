"""What a search's front says: candidates, which to look at first, which decisions matter."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client

Json = dict[str, Any]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(help="A condition, as latency_ms<=5 or precision=int8; may be repeated."),
]


def candidates(
    search_id: str,
    where: WhereOption = None,
    sort: Annotated[str, typer.Option(help="A column; -column: highest first.")] = "-score",
    front_only: Annotated[
        bool, typer.Option("--front", help="Members of the predicted front alone.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """List a search's candidates, dominated ones too, sorted and narrowed."""
    at = f"/v1/searches/{search_id}/candidates"
    asked = {"where": where or [], "sort": sort, "front": front_only}
    found: list[Json] = []
    cursor = None
    with Client(server) as nas:
        while True:
            size = min(limit - len(found), 500)
            page = nas.get(at, **asked, cursor=cursor, limit=size)
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None or len(found) >= limit:
                break
    if as_json:
        output.show_json({**page, "items": found})
        return
    found = [{**one, "winner": "-" if one["winner"] is None else one["winner"]} for one in found]
    names = sorted({name for one in found for name in one["estimates"]})
    columns = [("candidate", "index"), ("precision", "precision"), ("score", "score")]
    columns += [(name, f"estimates.{name}.value") for name in names]
    columns += [("keeps limits", "keeps_limits"), ("on front", "on_front"), ("winner", "winner")]
    output.show(found, columns, as_json=False, title="candidates")
    print(f"{len(found):,} of {page['n_matching']:,} that meet the conditions")


def candidate(
    search_id: str, index: int, server: ServerOption = LOCAL, as_json: JsonOption = False
) -> None:
    """Show a candidate: its decisions, and what each of its blocks takes on the search's device."""
    at = f"/v1/searches/{search_id}/candidates/{index}"
    with Client(server) as nas:
        found, blocks = nas.get(at), nas.get(f"{at}/blocks")
    if as_json:
        output.show_json({**found, "blocks": blocks})
        return
    rows = [{"decision": name, "value": one} for name, one in found["architecture"].items()]
    output.show(rows, [("decision", "decision"), ("value", "value")], as_json=False)
    table = [
        {**one, **{f"on {cost['target']}": cost["latency_ms"][i] for cost in blocks["costs"]}}
        for i, one in enumerate(blocks["blocks"])
    ]
    columns = [("block", "kind"), ("MACs", "macs"), ("parameters", "parameters")]
    keys = [f"on {cost['target']}" for cost in blocks["costs"]]
    columns += [(f"ms {key}", key) for key in keys]
    output.show(table, columns, as_json=False, title="blocks")


def certificates(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List a search's certificates, stale ones with why."""
    with Client(server) as nas:
        found = list(nas.every(f"/v1/searches/{search_id}/certificates"))
    if not as_json:
        found = [{**one, "stale": one["stale"] or "no"} for one in found]
    columns = [("id", "id"), ("verdict", "verdict"), ("stale", "stale")]
    columns += [("target", "target_id"), ("issued", "issued_at"), ("file", "sha256")]
    output.show(found, columns, as_json=as_json, title="certificates")


def advice(
    search_id: str,
    cost: Annotated[str, typer.Option(help="The quantity that is traded.")] = "latency_ms",
    where: WhereOption = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Say which member of the front to look at first, and what one more step of cost buys."""
    with Client(server) as nas:
        found = nas.get(f"/v1/searches/{search_id}/advice", cost=cost, where=where or [])
    if as_json:
        output.show_json(found)
        return
    print(f"the best that meets the conditions: {_one(found['best'])}")
    print(f"the knee, after which more {found['cost']} buys least: {_one(found['knee'])}")
    columns = [("from", "index"), ("to", "next_index"), (f"more {cost}", "more_cost")]
    columns += [("more score", "more_score"), ("score a unit", "score_per_cost")]
    output.show(found["steps"], columns, as_json=False, title="steps")


def _one(index: int | None) -> str:
    return "none" if index is None else f"candidate {index}"


def importance(
    search_id: str,
    of: Annotated[str, typer.Option(help="score, latency_ms, size_bytes, ...")] = "score",
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Show which decisions matter to a quantity: shares of its variance that they explain."""
    with Client(server) as nas:
        found = nas.get(f"/v1/searches/{search_id}/importance", of=of)
    if as_json:
        output.show_json(found)
        return
    rows = [{**one, "best": _best(one["values"])} for one in found["decisions"]]
    columns = [("decision", "name"), ("share of variance", "share"), ("highest at", "best")]
    output.show(rows, columns, as_json=False, title=f"what {found['of']} depends on")


def _best(values: list[Json]) -> Any:
    known = [one for one in values if one["mean"] is not None]
    return max(known, key=lambda one: one["mean"])["value"] if known else None


def history(search_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Show how a search's front grew: hypervolume after each of its revisions."""
    with Client(server) as nas:
        found = nas.get(f"/v1/searches/{search_id}/history")
    columns = [("revision", "revision"), ("queries", "n_evaluations"), ("on front", "n_front")]
    columns += [("measured", "n_measured"), ("hypervolume", "hypervolume"), ("at", "at")]
    output.show(found, columns, as_json=as_json, title="fronts")


def compare(
    search_id: str, other_id: str, server: ServerOption = LOCAL, as_json: JsonOption = False
) -> None:
    """Compare two searches' fronts: what is on the second alone, and on the first alone."""
    with Client(server) as nas:
        found = nas.get(f"/v1/searches/{search_id}/differences/{other_id}")
    if as_json:
        output.show_json(found)
        return
    rows = [{**one, "side": side} for side in ("entered", "left") for one in found[side]]
    columns = [("", "side"), ("precision", "precision")]
    columns += [("accuracy", "predicted_accuracy"), ("ms", "predicted_latency_ms")]
    output.show(rows, columns, as_json=False, title="members of one front alone")
    print(f"on both: {found['stayed']}")
    if found.get("hypervolume_gain") is not None:
        print(f"hypervolume gained: {found['hypervolume_gain']:+.4g}")
