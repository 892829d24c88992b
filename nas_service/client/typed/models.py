"""Made of the OpenAPI document by `nas_service.client.generate`; not edited."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from .value import Value


class Alternative(Value):
    """
    An answer to a question, and the option of the command line that gives it.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    field: str
    meaning: str = ""
    option: str = ""
    value: str


class AnswerIn(Value):
    """
    One output to one sample: numbers, little-endian, in base64.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    content: str
    dtype: (
        Literal[
            "float16",
            "float32",
            "float64",
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
        ]
        | str
    )
    shape: list[int]


class Architecture(Value):
    """
    A network of a search space; the inputs are beside, under the name of their kind.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    decisions: dict[str, bool | int | float | str]
    space: str


class AskedTarget(Value):
    """
    A runtime and a precision.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    precision: str
    runtime: str


class AuditEvent(Value):
    """
    A change that was made.
    """

    action: str
    actor: str
    actor_name: str
    at: AwareDatetime
    id: int
    project_id: str
    request_id: str
    subject: str


class BlockOut(Value):
    """
    One block of a network.
    """

    inputs: Annotated[list[int], Field(description="Blocks that it reads; -1 is the input.")]
    kind: str
    macs: int
    parameters: int
    sizes: dict[str, int]


class Calibration(Value):
    """
    How sums of entries become latencies of networks.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    constant_ms: float | None = None
    errors_of_forms: dict[str, float | None] = {}
    form: str | None = None
    per_block_ms: float | None = None
    per_junction_ms: dict[str, float] = {}
    per_layer_ms: float | None = None
    per_variant_ms: dict[str, float] = {}
    ratio: float | None = None
    relative_errors: list[float] = []
    statistic: str | None = None


class Classification(Value):
    """
    How a file tells classes apart; `confusion` has a row a true class.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    confusion: list[list[int]] | None = None
    macro_f1: float | None = None
    recall: dict[str, float | None] = {}


class CloudOut(Value):
    """
    Points of a plot as columns; `stands_for` says how many each is shown for.
    """

    colour: list[float] | None
    index: list[int]
    keeps_limits: list[bool]
    n_candidates: int
    n_matching: int
    precision: Annotated[list[int], Field(description="Positions in `precisions`.")]
    precisions: list[str]
    revision: int
    stands_for: list[int]
    x: list[float]
    y: list[float]


class Collected(Value):
    """
    How many blobs nothing spoke of any more.
    """

    before: Annotated[
        AwareDatetime,
        Field(description="Those alone that were last stored before then."),
    ]
    n_removed: int


class CompleteIn(Value):
    """
    The metric's value on validation data, or why there is none.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    lease: str
    problem: str | None = None
    value: float | None = None


class CorrectionFacts(Value):
    """
    A round for which a search went on with tables that its measurements corrected.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    number: int
    share_of_limit: Annotated[
        float | None,
        Field(description="Of the slowest certified candidate before it, as measured."),
    ] = None
    tables: list[str] = []


class CostsOut(Value):
    """
    What the blocks cost on one target, as its table has them: alone, one after another.
    """

    latency_ms: Annotated[list[float], Field(description="Of each block, p10, measured or filled.")]
    precision: str
    share: Annotated[list[float], Field(description="Of the sum of all blocks.")]
    sum_ms: float
    table_version: str
    target: str


class DatasetIn(Value):
    """
    A data set that is built in, or at a path on the server.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    allow_unreadable: Annotated[
        str | None, Field(description="Share of pictures that may be unreadable: 1%.")
    ] = None
    background: Annotated[
        str | None, Field(description="Colour below alpha; white unless given.")
    ] = None
    builtin: Literal["digits"] | None = None
    classes: Annotated[
        Literal["leaf", "top", "groups", "path", "flat"] | str | None,
        Field(description="What the class is where class folders lie in folders."),
    ] = None
    group_column: Annotated[
        str | None, Field(description="Pictures with equal values stay on one side.")
    ] = None
    hop: Annotated[
        int | None,
        Field(description="Steps to the next window; a window unless given."),
    ] = None
    image_column: str | None = None
    image_size: Annotated[
        int | None, Field(description="Pixels a side; their median, up to 224.")
    ] = None
    label_column: str | None = None
    layout: Literal["folders", "table", "parquet", "arrays"] | str | None = None
    name: str
    normal: Annotated[
        str | None,
        Field(description="Of anomaly detection: the label of windows that are normal."),
    ] = None
    path: str | None = None
    split: Annotated[
        str | None,
        Field(
            description="NAME=PART, joined by commas: what part a folder, file or value is (train, validation, test, ignore); or `draw`."
        ),
    ] = None
    task: Annotated[str, Field(description="The learning task that networks are taught on it.")] = (
        "image_classification"
    )
    teacher: Annotated[
        str | None,
        Field(
            description="Of imitation: artifact of the uploaded program whose answers are learned."
        ),
    ] = None
    time_column: Annotated[str | None, Field(description="Of signals: seconds, or timestamps.")] = (
        None
    )
    value_range: Annotated[
        str | None, Field(description="LOW,HIGH: black and white beyond 8 bits.")
    ] = None
    window: Annotated[int | None, Field(description="Of signals in tables: steps of a window.")] = (
        None
    )


class DecisionOut(Value):
    """
    What is chosen, and the values that it can take.
    """

    name: str
    values: list[bool | int | float | str]


class DeviceChanges(Value):
    """
    What is to be otherwise: the rest stays, as tables hold for the hardware.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    labels: dict[str, str] | None = None


class DeviceCost(Value):
    """
    A candidate's architecture on one target, as the newest calibrated table there prices it.
    """

    device: str
    latency_ms: float
    latency_upper_ms: Annotated[
        float, Field(description="Kept with the probability of the search's limit.")
    ]
    precision: str
    slowest_block: Annotated[int, Field(description="Its number among the candidate's blocks.")]
    slowest_share: Annotated[float, Field(description="Its share of the sum of all blocks.")]
    table_version: str
    target: str


class DeviceIn(Value):
    """
    A device: this machine, one that workers run on, or another one as described.

    Machines are read from their operating systems. `machine` is the name that workers there are
    given (`NAS_MACHINE`).
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    bandwidth_bytes_per_s: float | None = None
    instruction_sets: list[str] = []
    kind: Literal["cpu", "gpu", "npu", "mcu", "phone", "board"] | str = "cpu"
    labels: dict[str, str] | None = None
    machine: str | None = None
    memory_bytes: int | None = None
    model: str | None = None
    n_cores: int | None = None
    name: str
    peak_macs_per_s: float | None = None
    this_machine: bool = False
    unsupported_operators: list[str] = []


class DiffMember(Value):
    """
    A member of one front and not of the other.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    architecture: Architecture | None = None
    precision: str
    predicted_accuracy: float | None = None
    predicted_latency_ms: float | None = None


class DriftIn(Value):
    """
    How to look for drift, and how long to profile where there is some.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    profile_budget_s: float = 60.0
    seed: int = 0


class DriftTold(Value):
    """
    Whether a target has moved away from its table; `moved` is null where nothing tells.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    interval: Annotated[list[Any] | None, Field(description="Of the shift, 95 %.")] = None
    moved: bool | None = None
    n_probes: int | None = None
    p_value: float | None = None
    reason: str | None = None
    shift: Annotated[float | None, Field(description="Share slower (positive) or faster.")] = None
    table: str | None = None


class Estimate(Value):
    """
    An expected value, and what the measured one stays below with the limit's probability.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    upper: float
    value: float


class EstimatedNetwork(Value):
    """
    A network that a table was checked on.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    estimated_ms: float | None = None
    measured_ms: float | None = None


class Evaluated(Value):
    """
    One query of a search: an architecture and its accuracy on validation data.
    """

    accuracy: float
    architecture: Architecture
    batch: int
    number: int
    precision: str


class EventBody(Value):
    """
    What an address is told: an event, whom it is about, and what the event says.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    event: (
        Literal[
            "search.finished",
            "search.failed",
            "search.cancelled",
            "device.drifted",
            "device.unreachable",
        ]
        | str
    )
    subject: str


class ExtendIn(Value):
    """
    How many more queries to spend.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    n_queries: int


class Fault(Value):
    """
    One thing that is wrong with a request.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    error: str
    field: str
    pointer: Annotated[str | None, Field(description="JSON pointer into the body.")] = None


