"""A search as it is asked for: the request's fields, and what has to be there for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue
from sqlalchemy.orm import Session

from lookup_tables.target import Deployment
from nas_service.api.dependencies import PRIORITY, Strict
from nas_service.api.deployments import check_deployments
from nas_service.api.documents.searches import SpecOut
from nas_service.compression.searched import recipes_of
from nas_service.errors import Conflict, InvalidSpec
from nas_service.learning.augmentations import require_augments
from nas_service.learning.base import LearningTask
from nas_service.plugins import EVALUATORS, PREDICTORS, SAMPLERS, SPACES, check, names
from nas_service.search.quantities.registry import QuantityAt
from nas_service.search.reopen import check_follows
from nas_service.search.spec import SearchSpec, TrainingSpec
from nas_service.space.described.space import DescribedSpace
from nas_service.space.elastic.space import ElasticSpace
from nas_service.space.ruled import RuledSpace
from nas_service.space.rules import rules_of
from nas_service.storage import datasets, devices, searches
from nas_service.storage.blobs import BlobStore
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.devices import StoredDevice
from nas_service.storage.fair_queueing import Priority
from nas_service.storage.spaces import open_space

MAX_OBJECTIVES = 4
MAX_QUERIES = 100_000
"""Beside accuracy: the time of an exact hypervolume grows by a power with each further one."""


_CORRECTIONS = 3
"""With a solver, which takes first what is priced too low."""
MAX_OUTSIDE = 4
"""Searches of a project that wait for trainers at once: each has a place in a worker meanwhile."""


class TrainingIn(Strict):
    """How long to train; what is left out follows from the size of the data."""

    epochs: int | None = Field(default=None, ge=1, le=1000)
    finetune_epochs: int | None = Field(default=None, ge=1, le=1000)
    max_train_images: int | None = Field(default=None, ge=20)
    batch: int = Field(default=32, ge=4, le=4096)
    learning_rate: float = Field(default=0.05, gt=0, le=10)
    flip: bool = False
    balanced: bool = Field(
        default=False,
        description="Draw as many samples of each class, of small ones again and again.",
    )
    early_stop: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="End training after so many epochs without a better one, and keep the best; "
        "not of a supernet.",
    )
    find_rate: bool = Field(
        default=False,
        description="Look for the learning rate by a short run with a rising one, before each "
        "training; learning_rate is left out of account.",
    )
    augment: Literal["trivial_augment", "rand_augment", "auto_augment", "aug_mix"] | None = Field(
        default=None,
        description="Change training pictures further by torchvision's transforms, where they are "
        "installed; for pictures of one label each.",
    )


class SearchIn(Strict):
    """A search request."""

    dataset: str
    space: str = Field(
        default="",
        max_length=64,
        description="The usual one of the data set's learning task unless given.",
    )
    device: str
    max_latency_ms: float | None = Field(default=None, gt=0, le=1e6)
    limit_probability: float = Field(default=0.95, gt=0.5, lt=1)
    precisions: tuple[str, ...] = Field(
        default=("fp32", "int8"),
        min_length=1,
        max_length=16,
        description="A precision on ONNX Runtime, or RUNTIME:PRECISION, as openvino:bf16; "
        "a recipe may follow, as int8+qat or fp32+width=0.75.",
    )
    sampler: str = "guided"
    evaluator: str = "supernet"
    metric: str = Field(
        default="",
        max_length=64,
        description="A metric of the data set's learning task, its first one unless given; "
        "predicted_accuracy and measured_accuracy stand for its score.",
    )
    predictor: str = "ensemble"
    n_initial: int = Field(default=64, ge=8, le=5000)
    n_holdout: int = Field(default=24, ge=2, le=5000)
    n_queries: int = Field(default=40, ge=1, le=MAX_QUERIES)
    batch: int = Field(default=8, ge=1, le=256)
    n_winners: int = Field(default=4, ge=1, le=50)
    n_probes: int = Field(default=5, ge=1, le=50)
    profile_budget_s: float = Field(default=60.0, ge=5, le=3600)
    seed: int = Field(default=0, ge=0, lt=2**31)
    objectives: tuple[str, ...] = Field(
        default=("latency_ms",), min_length=1, max_length=MAX_OBJECTIVES
    )
    limits: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict, max_length=8
    )
    also_devices: tuple[str, ...] = Field(default=(), max_length=32)
    patience: int | None = Field(default=None, ge=1, le=1000)
    cheap_fidelity: float | None = Field(default=None, gt=0, lt=1)
    candidates_per_query: int = Field(default=3, ge=2, le=20)
    measuring_budget: int = Field(default=10, ge=0, le=200)
    corrections: int | None = Field(
        default=None,
        ge=0,
        le=5,
        description="How often at most the search goes on for a batch with the tables that its "
        "own measurements corrected; 3 with sampler exact unless given, else 0.",
    )
    limit_on: Literal["reference", "observed", "sustained"] = Field(
        default="reference",
        description="What the latency limit is held against: p50 in the device's reference state, "
        "p90 of all that was observed, or p50 after sustained_s seconds of load.",
    )
    sustained_s: float = Field(default=120.0, ge=10, le=3600)
    follows: tuple[Annotated[str, Field(max_length=200)], ...] = Field(default=(), max_length=32)
    rules: tuple[dict[str, JsonValue], ...] = Field(
        default=(),
        max_length=64,
        description="What architectures may not be: always, never, if with then, sum over "
        "decisions by name or glob, or products of slots by name or glob.",
    )
    training: TrainingIn = TrainingIn()
    priority: Priority = Field(default="normal", description=PRIORITY)

    def to_spec(self) -> SearchSpec:
        """The request as a value; raises where it names what is not there."""
        check(SAMPLERS, self.sampler)
        check(EVALUATORS, self.evaluator)
        check(PREDICTORS, self.predictor)
        check_deployments(self.precisions, recipes=True)
        deployments = tuple(map(Deployment.parse, self.precisions))
        if recipes_of(deployments) and self.evaluator != "supernet":
            raise InvalidSpec(
                "precisions: what a recipe does to accuracy is learned on subnets of a supernet; "
                f"evaluator {self.evaluator!r} has none",
                field="precisions",
            )
        for name in ("objectives", "also_devices"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise InvalidSpec(f"{name}: the same one twice", field=name)
        for field in ("objectives", "limits"):
            for name in getattr(self, field):
                QuantityAt.parse(name, self.also_devices, field=field)
        check_follows(self.follows)
        if "latency_ms" in self.limits:
            raise InvalidSpec("the limit on latency_ms is max_latency_ms", field="limits")
        values = self.model_dump(exclude={"precisions", "priority"})
        if values["corrections"] is None:
            values["corrections"] = _CORRECTIONS if self.sampler == "exact" else 0
        training = TrainingSpec(**values.pop("training"))
        return SearchSpec(**values, deployments=deployments, training=training)


def require_room(session: Session, spec: SearchSpec) -> None:
    """Raise `Conflict` where too many searches of the project wait for trainers already."""
    if spec.evaluator == "outside" and searches.n_outside(session) >= MAX_OUTSIDE:
        raise Conflict(
            f"{MAX_OUTSIDE} searches of this project wait for trainers already; a worker has "
            "room for few that wait",
            field="evaluator",
        )


def asked_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a stored search was asked, as the fields of a new one."""
    known = SpecOut.model_validate(spec)
    return known.model_dump(include=set(SearchIn.model_fields))


