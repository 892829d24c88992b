"""Logging in with an identity provider: who comes in, as what, and whom nothing lets in."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from nas_service.access.groups import parse_group_roles, roles_of
from nas_service.access.identity import Role
from nas_service.access.oidc import Description
from nas_service.dashboard.sso import BEGUN
from nas_service.errors import Unavailable
from tests.api.provider import CLIENT_ID, Claims, TestProvider, plain, provider
from tests.api.served import Served, served
from tests.prepared import copied

COOKIE = "__Host-nas"


@pytest.fixture(scope="module")
def idp() -> Iterator[TestProvider]:
    with provider() as made:
        yield made


@pytest.fixture(scope="module")
def service(
    idp: TestProvider, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    given = {
        "oidc_issuer": idp.url,
        "oidc_client_id": CLIENT_ID,
        "oidc_groups": "lookers=viewer@default,ml=editor@default,ops=admin@second",
    }
    with served(copied(prepared, tmp_path_factory.mktemp("oidc") / "var"), **given) as made:
        second = made.client.post(
            "/v1/projects", json={"name": "second"}, headers=made.headers("operator")
        )
        assert second.status_code == 201, second.text
        yield made


@pytest.fixture(autouse=True)
def fresh(idp: TestProvider) -> None:
    idp.reset()


def _set(answer: Any) -> dict[str, str]:
    """Cookies that an answer sets, each with all that is said of it."""
    lines = answer.headers.get_list("set-cookie")
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines}


def _value(cookie: str) -> str:
    return cookie.partition(";")[0].strip('"')


def _begin(service: Served, then: str = "/devices") -> tuple[str, str]:
    """Where the browser is sent, and the cookie that it keeps."""
    answer = service.client.get(f"/login/provider?next={then}", follow_redirects=False)
    assert answer.status_code == 303
    return answer.headers["location"], _value(_set(answer)[BEGUN])


def _consent(address: str) -> str:
    """Where the provider sends the browser back to: a path of the service."""
    parts = urlsplit(httpx.get(address, trust_env=False).headers["location"])
    return f"{parts.path}?{parts.query}"


def _finish(service: Served, path: str, begun: str) -> Any:
    return service.client.get(path, headers={"Cookie": f"{BEGUN}={begun}"})


def _log_in(service: Served) -> Any:
    address, begun = _begin(service)
    return _finish(service, _consent(address), begun)


def _as(cookie: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={cookie}", "Origin": "http://127.0.0.1:8000"}


def test_a_person_comes_in_as_their_groups_say(service: Served, idp: TestProvider) -> None:
    idp.groups = ["ml", "lookers", "unknown"]
    answer = _log_in(service)
    assert answer.status_code == 200, answer.text
    assert 'content="0; url=/devices"' in answer.text
    cookies = _set(answer)
    told = cookies[COOKIE].lower()
    assert all(one in told for one in ("httponly", "secure", "samesite=strict", "path=/"))
    assert "max-age=0" in cookies[BEGUN].lower()
    me = service.client.get("/v1/me", headers=_as(_value(cookies[COOKIE]))).json()
    assert (me["kind"], me["name"], me["project_id"]) == ("user", "Ada", "default")
    assert me["permissions"] == ["read", "write"]
    assert not me["operator"]


def test_the_browser_is_sent_with_a_state_a_nonce_and_a_challenge(service: Served) -> None:
    first, second = (parse_qs(urlsplit(_begin(service)[0]).query) for _ in range(2))
    assert first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == ["http://127.0.0.1:8000/login/callback"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 43
        assert first[name] != second[name]


def test_another_site_is_not_gone_on_to(service: Served, idp: TestProvider) -> None:
    idp.groups = ["ml"]
    for bad in ("//evil.example", "/%5Cevil.example", "https://evil.example"):
        address, begun = _begin(service, bad)
        assert 'url=/"' in _finish(service, _consent(address), begun).text


def _public_key_as_a_secret(idp: TestProvider, claims: Claims) -> str:
    """The key that everybody knows, used as one that only two should."""
    pem = idp.key.as_pem(private=False)
    signed = f"{plain({'alg': 'HS256', 'kid': 'one'})}.{plain(claims)}"
    mac = hmac.new(pem, signed.encode(), "sha256").digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def _unsigned(_idp: TestProvider, claims: Claims) -> str:
    return f"{plain({'alg': 'none'})}.{plain(claims)}."


def _others_key(_idp: TestProvider, claims: Claims) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, RSAKey.generate_key(2048))


def _own_key_in_the_head(_idp: TestProvider, claims: Claims) -> str:
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "jwk": key.as_dict(private=False)}, claims, key)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    "sign", [_public_key_as_a_secret, _unsigned, _others_key, _own_key_in_the_head]
)
def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(
    service: Served, idp: TestProvider, sign: Any
) -> None:
    idp.groups = ["ml"]
    idp.sign = lambda claims: sign(idp, claims)
    _refused(_log_in(service), "does not count")


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://another.example"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"sub": None},
    ],
    ids=lambda wrong: "-".join(f"{k}" for k in wrong),
)
def test_a_token_of_another_login_lets_nobody_in(
    service: Served, idp: TestProvider, wrong: Claims
) -> None:
    idp.groups = ["ml"]
    idp.spoil = lambda claims: {k: v for k, v in (claims | wrong).items() if v is not None}
    _refused(_log_in(service), "the provider's answer")


def test_an_answer_counts_once_and_where_it_was_begun(service: Served, idp: TestProvider) -> None:
    idp.groups = ["ml"]
    address, begun = _begin(service)
    _, other = _begin(service)
    path = _consent(address)
    _refused(service.client.get(path), "not begun here")
    _refused(_finish(service, path, "bm90IGpzb24="), "not begun here")
    numbers = b'{"state": 1, "nonce": 2, "verifier": 3, "then": 4}'
    _refused(_finish(service, path, base64.urlsafe_b64encode(numbers).decode()), "not begun here")
    _refused(_finish(service, path, other), "to another login")
    state = parse_qs(urlsplit(_begin(service)[0]).query)["state"][0]
    stolen = f"{path.partition('state=')[0]}state={state}"
    _refused(_finish(service, stolen, begun), "to another login")
    assert _finish(service, path, begun).status_code == 200
    _refused(_finish(service, path, begun), "invalid_grant")  # once
    _refused(_finish(service, "/login/callback?error=access_denied", begun), "another login")


def test_a_code_without_its_proof_lets_nobody_in(service: Served) -> None:
    """The code of one's login with the verifier of another: PKCE."""
    from nas_service.access.oidc import Begun

    address, begun = _begin(service)
    _, other = _begin(service)
    mine, theirs = Begun.parse(begun), Begun.parse(other)
    mixed = Begun(mine.state, mine.nonce, theirs.verifier, "/").as_text()
    _refused(_finish(service, _consent(address), mixed), "invalid_grant")


