"""Compressions of models, and what searches have learned: predictors and supernets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request, Response

from nas_service.access.identity import Rule
from nas_service.api import compressions, spaces
from nas_service.api.access.rules import allow
from nas_service.api.compressions import CompressionOut
from nas_service.api.dependencies import Paging, With
from nas_service.api.documents.models import ComparedFile, CompressedRow, PredictorOut
from nas_service.dashboard.formats import UNKNOWN, joined, percent, significant, size
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.dashboard.search_facts import Fact
from nas_service.storage import datasets, devices
from nas_service.storage.jobs import FINAL

_N_OFFERED = 500
"""Data sets and devices that a form lists."""

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class ModelLine:
    """A file that was asked for, beside the original on the same runtime."""

    runtime: str
    precision: str
    metric_before: str
    metric_after: str
    latency_before: str
    latency_after: str
    size_before: str
    size_after: str
    published: bool
    reason: str


@dataclass(frozen=True, slots=True)
class PredictorLine:
    """A predictor with how it does on what it has not seen."""

    id: str
    name: str
    space: str
    n: str
    kendall: str
    error: str
    created_at: datetime


@router.get("/models")
@allow(Rule.READ)
def list_models(request: Request, with_: With, bounds: Paging) -> Response:
    """All compressions, newest first."""
    found = compressions.list_compressions(with_, bounds)
    with with_.database.session() as session:
        every_set = datasets.list_datasets(session, cursor=None, limit=_N_OFFERED).items
        known_devices = devices.list_devices(session, cursor=None, limit=_N_OFFERED).items
    return page(
        request,
        "models.html",
        jobs=found.items,
        next_cursor=found.next_cursor,
        datasets=[one.name for one in every_set if one.ready],
        devices=[one.name for one in known_devices],
    )


@router.get("/models/{compression_id}")
@allow(Rule.READ)
def show(request: Request, compression_id: str, with_: With) -> Response:
    """One compression."""
    found = compressions.get_compression(compression_id, with_)
    return page(
        request,
        "model.html",
        found=found,
        ended=found.job.state in FINAL,
        facts=list(_facts(found)),
        rows=[_line(row) for row in found.rows],
    )


@router.get("/predictors")
@allow(Rule.READ)
def list_predictors(request: Request, with_: With, bounds: Paging) -> Response:
    """Predictors and supernets, newest first."""
    found = spaces.list_predictors(with_, bounds)
    return page(
        request,
        "predictors.html",
        predictors=[_predictor(one) for one in found.items],
        supernets=spaces.list_supernets(with_, bounds).items,
    )


def _facts(found: CompressionOut) -> Iterator[Fact]:
    asked = found.request
    name = None if asked.reference is None else asked.reference.get("name")
    for model in (name, asked.artifact, asked.winner):
        if model:
            yield Fact("Model", str(model))
    if asked.dataset is not None:
        yield Fact("Data set", asked.dataset, f"/datasets/{asked.dataset}")
    if asked.samples:
        yield Fact("Samples", joined(asked.samples))
        yield Fact("Test samples", joined(asked.test, "a part of the samples"))
        yield Fact("Judged by", asked.metric.replace("_", " "))
    if asked.keep_float:
        yield Fact("Stays in float", joined(asked.keep_float))
    yield Fact("Device", asked.device or UNKNOWN, f"/devices/{asked.device}")
    yield Fact("Recipe", joined([name for one in asked.recipe for name in one]))
    for note in found.made_ready:
        yield Fact("Made ready", note)


def _line(row: CompressedRow) -> ModelLine:
    before, after = row.original or ComparedFile(), row.compressed or ComparedFile()
    return ModelLine(
        runtime=row.runtime,
        precision=row.precision,
        metric_before=percent(before.accuracy),
        metric_after=percent(after.accuracy),
        latency_before=significant(before.latency_ms),
        latency_after=significant(after.latency_ms),
        size_before=size(before.size_bytes),
        size_after=size(after.size_bytes),
        published=row.published,
        reason=row.reason,
    )


def _predictor(one: PredictorOut) -> PredictorLine:
    card = one.quality
    error = card.mean_abs_error
    return PredictorLine(
        one.id,
        one.name,
        one.space,
        UNKNOWN if card.n_holdout is None else str(card.n_holdout),
        UNKNOWN if card.kendall is None else f"{card.kendall:.2f}",
        UNKNOWN if error is None else f"{100 * error:.1f}",
        one.created_at,
    )
