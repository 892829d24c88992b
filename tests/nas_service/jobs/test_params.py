"""The parameters of jobs: as they are stored, and as an earlier version stored them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nas_service.jobs import params
from nas_service.jobs.params import (
    CompressionJob,
    JobParams,
    ProfileJob,
    ReferenceNetwork,
    SearchJob,
    SupernetJob,
    WinnerJob,
)

KINDS = [
    one
    for one in vars(params).values()
    if isinstance(one, type) and issubclass(one, JobParams) and one is not JobParams
]
EVERY = [
    SearchJob(search_id="sea_1", replace=True),
    WinnerJob(winner_id="sea_1-w0", device_queue="agents/dev_1", again=True),
    SupernetJob(
        supernet_id="s",
        predictor_id="p",
        n_initial=8,
        n_holdout=2,
        n_probes=1,
        finetune={"epochs": 1},
        metric="macro_f1",
    ),
    ProfileJob(
        device_id="d",
        space="mbconv",
        image={"size": 32, "channels": 3, "n_classes": 10},
        precisions=["fp32"],
        widths=[1.0, 0.75],
    ),
    CompressionJob(
        device_id="d",
        compression_id="cmp_1",
        dataset="pets",
        dataset_id="dat_1",
        device="here",
        recipe=["qat"],
        targets=[{"runtime": "onnxruntime", "precision": "int8"}],
        reference=ReferenceNetwork(name="resnet8", width=0.5),
    ),
]


@pytest.mark.parametrize("job", EVERY, ids=lambda job: type(job).__name__)
def test_parameters_survive_storage(job: JobParams) -> None:
    assert type(job).model_validate(job.as_dict()) == job


def test_what_the_engine_adds_is_passed_over() -> None:
    stored = {
        "search_id": "sea_1",
        "settings": {"var_dir": "x"},
        "job_id": "job_1",
        "reports_to": {"job": "sea_1", "span": [0, 1]},
    }
    assert SearchJob.model_validate(stored) == SearchJob(search_id="sea_1")


def test_a_job_of_an_earlier_version_has_defaults_for_what_came_later() -> None:
    stored = {"winner_id": "sea_1-w0"}
    assert WinnerJob.model_validate(stored) == WinnerJob(winner_id="sea_1-w0", again=False)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_job_without_its_subject_is_refused_by_name(kind: type[JobParams]) -> None:
    with pytest.raises(ValidationError, match=r"_id\n  Field required"):
        kind.model_validate({})
