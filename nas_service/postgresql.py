"""Connections to PostgreSQL notice within half a minute that the other side is gone.

Where a network drops packets without a word, nothing ends a connection: without these a client
waits a quarter of an hour for an answer, and a server holds the locks of a client that is gone
for two hours (the defaults of Linux).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import make_url

_NOTICING = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Of libpq: seconds, the last in milliseconds."""
_ON_THE_SERVER = {
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Likewise, of a session's backend."""


def noticing(url: str) -> str:
    """A database's URL with the client's limits, but for those that it has; SQLite's as it is."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        return url
    own = {name: str(value) for name, value in _NOTICING.items() if name not in parsed.query}
    return parsed.update_query_dict(own).render_as_string(hide_password=False)


def have_server_notice(connection: Any) -> None:
    """Set the server's limits for a connection (PEP 249), and commit."""
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET {name} = {value}" for name, value in _ON_THE_SERVER.items()))
    connection.commit()
