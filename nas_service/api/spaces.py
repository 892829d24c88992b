"""Search spaces, supernets, predictors and plug-ins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Listing, Paging, With, listing_of
from nas_service.api.documents.base import Choice
from nas_service.api.documents.models import PredictorOut, SupernetOut
from nas_service.api.idempotency import RepeatableRoute
from nas_service.errors import InvalidSpec
from nas_service.learning.registry import required_sample
from nas_service.plugins import GROUPS, SPACES, load, names
from nas_service.space.base import SearchSpace, digest, n_architectures
from nas_service.storage import datasets, supernets

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["search spaces"])


class DecisionOut(BaseModel):
    """What is chosen, and the values that it can take."""

    name: str
    values: list[Choice]


class SpaceOut(BaseModel):
    """A search space for samples of one shape."""

    name: str
    digest: str
    n_genotypes: float
    has_supernet: bool
    decisions: list[DecisionOut]


@router.get("/search-spaces")
@allow(Rule.READ)
def list_spaces() -> list[str]:
    """Names of the spaces that are installed."""
    return names(SPACES)


@router.get("/search-spaces/{name}")
@allow(Rule.READ)
def get_space(
    name: str,
    with_: With,
    dataset: Annotated[
        str | None,
        Query(description="A data set whose samples it is to take; or an image's shape."),
    ] = None,
    size: Annotated[int, Query(ge=8, le=512)] = 32,
    channels: Annotated[int, Query(ge=1, le=3)] = 3,
    n_classes: Annotated[int, Query(ge=2, le=100_000)] = 10,
) -> SpaceOut:
    """A space's decisions for samples of a data set, or for images of the given shape."""
    sample = required_sample(
        {"image": {"size": size, "channels": channels, "n_classes": n_classes}}
    )
    if dataset is not None:
        with with_.database.session() as session:
            found = datasets.get_dataset(session, dataset)
            if not found.ready:
                raise InvalidSpec(f"data set {found.name!r} is not imported yet", field="dataset")
            sample = found.sample
    space: SearchSpace = load(SPACES, name)(sample)
    return SpaceOut(
        name=space.name,
        digest=digest(space),
        n_genotypes=float(n_architectures(space)),
        has_supernet=space.has_supernet,
        decisions=[DecisionOut(name=d.name, values=list(d.values)) for d in space.decisions],
    )


@router.get("/supernets")
@allow(Rule.READ)
def list_supernets(with_: With, page: Paging) -> Listing[SupernetOut]:
    """Supernets, newest first."""
    with with_.database.session() as session:
        found = supernets.list_supernets(session, cursor=page.cursor, limit=page.limit)
    return listing_of(found, SupernetOut.of)


@router.get("/supernets/{supernet_id}")
@allow(Rule.READ)
def get_supernet(supernet_id: str, with_: With) -> SupernetOut:
    """One supernet."""
    with with_.database.session() as session:
        return SupernetOut.of(supernets.get_supernet(session, supernet_id))


@router.get("/predictors")
@allow(Rule.READ)
def list_predictors(with_: With, page: Paging) -> Listing[PredictorOut]:
    """Accuracy predictors, newest first."""
    with with_.database.session() as session:
        found = supernets.list_predictors(session, cursor=page.cursor, limit=page.limit)
    return listing_of(found, PredictorOut.of)


@router.get("/predictors/{predictor_id}")
@allow(Rule.READ)
def get_predictor(predictor_id: str, with_: With) -> PredictorOut:
    """One accuracy predictor with its quality on held-out subnets."""
    with with_.database.session() as session:
        return PredictorOut.of(supernets.get_predictor(session, predictor_id))


@router.get("/plugins")
@allow(Rule.READ)
def list_plugins() -> dict[str, list[str]]:
    """Names of the plug-ins by group; none is imported for this."""
    return {group: names(group) for group in GROUPS}