class FileMeasurement(Value):
    """
    A measurement of a file on a target.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    at_most_ms: float | None = None
    cpu_ratio: float | None = None
    energy_mj: float | None = None
    error: Annotated[float | None, Field(description="Relative standard error of p50_ms.")] = None
    id: str
    measured_at: str | None = None
    n: int | None = None
    n_turns: int | None = None
    observed_p50_ms: float | None = None
    observed_p90_ms: float | None = None
    p10_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    reason: str | None = None
    spread: float | None = None
    stable: bool | None = None
    state: Annotated[str | None, Field(description="The machine's, that this holds in.")] = None
    state_share: float | None = None
    target_id: str


class FromSupernet(Value):
    """
    The shared weights that a winner was trained from.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    sha256: str | None = None
    supernet: str


class FrontDiff(Value):
    """
    The front beside that of the search that was opened again.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    best_accuracy_gain: float | None = None
    entered: list[DiffMember]
    hypervolume_gain: float | None = None
    left: list[DiffMember]
    limit_ms: Annotated[list[float | None], Field(description="Before and after.")] = []
    stayed: int


class FrontMember(Value):
    """
    An architecture in one deployment with what is expected of it; nothing was measured.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    architecture: Architecture | None = None
    estimates: Annotated[dict[str, Estimate], Field(validate_default=True)] = {}
    genotype: list[int] = []
    index: Annotated[int | None, Field(description="Its number among all candidates.")] = None
    keeps_limits: bool | None = None
    latency_upper_ms: float | None = None
    macs: int | None = None
    objectives: dict[str, float] = {}
    parameters: int | None = None
    peak_memory_bytes: int | None = None
    precision: str = ""
    predicted_accuracy: Annotated[
        float | None, Field(description="The score of the search's metric, 1 is best.")
    ] = None
    predicted_accuracy_std: float | None = None
    predicted_energy_mj: float | None = None
    predicted_latency_ms: float | None = None
    size_bytes: int | None = None
    target: str | None = None


class FrontMoment(Value):
    """
    A front as it was: how much it held, after how many queries.
    """

    at: AwareDatetime
    hypervolume: Annotated[
        float | None, Field(description="Of the predicted front, 1 is everything.")
    ]
    n_evaluations: int | None
    n_front: int
    n_measured: int
    revision: int


class FrontPredictor(Value):
    """
    How good the predictor was when the front was drawn.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    coverage: dict[str, float | None] = {}
    folds: int | None = None
    kendall: float | None = None
    mean_error: float | None = None
    n: int | None = None
    name: str | None = None


class Health(Value):
    """
    The process answers; whether it has imported torch, which it never should.
    """

    status: str
    torch_imported: bool
    version: str


class HeldLimit(Value):
    """
    A limit beside latency's: what was measured, and whether it holds; null is unknown.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    holds: bool | None = None
    limit: float
    measured: float | None = None


class HelloOut(Value):
    """
    Who the agent is here, and how far its clock is off.
    """

    clock_skew_s: float | None
    device: str


class ImageIn(Value):
    """
    Shape of images and number of classes.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    channels: Literal[1, 3] = 3
    n_classes: int = 10
    size: int


class JobEvent(Value):
    """
    What a step did, when and where.
    """

    at: AwareDatetime
    event: str
    executor: str
    step: str


class KeepIn(Value):
    """
    A sign of life.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    fraction: float
    lease: str
    lease_s: float = 600.0


class Kept(Value):
    """
    Whether to go on: somebody else has the trial, or the search has ended, where not.
    """

    cancelled: bool


class KitResultsIn(Value):
    """
    A filled kit: the CSV's text, and the runtime that was used.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    kit: Annotated[str, Field(description="Artifact of the kit.")]
    results: Annotated[str, Field(description="CSV: name, p50_ms, ...")]
    runtime_version: str


class Latencies(Value):
    """
    Percentiles of a file's runs in ms, and how far they are to be trusted.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    at_most_ms: float | None = None
    cpu_ratio: float | None = None
    energy_mj: float | None = None
    error: Annotated[float | None, Field(description="Relative standard error of p50_ms.")] = None
    measured_at: str | None = None
    n: int | None = None
    n_turns: int | None = None
    observed_p50_ms: float | None = None
    observed_p90_ms: float | None = None
    p10_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    reason: str | None = None
    spread: float | None = None
    stable: bool | None = None
    state: Annotated[str | None, Field(description="The machine's, that this holds in.")] = None
    state_share: float | None = None


class LatencyCheck(Value):
    """
    Estimates beside measurements of networks that the calibration has not seen.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    max_error: float | None = None
    mean_error: float | None = None
    mean_error_of_plain_sum: float | None = None
    n: int | None = None
    n_unstable: int | None = None
    networks: Annotated[list[EstimatedNetwork], Field(validate_default=True)] = []
    spearman: float | None = None
    statistic: str | None = None


class LayerOut(Value):
    """
    A layer of a user's own model: the decisions that change it, or why none does.
    """

    decisions: list[str]
    kind: str
    layer: str
    reason: str


class LimitCertificate(Value):
    """
    One limit of a quantity; values are in the quantity's unit.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    at_most: float | None = None
    at_most_ms: float | None = None
    interval_level: float | None = None
    limit: float | None = None
    limit_ms: float | None = None
    limit_probability: float | None = None
    measured: float | None = None
    measured_interval: list[Any] | None = None
    measured_interval_ms: list[Any] | None = None
    measured_ms: float | None = None
    metric: str | None = None
    n_sessions: int | None = None
    noise: float | None = None
    predicted: float | None = None
    predicted_interval: list[Any] | None = None
    predicted_interval_ms: list[Any] | None = None
    predicted_ms: float | None = None
    probability_over: float | None = None
    quantity: str | None = None
    statistic: Annotated[str | None, Field(description="What of its measurements values are.")] = (
        None
    )
    verdict: str
    why_unstable: str = ""


class Lineage(Value):
    """
    Where a row came from: what went in, and the versions of what ran.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    seed: int | None = None
    sources: Annotated[
        dict[str, Any], Field(description="Ids and digests of what it was made from.")
    ] = {}
    versions: dict[str, str] = {}


class ListingAuditEvent(Value):
    items: list[AuditEvent]
    next_cursor: str | None


class ListingEvaluated(Value):
    items: list[Evaluated]
    next_cursor: str | None


class MeasuredCandidate(Value):
    """
    A candidate that was measured before winners were chosen.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    architecture: Architecture | None = None
    certified: bool | None = None
    genotype: list[int] = []
    measured_latency_ms: float | None = None
    n: int | None = None
    precision: str
    predicted_latency_ms: float | None = None
    probability_over: float | None = None


class MeasuredNetwork(Value):
    """
    A whole network of a table's calibration.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    architecture: dict[str, bool | int | float | str] | None = None
    at_most_ms: float | None = None
    cpu_ratio: float | None = None
    energy_mj: float | None = None
    error: Annotated[float | None, Field(description="Relative standard error of p50_ms.")] = None
    measured_at: str | None = None
    n: int | None = None
    n_sessions: int | None = None
    n_turns: int | None = None
    observed_p50_ms: float | None = None
    observed_p90_ms: float | None = None
    p10_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    reason: str | None = None
    spread: float | None = None
    stable: bool | None = None
    state: Annotated[str | None, Field(description="The machine's, that this holds in.")] = None
    state_share: float | None = None


class Member(Value):
    """
    Somebody in a project; `by_group`: as their provider's groups say, at each login anew.
    """

    by_group: bool
    created_at: AwareDatetime
    name: str
    role: Literal["viewer", "editor", "admin"] | str
    seen_at: AwareDatetime | None
    user_id: str


class MemberIn(Value):
    """
    What somebody is to be in the project.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    role: Literal["viewer", "editor", "admin"] | str


class MetricScale(Value):
    """
    The search's metric: what its best and worst values are.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    best: float = 1.0
    label: str = "accuracy"
    name: str = "accuracy"
    unit: str = ""
    worst: float = 0.0


class OperatorCheck(Value):
    """
    What the devices lack, and the share of the space that is dropped for it.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    dropped_share: float
    unsupported_operators: list[str]


