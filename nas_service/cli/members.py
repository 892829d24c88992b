"""`nas projects` and `nas members`: what belongs together, and who is in it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from nas_service.cli import output
from nas_service.cli.options import LOCAL, JsonOption, ServerOption
from nas_service.client import Client

projects = typer.Typer(no_args_is_help=True, help="Projects: what belongs together.")
members = typer.Typer(no_args_is_help=True, help="Members: the people of your project.")


class RoleName(StrEnum):
    """What a member is."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


@projects.command("list")
def list_projects(server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """List the projects that you can be in."""
    with Client(server) as nas:
        found = list(nas.every("/v1/projects"))
    output.show(found, [("name", "id"), ("made", "created_at")], as_json=as_json, title="projects")


@projects.command("add")
def add_project(
    name: Annotated[str, typer.Argument(help="Small letters, digits and -.")],
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Make a project, as an operator; prints the token of its admin this once."""
    with Client(server) as nas:
        made = nas.post("/v1/projects", {"name": name})
    text = f"project {made['project']['id']}; its admin:\nexport NAS_TOKEN={made['secret']}"
    output.tell(text, made, as_json=as_json)


@members.command("list")
def list_members(
    everybody: Annotated[
        bool, typer.Option("--everybody", help="All who have ever logged in, as an operator.")
    ] = False,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """List the people of your project."""
    with Client(server) as nas:
        found = list(nas.every("/v1/users" if everybody else "/v1/members"))
    who, seen = ("name", "name"), ("last seen", "seen_at")
    columns = [("id", "user_id"), who, ("is", "role"), ("by group", "by_group"), seen]
    if everybody:
        columns = [("id", "id"), who, ("provider", "issuer"), seen]
    output.show(found, columns, as_json=as_json, title="members")


@members.command("add")
def set_member(
    user: Annotated[str, typer.Argument(help="usr_..., as the login page told them.")],
    role: Annotated[RoleName, typer.Option(help="What they are.")] = RoleName.VIEWER,
    server: ServerOption = LOCAL,
    as_json: JsonOption = False,
) -> None:
    """Make somebody who has logged in a member, or change what they are."""
    with Client(server) as nas:
        made = nas.put(f"/v1/members/{user}", {"role": role.value})
    output.tell(f"{made['name']} is {made['role']}", made, as_json=as_json)


@members.command("remove")
def remove_member(user: str, server: ServerOption = LOCAL, as_json: JsonOption = False) -> None:
    """Take somebody out of your project."""
    with Client(server) as nas:
        nas.delete(f"/v1/members/{user}")
    output.tell(f"removed {user}", {"removed": user}, as_json=as_json)
