"""Ways in that the nearest systems were found open by, each tried on ours.

The kinds are those of published advisories: routes without a check, checks by a path's text,
forged sources, addresses inside a network, paths out of a folder, scripts in names, and files that
run when they are read. Weights that an ONNX file says to lie elsewhere are refused in
`test_uploads`, addresses that have to be looked up in `test_outbound`.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from nas_service.api.access.identities import COOKIE
from nas_service.api.access.rules import all_routes
from nas_service.api.app import create_app
from nas_service.cli.databases import prepare, require_token
from nas_service.dashboard.login import own_path
from nas_service.errors import Conflict, Unavailable
from nas_service.settings import Settings
from nas_service.storage import logins
from nas_service.storage.models.access import LoginRow, TokenRow
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, now
from tests.api.served import HERE, Served, served
from tests.prepared import copied


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(copied(prepared, tmp_path_factory.mktemp("attacks") / "var")) as made:
        yield made


@pytest.fixture
def cookie(service: Served) -> Iterator[str]:
    """The cookie of a browser that logged in with the admin's token."""
    answer = service.client.post(
        "/login",
        data={"token": service.tokens["admin"]},
        headers={"origin": HERE},
        follow_redirects=False,
    )
    assert answer.status_code == 303
    yield answer.headers["set-cookie"].partition(";")[0]
    service.client.cookies.clear()


# -- routes and paths -----------------------------------------------------------------------------


def test_documents_and_pages_need_a_token_like_all_else(service: Served) -> None:
    for path in ("/openapi.json", "/docs", "/redoc", "/v1/me", "/v1/plugins"):
        answer = service.client.get(path, follow_redirects=False)
        assert answer.status_code in {401, 404} or answer.headers["location"].startswith("/login")
    assert service.client.get("/agent.pyz").status_code == 200  # the program, nobody's data
    assert service.client.get("/static/app.css").status_code == 200


def test_static_files_are_the_programs_alone(service: Served) -> None:
    for path in (
        "/static/../pages.py",
        "/static/%2e%2e/pages.py",
        "/static/%2e%2e%2fpages.py",
        "/static/%252e%252e%252fpages.py",
        "/static/..%5cpages.py",
        "/static//etc/passwd",
        "/static/....//....//pages.py",
    ):
        answer = service.client.get(path, follow_redirects=False)
        assert answer.status_code in {401, 404}, (path, answer.status_code)
        assert "import" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/v1/searches/",
        "//v1/searches",
        "/v1//searches",
        "/v1/./searches",
        "/v1/searches/../searches",
        "/V1/searches",
        "/v1/searches;x=/healthz",
        "/v1/searches?/healthz",
        "/v1/searches#/healthz",
        "/v1/searches/healthz",
        "/v1/devices/static/app.css",
        "/v1/devices/x:upload",
        "/healthz/../v1/searches",
        "/healthz/v1/searches",
        "/static/../v1/searches",
        "/login/../v1/searches",
        "/agent.pyz/../v1/searches",
        "/v1/%73earches",
        "/v1/searches%00",
        "/v1/searches%2f",
    ],
)
def test_another_way_to_write_a_path_is_no_way_in(service: Served, path: str) -> None:
    """A decision is made by the route that matched: no ending and no prefix is let through."""
    answer = service.client.get(path, follow_redirects=False)
    to_login = answer.headers.get("location", "").startswith("/login")  # as from any page
    assert answer.status_code in {401, 404, 307} or to_login, (path, answer.status_code)
    if answer.status_code == 307:  # to the path as it is meant, which asks who asks
        again = service.client.get(answer.headers["location"], follow_redirects=False)
        assert again.status_code == 401
    assert "items" not in answer.text


def test_every_method_of_a_path_asks(service: Served) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        for path in ("/v1/searches", service.fill("/v1/searches/{search_id}")):
            answer = service.client.request(method, path)
            assert answer.status_code in {401, 405}, (method, path, answer.status_code)