def test_a_provider_that_fails_is_said_to_fail(service: Served, idp: TestProvider) -> None:
    def fails(_claims: Claims) -> str:
        raise RuntimeError("the provider's own fault")

    idp.sign = fails
    answer = _log_in(service)
    assert answer.status_code == 503, answer.text
    assert "identity provider does not answer" in answer.text
    assert COOKIE not in _set(answer)


def _refused(answer: Any, why: str) -> None:
    assert answer.status_code == 401, answer.text
    assert why in answer.text.replace("&#39;", "'")
    assert COOKIE not in _set(answer)


def test_who_is_in_no_project_is_told_how_to_come_in(service: Served, idp: TestProvider) -> None:
    idp.subject, idp.name = "bob", "Bob <b>"
    answer = _log_in(service)
    assert answer.status_code == 401
    assert "Bob &lt;b&gt; is in no project" in answer.text
    assert "nas members add usr_" in answer.text
    user = answer.text.partition("nas members add ")[2].partition(" ")[0]
    admin = service.headers("admin")
    viewer = service.client.put(f"/v1/members/{user}", json={"role": "viewer"}, headers=admin)
    assert viewer.json()["role"] == "viewer"
    cookie = _value(_set(_log_in(service))[COOKIE])
    assert service.client.get("/v1/searches", headers=_as(cookie)).status_code == 200
    assert service.client.post("/v1/devices", json={}, headers=_as(cookie)).status_code == 403
    service.client.put(f"/v1/members/{user}", json={"role": "editor"}, headers=admin)
    assert service.client.post("/v1/devices", json={}, headers=_as(cookie)).status_code == 422
    assert service.client.delete(f"/v1/members/{user}", headers=admin).status_code == 204
    assert service.client.get("/v1/searches", headers=_as(cookie)).status_code == 401
    assert service.client.delete(f"/v1/members/{user}", headers=admin).status_code == 404


