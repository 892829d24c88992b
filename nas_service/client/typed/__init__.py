"""A typed client of the service, waiting or asynchronous; needs httpx and pydantic alone."""

from . import models
from .clients import AsyncClient, Client
from .errors import ApiError, ClientError, JobFailed, NotThisService, TimedOut, Unreachable
from .requests import ServerEvent

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "JobFailed",
    "NotThisService",
    "ServerEvent",
    "TimedOut",
    "Unreachable",
    "models",
]
