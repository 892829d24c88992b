"""`nas tokens` and `nas audit`: who may do what, and who did."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client
from nas_service.errors import InvalidSpec

commands = typer.Typer(no_args_is_help=True, help="Tokens: who may do what.")
_COLUMNS = [
    ("id", "id"),
    ("name", "name"),
    ("may", "permissions"),
    ("operator", "operator"),
    ("made by", "created_by"),
    ("expires", "expires_at"),
    ("last used", "last_used_at"),
    ("revoked", "revoked_at"),
]


@commands.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    may: Annotated[
        list[str] | None, typer.Option(help="read, write or admin; read and write unless given.")
    ] = None,
    days: Annotated[float | None, typer.Option(help="It expires after so many days.")] = None,
    operator: Annotated[
        bool, typer.Option("--operator", help="An admin who may do what concerns all projects.")
    ] = False,
    local: Annotated[
        bool,
        typer.Option("--local", help="Write to the database of NAS_VAR_DIR or NAS_DATABASE_URL."),
    ] = False,
    project: Annotated[
        str | None, typer.Option(help="Its project, with --local; default unless given.")
    ] = None,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Make a token; its secret is shown this once.

    The first one is made with --local, on the service's machine. Clients read NAS_TOKEN.
    """
    if project is not None and not local:
        raise InvalidSpec(
            "--project goes with --local; elsewhere a token is of the project of who makes it",
            field="project",
        )
    permissions = may or (["admin"] if operator else ["read", "write"])
    if local:
        made = _written(name, permissions, days, project or "default", operator=operator)
    else:
        body = {"name": name, "permissions": permissions, "days": days, "operator": operator}
        with Client(server) as nas:
            made = nas.post("/v1/tokens", body)
    told = made["token"]
    text = f"{told['id']} may {', '.join(told['permissions'])}\nexport NAS_TOKEN={made['secret']}"
    output.tell(text, made, as_json=as_json)


def _written(
    name: str, permissions: list[str], days: float | None, project: str, *, operator: bool
) -> Any:
    """A token written to the database itself: for whoever may read and write that anyway."""
    from pydantic import TypeAdapter

    from nas_service.access.identity import parse_permissions
    from nas_service.cli.databases import prepare
    from nas_service.settings import Settings
    from nas_service.storage import tokens, users
    from nas_service.storage.scope import Scope
    from nas_service.storage.session import Database, now

    settings = Settings()
    prepare(settings)
    database = Database(settings.url, Scope(project))
    try:
        with database.session() as session:
            users.require_project(session, project)
            token, secret = tokens.add_token(
                session,
                name,
                parse_permissions(permissions),
                created_by="the command line",
                expires_at=None if days is None else now() + timedelta(days=days),
                operator=operator,
            )
    finally:
        database.close()
    plain = TypeAdapter(tokens.Token).dump_python(token, mode="json")
    return {"token": plain, "secret": secret}


@commands.command("list")
def list_all(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List tokens, without their secrets, which nobody has."""
    with Client(server) as nas:
        found = list(nas.every("/v1/tokens"))
    output.show(found, _COLUMNS, as_json=as_json, title="tokens")


@commands.command("revoke")
def revoke(token: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """End a token, and the logins that were made with it."""
    with Client(server) as nas:
        ended = nas.delete(f"/v1/tokens/{token}") or {}
    output.tell(f"revoked {token}", ended, as_json=as_json)


def whoami(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Say who the service takes this command for."""
    with Client(server) as nas:
        who = nas.get("/v1/me")
    text = f"{who['name']} in project {who['project_id']}: may {', '.join(who['permissions'])}"
    output.tell(text, who, as_json=as_json)


def audit(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List who changed what, newest first."""
    with Client(server) as nas:
        found = list(nas.every("/v1/audit-events", limit=200))
    columns = [("at", "at"), ("who", "actor_name"), ("did", "action"), ("to", "subject")]
    output.show(found, [*columns, ("request", "request_id")], as_json=as_json, title="audit events")
