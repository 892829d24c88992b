"""A service in process on the folder of a search that has run: real ids of every kind of thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi.testclient import TestClient

from nas_service.access.identity import Permission
from nas_service.api.app import create_app
from nas_service.cli.databases import prepare
from nas_service.dashboard.pages import mount
from nas_service.settings import Settings
from nas_service.storage import tokens
from nas_service.storage.scope import DEFAULT, Scope
from nas_service.storage.session import Database

HERE = "http://127.0.0.1:8000"
FOREIGN = Scope("elsewhere")


@dataclass(frozen=True)
class Served:
    """The API of a service that asks for tokens, and a token of each kind of caller."""

    client: TestClient
    settings: Settings
    tokens: Mapping[str, str]
    ids: Mapping[str, str]

    def headers(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}

    def database(self, scope: Scope = DEFAULT) -> Database:
        return Database(self.settings.url, scope)

    def fill(self, path: str) -> str:
        """A path of the OpenAPI document with real ids in it."""
        for name, value in self.ids.items():
            path = path.replace("{" + name + "}", value)
        return path


@contextmanager
def served(var_dir: Path, **given: object) -> Iterator[Served]:
    """Serve a copy of the prepared folder, closed to who has no token."""
    options = {"require_token": True, "rate_limit": "", **given}
    settings = Settings(var_dir=var_dir, data_roots=str(var_dir), **options)  # type: ignore[arg-type]  # of a test
    prepare(settings)
    made = _tokens(settings)
    app = create_app(settings)
    mount(app)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield Served(client, settings, made, _ids(client, made))


def _tokens(settings: Settings) -> dict[str, str]:
    made = {}
    database = Database(settings.url)
    with database.session() as session:
        for name, permission in (
            ("viewer", Permission.READ),
            ("editor", Permission.WRITE),
            ("admin", Permission.ADMIN),
        ):
            _, made[name] = tokens.add_token(session, name, [permission], created_by="a test")
        _, made["operator"] = tokens.add_token(
            session, "operator", [Permission.ADMIN], created_by="a test", operator=True
        )
    with database.of(FOREIGN).session() as session:
        _, made["foreign"] = tokens.add_token(
            session, "foreign", [Permission.ADMIN], created_by="a test"
        )
    database.close()
    return made


def _ids(client: TestClient, made: dict[str, str]) -> dict[str, str]:
    admin = {"Authorization": f"Bearer {made['admin']}"}

    def first(path: str, name: str = "id") -> str:
        answer = client.get(path, headers=admin).json()
        return str((answer["items"] if isinstance(answer, dict) else answer)[0][name])

    search = first("/v1/searches")
    phone = {"name": "phone", "kind": "phone"}
    assert client.post("/v1/devices", json=phone, headers=admin).status_code == 201
    made["agent"] = client.post("/v1/devices/phone:token", headers=admin).json()["token"]
    hook = client.post("/v1/webhooks", json={"url": "https://hooks.example/x"}, headers=admin)
    cron = {"search_id": search, "cron": "0 3 * * *"}
    schedule = client.post("/v1/schedules", json=cron, headers=admin).json()["id"]
    return {
        "search_id": search,
        "winner_id": first(f"/v1/searches/{search}/winners"),
        "artifact_id": first("/v1/artifacts"),
        "job_id": first("/v1/jobs"),
        "table_id": first("/v1/lookup-tables"),
        "supernet_id": first("/v1/supernets"),
        "predictor_id": first("/v1/predictors"),
        "token_id": first("/v1/tokens"),
        "webhook_id": hook.json()["id"],
        "schedule_id": schedule,
        "compression_id": "job_none",
        "index": "0",
        "target_id": first("/v1/targets"),
        "task_id": "none",
        "trial_id": "tri_none",
        "sha256": "0" * 64,
        "name": "here",
        "user_id": "usr_none",
    }
