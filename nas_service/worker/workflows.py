"""The workflows: which steps a job has, on which queue, and what waits for what.

Only searches and compressions wait for other jobs, and they have a queue of their own, so that
nothing waits for a place that is held by what waits for it.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from nas_service import tracing
from nas_service.engine import durable
from nas_service.errors import NasError
from nas_service.jobs.params import ProfileJob, RemeasureJob, WinnerJob
from nas_service.queues import QUEUE_OF
from nas_service.storage import datasets, reopening, searches
from nas_service.storage.session import Database
from nas_service.worker import step_functions as steps_of
from nas_service.worker.below import Below
from nas_service.worker.search_workflow import SearchWorkflow, set_state
from nas_service.worker.step import Step
from nas_service.worker.steps import Json, P, R, Runner, retried, succeeded


def register(runner: Runner) -> None:
    """Register every workflow with the engine; each runs within the scope of its job."""

    def of_kind(kind: str) -> durable.Body:
        def run(job_id: str, params: Json) -> Json:
            workflows = Workflows(retried(lambda: runner.of_job(job_id)))
            with tracing.span(kind, params.get(tracing.PARENT), job=job_id):
                outcome: Json = getattr(workflows, kind)(job_id, params)
                if outcome["state"] == "failed":
                    tracing.failed(outcome["problem"]["detail"])
            return outcome

        return run

    for kind in QUEUE_OF:
        durable.workflow(kind, of_kind(kind))


class Workflows:
    """One method a kind of job: `(job_id, params) -> outcome`."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._database: Database = runner.context.database
        self._below = Below(runner)
        self._start = self._below.start

    def dataset(self, job_id: str, params: Json) -> Json:
        """Import a data set; one that cannot be imported is forgotten, so its name is free."""

        def work() -> None:
            try:
                self._runner.step(job_id, "import", steps_of.import_dataset, params, (0.0, 1.0))
            except NasError:
                retried(lambda: self._forget(params["dataset_id"]))  # before anybody is told
                raise

        outcome = self._runner.job(job_id, work)
        if outcome["state"] != "succeeded":  # cancelled before it began, too
            retried(lambda: self._forget(params["dataset_id"]))
        return outcome

    def _forget(self, dataset_id: str) -> None:
        with self._database.session() as session:
            datasets.remove_dataset(session, dataset_id)

    def space(self, job_id: str, params: Json) -> Json:
        """Make a search space of a user's own model."""
        return self._single(job_id, "space", steps_of.make_space, params)

    def profile(self, job_id: str, params: Json) -> Json:
        """Measure blocks and networks on a device, or `networks` alone; makes lookup tables."""
        return self._single(job_id, "profile", _profiling(params), params)

    def make_kit(self, job_id: str, params: Json) -> Json:
        """Pack what an offline device is to measure."""
        return self._single(job_id, "kit", steps_of.make_kit, params)

    def import_kit(self, job_id: str, params: Json) -> Json:
        """Make tables of what came back."""
        return self._single(job_id, "import", steps_of.import_kit, params)

    def supernet(self, job_id: str, params: Json) -> Json:
        """Train a supernet, fit its predictor, learn what shipping does."""

        def work() -> None:
            step = self._runner.step
            step(job_id, "train", steps_of.train_supernet, params, (0.0, 0.6))
            step(job_id, "predict", steps_of.fit_predictor, params, (0.6, 0.8))
            step(job_id, "probe", steps_of.learn_delivery_gap, params, (0.8, 1.0))

        return self._runner.job(job_id, work)

    def compress(self, job_id: str, params: Json) -> Json:
        """Make a winner's files."""
        return self._single(job_id, "compress", steps_of.compress_winner, params)

    def measure(self, job_id: str, params: Json) -> Json:
        """Compile and measure a winner's files."""
        return self._single(job_id, "measure", steps_of.measure_winner, params)

    def certify(self, job_id: str, params: Json) -> Json:
        """Measure candidates near the limit."""
        return self._single(job_id, "certify", steps_of.measure_candidates, params)

    def compression(self, job_id: str, params: Json) -> Json:
        """Run a recipe on a model; compile, compare and measure what comes of it."""

        def work() -> None:
            wait = self._start("compress_model", job_id, f"{job_id}-compress", params, (0.0, 0.6))
            succeeded(wait(), "compressing")
            wait = self._start("measure_model", job_id, f"{job_id}-measure", params, (0.6, 1.0))
            succeeded(wait(), "measuring")

        return self._runner.job(job_id, work)

    def compress_model(self, job_id: str, params: Json) -> Json:
        """Train where that is asked for, and run the recipe."""
        return self._single(job_id, "compress", steps_of.compress_model, params)

    def measure_model(self, job_id: str, params: Json) -> Json:
        """Compile, compare and measure what the recipe gave."""
        return self._single(job_id, "measure", steps_of.measure_model, params)

    def remeasure(self, job_id: str, params: Json) -> Json:
        """Measure `winners` of a search again; its report, front and bundle are made anew."""

        def work() -> None:
            asked = RemeasureJob.model_validate(params)
            width = 0.95 / len(asked.winners)
            for number, winner in enumerate(asked.winners):
                task = WinnerJob(winner_id=winner, device_queue=asked.device_queue, again=True)
                span = (width * number, width * (number + 1))
                wait = self._start("measure", job_id, f"{job_id}-{number}", task.as_dict(), span)
                succeeded(wait(), "measuring")
            self._runner.step(job_id, "report", steps_of.finish_search, params, (0.95, 1.0))

        return self._runner.job(job_id, work)

    def drift(self, job_id: str, params: Json) -> Json:
        """See whether a device has moved from its tables; profile it anew where it has."""

        def work() -> None:
            step = self._runner.step
            found = step(job_id, "check", steps_of.check_drift, params, (0.0, 0.3))
            for number, wanted in enumerate(found.profile if found.moved else []):
                task = {**params, **wanted.model_dump(mode="json")}
                share = 0.7 / len(found.profile)
                span = (0.3 + share * number, 0.3 + share * (number + 1))
                step(job_id, f"profile {number}", _profiling(task), task, span)

        return self._runner.job(job_id, work)

    def search(self, job_id: str, params: Json) -> Json:
        """A search from its tables to its report."""

        def work() -> None:
            SearchWorkflow(self._runner, self._below).run(job_id, params)

        def ended(session: Session, outcome: Json) -> None:
            set_state(session, params["search_id"], outcome["state"], outcome["problem"])

        outcome = self._runner.job(job_id, work, ended=ended)
        if outcome["state"] == "succeeded":
            durable.step(
                "catch up",
                lambda: retried(lambda: self._catch_up(params["search_id"])),
            )
        return outcome

    def _catch_up(self, search_id: str) -> Json:
        """Open searches again for what came while this one ran."""
        with self._database.session() as session:
            search = searches.get_search(session, search_id)
            made = reopening.catch_up(session, self._runner.context.blobs, search)
        return {"opened": [job.id for job in made]}

    def _single(self, job_id: str, step: str, task: Step[P, R], params: Json) -> Json:
        def work() -> None:
            self._runner.step(job_id, step, task, params, (0.0, 1.0))

        return self._runner.job(job_id, work)


def _profiling(params: Json) -> Step[ProfileJob, None]:
    """The step that makes tables: of blocks, or of so many whole networks."""
    return steps_of.transfer_device if params.get("networks") else steps_of.profile_device
