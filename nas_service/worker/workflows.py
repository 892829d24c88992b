"""The workflows: which steps a job has, on which queue, and what waits for what.

Only searches and compressions wait for other jobs, and they have a queue of their own, so that
nothing waits for a place that is held by what waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from sqlalchemy.orm import Session

from lookup_tables.runtimes.registry import reads_graphs
from lookup_tables.target import Deployment
from nas_service import tracing
from nas_service.compression.searched import SearchedRecipe
from nas_service.engine import durable
from nas_service.errors import Cancelled, Conflict, NasError, StepFailed, from_dict
from nas_service.jobs.params import CorrectionJob, ProfileJob, RemeasureJob, SearchJob, WinnerJob
from nas_service.jobs.results import TablesChosen
from nas_service.queues import QUEUE_OF, queue_of
from nas_service.storage import datasets, jobs, reopening, searches, webhooks
from nas_service.storage.fair_queueing import place
from nas_service.storage.session import Database
from nas_service.worker import step_functions as steps_of
from nas_service.worker.needed import needed_training
from nas_service.worker.step import Step
from nas_service.worker.steps import Json, P, R, Runner, T, retried, succeeded

_MAX_ATTEMPTS = 3
_LOOK_EVERY_S = 0.3
N_TRANSFERRED = 10
"""Whole networks that tables of runtimes without tables of blocks are made of."""
# parts of a search's progress: tables, training, queries, candidates, winners, more winners
_PROFILED, _TRAINED, _SEARCHED, _CERTIFIED, _SHIPPED, _REPLACED = 0.2, 0.6, 0.7, 0.75, 0.96, 0.98


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
            wait = self._below("compress_model", job_id, f"{job_id}-compress", params, (0.0, 0.6))
            succeeded(wait(), "compressing")
            wait = self._below("measure_model", job_id, f"{job_id}-measure", params, (0.6, 1.0))
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
                wait = self._below("measure", job_id, f"{job_id}-{number}", task.as_dict(), span)
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
            self._search(job_id, params)

        def ended(session: Session, outcome: Json) -> None:
            _set_state(session, params["search_id"], outcome["state"], outcome["problem"])

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

    def _search(self, job_id: str, params: Json) -> None:
        search_id = params["search_id"]
        step = self._runner.step
        self._state(search_id, "profiling")
        found = step(job_id, "tables", steps_of.select_tables, params, (0.0, 0.01))
        if found.missing:
            self._profile(job_id, search_id, found)
            found = step(job_id, "tables again", steps_of.select_tables, params, (0.19, 0.2))
            if found.missing:
                raise StepFailed(f"profiling left {', '.join(found.missing)} without a table")
        step(job_id, "feasible", steps_of.check_feasible, params, (0.2, 0.21))
        self._state(search_id, "training")
        self._train(job_id, search_id)
        self._state(search_id, "searching")
        spec = self._stored(lambda session: searches.get_search(session, search_id).value)
        outside = spec.evaluator == "outside"
        run = steps_of.run_search_outside if outside else steps_of.run_search
        step(job_id, "search", run, params, (_TRAINED, _SEARCHED))
        self._state(search_id, "certifying")
        task = SearchJob(search_id=search_id, device_queue=found.device_queue).as_dict()
        span = (_SEARCHED, _CERTIFIED)
        wait = self._below("certify", job_id, f"{search_id}-certify", task, span)
        succeeded(wait(), "measuring candidates")
        self._correct(job_id, search_id, spec.corrections, run, task)
        chosen = step(job_id, "winners", steps_of.choose_winners, params, (_CERTIFIED, _CERTIFIED))
        self._state(search_id, "compressing")
        span = (_CERTIFIED, _SHIPPED)
        self._ship(job_id, chosen.winners, span, device_queue=found.device_queue)
        again = SearchJob(search_id=search_id, replace=True).as_dict()
        more = step(job_id, "replacements", steps_of.choose_winners, again, (_SHIPPED, _SHIPPED))
        self._ship(job_id, more.winners, (_SHIPPED, _REPLACED), device_queue=found.device_queue)
        step(job_id, "report", steps_of.finish_search, params, (_REPLACED, 1.0))

    def _correct(
        self,
        job_id: str,
        search_id: str,
        most: int,
        run: Step[SearchJob, None],
        measured: Json,
    ) -> None:
        """Go on with corrected tables, and measure again, at most so often."""
        step, span = self._runner.step, (_CERTIFIED, _CERTIFIED)
        for number in range(1, most + 1):
            asked = CorrectionJob(search_id=search_id, number=number).as_dict()
            told = step(job_id, f"correction {number}", steps_of.correct_search, asked, span)
            if not told.goes_on:
                return
            params = SearchJob(search_id=search_id).as_dict()
            self._state(search_id, "searching")
            step(job_id, f"corrected tables {number}", steps_of.select_tables, params, span)
            step(job_id, f"corrected search {number}", run, params, span)
            self._state(search_id, "certifying")
            job = f"{search_id}-certify-{number}"
            wait = self._below("certify", job_id, job, measured, span)
            succeeded(wait(), "measuring candidates again")

    def _profile(self, job_id: str, search_id: str, found: TablesChosen) -> None:
        spec = self._stored(lambda session: searches.get_search(session, search_id).value)
        asked = ProfileJob(
            device_id=found.device_id,
            space=spec.space,
            sample=found.sample,
            precisions=_tables(spec.deployments, of_blocks=True),
            widths=sorted({SearchedRecipe.of(one).width for one in spec.deployments}),
            budget_s=spec.profile_budget_s,
            seed=spec.seed,
            device_queue=found.device_queue,
        )
        missing = [Deployment.parse(name) for name in found.missing]
        if any(reads_graphs(one.runtime) for one in missing):
            wait = self._below(
                "profile", job_id, f"{search_id}-profile", asked.as_dict(), (0.01, 0.1)
            )
            succeeded(wait(), "profiling")
        converted = _tables(missing, of_blocks=False)
        if converted:
            more = {"precisions": converted, "networks": N_TRANSFERRED}
            task = asked.model_copy(update=more).as_dict()
            job = f"{search_id}-transfer"
            wait = self._below("profile", job_id, job, task, (0.1, 0.19))
            succeeded(wait(), "profiling")

    def _train(self, job_id: str, search_id: str) -> None:
        """Have the supernet and predictor that the search needs, made once for all searches."""
        for attempt in range(_MAX_ATTEMPTS):
            needed = durable.step(
                f"resources {attempt}",
                lambda: retried(lambda: needed_training(self._runner.context, search_id)),
            )
            if "error" in needed:
                raise from_dict(needed["error"])
            if not needed["job"]:
                return
            span = (0.21, _TRAINED)
            wait = self._below("supernet", job_id, needed["job"], needed["params"], span)
            outcome = wait()
            if self._stored(lambda session: jobs.is_cancelled(session, job_id)):
                raise Cancelled("cancelled")
            if (
                outcome["state"] != "cancelled"
            ):  # another search may have ended what both waited for
                succeeded(outcome, "training")
                return
        raise StepFailed(f"training was cancelled {_MAX_ATTEMPTS} times by other searches")

    def _ship(
        self, job_id: str, winners: list[str], span: tuple[float, float], *, device_queue: str
    ) -> None:
        width = (span[1] - span[0]) / max(1, 2 * len(winners))
        at = span[0]
        waiting: list[tuple[str, Callable[[], Json]]] = []
        for winner in winners:
            params = WinnerJob(winner_id=winner).as_dict()
            wait = self._below("compress", job_id, f"{winner}-compress", params, (at, at + width))
            waiting.append((winner, wait))
            at += width
        measuring: list[tuple[str, Callable[[], Json]]] = []
        for winner, wait in waiting:
            if not self._note_failure(winner, wait(), job_id):
                continue
            task = WinnerJob(winner_id=winner, device_queue=device_queue).as_dict()
            wait = self._below("measure", job_id, f"{winner}-measure", task, (at, at + width))
            measuring.append((winner, wait))
            at += width
        for winner, wait in measuring:
            self._note_failure(winner, wait(), job_id)

    def _note_failure(self, winner: str, outcome: Json, job_id: str) -> bool:
        """Whether a winner's job succeeded; one that failed does not take the others with it."""

        def note(session: Session) -> bool:
            if jobs.is_cancelled(session, job_id):
                raise Cancelled("cancelled")
            if outcome["state"] == "succeeded":
                return True
            searches.update_winner(session, winner, state="failed", problem=outcome["problem"])
            return False

        return self._stored(note)

    def _below(
        self,
        kind: str,
        parent: str,
        job_id: str,
        params: Json,
        span: tuple[float, float],
    ) -> Callable[[], Json]:
        """Start a job that this one waits for, or join the one of that id."""
        params = {**params, "reports_to": {"job": parent, "span": list(span)}, **tracing.here()}
        queue = queue_of(kind, params)

        def add(session: Session) -> int | None:
            cancelled = jobs.is_cancelled(session, parent)
            job = jobs.add_job(session, job_id, kind, subject=parent, params=params, parent=parent)
            if cancelled:
                return None
            waits = f"waiting for a worker on queue {queue.name}"  # until it says what it does
            self._runner.store_progress(session, parent, span[0], waits)
            return place(job.priority, job.start_tag)

        at = self._stored(add)
        if at is None:
            raise Cancelled("cancelled")
        outcome = durable.enqueue_child(kind, queue, job_id, params, place=at)

        def wait() -> Json:
            while retried(lambda: self._goes_on(parent, job_id, span)):
                time.sleep(_LOOK_EVERY_S)
            return outcome()

        return wait

    def _goes_on(self, parent: str, job_id: str, span: tuple[float, float]) -> bool:
        """Whether a job that another waits for has yet to end.

        Raises:
            Cancelled: nobody waits for it any more.
        """
        with self._database.session() as session:
            cancelled = jobs.is_cancelled(session, parent)
            job = jobs.get_job(session, job_id)
            ended = job.state in jobs.FINAL
            own = job.params.get("reports_to", {}).get("job") == parent
            if cancelled and own and not ended:
                # it may have come while that was asked for; a step that runs is waited for
                with suppress(Conflict):
                    jobs.request_cancel(session, job_id)
                return True
            if not (cancelled or own or ended):  # another's first: its progress is told there
                at = span[0] + (span[1] - span[0]) * job.fraction
                self._runner.store_progress(session, parent, at, job.message)
        if cancelled:
            raise Cancelled("cancelled")
        return not ended

    def _state(self, search_id: str, state: str) -> None:
        self._stored(lambda session: _set_state(session, search_id, state))

    def _stored(self, work: Callable[[Session], T]) -> T:
        """Read or write in one transaction, however long the database is away before it."""

        def once() -> T:
            with self._database.session() as session:
                return work(session)

        return retried(once)


def _set_state(session: Session, search_id: str, state: str, problem: Json | None = None) -> None:
    searches.set_state(session, search_id, state, problem=problem)
    if state in {"failed", "cancelled"}:
        search = searches.get_search(session, search_id)
        told = {
            "search": search_id,
            "device": search.value.device,
            "reopens": search.reopens,
            "problem": problem,
        }
        webhooks.announce(session, f"search.{state}", search_id, told)


def _tables(deployments: Iterable[Deployment], *, of_blocks: bool) -> list[str]:
    """The tables that deployments need, of measured blocks or of whole networks, each once."""
    some = (one.table for one in deployments if reads_graphs(one.runtime) == of_blocks)
    return list(dict.fromkeys(some))


def _profiling(params: Json) -> Step[ProfileJob, None]:
    """The step that makes tables: of blocks, or of so many whole networks."""
    return steps_of.transfer_device if params.get("networks") else steps_of.profile_device
