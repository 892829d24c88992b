"""Requests to addresses that users name: to public ones alone, and to what was looked up.

An address is looked up once, every answer is judged, and the connection goes to the answer that
was judged, so that a name that points elsewhere a moment later leads nowhere. Whoever could have
the service ask this machine, its network or a cloud's metadata could read what only they may.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import httpx

from nas_service.addresses import Network, refusal

Resolver = Callable[[str, int], Sequence[str]]


class Refused(httpx.ConnectError):
    """An address that users may not have the service call."""


def look_up(host: str, port: int) -> list[str]:
    """What the system says a name stands for."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class PublicOnly(httpx.BaseTransport):
    """Sends requests to addresses that may be asked, or raises `Refused` before connecting."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        *,
        resolver: Resolver = look_up,
        inner: httpx.BaseTransport | None = None,
    ) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._inner = inner or httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Look the host up, judge every answer, send to the first."""
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            addresses = self._resolver(host, port)
        except OSError as error:
            raise httpx.ConnectError(f"{host}: {error}", request=request) from error
        if not addresses:
            raise httpx.ConnectError(f"{host} has no address", request=request)
        for one in addresses:
            if (why := refusal(one, self._allowed)) is not None:
                raise Refused(f"{host}: {why}", request=request)
        extensions = {**request.extensions, "sni_hostname": host}
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=addresses[0]),
            headers=request.headers,  # Host among them: it says the name, not the address
            stream=request.stream,
            extensions=extensions,
        )
        return self._inner.handle_request(pinned)

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()
