"""What a call can raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import JobOut, ProblemOut


class ClientError(Exception):
    """Everything that the client raises."""


class ApiError(ClientError):
    """The service refused; `problem` is its problem document (RFC 9457)."""

    def __init__(self, problem: ProblemOut) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem

    @property
    def status(self) -> int:
        """The status code of HTTP."""
        return self.problem.status


class Unreachable(ClientError):
    """No service answers at the address, or it stopped in the middle of an answer."""


class NotThisService(ClientError):
    """What answers is not what this client is made for."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"what answers at {url} is not as this client knows the service: {why}")


class JobFailed(ClientError):
    """A job that was waited for has failed or was cancelled; `job` says why."""

    def __init__(self, job: JobOut) -> None:
        super().__init__(job.problem.detail if job.problem else f"job {job.id} was {job.state}")
        self.job = job


class TimedOut(ClientError):
    """A job did not end in the time that it was given; it goes on."""
