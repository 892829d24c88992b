"""Data sets: the list, and what was understood of one, set aside, and worth a look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from nas_service.access.identity import Rule
from nas_service.api import datasets
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Paging, With
from nas_service.api.documents.datasets import DatasetFacts, DatasetOut, Report
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.dashboard.search_facts import Fact
from nas_service.learning.registry import DEFAULT, learning_task
from nas_service.plugins import LEARNING_TASKS, names
from nas_service.storage import artifacts
from nas_service.storage.datasets import PREVIEW

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_FORM_BYTES = 4096
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class DatasetLine:
    """A data set in the list; what its task has no word for stays empty."""

    name: str
    layout: str
    n_classes: str
    side: str
    sizes: tuple[str, ...]
    imported_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClassCount:
    """A class with its samples in each part."""

    name: str
    counts: tuple[int, ...]


@router.get("/datasets")
@allow(Rule.READ)
def list_datasets(request: Request, with_: With, bounds: Paging) -> Response:
    """All data sets, newest first."""
    found = datasets.list_datasets(with_, bounds)
    lines = [_line(one) for one in found.items]
    return page(
        request,
        "datasets.html",
        datasets=lines,
        next_cursor=found.next_cursor,
        tasks=[learning_task(one) for one in names(LEARNING_TASKS)],
    )


@router.post("/datasets")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def add_digits(with_: With) -> Response:
    """Import the digits that come with scikit-learn, to try a search on."""
    body = datasets.DatasetIn(name="digits", builtin="digits")
    datasets.register(body, with_, Response())
    return RedirectResponse("/datasets/digits", status_code=303)


@router.get("/datasets/{name}")
@allow(Rule.READ)
def show(request: Request, name: str, with_: With) -> Response:
    """One data set."""
    found = datasets.get_dataset(name, with_)
    report = found.facts.report or Report()
    with with_.database.session() as session:
        files = [one.name for one in artifacts.artifacts_of(session, found.id)]
    return page(
        request,
        "dataset.html",
        name=found.name,
        ready=found.digest is not None,
        shown=PREVIEW in files,
        facts=list(_facts(found)),
        reading=report.reading,
        notes=report.notes,
        classes=[
            ClassCount(one, tuple(report.counts.get(part, {}).get(one, 0) for part in _PARTS))
            for one in found.facts.classes or []
        ],
        aside=report.set_aside,
    )


def _line(found: DatasetOut) -> DatasetLine:
    facts = found.facts
    layout = None if facts.report is None else facts.report.layout
    return DatasetLine(
        name=found.name,
        layout=layout or ("unknown" if found.digest else "being imported"),
        n_classes=str(len(facts.classes)) if facts.classes else "",
        side="" if facts.size is None else str(facts.size),
        sizes=tuple("" if one is None else str(one) for one in _sizes(facts)),
        imported_at=found.created_at if found.digest else None,
    )


def _facts(found: DatasetOut) -> Iterator[Fact]:
    facts = found.facts
    yield Fact("Layout", (facts.report.layout if facts.report else "") or "unknown")
    task = learning_task(found.source.task or DEFAULT)
    yield Fact("Learning task", task.label)
    if facts.size is not None:
        yield Fact("Stored", task.stored(facts.model_dump()))
    if found.digest:
        sizes = zip(_PARTS, _sizes(facts), strict=True)
        told = (f"{'unknown' if n is None else n} {_NAMES[part]}" for part, n in sizes)
        yield Fact("Samples", ", ".join(told))
        yield Fact("Digest", found.digest)


def _sizes(facts: DatasetFacts) -> tuple[int | None, ...]:
    """Of the parts, in the order of `_PARTS`."""
    return facts.n_train, facts.n_validation, facts.n_test


_NAMES = {"train": "training", "validation": "validation", "test": "test"}
