"""What is asked of a compression, and what is refused of it before anything runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator
from sqlalchemy.orm import Session

from nas_service.api.dependencies import (
    PRIORITY,
    Strict,
)
from nas_service.api.documents.base import Own
from nas_service.compilation.forms import ENDINGS as FORMS
from nas_service.compilation.forms import ONNX, why_not_read
from nas_service.compression.on_uploads import require_takes
from nas_service.compression.recipe import Recipe
from nas_service.errors import InvalidSpec
from nas_service.learning.augmentations import require_augments
from nas_service.networks.names import REFERENCE_NETWORKS
from nas_service.output_metrics.by_name import require_metric
from nas_service.plugins import CONVERTERS, check, load
from nas_service.storage import agents, artifacts, datasets, devices, searches
from nas_service.storage.artifacts import StoredArtifact
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.devices import StoredDevice
from nas_service.storage.fair_queueing import Priority

SAMPLES = "recorded_samples"
"""The kind of uploaded samples of a model's inputs."""


class ReferenceNetworkIn(Strict):
    """A reference network, to be trained on the data set first."""

    name: str
    width: float = Field(default=1.0, ge=0.05, le=4)
    size: int | None = Field(default=None, ge=16, le=512)
    epochs: int = Field(default=10, ge=1, le=1000)
    batch: int = Field(default=64, ge=4, le=4096)
    learning_rate: float = Field(default=0.1, gt=0, le=10)
    flip: bool = False


class TargetIn(Strict):
    """A runtime and a precision."""

    runtime: str
    precision: str


class CompressionIn(Strict):
    """One of `model` (an upload), `winner` and `reference` says what is compressed.

    What it is judged on is a data set, or, for an upload of any inputs and outputs, `samples` of
    its own.
    """

    dataset: str | None = None
    samples: list[str] = Field(
        default_factory=list,
        max_length=32,
        description="Artifacts of uploaded samples by the names of the model's inputs.",
    )
    test: list[str] = Field(
        default_factory=list,
        max_length=32,
        description="The same, to judge by; a part of the samples where there are none.",
    )
    metric: str = Field(
        default="fidelity",
        max_length=200,
        description="By which a model with samples is judged: NAME, or NAME:OUTPUT.",
    )
    keep_float: list[str] = Field(
        default_factory=list, max_length=1000, description="Layers that stay in float."
    )
    device: str = "this-machine"
    model: str | None = Field(default=None, description="Artifact of an uploaded model.")
    shape: tuple[int, int, int] | None = Field(
        default=None,
        description="Channels, height and width for a graph whose sizes are open.",
    )
    winner: str | None = Field(default=None, description="Winner of a search.")
    reference: ReferenceNetworkIn | None = None
    recipe: list[str | dict[str, Own]] = Field(default_factory=list, max_length=20)
    targets: list[TargetIn] = Field(
        default=[TargetIn(runtime="onnxruntime", precision="int8")], min_length=1, max_length=20
    )
    max_loss: float = Field(default=0.01, ge=0, le=1, description="Accuracy that may be lost.")
    speedup_share: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="Of the speed-up that pruned MACs promise, what has to be measured.",
    )
    mean: list[float] | None = Field(default=None, description="Of pixels from 0 to 1.")
    std: list[float] | None = None
    max_train_images: int | None = Field(default=None, ge=8)
    max_test_images: int = Field(default=1000, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0, lt=2**31)
    priority: Priority = Field(default="normal", description=PRIORITY)

    @model_validator(mode="after")
    def one_of(self) -> CompressionIn:
        """Exactly one model, and both or neither of mean and std."""
        if sum(one is not None for one in (self.model, self.winner, self.reference)) != 1:
            raise ValueError("give one of model, winner and reference")
        if (self.dataset is None) == (not self.samples):
            raise ValueError("give one of dataset and samples")
        if self.samples and self.model is None:
            raise ValueError("samples go with model")
        if self.samples and (self.shape or self.mean or self.max_train_images):
            raise ValueError("shape, mean, std and max_train_images go with dataset")
        if not self.samples and (self.test or self.keep_float):
            raise ValueError("test and keep_float go with samples")
        if self.shape is not None and (self.model is None or min(self.shape) < 1):
            raise ValueError("shape goes with model, in positive numbers")
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both or neither of mean and std")
        if self.std is not None and not all(one > 0 for one in self.std):
            raise ValueError("std has to be positive")
        return self


