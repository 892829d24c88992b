"""Every step that a worker runs, in one place: each imports what it needs when it is called.

A worker itself starts without torch; its steps run in processes of their own.
"""

from __future__ import annotations

from typing import TypeVar

from nas_service.engine.child import Json, Progress
from nas_service.jobs.params import (
    CompressionJob,
    DatasetJob,
    DriftJob,
    JobParams,
    KitImportJob,
    KitJob,
    ProfileJob,
    SearchJob,
    SupernetJob,
    WinnerJob,
)
from nas_service.worker.context import Context

Params = TypeVar("Params", bound=JobParams)


def _given(kind: type[Params], params: Json) -> tuple[Context, Params]:
    """What a step works with, and what it is asked for."""
    return Context.from_params(params), kind.model_validate(params)


def import_dataset(params: Json, report: Progress) -> Json:
    """Import a data set."""
    from nas_service.worker.tasks import ingest

    return ingest.import_dataset(*_given(DatasetJob, params), report)


def make_kit(params: Json, report: Progress) -> Json:
    """Pack what an offline device is to measure."""
    from nas_service.worker.tasks import kit

    return kit.make_kit(*_given(KitJob, params), report)


def import_kit(params: Json, report: Progress) -> Json:
    """Make tables of what came back."""
    from nas_service.worker.tasks import kit

    return kit.import_kit(*_given(KitImportJob, params), report)


def profile_device(params: Json, report: Progress) -> Json:
    """Measure blocks and networks; makes tables."""
    from nas_service.worker.tasks import profile

    return profile.profile_device(*_given(ProfileJob, params), report)


def transfer_device(params: Json, report: Progress) -> Json:
    """Make tables of a few whole networks and other tables."""
    from nas_service.worker.tasks import transfer

    return transfer.transfer_device(*_given(ProfileJob, params), report)


def check_drift(params: Json, report: Progress) -> Json:
    """See whether a device has moved from its tables."""
    from nas_service.worker.tasks import drift

    return drift.check_drift(*_given(DriftJob, params), report)


def train_supernet(params: Json, report: Progress) -> Json:
    """Train shared weights."""
    from nas_service.worker.tasks import supernet

    return supernet.train(*_given(SupernetJob, params), report)


def fit_predictor(params: Json, report: Progress) -> Json:
    """Evaluate subnets and fit a predictor on them."""
    from nas_service.worker.tasks import supernet

    return supernet.fit_predictor(*_given(SupernetJob, params), report)


def learn_shipping(params: Json, report: Progress) -> Json:
    """Learn on probes what delivery does to accuracy."""
    from nas_service.worker.tasks import supernet

    return supernet.learn_shipping(*_given(SupernetJob, params), report)


def select_tables(params: Json, report: Progress) -> Json:
    """Choose the tables that price a search."""
    from nas_service.worker.tasks import tables

    return tables.select_tables(*_given(SearchJob, params), report)


def check_feasible(params: Json, report: Progress) -> Json:
    """Settle the limit, and refuse one that nothing keeps."""
    from nas_service.worker.tasks import tables

    return tables.check_feasible(*_given(SearchJob, params), report)


def run_search(params: Json, report: Progress) -> Json:
    """Query the evaluator under the sampler's guidance."""
    from nas_service.worker.tasks import search

    return search.run_search(*_given(SearchJob, params), report)


def measure_candidates(params: Json, report: Progress) -> Json:
    """Measure candidates near the limit."""
    from nas_service.worker.tasks import certify

    return certify.measure_candidates(*_given(SearchJob, params), report)


def choose_winners(params: Json, report: Progress) -> Json:
    """Take winners from the front."""
    from nas_service.worker.tasks import front

    return front.choose_winners(*_given(SearchJob, params), report)


def compress_winner(params: Json, report: Progress) -> Json:
    """Make a winner's files."""
    from nas_service.worker.tasks import winner

    return winner.compress(*_given(WinnerJob, params), report)


def measure_winner(params: Json, report: Progress) -> Json:
    """Compile, measure and judge a winner's files."""
    from nas_service.worker.tasks import measure

    return measure.measure(*_given(WinnerJob, params), report)


def finish_search(params: Json, report: Progress) -> Json:
    """Store report, front and bundle."""
    from nas_service.worker.tasks.report import finish

    return finish(*_given(SearchJob, params), report)


def compress_model(params: Json, report: Progress) -> Json:
    """Run a recipe on a model."""
    from nas_service.worker.tasks import compress_model

    return compress_model.compress_model(*_given(CompressionJob, params), report)


def measure_model(params: Json, report: Progress) -> Json:
    """Compile, measure and judge a model's files."""
    from nas_service.worker.tasks import measure_model

    return measure_model.measure_model(*_given(CompressionJob, params), report)
