"""The settings, read from the environment once and handed down as a value."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from nas_service.access.groups import parse_group_roles
from nas_service.addresses import Network, is_loopback, is_safe, parse_networks
from nas_service.queues import THIS_MACHINE


class Settings(BaseSettings):
    """Every setting; each is read from `NAS_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="NAS_", frozen=True, extra="forbid")

    var_dir: Path = Field(default=Path("var"), description="Where databases and files live.")
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL; SQLite below the data folder unless set."
    )
    host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that the API listens on.")
    allowed_hosts: str = Field(
        default="",
        description="Names, joined by commas, that requests may call it by; on a loopback address "
        "those of this machine unless set, elsewhere any.",
    )
    require_token: bool = Field(
        default=False,
        description="Whether a token is needed on a loopback address, too; elsewhere, and where "
        "other hosts are allowed, it always is.",
    )
    rate_limit: str = Field(
        default="200/second",
        description="Requests that a token, or an address without one, may make where others reach "
        "the service: 200/second;3000/minute. Empty for any number.",
    )
    public_url: str = Field(
        default="",
        description="Address that browsers have of the service, where a proxy is in front: "
        "https://nas.example.",
    )
    oidc_issuer: str = Field(
        default="", description="An identity provider (OpenID Connect) that people log in with."
    )
    oidc_client_id: str = Field(default="", description="This service's name at the provider.")
    oidc_client_secret: str = Field(
        default="", repr=False, description="Its secret there; PKCE alone where none is set."
    )
    oidc_groups: str = Field(
        default="",
        description="What groups of the provider are here: ml=editor@default,ops=admin@default.",
    )
    oidc_groups_claim: str = Field(
        default="groups", description="Claim of the provider's ID token that has the groups."
    )
    outbound_allow: str = Field(
        default="",
        description="Networks beside public ones that webhooks may be sent to, joined by commas: "
        "10.1.0.0/16,127.0.0.1/32.",
    )
    data_roots: str = Field(
        default="", description="Folders, joined by ':', below which server paths are accepted."
    )
    max_upload_bytes: int = Field(
        default=4 * 1024**3, gt=0, description="Largest upload that is accepted."
    )
    min_free_bytes: int = Field(
        default=200 * 1024**2, ge=0, description="Writing stops when less disk than this is free."
    )
    threads: int = Field(
        default=0, ge=0, description="Threads of a training step; 0 means one a core."
    )
    training_device: str = Field(
        default="auto",
        description="What networks are trained on: auto (a GPU where there is one), cpu, cuda:1.",
    )
    max_open_jobs: int = Field(
        default=10_000,
        ge=1,
        description="Jobs of a project that may wait or run; who asks for more is told to wait.",
    )
    signing_key: Path | None = Field(
        default=None,
        description="Private key, Ed25519 in PEM, that bundles are signed with; one is made below "
        "the data folder where none is named.",
    )
    keep_history_days: float = Field(
        default=30.0,
        ge=1,
        description="Days that the engine's record of ended jobs, requests by their keys and "
        "events that were sent are kept; jobs, searches and what they gave stay.",
    )
    housekeeping_every_s: float = Field(
        default=3600.0,
        gt=0,
        description="How often a worker removes those, and files that nothing speaks of.",
    )
    machine: str = Field(
        default=THIS_MACHINE,
        pattern="^[a-z0-9][a-z0-9-]{0,31}$",
        description="This machine's name, another one on each where workers on several measure.",
    )
    lease_s: float = Field(
        default=6.0, gt=0, description="After this long without a sign a worker counts as dead."
    )
    agent_patience_s: float = Field(
        default=120.0, gt=0, description="After this long without a sign a device is unreachable."
    )
    bench_data: Path = Field(
        default=Path("../shared/data"),
        description="Public benchmark data for tests and benchmarks.",
    )
    toolchains: Path | None = Field(
        default=None, description="Toolchains' own environments; below the data folder unless set."
    )
    compile_cache_bytes: int = Field(
        default=4 * 1024**3, ge=0, description="Compiled files are kept up to this size in all."
    )
    blobs_url: str = Field(
        default="",
        description="Where files are kept, as fsspec names places (s3://bucket/nas, sftp://...); "
        "below the data folder unless set.",
    )
    blob_cache_bytes: int = Field(
        default=8 * 1024**3, ge=0, description="Copies of files that are kept elsewhere, in all."
    )
    tvm_trials: int = Field(
        default=16, ge=1, description="Schedules that tuned TVM tries for each distinct operator."
    )
    log_level: str = Field(default="INFO", description="Least severe level that is logged.")
    log_format: Literal["text", "json"] = Field(
        default="text", description="Lines of the log: text, or json with a field a fact."
    )
    metrics_bind: str = Field(
        default="",
        description="Address and port that metrics are served on for Prometheus, by the process of "
        "the API: 127.0.0.1:9464, [::1]:9464. Nowhere unless set.",
    )

    @field_validator("log_level")
    @classmethod
    def known_level(cls, value: str) -> str:
        """One of logging's own levels."""
        levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
        if value.upper() not in levels:
            raise ValueError(f"{value!r} is none of {', '.join(levels)}")
        return value.upper()

    @field_validator("database_url")
    @classmethod
    def known_database(cls, value: str | None) -> str | None:
        """SQLite and PostgreSQL alone: the engine keeps its state there, too."""
        scheme = (value or "").partition(":")[0].partition("+")[0]
        if value and scheme not in {"sqlite", "postgresql"}:
            raise ValueError(f"{scheme!r} is none of sqlite, postgresql")
        return value

    @field_validator("metrics_bind")
    @classmethod
    def address_with_port(cls, value: str) -> str:
        """An address and a port."""
        if value:
            _address(value)
        return value

    @field_validator("rate_limit")
    @classmethod
    def known_rates(cls, value: str) -> str:
        """Rates as `limits` reads them."""
        if value:
            from limits import parse_many  # only here: settings are read by every command

            parse_many(value)
        return value

    @field_validator("oidc_issuer", "public_url")
    @classmethod
    def safe_address(cls, value: str) -> str:
        """Over https, or on this machine."""
        if value and not is_safe(value):
            raise ValueError(f"{value!r} is no https address")
        return value

    @field_validator("oidc_groups")
    @classmethod
    def known_roles(cls, value: str) -> str:
        """Groups with roles that there are."""
        parse_group_roles(value)
        return value

    @field_validator("outbound_allow")
    @classmethod
    def known_networks(cls, value: str) -> str:
        """Networks of IP addresses."""
        parse_networks(value)
        return value

    @property
    def outbound_networks(self) -> tuple[Network, ...]:
        """What of this network webhooks may be sent to."""
        return parse_networks(self.outbound_allow)

    @property
    def metrics_address(self) -> tuple[str, int]:
        """Where metrics are served, if they are: address and port."""
        return _address(self.metrics_bind)

    @property
    def is_open(self) -> bool:
        """Whether whoever reaches the service may do everything: this machine's users alone."""
        return not self.require_token and not self.allowed_hosts and is_loopback(self.host)

    @property
    def url(self) -> str:
        """The database's URL, embedded SQLite where none is set."""
        if self.database_url:
            return self.database_url.replace("postgresql://", "postgresql+psycopg://", 1)
        return f"sqlite:///{self.var_dir.resolve() / 'nas.sqlite'}"

    @property
    def engine_url(self) -> str:
        """Where the engine keeps its state: a file of its own, or a schema in PostgreSQL."""
        if self.database_url:
            return self.database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        return f"sqlite:///{self.var_dir.resolve() / 'engine.sqlite'}"

    @property
    def blobs_dir(self) -> Path:
        """Folder of the content-addressed files."""
        return self.var_dir.resolve() / "blobs"

    @property
    def toolchains_dir(self) -> Path:
        """Folder of the environments that toolchains have of their own."""
        return self.toolchains or self.var_dir / "toolchains"

    @property
    def signing_key_path(self) -> Path:
        """File of the key that bundles are signed with."""
        return self.signing_key or self.var_dir.resolve() / "signing-key.pem"

    @property
    def scratch_dir(self) -> Path:
        """Folder of unfinished files: checkpoints, uploads in progress."""
        return self.var_dir.resolve() / "scratch"

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders below which a path on the server is accepted."""
        return tuple(Path(part).resolve() for part in self.data_roots.split(":") if part)


def _address(text: str) -> tuple[str, int]:
    """The address and port in `127.0.0.1:9464`."""
    try:
        found = urlsplit(f"//{text}")
        host, port = found.hostname, found.port
    except ValueError:
        host, port = None, None
    if not host or not port or found.path or found.username:
        raise ValueError(f"{text!r} is no address with a port, as 127.0.0.1:9464")
    return host, port
