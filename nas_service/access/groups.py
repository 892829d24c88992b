"""What an identity provider's groups make of their members: `GROUP=ROLE@PROJECT`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nas_service.access.identity import Role

_RANK = {Role.VIEWER: 0, Role.EDITOR: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class GroupRole:
    """Members of a group have a role in a project."""

    group: str
    role: Role
    project_id: str


def parse_group_roles(text: str) -> tuple[GroupRole, ...]:
    """`ml=editor@default,ml-admins=admin@default`; the project is `default` where none is named.

    Raises:
        ValueError: a part is no such thing.
    """
    found = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        group, equals, what = part.rpartition("=")
        role, _, project = what.partition("@")
        if not (equals and group and role in set(Role)):
            known = ", ".join(Role)
            raise ValueError(f"{part!r} is not GROUP=ROLE@PROJECT with a role of {known}")
        found.append(GroupRole(group, Role(role), project or "default"))
    return tuple(found)


def roles_of(groups: Collection[str], known: Collection[GroupRole]) -> Mapping[str, Role]:
    """The highest role in each project that somebody in these groups has."""
    found: dict[str, Role] = {}
    for one in known:
        if one.group in groups:
            before = found.get(one.project_id, Role.VIEWER)
            found[one.project_id] = max(one.role, before, key=_RANK.__getitem__)
    return found