class OutdoneBy(Value):
    """
    The file that is as good for less.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    precision: str
    rank: int


class OutputsIn(Value):
    """
    Logits of some images: little-endian float32 in base64.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    float32: str
    shape: list[int]


class OwnModelOut(Value):
    """
    What is elastic in a user's own model.
    """

    layers: list[LayerOut]
    n_elastic: int
    notes: list[str]


class OwnSpaceIn(Value):
    """
    A space of a definition, or whose largest network is one's own: an upload's, a factory's.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    dataset: Annotated[
        str,
        Field(description="The data set that its networks are trained and judged on."),
    ]
    definition: Annotated[
        dict[str, Any] | None,
        Field(description="A space described by layers, choices and rules."),
    ] = None
    factory: Annotated[str | None, Field(description="An installed model factory.")] = None
    mean: Annotated[list[float] | None, Field(description="Of pixels from 0 to 1.")] = None
    model: Annotated[str | None, Field(description="Artifact of an uploaded program (.pt2).")] = (
        None
    )
    std: list[float] | None = None


class ParityOut(Value):
    """
    How far a file's outputs are from those of what it was made of.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    agreement: float | None = None
    max_abs: float | None = None
    ok: bool = False
    output: Annotated[str | None, Field(description="The worst of several outputs.")] = None
    sqnr_db: float | None = None
    why: str = ""
    worst_column: int | None = None
    worst_column_cosine: float | None = None
    worst_column_sqnr_db: float | None = None


class PassReport(Value):
    """
    What one pass of a recipe did.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    name: str | None = None


class PredictorQuality(Value):
    """
    How good a predictor is on subnets that it has not seen, beside a constant.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    accuracy_max: float | None = None
    accuracy_min: float | None = None
    accuracy_standard_error: float | None = None
    constant_mean_abs_error: float | None = None
    coverage: float | None = None
    coverage_level: float | None = None
    kendall: float | None = None
    mean_abs_error: float | None = None
    metric: str | None = None
    n_holdout: int | None = None
    n_train: int | None = None


class Price(Value):
    """
    What an architecture is expected to cost on one target; an estimate, not a measurement.
    """

    estimated_latency_ms: float
    estimated_size_bytes: int
    latency_upper_ms: float
    macs: int
    parameters: int
    precision: str
    table_version: str
    target: str


class PriceIn(Value):
    """
    An architecture as a search returns it, and a device to price it on.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    decisions: dict[str, bool | int | float | str]
    device: str
    image: ImageIn
    probability: float = 0.9
    space: str


class ProblemOut(Value):
    """
    Why something failed, as the API says errors (RFC 9457); kinds have fields of their own.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    detail: str
    errors: Annotated[
        list[Fault] | None,
        Field(description="Everything that is wrong with a body, where that is it."),
    ] = None
    field: Annotated[str | None, Field(description="What of the request it is about.")] = None
    instance: str
    status: int
    title: str
    type: str


class ProfileIn(Value):
    """
    What to profile: the blocks of a space for the images of a data set, or for given ones.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    dataset: str | None = None
    image: ImageIn | None = None
    networks: Annotated[
        int | None,
        Field(
            description="Measure so many whole networks and no blocks: their costs are transferred from other devices' tables. For devices on which a measurement takes long."
        ),
    ] = None
    precisions: Annotated[
        list[str] | None,
        Field(description="A precision on ONNX Runtime, or RUNTIME:PRECISION, as openvino:bf16."),
    ] = None
    profile_budget_s: float = 60.0
    seed: int = 0
    space: str


class ProgressIn(Value):
    """
    A sign of life.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    fraction: float
    lease: str
    note: str = ""


class ProgressOut(Value):
    """
    Whether to go on.
    """

    cancelled: bool


class Project(Value):
    """
    What devices, data sets, searches and all else belong to.
    """

    created_at: AwareDatetime
    id: str
    name: str


class ProjectIn(Value):
    """
    A project; people and programs call it by its name.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    name: str


class Protocol(Value):
    """
    How often a file is run, and when its latency counts as settled.

    A turn is `warmups` untimed runs and up to `repeats` timed ones (fewer where one run takes so
    long that they would take more than `turn_s`). A turn counts when the anchors on both sides of
    it say that the machine was in its reference state. A file has settled with `turns` of them
    whose median is known to `settled_error` (relative standard error), or with `most_turns`;
    its latency is unstable with fewer than half of `turns`, or above `max_error`. Where the budget
    is not given, a machine outside its reference state is waited for up to `patience_s`.
    `sustained_s` seconds of load come before the first turn, and turns go on for `least_s`.
    """

    least_s: float = 0.0
    max_error: float = 0.03
    most_turns: int = 32
    patience_s: float = 20.0
    repeats: int = 10
    settled_error: float = 0.005
    sustained_s: float = 0.0
    turn_s: float = 0.2
    turns: int = 8
    warmups: int = 2


class QuantityTexts(Value):
    """
    A quantity of a file as people read it.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    counted: bool = False
    label: str
    measured: str | None = None
    name: str
    predicted: str | None = None
    upper: str | None = None


class Question(Value):
    """
    What can be read in more than one way.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    alternatives: Annotated[list[Alternative], Field(validate_default=True)] = []
    field: str
    text: str


class Ratio(Value):
    """
    What a counted quantity is multiplied by on a target, and how far that is off.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    ratio: float | None = None
    relative_errors: list[float] = []


class Readiness(Value):
    """
    Whether the API can answer; and workers by queue, without which work waits.
    """

    database: bool
    ready: bool
    workers: dict[str, int]


class ReferenceIn(Value):
    """
    A `Reference` as the agent reports it.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    confirmed_at: str = ""
    doubt: str = ""
    learned_at: str = ""
    levels_ms: dict[str, float]
    rival_share: float = 0.0
    rival_shift: float = 0.0
    share: float
    state: Literal["reference", "sustained"] | str = "reference"
    tolerances: dict[str, float]
    visits: int
    watched_s: float


class ReferenceNetworkIn(Value):
    """
    A reference network, to be trained on the data set first.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    batch: int = 64
    epochs: int = 10
    flip: bool = False
    learning_rate: float = 0.1
    name: str
    size: int | None = None
    width: float = 1.0


class ReferenceState(Value):
    """
    The state of a machine that its latencies hold in: levels of anchors, and how sure it is.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    confirmed_at: str = ""
    doubt: str = ""
    learned_at: str = ""
    levels_ms: dict[str, float]
    rival_share: float = 0.0
    rival_shift: float = 0.0
    share: Annotated[float, Field(description="Of the time that it was watched.")] = 0.0
    state: str = "reference"
    tolerances: Annotated[dict[str, float], Field(description="Of the logarithms of levels.")] = {}
    visits: int = 0
    watched_s: float = 0.0


class RemovedItem(Value):
    """
    Something that was removed.
    """

    id: str
    kind: str
    name: str


class ResultRow(Value):
    """
    A winner's file: estimates and measurements side by side, and the verdict.

    A learning task adds what it tells of outputs, as `classification`.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    architecture: Architecture | None = None
    certificate: LimitCertificate | None = None
    certificates: Annotated[dict[str, LimitCertificate], Field(validate_default=True)] = {}
    classification: Classification | None = None
    estimates: Annotated[dict[str, Estimate], Field(validate_default=True)] = {}
    file: str | None = None
    latency: Latencies | None = None
    limit_holds: bool | None = None
    limit_ms: float | None = None
    limits: Annotated[dict[str, HeldLimit], Field(validate_default=True)] = {}
    macs: int | None = None
    measured_accuracy: float | None = None
    measured_accuracy_standard_error: float | None = None
    measured_energy_mj: float | None = None
    measured_latency_ms: float | None = None
    measured_metric: str | None = None
    measured_peak_memory_bytes: int | None = None
    measured_size_bytes: int | None = None
    measurements: dict[str, float] = {}
    metric_label: str | None = None
    n_test: int | None = None
    on_front: bool | None = None
    outdone_by: OutdoneBy | None = None
    parameters: int | None = None
    parity_agreement: float | None = None
    parity_max_abs: float | None = None
    precision: str
    predicted_accuracy: float | None = None
    predicted_energy_mj: float | None = None
    predicted_latency_ms: float | None = None
    predicted_latency_upper_ms: float | None = None
    predicted_metric: str | None = None
    predicted_peak_memory_bytes: int | None = None
    predicted_size_bytes: int | None = None
    published: bool = False
    quantities: Annotated[list[QuantityTexts], Field(validate_default=True)] = []
    rank: int
    reason: str | None = None
    target: str | None = None
    tied_with: list[int] | None = None
    verdict: str | None = None
    winner: str


