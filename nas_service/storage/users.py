"""Projects, people, and what people are in projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nas_service.access.identity import Person, Role
from nas_service.errors import Conflict, NotFound
from nas_service.storage.models.access import LoginRow, MembershipRow, ProjectRow, UserRow
from nas_service.storage.rows import Page, insert_once, page_of, value_of
from nas_service.storage.session import new_id, now

_RANK = {Role.ADMIN: 0, Role.EDITOR: 1, Role.VIEWER: 2}


@dataclass(frozen=True, slots=True)
class Project:
    """What devices, data sets, searches and all else belong to."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has logged in once, with their provider's own name for them."""

    id: str
    issuer: str
    subject: str
    name: str
    created_at: datetime
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a project; `by_group`: as their provider's groups say, at each login anew."""

    user_id: str
    name: str
    role: Role
    by_group: bool
    created_at: datetime
    seen_at: datetime | None


def add_project(session: Session, project_id: str) -> Project:
    """A new project; its name is its id. `Conflict` where it is there."""
    row = ProjectRow(id=project_id, name=project_id, created_at=now())
    if not insert_once(session, row):
        raise Conflict(f"a project named {project_id!r} is there already", field="name")
    return value_of(Project, row)


def list_projects(
    session: Session, *, among: frozenset[str] | None, cursor: str | None, limit: int
) -> Page[Project]:
    """Projects, by id backwards; `among`: those alone."""
    query = select(ProjectRow)
    if among is not None:
        query = query.where(ProjectRow.id.in_(among))
    return page_of(
        session,
        query,
        ProjectRow.id,
        lambda row: value_of(Project, row),
        cursor=cursor,
        limit=limit,
    )


def require_project(session: Session, project_id: str) -> None:
    """Raise `NotFound` where there is no such project."""
    if session.get(ProjectRow, project_id) is None:
        raise NotFound(f"no project {project_id!r}; `nas projects add` makes one")


def logged_in(session: Session, person: Person, roles: Mapping[str, Role]) -> User:
    """Note who has logged in, and bring what their groups say up to date: in the service's scope.

    What an admin said of them stays. Roles in projects that there are not are passed over.
    """
    which = select(UserRow).where(
        UserRow.issuer == person.issuer, UserRow.subject == person.subject
    )
    row = session.scalar(which)
    at = now()
    if row is None:
        made = UserRow(
            id=new_id("usr"),
            issuer=person.issuer,
            subject=person.subject,
            name=person.name,
            created_at=at,
        )
        insert_once(session, made)  # two windows may come back at once
        row = session.scalars(which).one()
    row.name, row.seen_at = person.name, at
    session.flush()
    kept = {
        one.project_id: one
        for one in session.scalars(select(MembershipRow).where(MembershipRow.user_id == row.id))
    }
    there = set(session.scalars(select(ProjectRow.id)))
    for project_id, role in roles.items():
        if project_id in kept:
            if kept[project_id].by_group:
                kept[project_id].role = role
        elif project_id in there:
            insert_once(session, _membership(row.id, role, project_id, at, by_group=True))
    for project_id, one in kept.items():
        if one.by_group and project_id not in roles:
            session.delete(one)
    session.flush()
    return value_of(User, row)


def roles_of(session: Session, user_id: str) -> dict[str, Role]:
    """What somebody is, by project, in the service's scope: the one that they are in longest first.

    Whoever is taken into another project does not find themselves there unasked.
    """
    query = select(MembershipRow).where(MembershipRow.user_id == user_id)
    rows = sorted(
        session.scalars(query),
        key=lambda row: (row.created_at, _RANK[Role(row.role)], row.project_id),
    )
    return {row.project_id: Role(row.role) for row in rows}


def list_users(session: Session, *, cursor: str | None, limit: int) -> Page[User]:
    """Everybody who has logged in once, newest first."""
    return page_of(
        session,
        select(UserRow),
        UserRow.id,
        lambda row: value_of(User, row),
        cursor=cursor,
        limit=limit,
    )


def list_members(session: Session, *, cursor: str | None, limit: int) -> Page[Member]:
    """The people of the session's project, newest first."""
    found = page_of(
        session,
        select(MembershipRow),
        MembershipRow.id,
        lambda row: row,
        cursor=cursor,
        limit=limit,
    )
    return Page([_member(session, row) for row in found.items], found.next_cursor)


def set_member(session: Session, user_id: str, role: Role) -> Member:
    """Make somebody a member of the session's project, or change what they are there."""
    user = session.get(UserRow, user_id)
    if user is None:
        raise NotFound(f"nobody {user_id!r} has logged in here")
    query = select(MembershipRow).where(MembershipRow.user_id == user_id)
    row = session.scalar(query)
    if row is None:
        insert_once(session, _membership(user_id, role, None, now(), by_group=False))
        row = session.scalars(query).one()
    row.role, row.by_group = role, False
    session.flush()
    return _member(session, row)


def remove_member(session: Session, user_id: str) -> None:
    """End a membership and the logins in the project; groups may bring it back at the next."""
    row = session.scalar(select(MembershipRow).where(MembershipRow.user_id == user_id))
    if row is None:
        raise NotFound(f"{user_id!r} is no member of this project")
    session.execute(
        delete(LoginRow).where(LoginRow.user_id == user_id, LoginRow.project_id == row.project_id)
    )
    session.delete(row)


def _membership(
    user_id: str, role: Role, project_id: str | None, at: datetime, *, by_group: bool
) -> MembershipRow:
    row = MembershipRow(
        id=new_id("mem"), user_id=user_id, role=role, by_group=by_group, created_at=at
    )
    if project_id is not None:  # else that of the session
        row.project_id = project_id
    return row


def _member(session: Session, row: MembershipRow) -> Member:
    user = session.get_one(UserRow, row.user_id)
    return Member(user.id, user.name, Role(row.role), row.by_group, row.created_at, user.seen_at)
