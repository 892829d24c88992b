"""Who asks: a token, a person who has logged in, or whoever sits at this machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nas_service.errors import InvalidSpec


class Permission(StrEnum):
    """What a token may do; `admin` includes `write`, which includes `read`.

    `device` is what an agent needs and nothing beside it.
    """

    READ = "read"
    WRITE = "write"
    DEVICE = "device"
    ADMIN = "admin"


class Rule(StrEnum):
    """What a route asks of who calls it."""

    OPEN = "open"
    """Anybody: says nothing about what anybody stored."""
    READ = "read"
    WRITE = "write"
    DEVICE = "device"
    """The agent of one device, for that device alone."""
    ADMIN = "admin"
    """Tokens, members and the audit log of one project."""
    OPERATOR = "operator"
    """What concerns all projects at once."""


class Role(StrEnum):
    """What a member is in a project."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the role may do."""
        return _OF_ROLE[self]


_INCLUDED = {
    Permission.READ: frozenset({Permission.READ}),
    Permission.WRITE: frozenset({Permission.READ, Permission.WRITE}),
    Permission.DEVICE: frozenset({Permission.DEVICE}),
    Permission.ADMIN: frozenset({Permission.READ, Permission.WRITE, Permission.ADMIN}),
}
_OF_ROLE = {
    Role.VIEWER: _INCLUDED[Permission.READ],
    Role.EDITOR: _INCLUDED[Permission.WRITE],
    Role.ADMIN: _INCLUDED[Permission.ADMIN],
}


def included(permissions: frozenset[Permission]) -> frozenset[Permission]:
    """The permissions with all that they include."""
    return frozenset().union(*(_INCLUDED[one] for one in permissions))


def parse_permissions(names: list[str]) -> frozenset[Permission]:
    """Permissions by their names; raises `InvalidSpec` for none, or one that there is not."""
    known = ", ".join(Permission)
    if not names:
        raise InvalidSpec(f"scopes: at least one of {known}", field="scopes")
    for name in names:
        if name not in set(Permission):
            raise InvalidSpec(f"scopes: {name!r} is none of {known}", field="scopes")
    return frozenset(map(Permission, names))


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, in which project, and what they may do there.

    `kind` is `token`, `user` or `local`, `id` that of the token or user. `by_cookie` says that a
    browser sent it along unasked, so that a change has to prove where it comes from.
    """

    kind: str
    id: str
    name: str
    project_id: str
    permissions: frozenset[Permission]
    device_id: str | None = None
    operator: bool = False
    by_cookie: bool = False

    def may(self, rule: Rule) -> bool:
        """Whether a route with this rule lets them in."""
        if rule is Rule.OPEN:
            return True
        if rule is Rule.OPERATOR:
            return self.operator
        if rule is Rule.DEVICE:
            return self.device_id is not None
        return Permission(rule) in self.permissions


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as their provider knows them."""

    issuer: str
    subject: str
    name: str
    groups: frozenset[str]


def local(project_id: str) -> Identity:
    """Whoever reaches a service that listens on this machine's own address alone."""
    everything = included(frozenset({Permission.ADMIN}))
    return Identity("local", "local", "this machine", project_id, everything, operator=True)
