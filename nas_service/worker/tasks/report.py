"""Put a search's results together: the last front, the report, and the bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from lookup_tables.target import Deployment
from nas_service.delivery.bundle import PARITY, BundledFile, write_bundle
from nas_service.engine.child import Progress
from nas_service.jobs.params import SearchJob
from nas_service.lineage import lineage
from nas_service.search.measured_front import with_front
from nas_service.search.reopen import front_diff
from nas_service.search.ties import verdict, with_ties
from nas_service.storage import (
    artifacts,
    datasets,
    devices,
    front_revisions,
    searches,
    supernets,
    webhooks,
)
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.searches import StoredSearch, StoredWinner
from nas_service.worker.context import Context
from nas_service.worker.timeline import parts, timeline

_IN_BUNDLE = (".onnx", "weights.pt", "architecture.json", "preprocessing.json", "parity.npz")
"""How names end of what goes there beside compiled files: of every recipe, `qat.parity.npz` too."""
_MEASURED_POINT = (
    "winner",
    "rank",
    "precision",
    "predicted_accuracy",
    "measured_accuracy",
    "measured_accuracy_standard_error",
    "predicted_latency_ms",
    "measured_latency_ms",
    "measured_size_bytes",
    "limit_holds",
    "verdict",
    "published",
    "on_front",
    "reason",
)
_OF_METRIC = ("metric_label", "predicted_metric", "measured_metric")


def finish(context: Context, job: SearchJob, report: Progress) -> None:
    """Store the report, the front with its measured points, and the bundle of a search."""
    report(0.1, "writing the report")
    folder = context.scratch(f"report-{job.search_id}")
    with context.database.session() as session:
        search = searches.get_search(session, job.search_id)
        dataset = datasets.get_dataset(session, search.dataset_id)
        found = searches.winners_of(session, search.id)
        body = front_revisions.front_body(session, search.id, search.revision)
    rows = [row for winner in found for row in winner.results or []]
    rows = with_front(with_ties(rows), search.value.objectives)
    told_apart = verdict(rows, int(dataset.facts["n_test"]), dataset.task)
    with context.database.session() as session:
        document = _document(session, search, dataset, found, rows, body)
    document["test_part"] = told_apart
    (folder / "report.json").write_text(json.dumps(document, indent=1, sort_keys=True))
    _bundle(context, folder, dataset, found, rows, document)
    from_what = lineage(seed=search.value.seed, search=search.id)
    with context.database.session() as session:
        for name, kind in (("report.json", "report"), ("bundle.zip", "bundle")):
            artifacts.add_artifact(
                session,
                context.blobs,
                folder / name,
                owner=search.id,
                name=name,
                kind=kind,
                lineage=from_what,
            )
        diff = _diff(session, search, body)
        searches.add_facts(session, search.id, diff=diff, test_part=told_apart)
        for winner in found:
            own = [row for row in rows if row["winner"] == winner.id]
            if own:
                searches.update_winner(session, winner.id, results=own)
        if body:
            front_revisions.add_front(session, search.id, _measured_front(body, rows))
        searches.add_facts(session, search.id, n_published=sum(row["published"] for row in rows))
        if not job.again:  # it has ended once already
            _announce(session, search, rows, diff)
    shutil.rmtree(folder, ignore_errors=True)


def _document(
    session: Session,
    search: StoredSearch,
    dataset: StoredDataset,
    found: Sequence[StoredWinner],
    rows: Sequence[dict[str, Any]],
    body: str | None,
) -> dict[str, Any]:
    """What `report.json` says of a search."""
    tables = [devices.get_table(session, one) for one in search.facts.tables]
    quality: dict[str, Any] = {}
    shipping: dict[str, Any] = {}
    if search.facts.predictor_id:
        predictor = supernets.get_predictor(session, search.facts.predictor_id)
        quality, shipping = predictor.quality, predictor.shipping
    steps = timeline(session, search.id)
    return {
        "search": search.id,
        "seed": search.value.seed,
        "spec": search.spec,
        "limit_ms": search.facts.settled_limit_ms,
        "limit_source": search.facts.limit_source,
        "table_version": "+".join(table.version for table in tables),
        "tables": [table.version for table in tables],
        "dataset": {"name": dataset.name, "digest": dataset.digest, **dataset.facts},
        "front": json.loads(body)["front"] if body else [],
        "predictor": quality,
        "shipping": shipping,
        "latency_check": {
            one.name: table.latency_check or {}
            for one, table in zip(search.value.deployments, tables, strict=True)
        },
        "certification": search.facts.certification,
        "winners": rows,
        "timeline": steps,
        "time_by_part_s": parts(steps),
        "steadiness": search.facts.steadiness,
        "limit_on": search.value.limit_on,
        "failed_winners": [
            {"winner": one.id, "problem": one.problem} for one in found if one.problem
        ],
    }


def _bundle(
    context: Context,
    folder: Path,
    dataset: StoredDataset,
    found: Sequence[StoredWinner],
    rows: Sequence[dict[str, Any]],
    document: dict[str, Any],
) -> None:
    """Put the winners' files together with the report."""
    with context.database.session() as session:
        stored = {one.id: artifacts.artifacts_of(session, one.id) for one in found}
    with ExitStack() as there:
        contents = {
            f"winner{winner.rank}/{one.name}": there.enter_context(context.blobs.local(one.sha256))
            for winner in found
            for one in stored[winner.id]
            if one.name.endswith(_IN_BUNDLE) or one.kind == "compiled"
        }
        files = [_bundled(row) for row in rows if row.get("file")]
        task_files = dataset.task.bundle_files(dataset.facts)
        signer = context.signer()
        write_bundle(folder / "bundle.zip", document, files, contents, task_files, signer)


def _measured_front(body: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last front with the points that were measured."""
    last = {k: v for k, v in json.loads(body).items() if k != "revision"}
    last["measured"] = [
        {k: row.get(k) for k in (*_MEASURED_POINT, *_OF_METRIC)}
        for row in rows
        if row["measured_latency_ms"] is not None
    ]
    return last


def _bundled(row: dict[str, Any]) -> BundledFile:
    """A winner's file; those of a recipe compute what the network does after it."""
    deployment = Deployment.parse(row["precision"])
    return BundledFile(
        folder=f"winner{row['rank']}",
        file=row["file"],
        parity=f"{deployment.recipe}.{PARITY}" if deployment.recipe else PARITY,
        runtime=deployment.runtime,
        precision=deployment.precision,
        measured_latency_ms=row["measured_latency_ms"],
        published=row["published"],
    )


def _diff(session: Session, search: StoredSearch, body: str | None) -> dict[str, Any] | None:
    """The front beside that of the search that this one opened again."""
    if search.reopens is None or body is None:
        return None
    before = searches.get_search(session, search.reopens)
    old = front_revisions.front_body(session, before.id, before.revision)
    same = before.device_id == search.device_id
    return front_diff(json.loads(old) if old else {}, json.loads(body), same)


def _announce(
    session: Session, search: StoredSearch, rows: list[dict[str, Any]], diff: dict[str, Any] | None
) -> None:
    """Tell who asked for it that a search has ended."""
    told = {
        "search": search.id,
        "device": search.value.device,
        "reopens": search.reopens,
        "opened_because": search.facts.opened_because,
        "n_published": sum(row["published"] for row in rows),
        "diff": diff,
    }
    webhooks.announce(session, "search.finished", search.id, told)