@dataclass(frozen=True)
class Settled:
    """A request with what it names: the search as it would be started."""

    spec: SearchSpec
    dataset: StoredDataset
    device: StoredDevice
    note: str | None


def settled(session: Session, blobs: BlobStore, body: SearchIn) -> Settled:
    """A request that can be started.

    Raises:
        NasError: names the field that cannot be.
    """
    spec = body.to_spec()
    dataset = datasets.get_dataset(session, spec.dataset)
    device = devices.get_device(session, spec.device)
    for other in spec.also_devices:
        if devices.get_device(session, other).id == device.id:
            raise InvalidSpec(f"{other!r} is the search's own device", field="also_devices")
    if not dataset.ready:
        raise InvalidSpec(f"data set {dataset.name!r} is not imported yet", field="dataset")
    require_room(session, spec)
    metric = dataset.task.metric(spec.metric)
    spec = replace(spec, metric=metric.name, space=spec.space or _usual_space(dataset.task))
    if spec.training.balanced and not dataset.task.has_classes:
        raise InvalidSpec(
            f"training.balanced: {dataset.task.label} has no classes to draw alike",
            field="training.balanced",
        )
    if spec.training.augment:
        require_augments(dataset.task.name, dataset.task.label, field="training.augment")
    space = open_space(session, blobs, spec.space, dataset.sample)
    if spec.evaluator == "supernet" and not space.has_supernet:
        raise InvalidSpec(
            f"space {spec.space} shares no weights; use the evaluator 'standalone'",
            field="evaluator",
        )
    if isinstance(space, ElasticSpace):
        space.description.require_fits(dataset.sample)
    if isinstance(space, DescribedSpace):
        own = [one for one in space.document.rules if one not in spec.rules]
        spec = replace(spec, rules=(*own, *spec.rules))
    if spec.rules:
        RuledSpace(space, rules_of(space, spec.rules))
    return Settled(spec, dataset, device, dataset.task.note(metric, dataset.facts))


def _usual_space(task: LearningTask) -> str:
    if not task.usual_space:
        known = names(SPACES)
        raise InvalidSpec(
            f"space: {task.label} has no usual space; give one of {', '.join(known)}",
            field="space",
            known_names=known,
        )
    return task.usual_space