def require_targets(body: CompressionIn) -> None:
    """Refuse a runtime or precision that there is not, and one that is there twice."""
    seen = set()
    for place, one in enumerate(body.targets):
        check(CONVERTERS, one.runtime)
        known = load(CONVERTERS, one.runtime).precisions
        if one.precision not in known:
            raise InvalidSpec(
                f"targets[{place}]: {one.runtime} makes {', '.join(known)}, not {one.precision!r}",
                field="targets",
            )
        if (one.runtime, one.precision) in seen:
            raise InvalidSpec(
                f"targets[{place}]: {one.runtime} {one.precision} is there twice", field="targets"
            )
        seen.add((one.runtime, one.precision))


def _check_model(model: StoredArtifact, body: CompressionIn) -> None:
    if model.kind != "model":
        raise InvalidSpec(f"artifact {model.id!r} is no uploaded model", field="model")
    # with samples of its own, a program's graph is what is compressed
    form = ONNX if body.samples else FORMS[Path(model.name).suffix.lower()]
    require_takes(Recipe.of(body.recipe), is_graph=form == ONNX)
    for place, one in enumerate(body.targets):
        converter = load(CONVERTERS, one.runtime)
        why = why_not_read(converter.form, form)
        if body.samples and not converter.any_signature:
            why = why or "is given models of one input and one output alone"
        if why:
            raise InvalidSpec(f"targets[{place}]: {one.runtime} {why}", field="targets")


def _check_samples(session: Session, body: CompressionIn, device: StoredDevice) -> None:
    """Refuse what is no samples, a metric that there is not, and devices that are sent to."""
    require_metric(body.metric)
    for field, given in (("samples", body.samples), ("test", body.test)):
        for one in given:
            stored = artifacts.get_artifact(session, one)
            if stored.kind != SAMPLES:
                raise InvalidSpec(f"artifact {one!r} is no uploaded samples", field=field)
    agent = None if device.machine is not None else agents.get_agent(session, device.id)
    if agent is not None and not agents.understands(agent, agents.RECORDED):
        raise InvalidSpec(
            f"the agent of device {device.name!r} is of an earlier version, which knows models of "
            "one input alone: have it run the agent.pyz of this service",
            field="device",
        )


def parts_of(session: Session, body: CompressionIn) -> tuple[StoredDataset | None, StoredDevice]:
    """The data set and the device; raises where something that is named cannot take part."""
    dataset = None if body.dataset is None else datasets.get_dataset(session, body.dataset)
    if dataset is not None and not dataset.ready:
        raise InvalidSpec(f"data set {dataset.name!r} is not imported yet", field="dataset")
    if dataset is not None and Recipe.of(body.recipe).augments:
        require_augments(dataset.task.name, dataset.task.label, field="augment")
    device = devices.get_device(session, body.device)
    if why := agents.why_unmeasured(session, device):
        raise InvalidSpec(why, field="device")
    if body.samples:
        _check_samples(session, body, device)
    if body.model is not None:
        _check_model(artifacts.get_artifact(session, body.model), body)
    if body.winner is not None:
        searches.get_winner(session, body.winner)
    if body.reference is not None and body.reference.name not in REFERENCE_NETWORKS:
        raise InvalidSpec(
            f"no reference network {body.reference.name!r}; known: {', '.join(REFERENCE_NETWORKS)}",
            field="reference",
        )
    return dataset, device
