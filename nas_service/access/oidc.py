"""Logging in with an identity provider: OpenID Connect, the code flow with PKCE (RFC 7636).

The provider's answer counts when it comes back to the browser that was sent there (`state`), was
made for this login (`nonce`), for this service (`aud`), by this provider (`iss`), is in time, and
is signed by one of its published keys with an asymmetric algorithm.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import httpx

from nas_service.access.identity import Person
from nas_service.addresses import is_safe
from nas_service.errors import Unauthorized, Unavailable, Unsupported

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "RS384", "RS512", "PS384", "PS512", "EdDSA")
"""Never `none`, and none whose key the provider shares with who asks it."""
_LEEWAY_S = 60
_TIMEOUT_S = 10.0
_MAX_NAME = 100
_NOT_OURS = "this login was not begun here; begin again"
_DESCRIBED_S = 300.0


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that is under way, as the browser keeps it until it comes back."""

    state: str
    nonce: str
    verifier: str
    then: str

    def as_text(self) -> str:
        """For a cookie."""
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()

    @classmethod
    def parse(cls, text: str) -> Begun:
        """The inverse of `as_text`; `Unauthorized` for what this service did not write."""
        try:
            begun = cls(**json.loads(base64.urlsafe_b64decode(text.encode())))
        except (ValueError, TypeError, binascii.Error) as error:
            raise Unauthorized(_NOT_OURS) from error
        if not all(isinstance(one, str) for one in asdict(begun).values()):
            raise Unauthorized(_NOT_OURS)
        return begun


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser brings back from the provider, as its address says it."""

    state: str
    code: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """Where a provider is asked for what, as it says itself (OpenID Connect Discovery)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str

    @classmethod
    def of(cls, issuer: str, told: Any) -> Description:
        """From the provider's document; `Unavailable` where it is not one of this provider."""
        said = told if isinstance(told, dict) else {}
        if said.get("issuer") != issuer:
            raise Unavailable(f"the identity provider calls itself {said.get('issuer')!r}")
        places = {one.name: str(said.get(one.name, "")) for one in fields(cls)}
        for name, address in places.items():
            if not is_safe(address):
                raise Unavailable(f"the identity provider's {name} is no https address")
        return cls(**places)


_descriptions: dict[str, tuple[float, Description]] = {}
"""By issuer, each with when it is to be asked for again."""


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider, and this service as its client. `open_client` makes HTTP clients."""

    issuer: str
    client_id: str
    client_secret: str
    groups_claim: str = "groups"
    open_client: Callable[[], httpx.Client] = lambda: httpx.Client(timeout=_TIMEOUT_S)

    def begin(self, redirect_uri: str, then: str) -> tuple[str, Begun]:
        """Where to send the browser, and what it has to bring back."""
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        begun = Begun(state, nonce, verifier, then)
        with self._client(redirect_uri) as client:
            address, _ = client.create_authorization_url(
                self._described().authorization_endpoint,
                state=begun.state,
                nonce=begun.nonce,
                code_verifier=begun.verifier,
            )
        return str(address), begun

    def finish(self, redirect_uri: str, begun: Begun, answer: Answer) -> Person:
        """Who came back.

        Raises:
            Unauthorized: the answer is not one to this login, or says nothing that counts.
            Unavailable: the provider does not answer.
        """
        if not hmac.compare_digest(answer.state.encode(), begun.state.encode()):
            raise Unauthorized("the provider's answer is to another login; begin again")
        if answer.error:
            raise Unauthorized(f"the provider refuses: {answer.error}")
        described = self._described()
        client = self._client(redirect_uri)
        from authlib.integrations.base_client import OAuthError

        try:
            with client:
                given = client.fetch_token(
                    described.token_endpoint, code=answer.code, code_verifier=begun.verifier
                )
        except OAuthError as error:
            raise Unauthorized(f"the provider refuses: {error.error}") from error
        except _no_answer() as error:
            raise Unavailable(f"the identity provider does not answer: {error}") from error
        return self._person(str(given.get("id_token", "")), described.jwks_uri, begun.nonce)

    def _person(self, id_token: str, jwks_uri: str, nonce: str) -> Person:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        asked = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            keys = KeySet.import_key_set(self._get(jwks_uri))
            claims: dict[str, Any] = jwt.decode(id_token, keys, algorithms=ALGORITHMS).claims
            asked.validate(claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Unauthorized(f"the provider's answer does not count: {error}") from error
        if claims.get("azp", self.client_id) != self.client_id:
            raise Unauthorized("the provider's answer is for another client")
        groups = claims.get(self.groups_claim, ())
        name = claims.get("name") or claims.get("preferred_username") or claims.get("email")
        return Person(
            issuer=self.issuer,
            subject=str(claims["sub"]),
            name=str(name or claims["sub"])[:_MAX_NAME],
            groups=frozenset(map(str, groups if isinstance(groups, list) else [groups])),
        )

    def _described(self) -> Description:
        """What the provider says of itself: asked for every few minutes, not by every visitor."""
        at = time.monotonic()
        known = _descriptions.get(self.issuer)
        if known is None or known[0] < at:
            place = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
            known = (at + _DESCRIBED_S, Description.of(self.issuer, self._get(place)))
            _descriptions[self.issuer] = known
        return known[1]

    def _get(self, address: str) -> Any:
        try:
            with self.open_client() as client:
                answer = client.get(address)
                answer.raise_for_status()
                return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"the identity provider does not answer: {error}") from error

    def _client(self, redirect_uri: str) -> Any:
        try:
            from authlib.integrations.httpx_client import OAuth2Client
        except ImportError as error:
            raise Unsupported(
                "logging in with a provider needs authlib: pip install 'nas-service[oidc]'"
            ) from error
        return OAuth2Client(
            self.client_id,
            self.client_secret or None,
            scope="openid profile email",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
        )


def _no_answer() -> tuple[type[Exception], ...]:
    """What is raised where no answer, or none that can be read, comes to what authlib asks.

    It speaks HTTP with httpx2 where that is there, with httpx elsewhere.
    """
    try:
        from httpx2 import HTTPError
    except ImportError:
        return ValueError, httpx.HTTPError
    return ValueError, httpx.HTTPError, HTTPError
