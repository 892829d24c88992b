"""Projects are queued fairly; within one, what is urgent comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from nas_service.storage import jobs
from nas_service.storage.fair_queueing import PRIORITIES, URGENT, Priority, place
from nas_service.storage.revisions import migrate
from nas_service.storage.scope import SERVICE, Scope
from nas_service.storage.session import Database


class Queue:
    """The jobs of one queue, worked off as the engine does: by place, then by age."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers = count()
        self.waiting: list[tuple[int, int, str, str, Priority]] = []

    def add(self, project: str, priority: Priority = "normal") -> str:
        number = next(self._numbers)
        job_id = f"{project}-{number}"
        with self._database.of(Scope(project)).session() as session:
            job = jobs.add_job(
                session, job_id, "dataset", subject="x", params={}, priority=priority
            )
        self.waiting.append((place(job.priority, job.start_tag), number, job_id, project, priority))
        return job_id

    def take(self) -> tuple[str, str, Priority]:
        first = min(self.waiting)
        self.waiting.remove(first)
        with self._database.of(SERVICE).session() as session:
            assert jobs.n_before(session, first[2]) == 0
            assert jobs.start(session, first[2])
        return first[2:]

    def cancel(self, job_id: str) -> None:
        self.waiting = [one for one in self.waiting if one[2] != job_id]
        with self._database.of(SERVICE).session() as session:
            jobs.request_cancel(session, job_id)

    def before(self, job_id: str) -> int | None:
        with self._database.of(SERVICE).session() as session:
            return jobs.n_before(session, job_id)

    def clear(self) -> None:
        self.waiting = []
        with self._database.of(SERVICE).session() as session:
            session.execute(text("DELETE FROM jobs"))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path_factory.mktemp('turns') / 'nas.sqlite'}"
    migrate(url)
    made = Database(url)
    yield made
    made.close()


@pytest.fixture
def queue(database: Database) -> Queue:
    made = Queue(database)
    made.clear()
    return made


def test_the_first_of_another_project_waits_for_one_of_a_hundred(queue: Queue) -> None:
    for _ in range(100):
        queue.add("a")
    other = queue.add("b")
    assert queue.before(other) == 1
    assert [queue.take()[1] for _ in range(4)] == ["a", "b", "a", "a"]


def test_who_comes_again_and_again_does_not_keep_others_waiting(queue: Queue) -> None:
    for _ in range(20):
        queue.add("a")
    served = []
    for _ in range(20):
        if not any(one[3] == "b" for one in queue.waiting):
            queue.add("b")
        served.append(queue.take()[1])
    assert Counter(served) == {"a": 10, "b": 10}


def test_what_is_urgent_comes_before_what_its_project_has_waiting(queue: Queue) -> None:
    usual = [queue.add("a") for _ in range(5)]
    urgent = [queue.add("a", "high") for _ in range(URGENT)]
    idle, other = queue.add("a", "low"), queue.add("b")
    taken = [queue.take()[0] for _ in range(11)]
    assert taken == [*urgent, usual[0], other, *usual[1:], idle]


@pytest.mark.parametrize("all_at_once", [True, False])
def test_a_project_whose_jobs_are_all_urgent_does_not_shut_others_out(
    queue: Queue, all_at_once: bool
) -> None:
    """Also where each urgent one is asked for when the last one was taken."""
    for _ in range(20):
        queue.add("b")
        if all_at_once:
            for _ in range(URGENT):
                queue.add("a", "high")
    served = []
    for _ in range(50):
        if not any(one[3] == "a" for one in queue.waiting):
            queue.add("a", "high")
        served.append(queue.take()[1])
    assert served.count("b") >= 50 // (URGENT + 1) - 1
    assert served.count("a") >= 50 * URGENT // (URGENT + 1) - 1


def test_what_a_project_took_back_is_not_held_against_it(queue: Queue) -> None:
    mine = [queue.add("a") for _ in range(50)]
    for _ in range(10):
        queue.add("b")
    for job_id in mine[1:]:
        queue.cancel(job_id)
    queue.take()
    again = queue.add("a")
    assert queue.before(again) == 2  # the first one of b, and its second, which is older


def test_a_project_that_had_much_before_waits_no_longer_for_that(queue: Queue) -> None:
    for _ in range(30):
        queue.add("a")
        queue.take()
    queue.add("b")
    queue.add("b")
    mine = queue.add("a")
    assert queue.before(mine) <= 2


def test_what_can_wait_comes_last_of_whatever_project(queue: Queue) -> None:
    queue.add("a", "low")
    queue.add("b", "low")
    for _ in range(3):
        queue.add("a")
    assert [queue.take()[1:] for _ in range(5)] == [
        *[("a", "normal")] * 3,
        ("a", "low"),
        ("b", "low"),
    ]


def test_a_job_below_another_has_its_priority(database: Database, queue: Queue) -> None:
    above = queue.add("a", "high")
    with database.of(Scope("a")).session() as session:
        below = jobs.add_job(session, "below", "compress", subject=above, params={}, parent=above)
    assert below.priority == "high"


def test_what_does_not_wait_is_before_nothing(queue: Queue) -> None:
    job_id = queue.add("a")
    queue.take()
    assert queue.before(job_id) is None
    assert queue.before("nobody's") is None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.none() | st.tuples(st.sampled_from("abc"), st.sampled_from(PRIORITIES)), max_size=40
    )
)
def test_jobs_are_told_how_many_come_before_them(
    queue: Queue, steps: list[tuple[str, Priority] | None]
) -> None:
    """None takes one. Whatever has come and gone, the count is the one of the sorted queue."""
    queue.clear()
    for step in steps:
        if step is not None:
            queue.add(*step)
        elif queue.waiting:
            queue.take()
    for number, one in enumerate(sorted(queue.waiting)):
        assert queue.before(one[2]) == number


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.none() | st.sampled_from("ab"), max_size=60), st.sampled_from(PRIORITIES))
def test_two_that_both_wait_are_served_alike(
    queue: Queue, steps: list[str | None], priority: Priority
) -> None:
    """While both have jobs waiting neither gets more than two ahead of the other."""
    queue.clear()
    served: list[str] = []
    for step in steps:
        if step is not None:
            queue.add(step, priority)
            continue
        if {one[3] for one in queue.waiting} != {"a", "b"}:
            served.clear()
        if queue.waiting:
            served.append(queue.take()[1])
        assert abs(served.count("a") - served.count("b")) <= 2
