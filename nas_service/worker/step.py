"""A step as workflows call it and as a process of its own runs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, TypeVar, overload

from nas_service.engine.child import Progress
from nas_service.errors import lacking
from nas_service.jobs.params import JobParams
from nas_service.jobs.results import StepResult
from nas_service.worker.context import Context
from nas_service.worker.locks import Uses

Json = dict[str, Any]
P = TypeVar("P", bound=JobParams)
R = TypeVar("R", bound=StepResult | None)
GivenResult = TypeVar("GivenResult", bound=StepResult)


class Step(Generic[P, R]):
    """A function of a job's parameters, which gives a result or nothing.

    What it is called with and gives is JSON on the way to its process and back.
    """

    def __init__(
        self,
        work: Callable[[Context, P, Progress], R],
        params: type[P],
        read: Callable[[Json], R],
        uses: Uses,
    ) -> None:
        self.uses = uses
        self._work = work
        self._params = params
        self._read = read
        self.__module__: str
        self.__qualname__: str
        update_wrapper(self, work)

    def __call__(self, params: Json, report: Progress) -> Json:
        """In a process of its own."""
        context = Context.from_params(params)
        try:
            found = self._work(context, self._params.model_validate(params), report)
        except Exception as error:
            if away := lacking(error):
                raise away from error
            raise
        return {} if found is None else found.model_dump(mode="json")

    def result(self, value: Json) -> R:
        """What the step gave, from what was kept of it."""
        return self._read(value)


@overload
def step(
    params: type[P], uses: Uses
) -> Callable[[Callable[[Context, P, Progress], None]], Step[P, None]]: ...


@overload
def step(
    params: type[P], uses: Uses, result: type[GivenResult]
) -> Callable[[Callable[[Context, P, Progress], GivenResult]], Step[P, GivenResult]]: ...


def step(params: Any, uses: Uses, result: Any = None) -> Any:
    """Make a step of a function: its `params`, what it uses and, where it gives any, its result."""
    read = (lambda _: None) if result is None else result.model_validate
    return lambda work: Step(work, params, read, uses)
