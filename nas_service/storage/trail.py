"""From a front point to a certificate: what has become of each winner's deployments so far."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lookup_tables.target import Deployment
from nas_service.storage import artifacts, searches, supernets
from nas_service.storage.artifacts import StoredArtifact
from nas_service.storage.models.files import CertificateRow
from nas_service.storage.searches import StoredSearch, StoredWinner

STAGES = ("front", "trained", "compressed", "compiled", "measured", "certified")


def trails(session: Session, search: StoredSearch) -> list[dict[str, Any]]:
    """One trail a winner and deployment, by rank: its stages in order, each done or not yet.

    A stage that is done says by which stored object; one that is not says `waiting`, or `failed`
    where the winner ended before it.
    """
    weights_from = None
    if search.facts.supernet_id:
        shared = supernets.get_supernet(session, search.facts.supernet_id)
        weights_from = {"supernet": shared.id, "sha256": shared.sha256}
    query = (
        select(CertificateRow)
        .where(CertificateRow.search_id == search.id)
        .order_by(CertificateRow.id)  # the newest of a file is kept
    )
    certificates = {row.artifact_id: row for row in session.scalars(query)}
    return [
        _trail(session, winner, one, weights_from, certificates)
        for winner in searches.winners_of(session, search.id)
        for one in search.value.deployments
    ]


def _trail(
    session: Session,
    winner: StoredWinner,
    one: Deployment,
    weights_from: dict[str, Any] | None,
    certificates: dict[str, CertificateRow],
) -> dict[str, Any]:
    stored = {one.name: one for one in artifacts.artifacts_of(session, winner.id)}
    name = one.name
    row = next((r for r in winner.results or [] if r["precision"] == name), None)
    estimate = winner.estimates.get(name, {})
    prefix = f"{one.recipe}." if one.recipe else ""
    weights, graph = stored.get(f"{prefix}weights.pt"), stored.get(f"{one.graph}.onnx")
    file = stored.get(row.get("file", "")) if row else None
    found: dict[str, dict[str, Any] | None] = {
        "front": {
            "genotype": list(winner.genotype.architecture),
            "predicted_accuracy": estimate.get("predicted_accuracy"),
            "predicted_latency_ms": estimate.get("predicted_latency_ms"),
        },
        "trained": {**_file(weights), "from": weights_from} if weights else None,
        "compressed": {**_file(graph), "recipe": one.recipe or "finetune", "form": one.form}
        if graph
        else None,
        "compiled": {**_file(file), "runtime": one.runtime} if file else None,
        "measured": None,
        "certified": None,
    }
    if row and row.get("measured_latency_ms") is not None:
        found["measured"] = {
            "latency_ms": row["measured_latency_ms"],
            "accuracy": row["measured_accuracy"],
            "target": row.get("target"),
        }
    certificate = certificates.get(file.id) if file else None
    if certificate is not None:
        found["certified"] = {
            "id": certificate.id,
            "verdict": certificate.verdict,
            "stale": certificate.stale,
            "published": bool(row and row["published"]),
        }
    lacking = "failed" if winner.problem else "waiting"
    if row is not None:  # it has ended: what is not there will not come
        lacking = "predicted only"
    return {
        "winner": winner.id,
        "rank": winner.rank,
        "deployment": name,
        "stages": [
            {"stage": stage, "state": "done", **told}
            if (told := found[stage]) is not None
            else {"stage": stage, "state": lacking}
            for stage in STAGES
        ],
    }


def _file(one: StoredArtifact) -> dict[str, Any]:
    return {
        "artifact": one.id,
        "name": one.name,
        "sha256": one.sha256,
        "size_bytes": one.size_bytes,
        "at": one.created_at.isoformat(),
    }