def test_headers_that_speak_of_another_path_or_method_change_nothing(service: Served) -> None:
    viewer = service.headers("viewer")
    for name, value in (
        ("X-Original-URL", "/healthz"),
        ("X-Rewrite-URL", "/healthz"),
        ("X-HTTP-Method-Override", "GET"),
        ("X-Forwarded-Host", "127.0.0.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Forwarded-User", "admin"),
        ("Remote-User", "admin"),
    ):
        assert service.client.get("/v1/searches", headers={name: value}).status_code == 401
        answer = service.client.post(
            "/v1/devices", json={"name": "x"}, headers={**viewer, name: value}
        )
        assert answer.status_code == 403


def test_upload_and_download_routes_ask_like_others(service: Served) -> None:
    for path in ("/v1/models:upload?filename=a.onnx", "/v1/datasets:upload?name=a&filename=a.npz"):
        assert service.client.post(path, content=b"x").status_code == 401
        answer = service.client.post(path, content=b"x", headers=service.headers("viewer"))
        assert answer.status_code == 403
    content = service.fill("/v1/artifacts/{artifact_id}/content")
    assert service.client.get(content).status_code == 401
    assert service.client.get(content, headers=service.headers("foreign")).status_code == 404
    assert service.client.get(content, headers=service.headers("agent")).status_code == 403


# -- tokens and logins ----------------------------------------------------------------------------


def test_a_token_is_taken_from_its_header_alone(service: Served) -> None:
    token = service.tokens["admin"]
    for name in ("token", "access_token", "api_key", "authorization"):
        assert service.client.get(f"/v1/searches?{name}={token}").status_code == 401
    for header in ("X-Token", "X-API-Key", "Proxy-Authorization"):
        headers = {header: f"Bearer {token}"}
        assert service.client.get("/v1/searches", headers=headers).status_code == 401
    answer = service.client.get("/v1/searches", headers={"Cookie": f"{COOKIE}={token}"})
    assert answer.status_code == 401  # a token is no login


def test_there_is_no_secret_that_every_installation_has(tmp_path: Path) -> None:
    """Nothing is signed: a fresh service knows nobody until somebody makes a token there."""
    settings = Settings(var_dir=tmp_path, host="0.0.0.0")  # noqa: S104  # nothing listens
    prepare(settings)
    database = Database(settings.url, SERVICE)
    with database.session() as session:
        assert session.query(TokenRow).count() == 0
        assert session.query(LoginRow).count() == 0
    database.close()
    with pytest.raises(Conflict, match="nas tokens add --local --operator"):
        require_token(settings)


def test_a_service_behind_a_proxy_is_not_open_for_listening_on_loopback(tmp_path: Path) -> None:
    assert Settings(var_dir=tmp_path).is_open
    assert not Settings(var_dir=tmp_path, allowed_hosts="nas.example").is_open
    assert not Settings(var_dir=tmp_path, host="0.0.0.0").is_open  # noqa: S104
    assert not Settings(var_dir=tmp_path, require_token=True).is_open


