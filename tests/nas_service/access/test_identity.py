"""What people and programs may do, by the permissions they have."""

from __future__ import annotations

import pytest

from nas_service.access.identity import (
    Identity,
    Permission,
    Rule,
    included,
    parse_permissions,
)
from nas_service.errors import InvalidSpec


def _who(*permissions: Permission, operator: bool = False) -> Identity:
    allowed = included(frozenset(permissions))
    return Identity("token", "t", "one", "p", allowed, operator=operator)


def test_permissions_are_known_by_their_names() -> None:
    assert parse_permissions(["read"]) == {Permission.READ}
    with pytest.raises(InvalidSpec, match="'fly' is none of read") as refused:
        parse_permissions(["read", "fly"])
    assert refused.value.fields["field"] == "scopes"
    with pytest.raises(InvalidSpec, match="at least one of read"):
        parse_permissions([])


def test_who_may_write_may_read_and_what_is_open_is_open_to_all() -> None:
    nobody, writer = _who(), _who(Permission.WRITE)
    assert nobody.may(Rule.OPEN)
    assert not nobody.may(Rule.READ)
    assert writer.may(Rule.READ)
    assert writer.may(Rule.WRITE)
    assert not writer.may(Rule.ADMIN)


def test_operators_are_told_apart_from_who_may_do_everything_in_a_project() -> None:
    assert not _who(*Permission).may(Rule.OPERATOR)
    assert _who(operator=True).may(Rule.OPERATOR)
