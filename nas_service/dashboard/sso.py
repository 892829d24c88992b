"""Logging a browser in with an identity provider, and going from one project to another."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from nas_service.access.groups import parse_group_roles, roles_of
from nas_service.access.identity import Identity, Person, Rule
from nas_service.access.oidc import Answer, Begun, Provider
from nas_service.api.access.identities import COOKIE
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Asking, Services, of_the_service
from nas_service.dashboard.login import own_path, set_cookie
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.errors import Forbidden, NotFound, Unauthorized
from nas_service.storage import logins, users

router = APIRouter(route_class=PageRoute, include_in_schema=False)
BEGUN = "__Host-nas-login"
_BEGUN_LASTS_S = 600
_FORM_BYTES = 4096
_CALLBACK = "/login/callback"


@router.get("/login/provider")
@allow(Rule.OPEN)
def begin(
    request: Request, then: Annotated[str, Query(alias="next", max_length=2000)] = "/"
) -> Response:
    """Send the browser to the provider."""
    services = of_the_service(request)
    address, begun = provider_of(services).begin(_redirect_uri(request), own_path(then))
    response = RedirectResponse(address, status_code=303)
    response.set_cookie(  # Lax: it has to come along when the provider sends the browser back
        BEGUN,
        begun.as_text(),
        max_age=_BEGUN_LASTS_S,
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
    )
    return response


@router.get(_CALLBACK)
@allow(Rule.OPEN)
def finish(
    request: Request,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Log in whom the provider sends back."""
    services = of_the_service(request)
    try:
        begun = Begun.parse(request.cookies.get(BEGUN, ""))
        answer = Answer(state, code, error)
        person = provider_of(services).finish(_redirect_uri(request), begun, answer)
        secret = _log_in(services, person)
    except (Unauthorized, Forbidden) as refused:
        problem = refused.detail
        response = page(request, "login.html", status=401, then="/", problem=problem, sso=True)
    else:
        # a page of our own that goes on: a redirect would still come from the provider's site, and
        # the browser would keep a strict cookie back
        response = page(request, "logged_in.html", then=own_path(begun.then))
        set_cookie(response, secret)
    response.delete_cookie(BEGUN, secure=True, httponly=True, samesite="lax")
    return response


@router.post("/login/project")
@allow(Rule.READ, max_body_bytes=_FORM_BYTES)
def change_project(
    request: Request, who: Asking, project: Annotated[str, Form(max_length=40)]
) -> Response:
    """Go on in another project of one's own."""
    services = of_the_service(request)
    with services.database.session() as session:
        if who.kind != "user" or project not in users.roles_of(session, who.id):
            raise NotFound(f"you are in no project {project!r}")
        logins.move(session, request.cookies.get(COOKIE, ""), project)
    services.identities.forget()
    return RedirectResponse("/", status_code=303)


def provider_of(services: Services) -> Provider:
    """The provider of the settings; `NotFound` where there is none."""
    given = services.settings
    if not given.oidc_issuer:
        raise NotFound("no identity provider is set up: NAS_OIDC_ISSUER names one")
    return Provider(
        given.oidc_issuer, given.oidc_client_id, given.oidc_client_secret, given.oidc_groups_claim
    )


def _redirect_uri(request: Request) -> str:
    given: str = request.app.state.services.settings.public_url
    return (given or str(request.base_url)).rstrip("/") + _CALLBACK


def _log_in(services: Services, person: Person) -> str:
    roles = roles_of(person.groups, parse_group_roles(services.settings.oidc_groups))
    with services.database.session() as session:
        user = users.logged_in(session, person, roles)
        found = users.roles_of(session, user.id)
        if found:
            project_id, role = next(iter(found.items()))
            who = Identity("user", user.id, user.name, project_id, role.permissions)
            return logins.add_login(session, who)
    raise Forbidden(
        f"{user.name} is in no project; an admin of one lets you in with "
        f"`nas members add {user.id} --role viewer`"
    )
