"""Data sets: what an import understood of them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from nas_service.api.documents.base import Document, Lineage, Own, Sent


class Alternative(Document):
    """An answer to a question, and the option of the command line that gives it."""

    field: str
    value: str
    meaning: str = ""
    option: str = ""


class Question(Document):
    """What can be read in more than one way."""

    field: str
    text: str
    alternatives: list[Alternative] = []


class SetAside(Document):
    """Why samples were left out, how many, and where some of them are."""

    reason: str = ""
    n: int | None = None
    names: list[str] = Field(default=[], description="Some of them.")


class Report(Document):
    """What was understood of a source."""

    layout: str = ""
    classes: list[str] = []
    counts: dict[str, dict[str, int]] = Field(default={}, description="By part and class.")
    reading: list[str] = []
    notes: list[str] = []
    set_aside: list[SetAside] = []
    questions: list[Question] = []


class DatasetSource(Document):
    """Where a data set's samples came from."""

    builtin: str | None = None
    path: str | None = None
    sha256: str | None = None
    filename: str | None = None
    task: str | None = None
    answers: Own | None = None


class DatasetFacts(Document):
    """What is known of an imported data set; its learning task adds what it needs."""

    n_train: int | None = None
    n_validation: int | None = None
    n_test: int | None = None
    size: int | None = Field(default=None, description="Pixels a side, or steps of a window.")
    channels: int | None = None
    classes: list[str] | None = None
    report: Report | None = None
    reading: Own | None = None


class DatasetOut(Sent):
    """A data set; `digest`, `sha256` and `facts` are there once it has been imported."""

    id: str
    name: str
    digest: str | None
    sha256: str | None
    source: DatasetSource
    facts: DatasetFacts
    lineage: Lineage
    created_at: datetime
