"""Every step that a worker runs, in one place: each imports what it needs when it is called.

A worker itself starts without torch; its steps run in processes of their own.
"""

from __future__ import annotations

from nas_service.engine.child import Progress
from nas_service.jobs.params import (
    CompressionJob,
    CorrectionJob,
    DatasetJob,
    DriftJob,
    HelpJob,
    KitImportJob,
    KitJob,
    ProfileJob,
    SearchJob,
    SpaceJob,
    SupernetJob,
    WinnerJob,
)
from nas_service.jobs.results import Corrected, DriftFound, TablesChosen, WinnersChosen
from nas_service.worker.context import Context
from nas_service.worker.locks import Uses
from nas_service.worker.step import step


@step(DatasetJob, Uses.NOTHING)
def import_dataset(context: Context, job: DatasetJob, report: Progress) -> None:
    """Import a data set."""
    from nas_service.worker.tasks import ingest

    ingest.import_dataset(context, job, report)


@step(SpaceJob, Uses.PROCESSOR)
def make_space(context: Context, job: SpaceJob, report: Progress) -> None:
    """Make a search space of a user's own model."""
    from nas_service.worker.tasks import elastic

    elastic.make_space(context, job, report)


@step(KitJob, Uses.NOTHING)
def make_kit(context: Context, job: KitJob, report: Progress) -> None:
    """Pack what an offline device is to measure."""
    from nas_service.worker.tasks import kit

    kit.make_kit(context, job, report)


@step(KitImportJob, Uses.PROCESSOR)
def import_kit(context: Context, job: KitImportJob, report: Progress) -> None:
    """Make tables of what came back."""
    from nas_service.worker.tasks import kit

    kit.import_kit(context, job, report)


@step(ProfileJob, Uses.DEVICE)
def profile_device(context: Context, job: ProfileJob, report: Progress) -> None:
    """Measure blocks and networks; makes tables."""
    from nas_service.worker.tasks import profile

    profile.profile_device(context, job, report)


@step(ProfileJob, Uses.DEVICE)
def transfer_device(context: Context, job: ProfileJob, report: Progress) -> None:
    """Make tables of a few whole networks and other tables."""
    from nas_service.worker.tasks import transfer

    transfer.transfer_device(context, job, report)


@step(DriftJob, Uses.DEVICE, DriftFound)
def check_drift(context: Context, job: DriftJob, report: Progress) -> DriftFound:
    """See whether a device has moved from its tables."""
    from nas_service.worker.tasks import drift

    return drift.check_drift(context, job, report)


@step(SupernetJob, Uses.TRAINING)
def train_supernet(context: Context, job: SupernetJob, report: Progress) -> None:
    """Train shared weights."""
    from nas_service.worker.tasks import supernet

    supernet.train(context, job, report)


@step(SupernetJob, Uses.TRAINING)
def fit_predictor(context: Context, job: SupernetJob, report: Progress) -> None:
    """Evaluate subnets and fit a predictor on them."""
    from nas_service.worker.tasks import supernet

    supernet.fit_predictor(context, job, report)


@step(SupernetJob, Uses.TRAINING)
def learn_delivery_gap(context: Context, job: SupernetJob, report: Progress) -> None:
    """Learn on probes what delivery does to accuracy."""
    from nas_service.worker.tasks import supernet

    supernet.learn_delivery_gap(context, job, report)


@step(SearchJob, Uses.NOTHING, TablesChosen)
def select_tables(context: Context, job: SearchJob, report: Progress) -> TablesChosen:
    """Choose the tables that price a search."""
    from nas_service.worker.tasks import tables

    return tables.select_tables(context, job, report)


@step(SearchJob, Uses.PROCESSOR)
def check_feasible(context: Context, job: SearchJob, report: Progress) -> None:
    """Settle the limit, and refuse one that nothing keeps."""
    from nas_service.worker.tasks import tables

    tables.check_feasible(context, job, report)


@step(SearchJob, Uses.NOTHING)
def run_search_outside(context: Context, job: SearchJob, report: Progress) -> None:
    """The same where others train: it mostly waits for them, and measures nothing."""
    from nas_service.worker.tasks import search

    search.run_search(context, job, report)


@step(SearchJob, Uses.PROCESSOR)
def run_search(context: Context, job: SearchJob, report: Progress) -> None:
    """Query the evaluator under the sampler's guidance."""
    from nas_service.worker.tasks import search

    search.run_search(context, job, report)


@step(HelpJob, Uses.PROCESSOR)
def help_search(context: Context, job: HelpJob, report: Progress) -> None:
    """Evaluate networks of a search that another worker runs."""
    from nas_service.worker.tasks import search

    search.help_search(context, job, report)


@step(SearchJob, Uses.DEVICE)
def measure_candidates(context: Context, job: SearchJob, report: Progress) -> None:
    """Measure candidates near the limit."""
    from nas_service.worker.tasks import certify

    certify.measure_candidates(context, job, report)


@step(CorrectionJob, Uses.NOTHING, Corrected)
def correct_search(context: Context, job: CorrectionJob, report: Progress) -> Corrected:
    """See whether a search goes on with the tables that it corrected."""
    from nas_service.worker.tasks import correction

    return correction.correct_search(context, job, report)


@step(SearchJob, Uses.NOTHING, WinnersChosen)
def choose_winners(context: Context, job: SearchJob, report: Progress) -> WinnersChosen:
    """Take winners from the front."""
    from nas_service.worker.tasks import front

    return front.choose_winners(context, job, report)


@step(WinnerJob, Uses.TRAINING)
def compress_winner(context: Context, job: WinnerJob, report: Progress) -> None:
    """Make a winner's files."""
    from nas_service.worker.tasks import winner

    winner.compress(context, job, report)


@step(WinnerJob, Uses.DEVICE)
def measure_winner(context: Context, job: WinnerJob, report: Progress) -> None:
    """Compile, measure and judge a winner's files."""
    from nas_service.worker.tasks import measure

    measure.measure(context, job, report)


@step(SearchJob, Uses.NOTHING)
def finish_search(context: Context, job: SearchJob, report: Progress) -> None:
    """Store report, front and bundle."""
    from nas_service.worker.tasks.report import finish

    finish(context, job, report)


@step(CompressionJob, Uses.TRAINING)
def compress_model(context: Context, job: CompressionJob, report: Progress) -> None:
    """Run a recipe on a model."""
    from nas_service.worker.tasks import compress_model

    compress_model.compress_model(context, job, report)


@step(CompressionJob, Uses.DEVICE)
def measure_model(context: Context, job: CompressionJob, report: Progress) -> None:
    """Compile, measure and judge a model's files."""
    from nas_service.worker.tasks import measure_model

    measure_model.measure_model(context, job, report)
