"""What each route asks of who calls it, said where it is registered; without it nothing starts.

A decision is made by the route that matched, never by the text of a path, and before a body is
read.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, TypeVar

from fastapi.routing import APIRoute, APIRouter, iter_route_contexts
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from nas_service.access.identity import Identity, Rule
from nas_service.api.access.bodies import MAX_BODY_BYTES, limited
from nas_service.api.access.plain import require_plain
from nas_service.errors import Forbidden, Unauthorized
from nas_service.telemetry import within

F = TypeVar("F", bound=Callable[..., Any])
_DECLARED = "__access__"


@dataclass(frozen=True, slots=True)
class Access:
    """A route's rule; `audited`: what it changes is in the audit log.

    `max_body_bytes` is None where the route streams its body and has a limit of its own; `secret`:
    its answer is kept nowhere.
    """

    rule: Rule
    audited: bool = True
    max_body_bytes: int | None = MAX_BODY_BYTES
    secret: bool = False


def allow(
    rule: Rule,
    *,
    audited: bool = True,
    max_body_bytes: int | None = MAX_BODY_BYTES,
    secret: bool = False,
) -> Callable[[F], F]:
    """Declare who may call the route that this function answers."""

    def declare(endpoint: F) -> F:
        setattr(endpoint, _DECLARED, Access(rule, audited, max_body_bytes, secret))
        return endpoint

    return declare


class Undeclared(TypeError):
    """A route that does not say who may call it."""


class GuardedRoute(APIRoute):
    """A route that lets in whom its endpoint's `allow` names, before anything of it is read."""

    access: Access

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        declared = getattr(endpoint, _DECLARED, None)
        if not isinstance(declared, Access):
            raise Undeclared(f"{path} does not say who may call it: put @allow(...) below it")
        super().__init__(path, endpoint, **options)
        self.access = declared

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Identify who asks, refuse them, or pass the request on with a limit on its body."""
        who = await scope["app"].state.identities.of(scope, self.access.rule)
        require(who, self.access.rule)
        state = scope["state"]  # the guard's
        state["identity"], state["access"] = who, self.access
        if self.access.max_body_bytes is not None and scope["method"] != "GET":
            receive = limited(HTTPConnection(scope), receive, self.access.max_body_bytes)
        await self.answer(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`; a body of JSON is refused that cannot be read as it stands."""
        answered = super().get_route_handler()
        if self.body_field is None:
            return answered

        async def checked(request: Request) -> Response:
            try:
                body = await request.body()
            except ClientDisconnect:  # nobody is there to read an answer
                return Response(status_code=400)
            require_plain(body)
            return await answered(request)

        return checked

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may be made; what is logged meanwhile names it."""
        with within(request=scope["state"]["request_id"]):
            await super().handle(scope, receive, send)


def action_of(route: APIRoute) -> str:
    """What a route does, in the OpenAPI document and in the audit log: `searches_submit`."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"


class OpenFiles(Mount):
    """Files of the program itself, which anybody may have."""

    access = Access(Rule.OPEN)


def require(who: Identity | None, rule: Rule) -> None:
    """Raise `Unauthorized` where nobody is known, `Forbidden` where the one known may not."""
    if rule is Rule.OPEN:
        return
    if who is None:
        raise Unauthorized(
            "who are you? Send a token (Authorization: Bearer TOKEN)"
            if rule is not Rule.DEVICE
            else "an agent sends its token: Authorization: Bearer TOKEN"
        )
    if not who.may(rule):
        raise Forbidden(f"{who.name} may not do this: it needs {rule.value}", needs=rule.value)


class Sealed(list[BaseRoute]):
    """Routes of an application that has started: none is added any more."""

    def append(self, route: BaseRoute, /) -> None:
        raise Undeclared(f"{route}: routes are registered before the application starts")

    def insert(self, index: SupportsIndex, route: BaseRoute, /) -> None:
        del index
        self.append(route)

    def extend(self, routes: Iterable[BaseRoute], /) -> None:
        for route in routes:
            self.append(route)


def seal(router: APIRouter) -> None:
    """Raise `Undeclared` for a route that says nothing of who may call it; take no others."""
    for route in all_routes(router.routes):
        if not isinstance(route, GuardedRoute | OpenFiles):
            name = getattr(route, "path", repr(route))
            raise Undeclared(f"{name} does not say who may call it: register it with @allow(...)")
    router.routes = Sealed(router.routes)


def all_routes(routes: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Routes with those of all routers that are included among them."""
    return [one.original_route for one in iter_route_contexts(routes)]
