"""Search spaces, supernets, predictors and plug-ins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, JsonValue, model_validator

from nas_service import __version__
from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import (
    IdempotencyKey,
    Listing,
    Paging,
    Strict,
    With,
    listing_of,
    remembered,
)
from nas_service.api.documents.base import Choice
from nas_service.api.documents.models import PredictorOut, SupernetOut
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import Accepted, JobOut
from nas_service.errors import InvalidSpec
from nas_service.jobs.params import SpaceJob
from nas_service.learning.registry import required_sample
from nas_service.plugins import GROUPS, MODEL_FACTORIES, SPACES, check, names
from nas_service.space.base import digest, n_architectures
from nas_service.space.counting import n_networks
from nas_service.space.described.document import space_name as document_name
from nas_service.space.elastic.description import elastic_name
from nas_service.space.stages import stages_of
from nas_service.storage import artifacts, datasets, spaces, supernets
from nas_service.storage.session import new_id

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["search spaces"])
_UNITS = ("target_mean", "target_std")


class DecisionOut(BaseModel):
    """What is chosen, and the values that it can take."""

    name: str
    values: list[Choice]


class LayerOut(BaseModel):
    """A layer of a user's own model: the decisions that change it, or why none does."""

    layer: str
    kind: str
    decisions: list[str]
    reason: str


class OwnModelOut(BaseModel):
    """What is elastic in a user's own model."""

    layers: list[LayerOut]
    n_elastic: int
    notes: list[str]


class OwnSpaceIn(Strict):
    """A space of a definition, or whose largest network is one's own: an upload's, a factory's."""

    dataset: str = Field(description="The data set that its networks are trained and judged on.")
    model: str | None = Field(default=None, description="Artifact of an uploaded program (.pt2).")
    factory: str | None = Field(default=None, description="An installed model factory.")
    definition: dict[str, JsonValue] | None = Field(
        default=None, description="A space described by layers, choices and rules."
    )
    mean: list[float] | None = Field(default=None, description="Of pixels from 0 to 1.")
    std: list[float] | None = None

    @model_validator(mode="after")
    def one_of(self) -> OwnSpaceIn:
        """Exactly one model or definition, and both or neither of mean and std."""
        if sum(one is not None for one in (self.model, self.factory, self.definition)) != 1:
            raise ValueError("give one of model, factory and definition")
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both or neither of mean and std")
        if self.std is not None and not all(one > 0 for one in self.std):
            raise ValueError("std has to be positive")
        return self


class StageOut(BaseModel):
    """Layers of a space that a search makes alike at first."""

    name: str
    n_layers: int = Field(description="As many as the stage has at most.")


class SpaceOut(BaseModel):
    """A search space for samples of one shape; `own_model` where it is made of one."""

    name: str
    digest: str
    n_genotypes: float = Field(description="Combinations of all values.")
    n_networks: float | None = Field(
        default=None,
        description="Different networks among them, as layers that are not there decide nothing; "
        "null where that is not known.",
    )
    has_supernet: bool
    decisions: list[DecisionOut]
    stages: list[StageOut] = Field(default=[], description="None of a space of one level.")
    own_model: OwnModelOut | None = None


@router.get("/search-spaces")
@allow(Rule.READ)
def list_spaces(with_: With) -> list[str]:
    """Names of the spaces that are installed, then of those made of models, newest first."""
    with with_.database.session() as session:
        return [*names(SPACES), *spaces.own_spaces(session)]


@router.post("/search-spaces", status_code=202)
@allow(Rule.WRITE)
def make_space(
    body: OwnSpaceIn, with_: With, response: Response, key: IdempotencyKey = None
) -> Accepted:
    """Make a search space of a definition or a model of one's own; its name follows from them."""
    if body.factory is not None:
        check(MODEL_FACTORIES, body.factory)
    with with_.database.session() as session:
        dataset = datasets.get_dataset(session, body.dataset)
        if not dataset.ready:
            raise InvalidSpec(f"data set {dataset.name!r} is not imported yet", field="dataset")
        model = f"factory {body.factory} {__version__}"
        if body.model is not None:
            artifact = artifacts.get_artifact(session, body.model)
            if artifact.kind != "model":
                raise InvalidSpec(f"artifact {artifact.id!r} is no uploaded model", field="model")
            model = artifact.sha256
        sample = dataset.sample.as_dict()
        settings = {"sample": sample, "mean": body.mean, "std": body.std}
        # a network of one's own is made to answer in these
        settings |= {k: dataset.facts[k] for k in _UNITS if k in dataset.facts}
        name = elastic_name(model, settings)
        if body.definition is not None:
            name = document_name(body.definition)
            spaces.described(name, body.definition, dataset.sample)
        job_id = remembered(session, key, "space", body, new_id("job"))
        params = SpaceJob(
            space=name,
            dataset_id=dataset.id,
            artifact=body.model,
            factory=body.factory,
            definition=body.definition,
            mean=body.mean,
            std=body.std,
        )
        job = with_.add_job(session, job_id, "space", subject=name, params=params.as_dict())
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=job.subject, href=f"/v1/search-spaces/{job.subject}", job=JobOut.of(job))


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
    with with_.database.session() as session:
        space = spaces.open_space(session, with_.blobs, name, sample)
        report = spaces.report_of(session, with_.blobs, name)
    n_different = n_networks(space)
    return SpaceOut(
        name=space.name,
        digest=digest(space),
        n_genotypes=float(n_architectures(space)),
        n_networks=None if n_different is None else float(n_different),
        has_supernet=space.has_supernet,
        decisions=[DecisionOut(name=d.name, values=list(d.values)) for d in space.decisions],
        stages=[StageOut(name=one.name, n_layers=one.n_layers) for one in stages_of(space)],
        own_model=None if report is None else OwnModelOut.model_validate(report),
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
