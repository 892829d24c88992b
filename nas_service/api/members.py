"""Projects, who is in them, and who has ever logged in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from nas_service.access.identity import Permission, Role, Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Asking, Listing, Paging, Strict, With, listing
from nas_service.api.idempotency import RepeatableRoute
from nas_service.storage import tokens, users
from nas_service.storage.scope import SERVICE
from nas_service.storage.tokens import Token
from nas_service.storage.users import Member, Project, User

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["access"])
UserId = Annotated[str, Path(max_length=40)]


class ProjectIn(Strict):
    """A project; people and programs call it by its name."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class ProjectMade(BaseModel):
    """A project, and the secret of its first admin's token, which is shown this once."""

    project: Project
    token: Token
    secret: str


class MemberIn(Strict):
    """What somebody is to be in the project."""

    role: Role


@router.post("/projects", status_code=201)
@allow(Rule.OPERATOR, secret=True)
def add_project(body: ProjectIn, with_: With, who: Asking) -> ProjectMade:
    """Make a project, and a token of its own admin."""
    with with_.database.seeing(SERVICE).session() as session:
        made = users.add_project(session, body.name)
        token, secret = tokens.add_token(
            session,
            "admin",
            [Permission.ADMIN],
            created_by=f"{who.kind} {who.id}",
            project_id=made.id,
        )
    return ProjectMade(project=made, token=token, secret=secret)


@router.get("/projects")
@allow(Rule.READ)
def list_projects(with_: With, who: Asking, page: Paging) -> Listing[Project]:
    """The projects that who asks can be in: all of them for an operator."""
    with with_.database.of(SERVICE).session() as session:
        among = None if who.operator else frozenset({who.project_id})
        if who.kind == "user":
            among = frozenset(users.roles_of(session, who.id))
        found = users.list_projects(session, among=among, cursor=page.cursor, limit=page.limit)
    return listing(found)


@router.get("/users")
@allow(Rule.OPERATOR)
def list_users(with_: With, page: Paging) -> Listing[User]:
    """Everybody who has logged in once, newest first."""
    with with_.database.session() as session:
        return listing(users.list_users(session, cursor=page.cursor, limit=page.limit))


@router.get("/members")
@allow(Rule.ADMIN)
def list_members(with_: With, page: Paging) -> Listing[Member]:
    """The people of the project, newest first."""
    with with_.database.session() as session:
        return listing(users.list_members(session, cursor=page.cursor, limit=page.limit))


@router.put("/members/{user_id}")
@allow(Rule.ADMIN)
def set_member(user_id: UserId, body: MemberIn, with_: With) -> Member:
    """Make somebody who has logged in once a member, or change what they are."""
    with with_.database.session() as session:
        member = users.set_member(session, user_id, body.role)
    with_.identities.forget()
    return member


@router.delete("/members/{user_id}", status_code=204)
@allow(Rule.ADMIN)
def remove_member(user_id: UserId, with_: With) -> Response:
    """Take somebody out of the project, and end their logins in it."""
    with with_.database.session() as session:
        users.remove_member(session, user_id)
    with_.identities.forget()
    return Response(status_code=204)
