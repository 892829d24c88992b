"""Supernets, accuracy predictors, compressed models and the files of all of them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, JsonValue

from nas_service.api.documents.base import Document, Lineage, Own, Sent
from nas_service.api.documents.tables import Latencies


class SupernetRecipe(Document):
    """How shared weights were trained; what a learning task adds is beside."""

    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None


class SupernetMetrics(Document):
    """What training took."""

    train_s: float | None = None
    threads: int | None = None
    trained_on: str | None = None


class SupernetOut(Sent):
    """Shared weights; `sha256` is there once they are trained."""

    id: str
    natural_key: str
    dataset_id: str
    space: str
    space_digest: str
    recipe: SupernetRecipe
    seed: int
    sha256: str | None
    metrics: SupernetMetrics
    lineage: Lineage
    created_at: datetime


class PredictorQuality(Document):
    """How good a predictor is on subnets that it has not seen, beside a constant."""

    n_train: int | None = None
    n_holdout: int | None = None
    kendall: float | None = None
    coverage_level: float | None = None
    coverage: float | None = None
    mean_abs_error: float | None = None
    constant_mean_abs_error: float | None = None
    accuracy_min: float | None = None
    accuracy_max: float | None = None
    accuracy_standard_error: float | None = None
    metric: str | None = None


class PredictorOut(Sent):
    """An accuracy predictor; `sha256` names its training set once it is fitted."""

    id: str
    natural_key: str
    supernet_id: str | None
    dataset_id: str
    space: str
    name: str
    sha256: str | None
    quality: PredictorQuality
    shipping: Own = Field(description="What training alone adds to accuracies, by deployment.")
    lineage: Lineage
    created_at: datetime


class ArtifactOut(Sent):
    """A file; `owner` is the winner, search or compression that it was made for."""

    id: str
    owner: str
    name: str
    kind: str
    sha256: str
    size_bytes: int
    lineage: Lineage
    created_at: datetime


class FileMeasurement(Latencies):
    """A measurement of a file on a target."""

    id: str
    target_id: str


class ArtifactWithMeasurements(ArtifactOut):
    """A file with what was measured of it."""

    measurements: list[FileMeasurement] = []


class AskedModel(Document):
    """What a compression was asked for."""

    dataset: str | None = None
    samples: list[str] = Field(default=[], description="Samples of the model's own inputs.")
    test: list[str] = []
    metric: str = ""
    keep_float: list[str] = Field(default=[], description="Layers that stay in float.")
    device: str | None = None
    artifact: str | None = Field(default=None, description="An uploaded model.")
    winner: str | None = None
    reference: Own | None = None
    recipe: list[dict[str, Own]] = Field(default=[], description="Passes with their settings.")
    targets: list[AskedTarget] = []
    max_loss: float | None = None
    speedup_share: float | None = None
    seed: int | None = None


class AskedTarget(Document):
    """A runtime and a precision."""

    runtime: str
    precision: str


class PassReport(Document):
    """What one pass of a recipe did."""

    name: str | None = None


class ComparedFile(Document):
    """A file of a model, the original's or the compressed one's."""

    target: str | None = None
    size_bytes: int | None = None
    accuracy: float | None = None
    latency_ms: float | None = None
    latency: Latencies | None = None
    stable: bool | None = None
    peak_memory_bytes: int | None = None


class ParityOut(Document):
    """How far a file's outputs are from those of what it was made of."""

    max_abs: float | None = None
    sqnr_db: float | None = None
    agreement: float | None = None
    ok: bool = False
    worst_column: int | None = None
    worst_column_sqnr_db: float | None = None
    worst_column_cosine: float | None = None
    why: str = ""
    output: str | None = Field(default=None, description="The worst of several outputs.")


class CompressedRow(Document):
    """A target's row: the original beside what came of it, and the verdict."""

    runtime: str
    precision: str
    published: bool = False
    reason: str = ""
    original: ComparedFile | None = None
    compressed: ComparedFile | None = None
    notes: dict[str, JsonValue] | None = None
    parity: ParityOut | None = None
    parity_on_device: ParityOut | None = None


class CompressionReport(Document):
    """What came of a compression; empty until its report is written."""

    made_ready: list[str] = Field(default=[], description="What was changed in an upload first.")
    passes: list[PassReport] = []
    rows: list[CompressedRow] = []
