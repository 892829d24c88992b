"""URLs of PostgreSQL have limits for the silence of a network."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from nas_service.postgresql import noticing


def test_a_url_keeps_what_it_has_and_gets_what_it_lacks() -> None:
    given = "postgresql+psycopg://me:a%40b%2F@db.example:5433/nas?sslmode=require&connect_timeout=3"
    made = make_url(noticing(given))
    assert (made.password, made.host, made.port, made.database) == (
        *("a@b/", "db.example", 5433, "nas"),
    )
    assert made.query == {
        "sslmode": "require",
        "connect_timeout": "3",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "20000",
    }
    assert noticing(noticing(given)) == noticing(given)


@pytest.mark.parametrize("url", ["sqlite:////var/lib/nas.sqlite", "sqlite://"])
def test_sqlite_is_left_as_it_is(url: str) -> None:
    assert noticing(url) == url