def test_a_look_up_that_fails_lets_nobody_in(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    identities = service.client.app.state.identities  # type: ignore[attr-defined]  # FastAPI's

    def away(_kind: str, _secret: str) -> Any:
        raise Unavailable("the database does not answer")

    identities.forget()
    monkeypatch.setattr(identities, "_look_up", away)
    answer = service.client.get("/v1/searches", headers=service.headers("admin"))
    assert answer.status_code == 503
    monkeypatch.undo()
    assert service.client.get("/v1/searches", headers=service.headers("admin")).status_code == 200


def test_a_login_ends_when_it_expires_when_it_is_ended_and_with_its_token(service: Served) -> None:
    admin = service.headers("admin")
    asked = {"name": "browser", "permissions": ["read"]}
    made = service.client.post("/v1/tokens", json=asked, headers=admin).json()

    def log_in() -> dict[str, str]:
        answer = service.client.post(
            "/login",
            data={"token": made["secret"]},
            headers={"origin": HERE},
            follow_redirects=False,
        )
        service.client.cookies.clear()
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    def opens(cookie: dict[str, str]) -> bool:
        return service.client.get("/v1/searches", headers=cookie).status_code == 200

    first, second = log_in(), log_in()
    assert opens(first)
    out = service.client.post("/logout", headers={**first, "origin": HERE}, follow_redirects=False)
    assert out.status_code == 303
    service.client.cookies.clear()
    assert not opens(first)
    assert opens(second)

    third = log_in()
    database = service.database(SERVICE)
    with database.session() as session:
        for row in session.query(LoginRow).all():
            if row.sha256 == logins.digest_of(third["Cookie"].partition("=")[2]):
                row.expires_at = now() - timedelta(seconds=1)
    database.close()
    service.client.app.state.identities.forget()  # type: ignore[attr-defined]
    assert not opens(third)

    service.client.delete(f"/v1/tokens/{made['token']['id']}", headers=admin)
    assert not opens(second)


def test_the_cookie_is_for_this_host_and_no_script(service: Served) -> None:
    answer = service.client.post(
        "/login",
        data={"token": service.tokens["viewer"]},
        headers={"origin": HERE},
        follow_redirects=False,
    )
    service.client.cookies.clear()
    told = answer.headers["set-cookie"]
    assert told.startswith("__Host-nas=nas_")
    parts = {one.strip().lower() for one in told.split(";")[1:]}
    assert {"secure", "httponly", "samesite=strict", "path=/"} <= parts
    assert not [one for one in parts if one.startswith("domain")]
    assert service.tokens["viewer"] not in told


def test_a_device_token_opens_its_own_device_alone(service: Served) -> None:
    admin = service.headers("admin")
    assert service.client.post("/v1/devices", json={"name": "second"}, headers=admin).is_success
    second = service.client.post("/v1/devices/second:token", headers=admin).json()["token"]
    hello = {"instance": "abcdefgh", "runtimes": {}}
    for token, device in ((service.tokens["agent"], "phone"), (second, "second")):
        answer = service.client.post(
            "/v1/agent:hello", json=hello, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.json()["device"] == device
    again = service.client.post("/v1/devices/second:token", headers=admin).json()["token"]
    old = service.client.post(
        "/v1/agent:hello", json=hello, headers={"Authorization": f"Bearer {second}"}
    )
    assert old.status_code == 401
    assert again != second
    login = service.client.post("/login", data={"token": again}, headers={"origin": HERE})
    assert login.status_code == 401  # and no pages


# -- other sites ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "PUT"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", HERE + ".evil.example", "http://127.0.0.1:9", None]
)
def test_a_cookie_changes_nothing_for_another_sites_page(
    service: Served, cookie: str, method: str, origin: str | None
) -> None:
    headers = {"Cookie": cookie, **({} if origin is None else {"origin": origin})}
    path = "/v1/devices" if method == "POST" else "/v1/devices/here"
    answer = service.client.request(method, path, json={"name": "forged"}, headers=headers)
    assert answer.status_code in {403, 405}
    named = service.client.get("/v1/devices/here", headers=service.headers("viewer"))
    assert named.status_code == 200
    assert (
        service.client.get("/v1/devices/forged", headers=service.headers("viewer")).status_code
        == 404
    )


def test_our_own_page_may_change_what_its_token_may(service: Served, cookie: str) -> None:
    headers = {"Cookie": cookie, "origin": HERE}
    made = service.client.post("/v1/devices", json={"name": "own-page"}, headers=headers)
    assert made.status_code == 201


def test_a_name_that_is_pointed_here_is_not_answered(service: Served) -> None:
    """DNS rebinding: a page of evil.example whose name now leads to 127.0.0.1."""
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"):
        headers = {**service.headers("admin"), "host": host}
        assert service.client.get("/v1/devices", headers=headers).status_code == 403


def test_another_site_cannot_log_a_browser_in(service: Served) -> None:
    for headers in ({"origin": "http://evil.example"}, {}):
        answer = service.client.post(
            "/login", data={"token": service.tokens["viewer"]}, headers=headers
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "then",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "javascript:x",
        "/a\r\nX: y",
    ],
)
def test_a_login_leads_to_our_own_pages_alone(then: str) -> None:
    assert own_path(then) == "/"
    assert own_path("/searches/x?view=1") == "/searches/x?view=1"


# -- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://127.0.0.1:8000/v1/devices",
        "http://localhost:8000/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",  # 169.254.169.254 as one number
        "http://user:pass@hooks.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
