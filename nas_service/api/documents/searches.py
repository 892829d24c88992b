"""Searches: what was asked for, and what has been settled and observed."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from nas_service.api.documents.base import Architecture, Document, Own


class SearchState(StrEnum):
    """What a search is doing; the last three are final."""

    QUEUED = "queued"
    PROFILING = "profiling"
    TRAINING = "training"
    SEARCHING = "searching"
    CERTIFYING = "certifying"
    COMPRESSING = "compressing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TrainingAsked(Document):
    """How long to train; null follows from the size of the data."""

    epochs: int | None = None
    finetune_epochs: int | None = None
    max_train_images: int | None = None
    batch: int = 32
    learning_rate: float = 0.05
    flip: bool = False
    balanced: bool = False
    early_stop: int | None = None
    find_rate: bool = False
    augment: str | None = None


class SpecOut(Document):
    """A search's request as it was settled; the fields are those of a new search."""

    dataset: str
    space: str
    device: str
    max_latency_ms: float | None = None
    limit_probability: float = 0.95
    precisions: list[str]
    sampler: str = "guided"
    evaluator: str = "supernet"
    metric: str = "accuracy"
    predictor: str = "ensemble"
    n_initial: int = 64
    n_holdout: int = 24
    n_queries: int = 40
    batch: int = 8
    n_winners: int = 4
    n_probes: int = 5
    profile_budget_s: float = 60.0
    seed: int = 0
    objectives: list[str] = ["latency_ms"]
    limits: dict[str, float] = {}
    also_devices: list[str] = []
    patience: int | None = None
    cheap_fidelity: float | None = None
    candidates_per_query: int = 3
    measuring_budget: int = 10
    corrections: int | None = None
    follows: list[str] = []
    limit_on: str = "reference"
    sustained_s: float = 120.0
    rules: list[Own] = []
    training: TrainingAsked = TrainingAsked()


class SteadinessCard(Document):
    """How steadily a table was measured, and what would mend it."""

    precision: str
    table: str | None = None
    verdict: str
    text: str
    mend: str = ""


class OperatorCheck(Document):
    """What the devices lack, and the share of the space that is dropped for it."""

    unsupported_operators: list[str]
    dropped_share: float


class RuleCheck(Document):
    """A rule in words, and the share of the space that it forbids."""

    text: str
    removed_share: float


class MeasuredCandidate(Document):
    """A candidate that was measured before winners were chosen."""

    genotype: list[int] = []
    architecture: Architecture | None = None
    precision: str
    predicted_latency_ms: float | None = None
    measured_latency_ms: float | None = None
    n: int | None = None
    probability_over: float | None = None
    certified: bool | None = None


class CorrectionFacts(Document):
    """A round for which a search went on with tables that its measurements corrected."""

    number: int
    share_of_limit: float | None = Field(
        default=None, description="Of the slowest certified candidate before it, as measured."
    )
    tables: list[str] = []


class CertificationFacts(Document):
    """What was spent on measuring candidates near the limit, and what that told."""

    state: str
    budget: int | None = None
    spent: int | None = None
    unstable: int | None = None
    ended: str | None = None
    why_unstable: str = ""
    noise: float | None = None
    recalibrated_tables: list[str] = []
    measured: list[MeasuredCandidate] = []


class DiffMember(Document):
    """A member of one front and not of the other."""

    architecture: Architecture | None = None
    precision: str
    predicted_accuracy: float | None = None
    predicted_latency_ms: float | None = None


class FrontDiff(Document):
    """The front beside that of the search that was opened again."""

    entered: list[DiffMember]
    left: list[DiffMember]
    stayed: int
    best_accuracy_gain: float | None = None
    hypervolume_gain: float | None = None
    limit_ms: list[float | None] = Field(default=[], description="Before and after.")


class TestPart(Document):
    """What the test part can tell apart."""

    n_test: int | None = None
    resolution: float | None = None
    n_tied: int | None = None
    n_front: int | None = None
    text: str = ""


class FactsOut(Document):
    """What a search has settled and observed so far; null, or empty, is not known yet."""

    opened_because: str | None = None
    notes: list[str] = []
    tables: list[str] = []
    other_tables: dict[str, list[str]] = {}
    steadiness: list[SteadinessCard] = []
    limit_ms: float | None = None
    limit_source: str | None = None
    operator_check: OperatorCheck | None = None
    rules_check: list[RuleCheck] = []
    supernet_id: str | None = None
    predictor_id: str | None = None
    certification: CertificationFacts | None = None
    corrections: list[CorrectionFacts] = []
    n_chosen: int | None = None
    diff: FrontDiff | None = None
    test_part: TestPart | None = None
    n_published: int | None = None
