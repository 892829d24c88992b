"""Connections to PostgreSQL notice within half a minute that the other side is gone.

Where a network drops packets without a word, nothing ends a connection: without these a client
waits a quarter of an hour for an answer, and a server holds the locks of a client that is gone
for two hours (the defaults of Linux).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, event, make_url

_NOTICING = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""Of libpq: seconds, the last in milliseconds."""
_ON_THE_SERVER = {
    "tcp_keepalives_idle": "keepalives_idle",
    "tcp_keepalives_interval": "keepalives_interval",
    "tcp_keepalives_count": "keepalives_count",
    "tcp_user_timeout": "tcp_user_timeout",
}
"""What a session's backend calls the same."""


def limits_beside(given: Mapping[str, Any]) -> dict[str, str]:
    """The limits that a connection with these parameters does not have yet."""
    return {name: value for name, value in _NOTICING.items() if name not in given}


def noticing(url: str) -> str:
    """A database's URL, for SQLAlchemy, with limits on both sides; SQLite's as it is.

    Limits that the URL has stay. From now on every engine of this process tells the server's side
    of its connections, too.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        return url
    if not event.contains(Engine, "connect", _have_server_notice):
        event.listen(Engine, "connect", _have_server_notice)
    more = limits_beside(parsed.query)
    return parsed.update_query_dict(more).render_as_string(hide_password=False)


def _have_server_notice(connection: Any, _: Any) -> None:
    if not type(connection).__module__.startswith("psycopg"):
        return
    told = {**_NOTICING, **connection.info.get_parameters()}
    settings = (f"SET {name} = {int(told[ours])}" for name, ours in _ON_THE_SERVER.items())
    with connection.cursor() as cursor:
        cursor.execute("; ".join(settings))
    connection.commit()
