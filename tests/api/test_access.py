"""Every route beside six who may ask, and what tokens, logins and the audit log promise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from starlette.responses import Response
from starlette.routing import Route

from nas_service.access.identity import Permission, Rule
from nas_service.api.access.rules import Sealed, Undeclared, all_routes, allow
from nas_service.api.app import create_app
from nas_service.settings import Settings
from nas_service.storage import tokens
from tests.api.served import FOREIGN, Served, served
from tests.prepared import copied

OPEN = {"/healthz", "/readyz", "/agent.pyz", "/login", "/static/plotly.min.js"}
OPEN |= {"/login/provider", "/login/callback"}
ADMIN = {"/v1/tokens", "/v1/tokens/{token_id}", "/v1/audit-events", "/v1/devices/{name}:token"}
ADMIN |= {"/v1/members", "/v1/members/{user_id}"}
ADMIN |= {f"/settings/{one}" for one in ("tokens", "tokens/{token_id}/revoke", "members/{user_id}")}
OPERATOR = {"/v1/artifacts:collect-garbage", "/v1/users", "/v1/signing-keys/{key_id}"}
OPERATOR_POSTS = {"/v1/projects"}
READING_POSTS = {"/v1/prices", "/login/project"}
NOT_OF_A_PROJECT = {"/v1/search-spaces", "/v1/search-spaces/{name}", "/v1/plugins", "/v1/me"}
NOT_OF_A_PROJECT |= {"/v1/projects", "/v1/signing-keys"}
MAY = {
    "read": {"viewer", "editor", "admin", "operator", "foreign"},
    "write": {"editor", "admin", "operator", "foreign"},
    "admin": {"admin", "operator", "foreign"},
    "operator": {"operator"},
    "device": {"agent"},
}
EVERYBODY = ("nobody", "viewer", "editor", "agent", "admin", "operator", "foreign")


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(copied(prepared, tmp_path_factory.mktemp("access") / "var")) as made:
        yield made


def _asked(method: str, path: str) -> str:
    """What a route should ask, by the words of the documents and not by the code."""
    if path in OPEN:
        return "open"
    if path.startswith("/v1/agent") and path.partition("/v1/agent")[2][:1] in {":", "/"}:
        return "device"
    if path in OPERATOR or (method == "POST" and path in OPERATOR_POSTS):
        return "operator"
    if path in ADMIN:
        return "admin"
    return "read" if method == "GET" or path in READING_POSTS else "write"


def _routes(service: Served) -> list[tuple[str, str]]:
    found = all_routes(service.client.app.router.routes)  # type: ignore[attr-defined]  # FastAPI's
    return [
        (method, one.path)
        for one in found
        if isinstance(one, APIRoute)
        for method in sorted(one.methods)
    ]


def test_the_document_has_every_route_that_is_not_a_page(service: Served) -> None:
    document = service.client.get("/openapi.json", headers=service.headers("viewer")).json()
    told = {(m.upper(), path) for path, one in document["paths"].items() for m in one}
    hidden = set(_routes(service)) - told
    assert {method for method, _ in hidden} <= {"GET", "POST"}
    assert not {path for _, path in hidden if path.startswith("/v1/")}


def test_nobody_passes_who_should_not(service: Served) -> None:
    """Refused before anything of the request is looked at: whatever ids it names, or body."""
    routes = _routes(service)
    assert len(routes) > 70
    for method, path in routes:
        rule = _asked(method, path)
        for who in EVERYBODY:
            if rule == "open" or who in MAY[rule]:
                continue
            answer = service.client.request(
                method, service.fill(path), headers=service.headers(who), follow_redirects=False
            )
            expected = 401 if who == "nobody" else 403
            to_login = path[:4] != "/v1/" and answer.headers.get("location", "")[:6] == "/login"
            assert answer.status_code == expected or to_login, (method, path, who, answer.text)


def test_who_may_passes(service: Served) -> None:
    """None of those who may is told 401 or 403; what asks for nothing but reading is done."""
    for method, path in _routes(service):
        rule = _asked(method, path)
        if method != "GET" or rule == "device" or path == "/login/callback":
            continue  # the last one is about what a provider says
        for who in EVERYBODY if rule == "open" else sorted(MAY[rule] - {"foreign"}):
            answer = service.client.get(service.fill(path), headers=service.headers(who))
            assert answer.status_code not in {401, 403, 500}, (path, who, answer.text)


def test_what_belongs_to_another_project_is_not_there(service: Served) -> None:
    """With real ids of this project: 404 or an empty list, and nothing is named or changed."""
    before = _counts(service)
    named = set(service.ids.values()) - {"here", "none", "job_none", "0"}
    for method, path in _routes(service):
        rule = _asked(method, path)
        if rule in {"open", "device", "operator"} or not path.startswith("/v1/"):
            continue
        if path in NOT_OF_A_PROJECT:
            continue
        answer = service.client.request(
            method, service.fill(path), headers=service.headers("foreign")
        )
        if "{" in path:
            assert answer.status_code in {404, 422}, (method, path, answer.text)
            assert method != "GET" or answer.status_code == 404, (path, answer.text)
        elif method == "GET" and path not in ADMIN:
            assert answer.json()["items"] == [], path
        told = answer.text.replace(service.fill(path), "").split('"detail"')[0]
        assert not [one for one in named if one in told], (path, answer.text)
    assert _counts(service) == before


def _counts(service: Served) -> dict[str, int]:
    database = service.database()
    with database.engine.connect() as connection:
        names = ("devices", "searches", "artifacts", "lookup_tables", "webhooks", "jobs", "tokens")
        found = {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()  # noqa: S608  # names above
            for name in names
        }
    database.close()
    return found


@pytest.mark.parametrize(
    "shown",
    ["Bearer", "Bearer ", "Basic dXNlcjpwdw==", "Bearer nas_" + "a" * 43, "Bearer " + "x" * 5000],
)
def test_a_token_that_is_none_opens_nothing(service: Served, shown: str) -> None:
    answer = service.client.get("/v1/devices", headers={"Authorization": shown})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "nas_" not in answer.text


def test_expired_and_revoked_tokens_open_nothing(service: Served) -> None:
    database = service.database()
    with database.session() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        _, old = tokens.add_token(
            session, "old", [Permission.ADMIN], created_by="a test", expires_at=past
        )
    database.close()
    answer = service.client.get("/v1/devices", headers={"Authorization": f"Bearer {old}"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "this token has expired")

    admin = service.headers("admin")
    asked = {"name": "short", "permissions": ["read"], "days": 1}
    made = service.client.post("/v1/tokens", json=asked, headers=admin).json()
    own = {"Authorization": f"Bearer {made['secret']}"}
    assert service.client.get("/v1/devices", headers=own).status_code == 200
    ended = service.client.delete(f"/v1/tokens/{made['token']['id']}", headers=admin)
    assert ended.json()["revoked_at"]
    answer = service.client.get("/v1/devices", headers=own)
    assert (answer.status_code, answer.json()["detail"]) == (401, "this token was revoked")


def test_a_secret_is_shown_once_and_stored_nowhere(service: Served) -> None:
    admin = service.headers("admin")
    asked = {"name": "once", "permissions": ["read"]}
    made = service.client.post("/v1/tokens", json=asked, headers=admin).json()
    assert len(made["secret"]) == len("nas_") + 43  # 256 bits in base64
    assert made["secret"] not in service.client.get("/v1/tokens", headers=admin).text
    files = [one for one in service.settings.var_dir.rglob("*") if one.is_file()]
    assert not [one for one in files if made["secret"].encode() in one.read_bytes()]


def test_nobody_makes_a_token_that_may_more_than_they(service: Served) -> None:
    asked = {"name": "root", "permissions": ["admin"], "operator": True}
    answer = service.client.post("/v1/tokens", json=asked, headers=service.headers("admin"))
    assert answer.status_code == 403
    device = {"name": "d", "permissions": ["device"]}
    answer = service.client.post("/v1/tokens", json=device, headers=service.headers("operator"))
    assert answer.status_code == 403


def test_a_change_and_who_made_it_are_stored_together(service: Served) -> None:
    editor, admin = service.headers("editor"), service.headers("admin")
    made = service.client.post("/v1/devices", json={"name": "audited"}, headers=editor)
    assert made.status_code == 201
    refused = service.client.post("/v1/devices", json={"name": "audited"}, headers=editor)
    assert refused.status_code == 409
    assert service.client.delete("/v1/devices/audited", headers=editor).status_code == 200
    newest = service.client.get("/v1/audit-events", headers=admin).json()["items"][:2]
    assert [(one["actor_name"], one["action"]) for one in newest] == [
        ("editor", "removal_remove_device"),
        ("editor", "devices_register"),
    ]
    assert newest[0]["subject"] == "audited"
    assert newest[1]["request_id"] == made.headers["X-Request-Id"]
    before = service.client.get("/v1/audit-events", headers=admin).json()["items"][0]["id"]
    service.client.get("/v1/devices", headers=editor)
    after = service.client.get("/v1/audit-events", headers=admin).json()["items"][0]["id"]
    assert after == before  # reading changes nothing


@pytest.mark.parametrize(
    "change", ["UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events"]
)
def test_the_audit_log_cannot_be_altered(service: Served, change: str) -> None:
    database = service.database()
    with database.engine.connect() as connection, pytest.raises(DatabaseError, match="append-only"):
        connection.execute(text(change))
    database.close()


def test_another_project_has_its_own_rows_and_names(service: Served) -> None:
    foreign = service.headers("foreign")
    made = service.client.post("/v1/devices", json={"name": "here"}, headers=foreign)
    assert made.status_code == 201  # the name is taken in the other project alone
    listed = service.client.get("/v1/devices", headers=foreign).json()["items"]
    assert [one["id"] for one in listed] == [made.json()["id"]]
    assert service.client.delete("/v1/devices/here", headers=foreign).status_code == 200
    database = service.database(FOREIGN)
    database.close()


def test_a_route_that_does_not_say_who_may_call_it_stops_the_start(tmp_path: Path) -> None:
    app = create_app(Settings(var_dir=tmp_path))
    with pytest.raises(Undeclared, match="/forgotten"):

        @app.get("/forgotten")
        def forgotten() -> None: ...

    app.router.add_route("/raw", forgotten_raw)
    with pytest.raises(Undeclared, match="/raw"):
        _start(app)


def forgotten_raw(_request: Any) -> None: ...


def test_no_route_is_added_to_a_service_that_runs(service: Served) -> None:
    app: FastAPI = service.client.app  # type: ignore[assignment]  # it is one

    @allow(Rule.OPEN)
    def late() -> None: ...

    with pytest.raises(Undeclared, match="before the application starts"):
        app.get("/late")(late)
    with pytest.raises(Undeclared):
        app.mount("/late", app)
    assert service.client.get("/late").status_code == 404


def _start(app: FastAPI) -> None:
    from fastapi.testclient import TestClient

    with TestClient(app):
        pass


def test_no_route_is_added_to_an_application_that_has_started() -> None:
    route = Route("/late", lambda _: Response())
    sealed = Sealed([])
    for add in (
        lambda: sealed.append(route),
        lambda: sealed.insert(0, route),
        lambda: sealed.extend([route]),
    ):
        with pytest.raises(Undeclared, match="before the application starts"):
            add()
    assert not sealed