def test_a_webhook_to_inside_is_refused(service: Served, url: str) -> None:
    """What cannot be judged by its text is judged when it is looked up: `test_outbound`."""
    before = service.client.get("/v1/webhooks", headers=service.headers("editor")).json()
    answer = service.client.post(
        "/v1/webhooks", json={"url": url}, headers=service.headers("editor")
    )
    assert answer.status_code == 422
    assert answer.json()["field"] == "url"
    after = service.client.get("/v1/webhooks", headers=service.headers("editor")).json()
    assert after == before


def test_no_user_says_where_files_are_kept_or_read_from(service: Served) -> None:
    editor = service.headers("editor")
    for path in (
        "s3://bucket/data",
        "http://169.254.169.254/latest",
        "file:///etc",
        "memory://x",
        "/etc",
        "../../etc",
        f"{service.settings.var_dir}/../../etc",
        "/proc/self/environ",
    ):
        for url, body in (
            ("/v1/datasets", {"name": "out", "path": path}),
            ("/v1/datasets:inspect", {"path": path}),
        ):
            answer = service.client.post(url, json=body, headers=editor)
            assert answer.status_code == 422, (path, answer.text)
            assert "root:" not in answer.text


# -- paths out of a folder ------------------------------------------------------------------------

OUT = (
    "..",
    "../../etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cetc%5cpasswd",
    "%2fetc%2fpasswd",
    "....//etc/passwd",
    "%00",
    "%c0%ae%c0%ae",
)


@pytest.mark.parametrize("out", OUT)
def test_an_id_that_is_a_path_names_nothing(service: Served, out: str) -> None:
    """Every route with an id, of jobs and of what agents ask for, too: none is used as a path."""
    paths = {
        one.path
        for one in all_routes(service.client.app.router.routes)
        if "{" in one.path  # type: ignore[attr-defined]
    }
    assert len(paths) > 30
    for path in sorted(paths):
        name = path[path.index("{") : path.index("}") + 1]
        who = "agent" if path.startswith("/v1/agent/") else "admin"
        asked = service.fill(path.replace(name, "@@")).replace("@@", out)
        answer = service.client.get(asked, headers=service.headers(who), follow_redirects=False)
        assert answer.status_code < 500, (asked, answer.status_code)
        assert "root:" not in answer.text
        assert answer.status_code != 200 or "{" not in path.replace(name, "") or "v1" not in path