class RuleCheck(Value):
    """
    A rule in words, and the share of the space that it forbids.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    removed_share: float
    text: str


class Schedule(Value):
    """
    A search that is opened again at times that `cron` tells, in UTC.
    """

    created_at: AwareDatetime
    cron: str
    id: str
    next_at: AwareDatetime
    search_id: str


class ScheduleChanges(Value):
    """
    Other times.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    cron: str


class ScheduleIn(Value):
    """
    When to open a search again: minute, hour, day, month, weekday, in UTC.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    cron: str
    search_id: str


class SetAside(Value):
    """
    Why samples were left out, how many, and where some of them are.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    n: int | None = None
    names: Annotated[list[str], Field(description="Some of them.")] = []
    reason: str = ""


class SigningKey(Value):
    """
    A public key in PEM, by which bundles are checked, and since when it has signed.
    """

    created_at: AwareDatetime
    id: str
    pem: str


class SourceIn(Value):
    """
    Something at a path on the server.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    allow_unreadable: Annotated[
        str | None, Field(description="Share of pictures that may be unreadable: 1%.")
    ] = None
    background: Annotated[
        str | None, Field(description="Colour below alpha; white unless given.")
    ] = None
    classes: Annotated[
        Literal["leaf", "top", "groups", "path", "flat"] | str | None,
        Field(description="What the class is where class folders lie in folders."),
    ] = None
    group_column: Annotated[
        str | None, Field(description="Pictures with equal values stay on one side.")
    ] = None
    hop: Annotated[
        int | None,
        Field(description="Steps to the next window; a window unless given."),
    ] = None
    image_column: str | None = None
    image_size: Annotated[
        int | None, Field(description="Pixels a side; their median, up to 224.")
    ] = None
    label_column: str | None = None
    layout: Literal["folders", "table", "parquet", "arrays"] | str | None = None
    normal: Annotated[
        str | None,
        Field(description="Of anomaly detection: the label of windows that are normal."),
    ] = None
    path: str
    split: Annotated[
        str | None,
        Field(
            description="NAME=PART, joined by commas: what part a folder, file or value is (train, validation, test, ignore); or `draw`."
        ),
    ] = None
    teacher: Annotated[
        str | None,
        Field(
            description="Of imitation: artifact of the uploaded program whose answers are learned."
        ),
    ] = None
    time_column: Annotated[str | None, Field(description="Of signals: seconds, or timestamps.")] = (
        None
    )
    value_range: Annotated[
        str | None, Field(description="LOW,HIGH: black and white beyond 8 bits.")
    ] = None
    window: Annotated[int | None, Field(description="Of signals in tables: steps of a window.")] = (
        None
    )


class Stage(Value):
    """
    One stage of a trail: what was done at it, by which stored object; other fields are null.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    accuracy: float | None = None
    artifact: str | None = None
    at: str | None = None
    form: str | None = None
    from_: Annotated[FromSupernet | None, Field(alias="from")] = None
    genotype: list[int] | None = None
    id: str | None = None
    latency_ms: float | None = None
    name: str | None = None
    predicted_accuracy: float | None = None
    predicted_latency_ms: float | None = None
    published: bool | None = None
    recipe: str | None = None
    runtime: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    stage: str
    stale: str | None = None
    state: Annotated[str, Field(description="done, waiting, failed or predicted only.")]
    target: str | None = None
    verdict: str | None = None


class StageOut(Value):
    """
    Layers of a space that a search makes alike at first.
    """

    n_layers: Annotated[int, Field(description="As many as the stage has at most.")]
    name: str


class SteadinessCard(Value):
    """
    How steadily a table was measured, and what would mend it.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    mend: str = ""
    precision: str
    table: str | None = None
    text: str
    verdict: str


class StepOut(Value):
    """
    From one member of the front to the next dearer one.
    """

    index: int
    more_cost: float
    more_score: float
    next_index: int
    score_per_cost: float


class SuggestIn(Value):
    """
    Who asks, for how long a trial is theirs without a sign of life, and how long to wait.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    lease_s: float = 600.0
    trainer: Annotated[str, Field(description="A name, for people.")] = ""
    wait_s: float = 0.0


class Suggested(Value):
    """
    A trial that is the asking trainer's now.
    """

    architecture: Architecture
    attempts: int
    created_at: AwareDatetime
    fidelity: Annotated[float, Field(description="Share of the usual effort that is asked for.")]
    finished_at: AwareDatetime | None
    fraction: float
    id: str
    lease: str
    lease_expires_at: AwareDatetime | None
    metric: Annotated[str, Field(description="What to report.")]
    problem: str | None
    search_id: str
    state: Annotated[str, Field(description="waiting, leased, done or failed.")]
    trainer: str | None
    value: Annotated[float | None, Field(description="Of the search's metric, as it was reported.")]


class SupernetMetrics(Value):
    """
    What training took.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    threads: int | None = None
    train_s: float | None = None
    trained_on: str | None = None


class SupernetRecipe(Value):
    """
    How shared weights were trained; what a learning task adds is beside.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    batch: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None


class TableSteadiness(Value):
    """
    How steady a device was while its table was measured.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    core: int | None = None
    median_error: float | None = None
    more_s: float | None = None
    n_files: int | None = None
    n_stable: int | None = None
    n_unsettled: int | None = None
    niceness: int | None = None
    observed_p90_over_p50: float | None = None
    state_share: float | None = None
    watched_s: float | None = None


class TakeIn(Value):
    """
    How long to wait for work.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    instance: str
    wait_s: float = 20.0


class Target(Value):
    """
    A device with everything that changes what running a network on it costs.
    """

    batch: int = 1
    device: str
    operating_point: str = ""
    precision: str
    runtime: str
    runtime_version: str
    threads: int = 1


class TargetIn(Value):
    """
    A runtime and a precision.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    precision: str
    runtime: str


class TargetOut(Value):
    """
    A registered target.
    """

    created_at: AwareDatetime
    device_id: str
    facts: Target
    id: str
    key: str
    precision: str


class TaskOut(Value):
    """
    Files to time on one target.
    """

    budget_s: float | None
    feeds: dict[str, str] | None = None
    id: str
    inputs: str | None
    lease: str
    models: dict[str, str]
    outputs_of: list[str]
    protocol: Protocol
    recorded: list[str] | None = None
    references: dict[str, ReferenceState] | None = None
    relearn: bool = False
    seed: int
    target: Target
    watch_s: float = 0.0


class TestPart(Value):
    """
    What the test part can tell apart.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    n_front: int | None = None
    n_test: int | None = None
    n_tied: int | None = None
    resolution: float | None = None
    text: str = ""


class TimingIn(Value):
    """
    A `Timing` as the agent reports it.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    at_most_ms: float | None = None
    cpu_ratio: float
    energy_mj: float | None = None
    error: float | None = None
    measured_at: str
    n: int
    n_turns: int = 0
    observed_p50_ms: float | None = None
    observed_p90_ms: float | None = None
    p10_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    reason: str = ""
    spread: float
    stable: bool
    state: Literal["reference", "sustained", "unknown"] | str = "unknown"
    state_share: float | None = None


class Token(Value):
    """
    A token as it may be shown again: all but its secret.
    """

    created_at: AwareDatetime
    created_by: str
    device_id: str | None
    expires_at: AwareDatetime | None
    id: str
    last_used_at: AwareDatetime | None
    name: str
    operator: bool
    permissions: list[Literal["read", "write", "device", "admin"] | str]
    project_id: str
    revoked_at: AwareDatetime | None


class TokenIn(Value):
    """
    A token: what it is for, what it may do, how long.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    days: Annotated[
        float | None,
        Field(description="It expires after so many days; never unless given."),
    ] = None
    name: str
    operator: Annotated[
        bool, Field(description="May do what concerns all projects, as no other may.")
    ] = False
    permissions: list[Literal["read", "write", "device", "admin"] | str]


class TokenMade(Value):
    """
    A token and its secret, which is shown this once.
    """

    secret: str
    token: Token


