"""Answers to requests that may be sent again: kept under the key that a client gave each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from nas_service.errors import Conflict, InvalidSpec
from nas_service.storage.models.jobs import AnswerRow
from nas_service.storage.rows import insert_once
from nas_service.storage.session import now

KEPT = timedelta(hours=24)
"""So long the same request is answered with what it was answered first."""
ABANDONED = timedelta(seconds=60)
"""After so long a request without an answer counts as cut off, and may be made again."""


STREAMED = ""
"""Stands for a request whose body is not known before it has been answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered: status, where it says to look, its body but for a secret."""

    status: int
    location: str | None
    content_type: str
    body: str | None


def answered(session: Session, key: str) -> tuple[str, Answer] | None:
    """The request that was answered under a key within a day, and its answer."""
    known = session.get(AnswerRow, key)
    if known is None or known.status is None or known.created_at < now() - KEPT:
        return None
    return known.request, _answer(known)


def begin(session: Session, key: str, request: str) -> Answer | None:
    """Note that a request is being answered; gives the answer where it was answered before.

    `STREAMED` requests learn what they were at the end; see `answered` for the second time.

    Raises:
        InvalidSpec: the key was given to another request.
        Conflict: the same request is being answered now, or was, with a secret.
    """
    at = now()
    session.execute(delete(AnswerRow).where(AnswerRow.created_at < at - KEPT))
    row = AnswerRow(key=key, request=request, created_at=at)
    if insert_once(session, row):
        return None
    known = session.get_one(AnswerRow, key, populate_existing=True)
    if STREAMED in (request, known.request) and known.status is None and known.request != request:
        raise Conflict("another request under this key is being answered; ask again in a moment")
    if request != STREAMED and known.request != request:
        raise InvalidSpec(
            "this Idempotency-Key was used with another request", field="Idempotency-Key"
        )
    if known.status is not None:
        if known.body is None:
            raise Conflict(
                "this was done, and its secret shown, once; make another with another key"
            )
        if request == STREAMED:  # by another one, since `answered` was asked
            raise Conflict("the same request was answered just now; ask again")
        return _answer(known)
    taken = session.execute(
        update(AnswerRow)
        .where(AnswerRow.key == key, AnswerRow.created_at < at - ABANDONED)
        .values(created_at=at)
        .returning(AnswerRow.key)
    )
    if taken.first() is None:
        raise Conflict("the same request is being answered; ask again in a moment")
    return None


def _answer(row: AnswerRow) -> Answer:
    kind = row.content_type or "application/json"
    return Answer(row.status or 200, row.location, kind, row.body)


def finish(session: Session, key: str, answer: Answer, request: str | None = None) -> None:
    """Keep what a request was answered, and what a streamed one turned out to be."""
    streamed = {} if request is None else {"request": request}
    session.execute(
        update(AnswerRow)
        .where(AnswerRow.key == key)
        .values(
            status=answer.status,
            location=answer.location,
            content_type=answer.content_type,
            body=answer.body,
            **streamed,
        )
    )


def forget(session: Session, key: str) -> None:
    """Let a request that could not be answered be made again."""
    session.execute(delete(AnswerRow).where(AnswerRow.key == key))
