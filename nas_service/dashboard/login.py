"""Logging a browser in with a token, and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from nas_service.access.identity import Identity, Rule
from nas_service.api.access.identities import COOKIE, require_own_page
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Services, of_the_service
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.errors import Unauthorized
from nas_service.storage import logins, tokens

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_MAX_FORM_BYTES = 4096
Next = Annotated[str, Query(alias="next", max_length=2000)]


@router.get("/login")
@allow(Rule.OPEN)
def ask(request: Request, then: Next = "/") -> Response:
    """A form for a token."""
    return page(request, "login.html", then=own_path(then), problem=None, sso=_sso(request))


@router.post("/login")
@allow(Rule.OPEN, max_body_bytes=_MAX_FORM_BYTES)
async def log_in(
    request: Request,
    token: Annotated[str, Form(max_length=200)] = "",
    then: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Give the browser a cookie that stands for the token until one of the two ends."""
    require_own_page(request)
    services = of_the_service(request)
    try:
        secret = await run_in_threadpool(_log_in, services, token.strip())
    except Unauthorized as error:
        problem = error.detail
        return page(
            request,
            "login.html",
            status=401,
            then=own_path(then),
            problem=problem,
            sso=_sso(request),
        )
    response = RedirectResponse(own_path(then), status_code=303)
    set_cookie(response, secret)
    return response


@router.post("/logout")
@allow(Rule.READ, max_body_bytes=_MAX_FORM_BYTES)
async def log_out(request: Request) -> Response:
    """End the login, here and in the browser."""
    services, secret = of_the_service(request), request.cookies.get(COOKIE)
    if secret:
        await run_in_threadpool(_log_out, services, secret)
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
    return response


def _sso(request: Request) -> bool:
    """Whether people can log in with an identity provider."""
    return bool(request.app.state.services.settings.oidc_issuer)


def set_cookie(response: Response, secret: str) -> None:
    """A cookie for this host alone, which no script reads and no other site's page sends."""
    lasts_s = int(logins.LASTS.total_seconds())
    response.set_cookie(
        COOKIE, secret, max_age=lasts_s, path="/", secure=True, httponly=True, samesite="strict"
    )


def own_path(then: str) -> str:
    """A path of ours to go on to: never another site's address, however it is written."""
    ours = then.startswith("/") and not then.startswith(("//", "/\\"))
    return then if ours and then.isprintable() else "/"


def _log_in(services: Services, token: str) -> str:
    with services.database.session() as session:
        who: Identity = tokens.identity_of(session, token)
        if who.device_id is not None:
            raise Unauthorized("an agent's token opens no pages")
        return logins.add_login(session, who)


def _log_out(services: Services, secret: str) -> None:
    with services.database.session() as session:
        logins.end_login(session, secret)
    services.identities.forget()