class TokenOut(Value):
    """
    An agent's token, shown this once, and the command to give it to.
    """

    command: str
    device: str
    token: str


class Trail(Value):
    """
    A winner's deployment from front point to certificate.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    deployment: str
    rank: int
    stages: list[Stage]
    winner: str


class TrainingAsked(Value):
    """
    How long to train; null follows from the size of the data.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    augment: str | None = None
    balanced: bool = False
    batch: int = 32
    early_stop: int | None = None
    epochs: int | None = None
    find_rate: bool = False
    finetune_epochs: int | None = None
    flip: bool = False
    learning_rate: float = 0.05
    max_train_images: int | None = None


class TrainingIn(Value):
    """
    How long to train; what is left out follows from the size of the data.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    augment: Annotated[
        Literal["trivial_augment", "rand_augment", "auto_augment", "aug_mix"] | str | None,
        Field(
            description="Change training pictures further by torchvision's transforms, where they are installed; for pictures of one label each."
        ),
    ] = None
    balanced: Annotated[
        bool,
        Field(description="Draw as many samples of each class, of small ones again and again."),
    ] = False
    batch: int = 32
    early_stop: Annotated[
        int | None,
        Field(
            description="End training after so many epochs without a better one, and keep the best; not of a supernet."
        ),
    ] = None
    epochs: int | None = None
    find_rate: Annotated[
        bool,
        Field(
            description="Look for the learning rate by a short run with a rising one, before each training; learning_rate is left out of account."
        ),
    ] = False
    finetune_epochs: int | None = None
    flip: bool = False
    learning_rate: float = 0.05
    max_train_images: int | None = None


class TrialOut(Value):
    """
    An architecture to train, and what has become of it.
    """

    architecture: Architecture
    attempts: int
    created_at: AwareDatetime
    fidelity: Annotated[float, Field(description="Share of the usual effort that is asked for.")]
    finished_at: AwareDatetime | None
    fraction: float
    id: str
    lease_expires_at: AwareDatetime | None
    problem: str | None
    search_id: str
    state: Annotated[str, Field(description="waiting, leased, done or failed.")]
    trainer: str | None
    value: Annotated[float | None, Field(description="Of the search's metric, as it was reported.")]


class User(Value):
    """
    Somebody who has logged in once, with their provider's own name for them.
    """

    created_at: AwareDatetime
    id: str
    issuer: str
    name: str
    seen_at: AwareDatetime | None
    subject: str


class ValueMean(Value):
    """
    A value of a decision: how many candidates have it, and their mean.
    """

    mean: float | None
    n: int
    value: bool | int | float | str


class WebhookChanges(Value):
    """
    The events that an address is to be told of from now on.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    events: list[
        Literal[
            "search.finished",
            "search.failed",
            "search.cancelled",
            "device.drifted",
            "device.unreachable",
        ]
        | str
    ]


class WebhookIn(Value):
    """
    An address, and the events that it is to be told of; all unless said.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    events: (
        list[
            Literal[
                "search.finished",
                "search.failed",
                "search.cancelled",
                "device.drifted",
                "device.unreachable",
            ]
            | str
        ]
        | None
    ) = None
    url: str


class WebhookMade(Value):
    """
    An address and the secret, as Standard Webhooks has it, by which it knows our messages.
    """

    created_at: AwareDatetime
    events: list[
        Literal[
            "search.finished",
            "search.failed",
            "search.cancelled",
            "device.drifted",
            "device.unreachable",
        ]
        | str
    ]
    id: str
    secret: str
    url: str


class WebhookOut(Value):
    """
    An address and the events it asks for.
    """

    created_at: AwareDatetime
    events: list[
        Literal[
            "search.finished",
            "search.failed",
            "search.cancelled",
            "device.drifted",
            "device.unreachable",
        ]
        | str
    ]
    id: str
    url: str


class WhoOut(Value):
    """
    Who asks, in which project, and what they may do.
    """

    id: str
    kind: str
    name: str
    operator: bool
    permissions: list[Literal["read", "write", "device", "admin"] | str]
    project_id: str


class WinnerOut(Value):
    """
    A winner: estimates and files by deployment, and a row a file that was measured.
    """

    artifacts: Annotated[dict[str, str], Field(description="Ids of files, by name.")]
    estimates: dict[str, FrontMember]
    id: str
    problem: ProblemOut | None
    rank: int
    results: list[ResultRow]
    state: str


class AdviceOut(Value):
    """
    Which member of the front to look at first: by predictions, before anything is measured.
    """

    best: Annotated[int | None, Field(description="The best that meets the conditions.")]
    cost: str
    knee: Annotated[int | None, Field(description="After which more cost buys least.")]
    steps: list[StepOut]


class AgentFacts(Value):
    """
    What a device's agent last said of the machine.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    clock_skew_s: float | None = None
    conditions: dict[str, Any] = {}
    instance: str | None = None
    instruction_sets: list[str] = []
    machine: str = ""
    measures_energy: bool = False
    memory_bytes: int | None = None
    model: str | None = None
    n_cores: int | None = None
    operating_point: str = ""
    runtimes: dict[str, str] = {}
    seen_at: AwareDatetime | None = None
    system: str = ""


class ArtifactOut(Value):
    """
    A file; `owner` is the winner, search or compression that it was made for.
    """

    created_at: AwareDatetime
    id: str
    kind: str
    lineage: Lineage
    name: str
    owner: str
    sha256: str
    size_bytes: int


class ArtifactWithMeasurements(Value):
    """
    A file with what was measured of it.
    """

    created_at: AwareDatetime
    id: str
    kind: str
    lineage: Lineage
    measurements: Annotated[list[FileMeasurement], Field(validate_default=True)] = []
    name: str
    owner: str
    sha256: str
    size_bytes: int


class AskedModel(Value):
    """
    What a compression was asked for.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    artifact: Annotated[str | None, Field(description="An uploaded model.")] = None
    dataset: str | None = None
    device: str | None = None
    keep_float: Annotated[list[str], Field(description="Layers that stay in float.")] = []
    max_loss: float | None = None
    metric: str = ""
    recipe: Annotated[
        list[dict[str, dict[str, Any]]],
        Field(description="Passes with their settings."),
    ] = []
    reference: dict[str, Any] | None = None
    samples: Annotated[list[str], Field(description="Samples of the model's own inputs.")] = []
    seed: int | None = None
    speedup_share: float | None = None
    targets: Annotated[list[AskedTarget], Field(validate_default=True)] = []
    test: list[str] = []
    winner: str | None = None


class BlocksOut(Value):
    """
    A network as blocks, and their costs where a table has all of them.
    """

    blocks: list[BlockOut]
    costs: list[CostsOut]
    without_table: Annotated[
        list[str], Field(description="Targets whose table lacks one of the blocks.")
    ]


class CandidateOut(Value):
    """
    An architecture in one deployment with what is expected of it; nothing here was measured.
    """

    architecture: Annotated[
        dict[str, bool | int | float | str], Field(description="Values by decision.")
    ]
    estimates: dict[str, Estimate]
    index: Annotated[int, Field(description="Its number in the search, which it keeps.")]
    keeps_limits: bool
    on_front: bool
    precision: str
    score: Annotated[
        float,
        Field(description="Predicted; the accuracy itself where that is the metric."),
    ]
    score_std: float
    winner: Annotated[int | None, Field(description="Its rank, where it was taken as a winner.")]


class CandidatesOut(Value):
    """
    A page of a search's candidates.
    """

    items: list[CandidateOut]
    n_candidates: int
    n_matching: int
    next_cursor: str | None
    revision: int


class CertificateBody(Value):
    """
    What a certificate says beside the latency that it is about.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    at_most: float | None = None
    at_most_ms: float | None = None
    certificates: Annotated[dict[str, LimitCertificate], Field(validate_default=True)] = {}
    core: int | None = None
    estimates: Annotated[dict[str, Estimate], Field(validate_default=True)] = {}
    interval_level: float | None = None
    limit: float | None = None
    limit_ms: float | None = None
    limit_probability: float | None = None
    limits: Annotated[dict[str, HeldLimit], Field(validate_default=True)] = {}
    measured: float | None = None
    measured_accuracy: float | None = None
    measured_accuracy_standard_error: float | None = None
    measured_energy_mj: float | None = None
    measured_interval: list[Any] | None = None
    measured_interval_ms: list[Any] | None = None
    measured_ms: float | None = None
    measured_peak_memory_bytes: int | None = None
    measured_size_bytes: int | None = None
    measurements: dict[str, float] = {}
    metric: str | None = None
    n_sessions: int | None = None
    niceness: int | None = None
    noise: float | None = None
    observed_p50_ms: float | None = None
    observed_p90_ms: float | None = None
    precision: str | None = None
    predicted: float | None = None
    predicted_accuracy: float | None = None
    predicted_energy_mj: float | None = None
    predicted_interval: list[Any] | None = None
    predicted_interval_ms: list[Any] | None = None
    predicted_ms: float | None = None
    predicted_peak_memory_bytes: int | None = None
    predicted_size_bytes: int | None = None
    probability_over: float | None = None
    published: bool | None = None
    quantity: str | None = None
    reference_doubt: str | None = None
    reference_levels_ms: dict[str, float] | None = None
    state: str | None = None
    state_share: float | None = None
    statistic: Annotated[str | None, Field(description="What of its measurements values are.")] = (
        None
    )
    sustained_shift: float | None = None
    tables: list[str] = []
    target: str | None = None
    verdict: str
    why_unstable: str = ""
    winner: str | None = None


