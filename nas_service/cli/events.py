"""`nas webhooks` and `nas schedules`: who is told, and when searches run again."""

from __future__ import annotations

from typing import Annotated

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client

webhooks = typer.Typer(no_args_is_help=True, help="Addresses that are told of events.")
schedules = typer.Typer(no_args_is_help=True, help="Searches that run again by the clock.")


@webhooks.command("add")
def webhooks_add(
    url: str,
    event: Annotated[
        list[str] | None,
        typer.Option(help="search.finished, search.failed, device.drifted, ...; all unless given."),
    ] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Tell an address of events."""
    with Client(server) as nas:
        added = nas.post("/v1/webhooks", {"url": url, **({"events": event} if event else {})})
    output.tell(f"added webhook {added['id']}", added, as_json=as_json)


@webhooks.command("list")
def webhooks_list(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List addresses."""
    with Client(server) as nas:
        found = list(nas.every("/v1/webhooks"))
    columns = [("id", "id"), ("url", "url"), ("events", "events")]
    output.show(found, columns, as_json=as_json, title="webhooks")


@webhooks.command("deliveries")
def webhooks_deliveries(
    webhook: str, server: ServerOption = LOCAL, as_json: JsonOption = False
) -> None:
    """List what was sent to an address, or waits to be."""
    with Client(server) as nas:
        found = list(nas.every(f"/v1/webhooks/{webhook}/deliveries"))
    columns = [("event", "event"), ("subject", "body.subject"), ("state", "state")]
    columns += [("attempts", "attempts"), ("answer", "answer")]
    output.show(found, columns, as_json=as_json, title="deliveries")


@webhooks.command("change")
def webhooks_change(
    webhook: str,
    event: Annotated[list[str], typer.Option(help="The events that are sent to it from now on.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Tell an address of other events."""
    with Client(server) as nas:
        changed = nas.call("PATCH", f"/v1/webhooks/{webhook}", {"events": event})
    output.tell(f"{webhook}: {', '.join(event)}", changed, as_json=as_json)


@webhooks.command("remove")
def webhooks_remove(
    webhook: str, server: ServerOption = LOCAL, as_json: JsonOption = False
) -> None:
    """Forget an address."""
    with Client(server) as nas:
        nas.delete(f"/v1/webhooks/{webhook}")
    output.tell(f"removed {webhook}", {"removed": webhook}, as_json=as_json)


@schedules.command("add")
def schedules_add(
    search_id: str,
    cron: Annotated[str, typer.Argument(help="Minute hour day month weekday, in UTC.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Open a search again by the clock."""
    with Client(server) as nas:
        added = nas.post("/v1/schedules", {"search_id": search_id, "cron": cron})
    text = f"added schedule {added['id']}, next at {added['next_at']}"
    output.tell(text, added, as_json=as_json)


@schedules.command("list")
def schedules_list(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List schedules."""
    with Client(server) as nas:
        found = list(nas.every("/v1/schedules"))
    columns = [("id", "id"), ("search", "search_id"), ("cron", "cron"), ("next at", "next_at")]
    output.show(found, columns, as_json=as_json, title="schedules")


@schedules.command("change")
def schedules_change(
    schedule: str,
    cron: Annotated[str, typer.Argument(help="Minute hour day month weekday, in UTC.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Open a search again at other times."""
    with Client(server) as nas:
        changed = nas.call("PATCH", f"/v1/schedules/{schedule}", {"cron": cron})
    output.tell(f"{schedule}, next at {changed['next_at']}", changed, as_json=as_json)


@schedules.command("remove")
def schedules_remove(
    schedule: str, server: ServerOption = LOCAL, as_json: JsonOption = False
) -> None:
    """End a schedule."""
    with Client(server) as nas:
        nas.delete(f"/v1/schedules/{schedule}")
    output.tell(f"removed {schedule}", {"removed": schedule}, as_json=as_json)
