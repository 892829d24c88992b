"""Certificates: issued once, never rewritten; they go stale when their target has moved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nas_service.lineage import lineage
from nas_service.storage import devices
from nas_service.storage.artifacts import StoredArtifact
from nas_service.storage.models.files import CertificateRow
from nas_service.storage.rows import Page, page_of, value_of
from nas_service.storage.session import new_id, now


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate of the file `sha256`; `stale` says what has moved since, if anything has."""

    id: str
    search_id: str
    artifact_id: str
    target_id: str
    sha256: str
    verdict: str
    body: dict[str, Any]
    stale: str | None
    issued_at: datetime
    lineage: dict[str, Any]


def issue(
    session: Session,
    *,
    search_id: str,
    artifact: StoredArtifact,
    target_id: str,
    verdict: str,
    body: dict[str, Any],
) -> None:
    """Store a certificate for an artifact as it is now."""
    row = CertificateRow(
        id=new_id("cer"),
        search_id=search_id,
        artifact_id=artifact.id,
        target_id=target_id,
        sha256=artifact.sha256,
        verdict=verdict,
        body=body,
        issued_at=now(),
        lineage=lineage(search=search_id, tables=body["tables"]),
    )
    session.add(row)


def list_certificates(
    session: Session,
    search_id: str,
    *,
    cursor: str | None,
    limit: int,
) -> Page[StoredCertificate]:
    """A search's certificates, newest first."""
    return page_of(
        session,
        select(CertificateRow).where(CertificateRow.search_id == search_id),
        CertificateRow.id,
        lambda row: value_of(StoredCertificate, row),
        cursor=cursor,
        limit=limit,
    )


def make_stale(session: Session, target_id: str, reason: str) -> None:
    """Mark the certificates of a target; those that are stale keep their first reason."""
    session.execute(
        update(CertificateRow)
        .where(CertificateRow.target_id == target_id, CertificateRow.stale.is_(None))
        .values(stale=reason)
    )


def retire_runtimes(session: Session, device_id: str, versions: dict[str, str]) -> None:
    """Mark certificates stale whose target's runtime is now of another version on the device."""
    for target in devices.targets_of(session, device_id):
        now_there = versions.get(target.value.runtime)
        was = target.value.runtime_version
        if now_there is not None and now_there != was:
            reason = f"{target.value.runtime} is {now_there} now, it was {was}"
            make_stale(session, target.id, reason)
