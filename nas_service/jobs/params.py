"""The parameters of every kind of job: what is enqueued, and what its steps are given.

They are stored as JSON. A field that a newer version adds has a default, so that jobs which wait
while a service is brought up to date go on.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Json = dict[str, Any]


class JobParams(BaseModel):
    """Of any job. `device_queue`: that of the device which it measures on, where it does."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    device_queue: str = ""

    def as_dict(self) -> Json:
        """Plain JSON values."""
        return self.model_dump(mode="json")


class DatasetJob(JobParams):
    """Import a data set whose row is there."""

    dataset_id: str


class SearchJob(JobParams):
    """A search's own steps. `replace`: more winners for those of which no file was certified.

    `again`: the search has ended before, and nobody is told of its end once more.
    """

    search_id: str
    replace: bool = False
    again: bool = False


class HelpJob(JobParams):
    """Evaluate networks of a search that another worker runs, under this name."""

    search_id: str
    name: str


class CorrectionJob(SearchJob):
    """See whether a search goes on with corrected tables, for the `number`th time."""

    number: int


class RemeasureJob(SearchJob):
    """Measure these winners of a search again."""

    winners: list[str]
    again: bool = True


class WinnerJob(JobParams):
    """Make or measure a winner's files; `again` replaces results that are there."""

    winner_id: str
    again: bool = False


class SupernetJob(JobParams):
    """Train shared weights, fit a predictor of `metric` on subnets, probe what delivery does.

    `graphs` are those of searched recipes, beside plain fp32 and int8.
    """

    supernet_id: str
    predictor_id: str
    n_initial: int
    n_holdout: int
    n_probes: int
    finetune: Json
    graphs: list[str] = Field(default_factory=list)
    metric: str = "accuracy"


class SpaceJob(JobParams):
    """Make a search space of a `definition`, or of a model: an upload's `artifact`, a `factory`.

    `mean` and `std`, one a channel, are what its samples are prepared with.
    """

    space: str
    dataset_id: str
    artifact: str | None = None
    factory: str | None = None
    definition: Json | None = None
    mean: list[float] | None = None
    std: list[float] | None = None


class DeviceJob(JobParams):
    """Something is done with a device."""

    device_id: str
    seed: int = 0


class SampledJob(DeviceJob):
    """Something about a space for samples like `sample`: by the name of their kind, as `image`."""

    space: str
    sample: dict[str, dict[str, int]]

    @model_validator(mode="before")
    @classmethod
    def as_before(cls, values: Json) -> Json:
        """Jobs that earlier versions stored have an image."""
        if "image" in values and "sample" not in values:
            return {**values, "sample": {"image": values["image"]}}
        return values


class ProfileJob(SampledJob):
    """Make tables of a device: of blocks, or of so many whole `networks`.

    `widths` are of recipes that narrow blocks.
    """

    precisions: list[str]
    widths: list[float] = Field(default_factory=list)
    budget_s: float = 60.0
    networks: int | None = None


class DriftJob(DeviceJob):
    """See whether a device has moved; what has is profiled for `budget_s` seconds."""

    budget_s: float = 60.0


class KitJob(SampledJob):
    """Pack what an offline device is to measure."""

    precisions: list[str]


class KitImportJob(DeviceJob):
    """Make tables of what a kit brought back; `kit` is what it asked for."""

    kit: Json
    results: str
    runtime_version: str


class ReferenceNetwork(BaseModel):
    """A reference network that is trained first; `size` None takes the data set's."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    width: float = 1.0
    size: int | None = None
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 0.1
    flip: bool = False


class CompressionJob(DeviceJob):
    """A model through recipe and runtimes; see the request of the same names.

    One of `artifact` (an upload), `winner` and `reference` is given, and a data set, or artifacts
    of `samples` of the upload's own inputs, judged by `metric` on those of `test`. With `again`,
    `targets` are those of the compression that are measured again.
    """

    compression_id: str
    dataset: str | None = None
    dataset_id: str | None = None
    device: str
    recipe: list[Any]
    targets: list[dict[str, str]]
    artifact: str | None = None
    winner: str | None = None
    reference: ReferenceNetwork | None = None
    shape: list[int] | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    samples: list[str] = []
    test: list[str] = []
    metric: str = ""
    keep_float: list[str] = []
    max_loss: float = 0.01
    speedup_share: float = 0.8
    max_train_images: int | None = None
    max_test_images: int = 1000
    again: bool = False
