"""Data sets: the list, and what was understood of one, set aside, and worth a look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from nas_service.access.identity import Rule
from nas_service.api import datasets
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Paging, With
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.dashboard.search_facts import Fact
from nas_service.storage.datasets import StoredDataset

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
    return page(request, "datasets.html", datasets=lines, next_cursor=found.next_cursor)


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
    report: dict[str, Any] = found.facts.get("report") or {}
    counts = report.get("counts") or {}
    return page(
        request,
        "dataset.html",
        name=found.name,
        ready=found.digest is not None,
        facts=list(_facts(found)),
        reading=report.get("reading") or [],
        notes=report.get("notes") or [],
        classes=[
            ClassCount(one, tuple(int(counts.get(part, {}).get(one, 0)) for part in _PARTS))
            for one in found.facts.get("classes") or []
        ],
        aside=report.get("set_aside") or [],
    )


def _line(found: StoredDataset) -> DatasetLine:
    facts = found.facts
    layout = (facts.get("report") or {}).get("layout")
    return DatasetLine(
        name=found.name,
        layout=layout or ("unknown" if found.digest else "being imported"),
        n_classes=str(len(facts["classes"])) if facts.get("classes") else "",
        side=str(facts.get("size", "")),
        sizes=tuple(str(facts.get(f"n_{part}", "")) for part in _PARTS),
        imported_at=found.created_at if found.digest else None,
    )


def _facts(found: StoredDataset) -> Iterator[Fact]:
    facts = found.facts
    yield Fact("Layout", (facts.get("report") or {}).get("layout") or "unknown")
    if "size" in facts:
        colours = "grey" if facts.get("channels") == 1 else "RGB"
        yield Fact("Stored", f"{facts['size']}x{facts['size']} pixels, {colours}")
    if found.digest:
        sizes = (f"{facts.get(f'n_{part}', 'unknown')} {_NAMES[part]}" for part in _PARTS)
        yield Fact("Samples", ", ".join(sizes))
        yield Fact("Digest", found.digest)


_NAMES = {"train": "training", "validation": "validation", "test": "test"}