def test_an_archive_that_leads_out_of_its_folder_is_refused(
    service: Served, tmp_path: Path
) -> None:
    for name in ("../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(name, b"x")
        answer = service.client.post(
            "/v1/datasets:inspect-upload?filename=a.zip",
            content=packed.getvalue(),
            headers=service.headers("editor"),
        )
        assert answer.status_code == 422, (name, answer.text)
    assert not list(service.settings.var_dir.parent.rglob("evil.png"))
    assert not list(tmp_path.rglob("evil.png"))


# -- content --------------------------------------------------------------------------------------

SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"


def test_a_name_cannot_be_a_script(service: Served) -> None:
    editor = service.headers("editor")
    for name in (SCRIPT, "a b", 'x"onload=1', "a/b", "../a", "a\u202eb", "", "-rf", "a" * 65):
        answer = service.client.post("/v1/devices", json={"name": name}, headers=editor)
        assert answer.status_code == 422, name
    labelled = {"name": "marked", "model": SCRIPT, "labels": {"room": SCRIPT}}
    assert service.client.post("/v1/devices", json=labelled, headers=editor).status_code == 201


def test_what_was_sent_does_not_come_back_as_a_page(service: Served) -> None:
    viewer = service.headers("viewer")
    for path in (f"/v1/searches/{SCRIPT}", f"/v1/searches?cursor={SCRIPT}", f"/{SCRIPT}"):
        answer = service.client.get(path, headers=viewer)
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = service.client.get(f"/searches/{IMAGE}", headers=viewer)
    assert IMAGE not in page.text
    login = service.client.get('/login?next="><script>alert(1)</script>')
    assert SCRIPT not in login.text


def test_a_page_runs_no_script_but_ours(service: Served) -> None:
    for path in ("/searches", "/login", service.fill("/searches/{search_id}")):
        answer = service.client.get(path, headers=service.headers("viewer"))
        policy = dict(
            one.strip().partition(" ")[::2]
            for one in answer.headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "<script>" not in answer.text
        assert "http://" not in answer.text
        assert "https://" not in answer.text


def test_a_file_of_a_users_is_downloaded_and_never_shown(service: Served) -> None:
    """An HTML file among the artifacts is not a page of ours, whoever opens its address."""
    listed = service.client.get("/v1/artifacts?limit=200", headers=service.headers("viewer")).json()
    for one in listed["items"][:5]:
        answer = service.client.get(
            f"/v1/artifacts/{one['id']}/content", headers=service.headers("viewer")
        )
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/nas-unpickled"),))  # noqa: S108  # must not come to be


def test_nothing_is_unpickled(service: Served) -> None:
    """Pickled objects as arrays, as weights, and in the place of every other file."""
    trap = Path("/tmp/nas-unpickled")  # noqa: S108
    trap.unlink(missing_ok=True)
    arrays = io.BytesIO()
    np.savez(arrays, x_train=np.array([_Bomb()], dtype=object), allow_pickle=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Bomb()))
        archive.writestr("archive/version", "3")
    editor = service.headers("editor")
    for path, body in (
        ("/v1/datasets:inspect-upload?filename=a.npz", arrays.getvalue()),
        ("/v1/datasets:inspect-upload?filename=a.npz", pickle.dumps(_Bomb())),
        ("/v1/models:upload?filename=a.pt2", packed.getvalue()),
        ("/v1/models:upload?filename=a.onnx", pickle.dumps(_Bomb())),
        ("/v1/lookup-tables", pickle.dumps(_Bomb())),
    ):
        answer = service.client.post(path, content=body, headers=editor)
        assert answer.status_code < 500, (path, answer.text)
    assert not trap.exists()


def test_many_ranges_are_not_many_answers(service: Served) -> None:
    """A header that asks for the same bytes a thousand times is refused or answered once."""
    path = service.fill("/v1/artifacts/{artifact_id}/content")
    viewer = service.headers("viewer")
    whole = service.client.get(path, headers=viewer)
    ranges = "bytes=" + ",".join(["0-"] * 1000)
    answer = service.client.get(path, headers={**viewer, "Range": ranges})
    assert answer.status_code in {200, 206, 400, 416}
    assert len(answer.content) <= len(whole.content) + 1000
    many = "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 4000, 2))
    answer = service.client.get(path, headers={**viewer, "Range": many})
    assert answer.status_code in {200, 206, 400, 416}
    assert len(answer.content) <= len(whole.content) + 1000


@pytest.mark.parametrize("length", ["x", "-1", "1e9", "9" * 40, "\u0661", "1, 1"])
def test_a_length_that_is_none_is_refused(service: Served, length: str) -> None:
    headers = {**service.headers("editor"), b"Content-Length": length.encode()}
    answer = service.client.post("/v1/devices", content=b"{}", headers=headers)
    assert answer.status_code in {400, 413}


def test_who_asks_too_often_is_told_to_wait(tmp_path: Path) -> None:
    """By token, or by address without one; before a body is read or a token looked up."""
    settings = Settings(var_dir=tmp_path / "var", require_token=True, rate_limit="5/minute")
    prepare(settings)
    with TestClient(create_app(settings), base_url=HERE) as client:
        told = [client.get("/v1/devices").status_code for _ in range(7)]
        assert told == [401] * 5 + [429] * 2
        refused = client.post("/v1/devices", content=b"x" * 100)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["content-type"] == "application/problem+json"
        token = {"Authorization": "Bearer nas_another"}
        assert client.get("/v1/devices", headers=token).status_code == 401  # counted by itself
    with pytest.raises(ValueError, match="rate limit"):
        Settings(rate_limit="often")


def test_an_open_service_is_open_to_this_machine_alone(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path / "var")
    prepare(settings)
    with TestClient(create_app(settings), base_url=HERE) as client:
        assert client.get("/v1/devices").status_code == 200
        assert client.get("/v1/devices", headers={"host": "192.168.0.7"}).status_code == 403
        wrong = {"Authorization": "Bearer nas_wrong"}
        assert client.get("/v1/devices", headers=wrong).status_code == 401  # said, so judged
        assert client.post("/v1/agent:hello", json={}).status_code == 401  # a device's alone
        stale = {"Cookie": f"{COOKIE}=nas_of_another_time"}
        assert client.get("/v1/devices", headers=stale).status_code == 200  # nobody logs in here
