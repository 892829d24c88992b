"""Winners of a search: estimates and measurements side by side, and what became of each."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field

from nas_service.api.documents.base import Architecture, Document, Estimate
from nas_service.api.documents.certificates import HeldLimit, LimitCertificate
from nas_service.api.documents.tables import Latencies
from nas_service.api.schemas import ProblemOut, problem_of
from nas_service.storage.searches import StoredWinner


class FrontMember(Document):
    """An architecture in one deployment with what is expected of it; nothing was measured."""

    index: int | None = Field(default=None, description="Its number among all candidates.")
    genotype: list[int] = []
    architecture: Architecture | None = None
    precision: str = ""
    target: str | None = None
    predicted_accuracy: float | None = Field(
        default=None, description="The score of the search's metric, 1 is best."
    )
    predicted_accuracy_std: float | None = None
    predicted_latency_ms: float | None = None
    latency_upper_ms: float | None = None
    predicted_energy_mj: float | None = None
    size_bytes: int | None = None
    peak_memory_bytes: int | None = None
    macs: int | None = None
    parameters: int | None = None
    estimates: dict[str, Estimate] = {}
    objectives: dict[str, float] = {}
    keeps_limits: bool | None = None


class QuantityTexts(Document):
    """A quantity of a file as people read it."""

    name: str
    label: str
    predicted: str | None = None
    upper: str | None = None
    measured: str | None = None
    counted: bool = False


class OutdoneBy(Document):
    """The file that is as good for less."""

    rank: int
    precision: str


class Classification(Document):
    """How a file tells classes apart; `confusion` has a row a true class."""

    accuracy: float | None = None
    balanced_accuracy: float | None = None
    macro_f1: float | None = None
    recall: dict[str, float | None] = {}
    confusion: list[list[int]] | None = None


class ResultRow(Document):
    """A winner's file: estimates and measurements side by side, and the verdict.

    A learning task adds what it tells of outputs, as `classification`.
    """

    winner: str
    rank: int
    precision: str
    architecture: Architecture | None = None
    target: str | None = None
    file: str | None = None
    predicted_accuracy: float | None = None
    measured_accuracy: float | None = None
    measured_accuracy_standard_error: float | None = None
    n_test: int | None = None
    metric_label: str | None = None
    predicted_metric: str | None = None
    measured_metric: str | None = None
    predicted_latency_ms: float | None = None
    predicted_latency_upper_ms: float | None = None
    measured_latency_ms: float | None = None
    predicted_size_bytes: int | None = None
    measured_size_bytes: int | None = None
    predicted_peak_memory_bytes: int | None = None
    measured_peak_memory_bytes: int | None = None
    predicted_energy_mj: float | None = None
    measured_energy_mj: float | None = None
    macs: int | None = None
    parameters: int | None = None
    estimates: dict[str, Estimate] = {}
    measurements: dict[str, float] = {}
    quantities: list[QuantityTexts] = []
    limit_ms: float | None = None
    verdict: str | None = None
    certificate: LimitCertificate | None = None
    certificates: dict[str, LimitCertificate] = {}
    limits: dict[str, HeldLimit] = {}
    limit_holds: bool | None = None
    published: bool = False
    reason: str | None = None
    latency: Latencies | None = None
    parity_max_abs: float | None = None
    parity_agreement: float | None = None
    tied_with: list[int] | None = None
    on_front: bool | None = None
    outdone_by: OutdoneBy | None = None
    classification: Classification | None = None


class WinnerOut(BaseModel):
    """A winner: estimates and files by deployment, and a row a file that was measured."""

    id: str
    rank: int
    state: str
    estimates: dict[str, FrontMember]
    artifacts: dict[str, str] = Field(description="Ids of files, by name.")
    results: list[ResultRow]
    problem: ProblemOut | None

    @classmethod
    def of(cls, stored: StoredWinner) -> Self:
        """The winner as it is sent."""
        return cls.model_validate(
            {
                "id": stored.id,
                "rank": stored.rank,
                "state": stored.state,
                "estimates": stored.estimates,
                "artifacts": stored.compressed or {},
                "results": stored.results or [],
                "problem": problem_of(stored.problem, f"/v1/searches/{stored.search_id}/winners"),
            }
        )


class FromSupernet(Document):
    """The shared weights that a winner was trained from."""

    supernet: str
    sha256: str | None = None


class Stage(Document):
    """One stage of a trail: what was done at it, by which stored object; other fields are null."""

    stage: str
    state: str = Field(description="done, waiting, failed or predicted only.")
    genotype: list[int] | None = None
    predicted_accuracy: float | None = None
    predicted_latency_ms: float | None = None
    artifact: str | None = None
    name: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    at: str | None = None
    from_: FromSupernet | None = Field(default=None, alias="from")
    recipe: str | None = None
    form: str | None = None
    runtime: str | None = None
    latency_ms: float | None = None
    accuracy: float | None = None
    target: str | None = None
    id: str | None = None
    verdict: str | None = None
    stale: str | None = None
    published: bool | None = None


class Trail(Document):
    """A winner's deployment from front point to certificate."""

    winner: str
    rank: int
    deployment: str
    stages: list[Stage]


class MeasuredPoint(ResultRow):
    """A measured file as the front has it."""


class FrontPredictor(Document):
    """How good the predictor was when the front was drawn."""

    name: str | None = None
    n: int | None = None
    folds: int | None = None
    kendall: float | None = None
    mean_error: float | None = None
    coverage: dict[str, float | None] = {}


class MetricScale(Document):
    """The search's metric: what its best and worst values are."""

    name: str = "accuracy"
    label: str = "accuracy"
    unit: str = ""
    best: float = 1.0
    worst: float = 0.0


class FrontOut(Document):
    """A front: members by prediction, and measured files; revision 0 is before the first."""

    revision: int = 0
    front: list[FrontMember] = []
    measured: list[MeasuredPoint] = []
    limit_ms: float | None = None
    limits: dict[str, float] = {}
    objectives: list[str] = []
    metric: str | None = None
    metric_scale: MetricScale | None = None
    hypervolume: float | None = None
    n_candidates: int | None = None
    n_evaluations: int | None = None
    predictor: FrontPredictor | None = None
    tables: list[str] = []