class CertificateOut(Value):
    """
    A certificate of the file `sha256`; `stale` says what has moved since, if anything has.
    """

    artifact_id: str
    body: CertificateBody
    id: str
    issued_at: AwareDatetime
    lineage: Lineage
    search_id: str
    sha256: str
    stale: str | None
    target_id: str
    verdict: str


class CertificationFacts(Value):
    """
    What was spent on measuring candidates near the limit, and what that told.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    budget: int | None = None
    ended: str | None = None
    measured: Annotated[list[MeasuredCandidate], Field(validate_default=True)] = []
    noise: float | None = None
    recalibrated_tables: list[str] = []
    spent: int | None = None
    state: str
    unstable: int | None = None
    why_unstable: str = ""


class ComparedFile(Value):
    """
    A file of a model, the original's or the compressed one's.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    accuracy: float | None = None
    latency: Latencies | None = None
    latency_ms: float | None = None
    peak_memory_bytes: int | None = None
    size_bytes: int | None = None
    stable: bool | None = None
    target: str | None = None


class CompressedRow(Value):
    """
    A target's row: the original beside what came of it, and the verdict.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    compressed: ComparedFile | None = None
    notes: dict[str, Any] | None = None
    original: ComparedFile | None = None
    parity: ParityOut | None = None
    parity_on_device: ParityOut | None = None
    precision: str
    published: bool = False
    reason: str = ""
    runtime: str


class CompressionIn(Value):
    """
    One of `model` (an upload), `winner` and `reference` says what is compressed.

    What it is judged on is a data set, or, for an upload of any inputs and outputs, `samples` of
    its own.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    dataset: str | None = None
    device: str = "this-machine"
    keep_float: Annotated[list[str] | None, Field(description="Layers that stay in float.")] = None
    max_loss: Annotated[float, Field(description="Accuracy that may be lost.")] = 0.01
    max_test_images: int = 1000
    max_train_images: int | None = None
    mean: Annotated[list[float] | None, Field(description="Of pixels from 0 to 1.")] = None
    metric: Annotated[
        str,
        Field(description="By which a model with samples is judged: NAME, or NAME:OUTPUT."),
    ] = "fidelity"
    model: Annotated[str | None, Field(description="Artifact of an uploaded model.")] = None
    priority: Annotated[
        Literal["high", "normal", "low"] | str,
        Field(
            description="high: before the usual ones of the project; low: when nothing else waits."
        ),
    ] = "normal"
    recipe: list[str | dict[str, dict[str, Any]]] | None = None
    reference: ReferenceNetworkIn | None = None
    samples: Annotated[
        list[str] | None,
        Field(description="Artifacts of uploaded samples by the names of the model's inputs."),
    ] = None
    seed: int = 0
    shape: Annotated[
        list[Any] | None,
        Field(description="Channels, height and width for a graph whose sizes are open."),
    ] = None
    speedup_share: Annotated[
        float,
        Field(description="Of the speed-up that pruned MACs promise, what has to be measured."),
    ] = 0.8
    std: list[float] | None = None
    targets: list[TargetIn] | None = None
    test: Annotated[
        list[str] | None,
        Field(description="The same, to judge by; a part of the samples where there are none."),
    ] = None
    winner: Annotated[str | None, Field(description="Winner of a search.")] = None


class DatasetSource(Value):
    """
    Where a data set's samples came from.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    answers: dict[str, Any] | None = None
    builtin: str | None = None
    filename: str | None = None
    path: str | None = None
    sha256: str | None = None
    task: str | None = None


class DecisionImportance(Value):
    """
    How much of the variance a decision explains alone, and what each of its values gives.
    """

    name: str
    share: Annotated[float, Field(description="Correlation ratio (eta squared), 0 to 1.")]
    values: list[ValueMean]


class DeliveryOut(Value):
    """
    One event on its way.
    """

    answer: str | None
    attempts: int
    body: EventBody
    created_at: AwareDatetime
    event: (
        Literal[
            "search.finished",
            "search.failed",
            "search.cancelled",
            "device.drifted",
            "device.unreachable",
        ]
        | str
    )
    id: str
    state: str
    webhook_id: str


class DriftCheck(Value):
    """
    One look at a device: its targets by key.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    checked_at: AwareDatetime | None = None
    targets: Annotated[dict[str, DriftTold], Field(validate_default=True)] = {}


class FactsOut(Value):
    """
    What a search has settled and observed so far; null, or empty, is not known yet.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    certification: CertificationFacts | None = None
    corrections: Annotated[list[CorrectionFacts], Field(validate_default=True)] = []
    diff: FrontDiff | None = None
    limit_ms: float | None = None
    limit_source: str | None = None
    n_chosen: int | None = None
    n_published: int | None = None
    notes: list[str] = []
    opened_because: str | None = None
    operator_check: OperatorCheck | None = None
    other_tables: dict[str, list[str]] = {}
    predictor_id: str | None = None
    rules_check: Annotated[list[RuleCheck], Field(validate_default=True)] = []
    steadiness: Annotated[list[SteadinessCard], Field(validate_default=True)] = []
    supernet_id: str | None = None
    tables: list[str] = []
    test_part: TestPart | None = None


class HelloIn(Value):
    """
    What an agent says of its machine; `instance` is the same whenever it starts again.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    conditions: dict[str, Any] | None = None
    instance: str
    instruction_sets: list[str] = []
    machine: str = ""
    measures_energy: bool = False
    memory_bytes: int | None = None
    model: str | None = None
    n_cores: int | None = None
    operating_point: str = ""
    runtimes: dict[str, str]
    system: str = ""
    understands: list[str] = []


class ImportanceOut(Value):
    """
    Decisions by how much they matter to a quantity, over all candidates of the search.
    """

    decisions: list[DecisionImportance]
    n_candidates: int
    of: str


class JobOut(Value):
    """
    A job: state, progress from 0 to 1, seconds left where they can be told, outcome.
    """

    created_at: AwareDatetime
    eta_s: float | None
    finished_at: AwareDatetime | None
    id: str
    kind: str
    message: str
    n_before: Annotated[
        int | None,
        Field(
            description="How many jobs its queue gives to workers before it, where one job is asked for that waits."
        ),
    ] = None
    priority: Literal["high", "normal", "low"] | str = "normal"
    problem: ProblemOut | None
    progress: float
    result: Annotated[
        str | None,
        Field(
            description="Where what came of it is, once it has succeeded; not of parts of other jobs."
        ),
    ]
    started_at: AwareDatetime | None
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"] | str
    subject: str


class ListingArtifactOut(Value):
    items: list[ArtifactOut]
    next_cursor: str | None


class ListingCertificateOut(Value):
    items: list[CertificateOut]
    next_cursor: str | None


class ListingDeliveryOut(Value):
    items: list[DeliveryOut]
    next_cursor: str | None


class ListingJobOut(Value):
    items: list[JobOut]
    next_cursor: str | None


class ListingMember(Value):
    items: list[Member]
    next_cursor: str | None


class ListingProject(Value):
    items: list[Project]
    next_cursor: str | None


