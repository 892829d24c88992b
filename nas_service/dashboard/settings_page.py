"""Settings: who one is here, the project's tokens and members, and who changed what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from nas_service.access.identity import Permission, Role, Rule
from nas_service.api import audit, members, tokens
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Asking, Bounds, With
from nas_service.api.members import MemberIn
from nas_service.api.tokens import TokenIn
from nas_service.dashboard.rendering import PageRoute, given, page

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_FORM_BYTES = 4096
_NEWEST = Bounds(None, 50)
_PERMISSIONS = {
    "read": (Permission.READ,),
    "write": (Permission.READ, Permission.WRITE),
    "admin": (Permission.ADMIN,),
}


@router.get("/settings")
@allow(Rule.READ)
def show(request: Request, with_: With, who: Asking) -> Response:
    """Who asks and where; for admins, tokens, members and the newest changes too."""
    return _shown(request, with_, who)


@router.post("/settings/tokens")
@allow(Rule.ADMIN, max_body_bytes=_FORM_BYTES, secret=True)
def add_token(
    request: Request,
    with_: With,
    who: Asking,
    name: Annotated[str, Form(max_length=100)],
    may: Annotated[str, Form(pattern="^(read|write|admin)$")] = "write",
    days: Annotated[str, Form(max_length=8)] = "90",
) -> Response:
    """Make a token, and show it this once."""
    body = given(TokenIn, name=name, permissions=_PERMISSIONS[may], days=days or None)
    made = tokens.add_token(body, with_, who, Response())
    return _shown(request, with_, who, secret=made.secret)


@router.post("/settings/tokens/{token_id}/revoke")
@allow(Rule.ADMIN, max_body_bytes=_FORM_BYTES)
def revoke_token(token_id: str, with_: With) -> Response:
    """End a token."""
    tokens.revoke_token(token_id, with_)
    return RedirectResponse("/settings", status_code=303)


@router.post("/settings/members/{user_id}")
@allow(Rule.ADMIN, max_body_bytes=_FORM_BYTES)
def set_member(
    user_id: str, with_: With, role: Annotated[str, Form(pattern="^(viewer|editor|admin|none)$")]
) -> Response:
    """Change what somebody is, or take them out."""
    if role == "none":
        members.remove_member(user_id, with_)
    else:
        members.set_member(user_id, MemberIn(role=Role(role)), with_)
    return RedirectResponse("/settings", status_code=303)


def _shown(request: Request, with_: With, who: Asking, secret: str | None = None) -> Response:
    admin = who.may(Rule.ADMIN)
    return page(
        request,
        "settings.html",
        me=who,
        permissions=sorted(who.permissions),
        projects=members.list_projects(with_, who, _NEWEST).items,
        admin=admin,
        tokens=tokens.list_tokens(with_, _NEWEST).items if admin else [],
        members=members.list_members(with_, _NEWEST).items if admin else [],
        roles=[one.value for one in Role],
        events=audit.list_events(with_, _NEWEST).items if admin else [],
        secret=secret,
    )
