"""A search's workflow: its tables, its training, its queries, its certificates and its winners."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy.orm import Session

from lookup_tables.runtimes.registry import reads_graphs
from lookup_tables.target import Deployment
from nas_service.compression.searched import SearchedRecipe
from nas_service.engine import durable
from nas_service.errors import Cancelled, StepFailed, from_dict
from nas_service.jobs.params import CorrectionJob, ProfileJob, SearchJob, WinnerJob
from nas_service.jobs.results import TablesChosen
from nas_service.storage import jobs, searches, webhooks
from nas_service.worker import step_functions as steps_of
from nas_service.worker.below import Below
from nas_service.worker.needed import needed_training
from nas_service.worker.step import Step
from nas_service.worker.steps import Json, Runner, retried, succeeded

_MAX_ATTEMPTS = 3
N_TRANSFERRED = 10
"""Whole networks that tables of runtimes without tables of blocks are made of."""
# parts of a search's progress: tables, training, queries, candidates, winners, more winners
_PROFILED, _TRAINED, _SEARCHED, _CERTIFIED, _SHIPPED, _REPLACED = 0.2, 0.6, 0.7, 0.75, 0.96, 0.98


class SearchWorkflow:
    """The steps of one search, and the jobs that it waits for."""

    def __init__(self, runner: Runner, below: Below) -> None:
        self._runner = runner
        self._start, self._stored = below.start, below.stored

    def run(self, job_id: str, params: Json) -> None:
        """All steps; raises what ends the search."""
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
        wait = self._start("certify", job_id, f"{search_id}-certify", task, span)
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
            wait = self._start("certify", job_id, job, measured, span)
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
            wait = self._start(
                "profile", job_id, f"{search_id}-profile", asked.as_dict(), (0.01, 0.1)
            )
            succeeded(wait(), "profiling")
        converted = _tables(missing, of_blocks=False)
        if converted:
            more = {"precisions": converted, "networks": N_TRANSFERRED}
            task = asked.model_copy(update=more).as_dict()
            job = f"{search_id}-transfer"
            wait = self._start("profile", job_id, job, task, (0.1, 0.19))
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
            wait = self._start("supernet", job_id, needed["job"], needed["params"], span)
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
            wait = self._start("compress", job_id, f"{winner}-compress", params, (at, at + width))
            waiting.append((winner, wait))
            at += width
        measuring: list[tuple[str, Callable[[], Json]]] = []
        for winner, wait in waiting:
            if not self._note_failure(winner, wait(), job_id):
                continue
            task = WinnerJob(winner_id=winner, device_queue=device_queue).as_dict()
            wait = self._start("measure", job_id, f"{winner}-measure", task, (at, at + width))
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

    def _state(self, search_id: str, state: str) -> None:
        self._stored(lambda session: set_state(session, search_id, state))


def set_state(session: Session, search_id: str, state: str, problem: Json | None = None) -> None:
    """Store what a search does; who waits to hear of it is told where that is its end."""
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