class ListingSchedule(Value):
    items: list[Schedule]
    next_cursor: str | None


class ListingSigningKey(Value):
    items: list[SigningKey]
    next_cursor: str | None


class ListingTargetOut(Value):
    items: list[TargetOut]
    next_cursor: str | None


class ListingToken(Value):
    items: list[Token]
    next_cursor: str | None


class ListingTrialOut(Value):
    items: list[TrialOut]
    next_cursor: str | None


class ListingUser(Value):
    items: list[User]
    next_cursor: str | None


class ListingWebhookOut(Value):
    items: list[WebhookOut]
    next_cursor: str | None


class MachineIn(Value):
    """
    How steady the device was while it measured.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    core: int | None = None
    kind: str
    more_s: float | None = None
    n_unsettled: int = 0
    niceness: int | None = None
    reference: ReferenceIn
    state_share: float
    watched_s: float


class MeasuredPoint(Value):
    """
    A measured file as the front has it.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    architecture: Architecture | None = None
    certificate: LimitCertificate | None = None
    certificates: Annotated[dict[str, LimitCertificate], Field(validate_default=True)] = {}
    classification: Classification | None = None
    estimates: Annotated[dict[str, Estimate], Field(validate_default=True)] = {}
    file: str | None = None
    latency: Latencies | None = None
    limit_holds: bool | None = None
    limit_ms: float | None = None
    limits: Annotated[dict[str, HeldLimit], Field(validate_default=True)] = {}
    macs: int | None = None
    measured_accuracy: float | None = None
    measured_accuracy_standard_error: float | None = None
    measured_energy_mj: float | None = None
    measured_latency_ms: float | None = None
    measured_metric: str | None = None
    measured_peak_memory_bytes: int | None = None
    measured_size_bytes: int | None = None
    measurements: dict[str, float] = {}
    metric_label: str | None = None
    n_test: int | None = None
    on_front: bool | None = None
    outdone_by: OutdoneBy | None = None
    parameters: int | None = None
    parity_agreement: float | None = None
    parity_max_abs: float | None = None
    precision: str
    predicted_accuracy: float | None = None
    predicted_energy_mj: float | None = None
    predicted_latency_ms: float | None = None
    predicted_latency_upper_ms: float | None = None
    predicted_metric: str | None = None
    predicted_peak_memory_bytes: int | None = None
    predicted_size_bytes: int | None = None
    published: bool = False
    quantities: Annotated[list[QuantityTexts], Field(validate_default=True)] = []
    rank: int
    reason: str | None = None
    target: str | None = None
    tied_with: list[int] | None = None
    verdict: str | None = None
    winner: str


class PredictorOut(Value):
    """
    An accuracy predictor; `sha256` names its training set once it is fitted.
    """

    created_at: AwareDatetime
    dataset_id: str
    id: str
    lineage: Lineage
    name: str
    natural_key: str
    quality: PredictorQuality
    sha256: str | None
    shipping: Annotated[
        dict[str, Any],
        Field(description="What training alone adds to accuracies, by deployment."),
    ]
    space: str
    supernet_id: str | None


class Progress(Value):
    """
    How far a search is: itself, and the jobs that it waits for.
    """

    eta_s: float | None
    jobs: list[JobOut]
    message: str
    progress: float
    state: (
        Literal[
            "queued",
            "profiling",
            "training",
            "searching",
            "certifying",
            "compressing",
            "succeeded",
            "failed",
            "cancelled",
        ]
        | str
    )


class ProjectMade(Value):
    """
    A project, and the secret of its first admin's token, which is shown this once.
    """

    project: Project
    secret: str
    token: Token


class Removed(Value):
    """
    Everything that went, the thing that was asked for last. Bytes go with garbage collection.
    """

    removed: list[RemovedItem]


class Report(Value):
    """
    What was understood of a source.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    classes: list[str] = []
    counts: Annotated[dict[str, dict[str, int]], Field(description="By part and class.")] = {}
    layout: str = ""
    notes: list[str] = []
    questions: Annotated[list[Question], Field(validate_default=True)] = []
    reading: list[str] = []
    set_aside: Annotated[list[SetAside], Field(validate_default=True)] = []


class SearchChanges(Value):
    """
    What a search is to have otherwise; the rest is as it was.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    also_devices: list[str] | None = None
    batch: int | None = None
    candidates_per_query: int | None = None
    cheap_fidelity: float | None = None
    corrections: Annotated[
        int | None,
        Field(
            description="How often at most the search goes on for a batch with the tables that its own measurements corrected; 3 with sampler exact unless given, else 0."
        ),
    ] = None
    dataset: str | None = None
    device: str | None = None
    evaluator: str | None = None
    follows: list[str] | None = None
    limit_on: Annotated[
        Literal["reference", "observed", "sustained"] | str | None,
        Field(
            description="What the latency limit is held against: p50 in the device's reference state, p90 of all that was observed, or p50 after sustained_s seconds of load."
        ),
    ] = None
    limit_probability: float | None = None
    limits: dict[str, float] | None = None
    max_latency_ms: float | None = None
    measuring_budget: int | None = None
    metric: Annotated[
        str | None,
        Field(
            description="A metric of the data set's learning task, its first one unless given; predicted_accuracy and measured_accuracy stand for its score."
        ),
    ] = None
    n_holdout: int | None = None
    n_initial: int | None = None
    n_probes: int | None = None
    n_queries: int | None = None
    n_winners: int | None = None
    objectives: list[str] | None = None
    patience: int | None = None
    precisions: Annotated[
        list[str] | None,
        Field(
            description="A precision on ONNX Runtime, or RUNTIME:PRECISION, as openvino:bf16; a recipe may follow, as int8+qat or fp32+width=0.75."
        ),
    ] = None
    predictor: str | None = None
    priority: Annotated[
        Literal["high", "normal", "low"] | str | None,
        Field(
            description="high: before the usual ones of the project; low: when nothing else waits."
        ),
    ] = None
    profile_budget_s: float | None = None
    rules: Annotated[
        list[dict[str, Any]] | None,
        Field(
            description="What architectures may not be: always, never, if with then, sum over decisions by name or glob, or products of slots by name or glob."
        ),
    ] = None
    sampler: str | None = None
    seed: int | None = None
    space: Annotated[
        str | None,
        Field(description="The usual one of the data set's learning task unless given."),
    ] = None
    sustained_s: float | None = None
    training: TrainingIn | None = None


