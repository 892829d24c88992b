"""URLs of PostgreSQL have limits for the silence of a network."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import create_engine, make_url, text

from nas_service.postgresql import limits_beside, noticing
from nas_service.storage.bell import Listener
from tests.postgres import cluster


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


def test_what_a_connection_has_is_left_to_it() -> None:
    given = {"host": "a", "connect_timeout": "3", "tcp_user_timeout": "1"}
    assert limits_beside(given) == {
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
    }


def test_the_servers_side_has_the_same_limits_whoever_made_the_engine() -> None:
    with cluster() as url:
        for more, idle in (("", "10"), ("?keepalives_idle=33", "33")):
            asked = noticing(url.replace("postgresql://", "postgresql+psycopg://") + more)
            engine = create_engine(asked)  # as the durable engine makes its own
            try:
                with engine.connect() as connection:
                    shown = connection.scalar(text("SHOW tcp_keepalives_idle"))
                    silence = connection.scalar(text("SHOW tcp_user_timeout"))
            finally:
                engine.dispose()
            assert (shown, silence) == (idle, "20000")


def test_a_listener_takes_every_url_that_the_driver_takes() -> None:
    heard = threading.Event()
    with cluster() as url:
        listener = Listener(f"{url}?options=-c%20search_path%3Dpublic", heard.set)
        listener.start()
        try:
            assert heard.wait(20)
        finally:
            listener.stop()
