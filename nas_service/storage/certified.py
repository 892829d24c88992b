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
from nas_service.storage.models import CertificateRow
from nas_service.storage.rows import Page, insert_once, page_of, value_of
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
    insert_once(session, row)


def list_certificates(
    session: Session,
    *,
    search_id: str | None = None,
    sha256: str | None = None,
    cursor: str | None,
    limit: int,
) -> Page[StoredCertificate]:
    """Certificates, newest first."""
    query = select(CertificateRow)
    if search_id is not None:
        query = query.where(CertificateRow.search_id == search_id)
    if sha256 is not None:
        query = query.where(CertificateRow.sha256 == sha256)
    return page_of(
        session,
        query,
        CertificateRow.id,
        lambda row: value_of(StoredCertificate, row),
        cursor=cursor,
        limit=limit,
    )


def make_stale(session: Session, target_ids: list[str], reason: str) -> list[str]:
    """Mark the certificates of these targets; returns the searches that they belong to."""
    query = select(CertificateRow.search_id).where(
        CertificateRow.target_id.in_(target_ids), CertificateRow.stale.is_(None)
    )
    found = sorted(set(session.scalars(query)))
    session.execute(
        update(CertificateRow)
        .where(CertificateRow.target_id.in_(target_ids), CertificateRow.stale.is_(None))
        .values(stale=reason)
    )
    return found


def retire_runtimes(session: Session, device_id: str, versions: dict[str, str]) -> list[str]:
    """Mark certificates stale whose target's runtime is now of another version on the device."""
    found: list[str] = []
    for target in devices.targets_of(session, device_id):
        now_there = versions.get(target.value.runtime)
        was = target.value.runtime_version
        if now_there is not None and now_there != was:
            reason = f"{target.value.runtime} is {now_there} now, it was {was}"
            found += make_stale(session, [target.id], reason)
    return found