class SearchIn(Value):
    """
    A search request.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    also_devices: list[str] = []
    batch: int = 8
    candidates_per_query: int = 3
    cheap_fidelity: float | None = None
    corrections: Annotated[
        int | None,
        Field(
            description="How often at most the search goes on for a batch with the tables that its own measurements corrected; 3 with sampler exact unless given, else 0."
        ),
    ] = None
    dataset: str
    device: str
    evaluator: str = "supernet"
    follows: list[str] = []
    limit_on: Annotated[
        Literal["reference", "observed", "sustained"] | str,
        Field(
            description="What the latency limit is held against: p50 in the device's reference state, p90 of all that was observed, or p50 after sustained_s seconds of load."
        ),
    ] = "reference"
    limit_probability: float = 0.95
    limits: dict[str, float] | None = None
    max_latency_ms: float | None = None
    measuring_budget: int = 10
    metric: Annotated[
        str,
        Field(
            description="A metric of the data set's learning task, its first one unless given; predicted_accuracy and measured_accuracy stand for its score."
        ),
    ] = ""
    n_holdout: int = 24
    n_initial: int = 64
    n_probes: int = 5
    n_queries: int = 40
    n_winners: int = 4
    objectives: list[str] | None = None
    patience: int | None = None
    precisions: Annotated[
        list[str] | None,
        Field(
            description="A precision on ONNX Runtime, or RUNTIME:PRECISION, as openvino:bf16; a recipe may follow, as int8+qat or fp32+width=0.75."
        ),
    ] = None
    predictor: str = "ensemble"
    priority: Annotated[
        Literal["high", "normal", "low"] | str,
        Field(
            description="high: before the usual ones of the project; low: when nothing else waits."
        ),
    ] = "normal"
    profile_budget_s: float = 60.0
    rules: Annotated[
        list[dict[str, Any]],
        Field(
            description="What architectures may not be: always, never, if with then, sum over decisions by name or glob, or products of slots by name or glob."
        ),
    ] = []
    sampler: str = "guided"
    seed: int = 0
    space: Annotated[
        str,
        Field(description="The usual one of the data set's learning task unless given."),
    ] = ""
    sustained_s: float = 120.0
    training: TrainingIn | None = None


class SpaceOut(Value):
    """
    A search space for samples of one shape; `own_model` where it is made of one.
    """

    decisions: list[DecisionOut]
    digest: str
    has_supernet: bool
    n_genotypes: Annotated[float, Field(description="Combinations of all values.")]
    n_networks: Annotated[
        float | None,
        Field(
            description="Different networks among them, as layers that are not there decide nothing; null where that is not known."
        ),
    ] = None
    name: str
    own_model: OwnModelOut | None = None
    stages: Annotated[
        list[StageOut],
        Field(description="None of a space of one level.", validate_default=True),
    ] = []


class SpecOut(Value):
    """
    A search's request as it was settled; the fields are those of a new search.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    also_devices: list[str] = []
    batch: int = 8
    candidates_per_query: int = 3
    cheap_fidelity: float | None = None
    corrections: int | None = None
    dataset: str
    device: str
    evaluator: str = "supernet"
    follows: list[str] = []
    limit_on: str = "reference"
    limit_probability: float = 0.95
    limits: dict[str, float] = {}
    max_latency_ms: float | None = None
    measuring_budget: int = 10
    metric: str = "accuracy"
    n_holdout: int = 24
    n_initial: int = 64
    n_probes: int = 5
    n_queries: int = 40
    n_winners: int = 4
    objectives: list[str] | None = None
    patience: int | None = None
    precisions: list[str]
    predictor: str = "ensemble"
    profile_budget_s: float = 60.0
    rules: list[dict[str, Any]] = []
    sampler: str = "guided"
    seed: int = 0
    space: str
    sustained_s: float = 120.0
    training: TrainingAsked | None = None


class SupernetOut(Value):
    """
    Shared weights; `sha256` is there once they are trained.
    """

    created_at: AwareDatetime
    dataset_id: str
    id: str
    lineage: Lineage
    metrics: SupernetMetrics
    natural_key: str
    recipe: SupernetRecipe
    seed: int
    sha256: str | None
    space: str
    space_digest: str


class Accepted(Value):
    """
    Long work was taken on: `Location` is its job, `href` where what it is about can be seen.
    """

    href: str
    id: str
    job: JobOut


class CompressionOut(Value):
    """
    A compression: its job, what was asked for, and rows of what came of it.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    artifacts: list[ArtifactOut]
    id: str
    job: JobOut
    made_ready: Annotated[list[str], Field(description="What was changed in an upload first.")] = []
    passes: Annotated[list[PassReport], Field(validate_default=True)] = []
    request: AskedModel
    rows: Annotated[list[CompressedRow], Field(validate_default=True)] = []


class DatasetFacts(Value):
    """
    What is known of an imported data set; its learning task adds what it needs.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    channels: int | None = None
    classes: list[str] | None = None
    n_test: int | None = None
    n_train: int | None = None
    n_validation: int | None = None
    reading: dict[str, Any] | None = None
    report: Report | None = None
    size: Annotated[int | None, Field(description="Pixels a side, or steps of a window.")] = None


class DatasetOut(Value):
    """
    A data set; `digest`, `sha256` and `facts` are there once it has been imported.
    """

    created_at: AwareDatetime
    digest: str | None
    facts: DatasetFacts
    id: str
    lineage: Lineage
    name: str
    sha256: str | None
    source: DatasetSource


class DeviceFacts(Value):
    """
    What is known of a device's hardware; null is unknown, never a guess.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    bandwidth_bytes_per_s: float | None = None
    drift: Annotated[DriftCheck | None, Field(description="The newest check.")] = None
    drift_checks: Annotated[
        list[DriftCheck], Field(description="Oldest first.", validate_default=True)
    ] = []
    instruction_sets: list[str] = []
    kind: str = ""
    labels: dict[str, str] = {}
    machine: Annotated[str | None, Field(description="Whose workers measure on it.")] = None
    memory_bytes: int | None = None
    model: str | None = None
    n_cores: int | None = None
    name: str | None = None
    operating_points: list[str] = []
    peak_macs_per_s: float | None = None
    references: Annotated[dict[str, ReferenceState], Field(validate_default=True)] = {}
    unsupported_operators: list[str] = []


class DeviceOut(Value):
    """
    A device; `local` where workers on it measure, and no agent.
    """

    created_at: AwareDatetime
    facts: DeviceFacts
    id: str
    lineage: Lineage
    local: bool
    name: str


class DeviceWithAgent(Value):
    """
    A device, and its agent where it has one.
    """

    agent: AgentFacts | None = None
    created_at: AwareDatetime
    facts: DeviceFacts
    id: str
    lineage: Lineage
    local: bool
    name: str


class FinishIn(Value):
    """
    A report: timings and outputs, or the problem that prevented them.
    """

    model_config = ConfigDict(
        extra="forbid",
    )
    answers: dict[str, list[list[AnswerIn]]] | None = None
    conditions: dict[str, Any] | None = None
    lease: str
    machine: MachineIn | None = None
    outputs: dict[str, OutputsIn] | None = None
    problem: str | None = None
    runtime_version: str = ""
    timings: dict[str, TimingIn] | None = None


class FrontOut(Value):
    """
    A front: members by prediction, and measured files; revision 0 is before the first.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    front: Annotated[list[FrontMember], Field(validate_default=True)] = []
    hypervolume: float | None = None
    limit_ms: float | None = None
    limits: dict[str, float] = {}
    measured: Annotated[list[MeasuredPoint], Field(validate_default=True)] = []
    metric: str | None = None
    metric_scale: MetricScale | None = None
    n_candidates: int | None = None
    n_evaluations: int | None = None
    objectives: list[str] = []
    predictor: FrontPredictor | None = None
    revision: int = 0
    tables: list[str] = []


class ListingDatasetOut(Value):
    items: list[DatasetOut]
    next_cursor: str | None


class ListingDeviceOut(Value):
    items: list[DeviceOut]
    next_cursor: str | None


class ListingPredictorOut(Value):
    items: list[PredictorOut]
    next_cursor: str | None


class ListingSupernetOut(Value):
    items: list[SupernetOut]
    next_cursor: str | None


class Provenance(Value):
    """
    Where a table's entries came from; an uploaded table says what its file says.
    """

    model_config = ConfigDict(
        extra="allow",
    )
    budget_s: float | None = None
    calibration_networks: Annotated[list[MeasuredNetwork], Field(validate_default=True)] = []
    device_facts: DeviceFacts | None = None
    fill: dict[str, Any] | None = None
    n_unstable_left_out: int | None = None
    profiled_s: float | None = None
    protocol: dict[str, Any] | None = None
    quarantined: dict[str, Any] = {}
    references: Annotated[dict[str, ReferenceState], Field(validate_default=True)] = {}
    runtime: str | None = None
    space: str | None = None
    steadiness: TableSteadiness | None = None
    threads: int | None = None


class SearchOut(Value):
    """
    A search.
    """

    created_at: AwareDatetime
    facts: FactsOut
    finished_at: AwareDatetime | None
    id: str
    lineage: Lineage
    problem: ProblemOut | None
    reopens: str | None
    revision: int
    spec: SpecOut
    state: (
        Literal[
            "queued",
            "profiling",
            "training",
            "searching",
            "certifying",
            "compressing",
            "succeeded",
            "failed",
            "cancelled",
        ]
        | str
    )


class TableOut(Value):
    """
    What is known of a lookup table besides its entries.
    """

    calibration: Calibration | None
    created_at: AwareDatetime
    id: str
    latency_check: LatencyCheck | None
    lineage: Lineage
    n_entries: int
    n_measured: int
    provenance: Provenance
    ratios: dict[str, Ratio] | None
    retired_at: AwareDatetime | None
    sha256: str
    spaces: Annotated[list[str], Field(description="Digests of the spaces that it prices.")]
    target_id: str
    used_from: AwareDatetime | None
    version: str


class ListingSearchOut(Value):
    items: list[SearchOut]
    next_cursor: str | None


class ListingTableOut(Value):
    items: list[TableOut]
    next_cursor: str | None