def test_who_leaves_a_group_leaves_its_project(service: Served, idp: TestProvider) -> None:
    idp.subject, idp.groups = "eve", ["ml", "ops"]
    cookie = _value(_set(_log_in(service))[COOKIE])
    me = service.client.get("/v1/me", headers=_as(cookie)).json()
    assert me["project_id"] == "second"  # where she is admin
    there = service.client.get("/v1/projects", headers=_as(cookie)).json()["items"]
    assert {one["id"] for one in there} == {"default", "second"}
    idp.groups = ["ml"]
    after = _value(_set(_log_in(service))[COOKIE])
    assert service.client.get("/v1/me", headers=_as(after)).json()["project_id"] == "default"
    time.sleep(1.1)  # look-ups are remembered for a second
    assert service.client.get("/v1/me", headers=_as(cookie)).status_code == 401


def test_a_person_goes_on_in_another_project_of_theirs(service: Served, idp: TestProvider) -> None:
    idp.subject, idp.groups = "joe", ["lookers", "ops"]
    cookie = _value(_set(_log_in(service))[COOKIE])
    assert service.client.get("/v1/searches", headers=_as(cookie)).json()["items"] == []
    change = {"project": "default"}
    moved = service.client.post(
        "/login/project", data=change, headers=_as(cookie), follow_redirects=False
    )
    assert moved.status_code == 303
    assert len(service.client.get("/v1/searches", headers=_as(cookie)).json()["items"]) == 1
    denied = service.client.post(
        "/login/project", data={"project": "elsewhere"}, headers=_as(cookie), follow_redirects=False
    )
    assert denied.status_code == 404
    foreign = {"Cookie": f"{COOKIE}={cookie}", "Origin": "https://evil.example"}
    assert service.client.post("/login/project", data=change, headers=foreign).status_code == 403


def test_a_project_has_an_admin_of_its_own(service: Served) -> None:
    operator, admin = service.headers("operator"), service.headers("admin")
    asked = {"name": "third"}
    assert service.client.post("/v1/projects", json=asked, headers=admin).status_code == 403
    made = service.client.post("/v1/projects", json=asked, headers=operator).json()
    own = {"Authorization": f"Bearer {made['secret']}"}
    me = service.client.get("/v1/me", headers=own).json()
    assert (me["project_id"], me["operator"]) == ("third", False)
    assert service.client.get("/v1/searches", headers=own).json()["items"] == []
    assert service.client.post("/v1/projects", json=asked, headers=operator).status_code == 409
    wrong = {"name": "../etc"}
    assert service.client.post("/v1/projects", json=wrong, headers=operator).status_code == 422
    events = service.client.get("/v1/audit-events", headers=operator).json()["items"]
    assert "members_add_project" in {one["action"] for one in events}


def test_groups_are_read_as_they_are_written() -> None:
    known = parse_group_roles("a=viewer@p, b = x=admin@q,c=editor")
    assert [(one.group, one.role, one.project_id) for one in known] == [
        ("a", Role.VIEWER, "p"),
        ("b = x", Role.ADMIN, "q"),
        ("c", Role.EDITOR, "default"),
    ]
    assert roles_of({"a", "c", "z"}, known) == {"p": Role.VIEWER, "default": Role.EDITOR}
    both = parse_group_roles("a=admin@p,b=viewer@p")
    assert roles_of({"a", "b"}, both) == {"p": Role.ADMIN}
    for bad in ("a", "a=owner@p", "=viewer@p"):
        with pytest.raises(ValueError, match="GROUP=ROLE@PROJECT"):
            parse_group_roles(bad)


@pytest.mark.parametrize(
    "told",
    [
        [],
        {},
        {"issuer": "https://another.example"},
        {"issuer": "https://id.example", "authorization_endpoint": "https://id.example/a"},
        {
            "issuer": "https://id.example",
            "authorization_endpoint": "http://id.example/a",
            "token_endpoint": "https://id.example/t",
            "jwks_uri": "https://id.example/k",
        },
    ],
)
def test_a_provider_that_does_not_describe_itself_is_not_used(told: Any) -> None:
    with pytest.raises(Unavailable, match="the identity provider"):
        Description.of("https://id.example", told)
