"""Remove what is stored, with what depends on it or not at all.

Bytes stay until garbage is collected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nas_service.errors import Conflict, InvalidSpec, NotFound
from nas_service.storage import datasets, devices, jobs, searches, supernets
from nas_service.storage.models.devices import DeviceRow, TableRow
from nas_service.storage.models.files import ArtifactRow
from nas_service.storage.models.jobs import JobRow
from nas_service.storage.models.searches import SearchRow, WinnerRow
from nas_service.storage.models.trained import DatasetRow, PredictorRow, SupernetRow

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is stored: its kind, its id, and the name that people know it by."""

    kind: str
    id: str
    name: str

    def as_dict(self) -> dict[str, str]:
        """Plain JSON values."""
        return asdict(self)


def remove(session: Session, kind: str, name_or_id: str, *, force: bool = False) -> list[Item]:
    """Remove one thing; gives everything that went, the thing itself last.

    Raises:
        NotFound: there is none.
        InvalidSpec: things of this kind are not removed here.
        Conflict: something depends on it (named; goes with it where `force`), or a job is at work
            on it.
    """
    if kind not in _FIND:
        raise InvalidSpec(f"kind: {kind!r} is none of {', '.join(_FIND)}", field="kind")
    item = _FIND[kind](session, name_or_id)
    going = [*dict.fromkeys(_dependents(session, item))]
    if going and not force:
        named = ", ".join(f"{one.kind} {one.name}" for one in going[:_MOST_NAMED])
        more = f" and {len(going) - _MOST_NAMED} more" if len(going) > _MOST_NAMED else ""
        raise Conflict(
            f"{kind} {item.name} is used by {named}{more}; force removes them with it",
            dependents=[one.as_dict() for one in going],
        )
    everything = [*going, item]
    busy = {job.subject: job for job in jobs.unfinished(session)}
    for one in everything:
        for subject in _subjects(session, one):
            if subject in busy:
                raise Conflict(
                    f"job {busy[subject].id} is at work on {one.kind} {one.name}; cancel it or wait"
                )
    for one in everything:
        _delete(session, one)
    return everything


def _dependents(session: Session, item: Item) -> Iterator[Item]:
    """What could not be without it, what depends on that first."""
    if item.kind == "dataset":
        yield from _searches(session, SearchRow.dataset_id == item.id)
        shared = select(SupernetRow.id).where(SupernetRow.dataset_id == item.id)
        for supernet_id in session.scalars(shared):
            yield Item("supernet", supernet_id, supernet_id)
    elif item.kind == "device":
        yield from _searches(session, SearchRow.device_id == item.id)
    elif item.kind == "table":
        version = session.get_one(TableRow, item.id).version
        for row in session.scalars(select(SearchRow)):
            if version in row.facts.get("tables", []):
                yield Item("search", row.id, row.id)


def _searches(session: Session, condition: Any) -> Iterator[Item]:
    for row in session.scalars(select(SearchRow).where(condition).order_by(SearchRow.id)):
        yield Item("search", row.id, row.id)


def _subjects(session: Session, item: Item) -> list[str]:
    """Ids under which jobs are at work on it."""
    if item.kind != "search":
        return [item.id]
    winners = session.scalars(select(WinnerRow.id).where(WinnerRow.search_id == item.id))
    return [item.id, *winners]


def _delete(session: Session, item: Item) -> None:
    subjects = _subjects(session, item)
    if item.kind == "search":
        session.execute(delete(ArtifactRow).where(ArtifactRow.owner.in_(subjects)))
        for row in session.scalars(select(SearchRow).where(SearchRow.reopens == item.id)):
            row.reopens = None
    if item.kind == "dataset":  # those of supernets go with the supernets
        session.execute(delete(PredictorRow).where(PredictorRow.dataset_id == item.id))
    if item.kind in {"compression", "dataset"}:  # their files
        session.execute(delete(ArtifactRow).where(ArtifactRow.owner == item.id))
    session.flush()
    if item.kind in _ROWS:
        session.execute(delete(_ROWS[item.kind]).where(_ROWS[item.kind].id == item.id))
    session.execute(delete(JobRow).where(JobRow.subject.in_(subjects)))


def _dataset(session: Session, name: str) -> Item:
    found = datasets.get_dataset(session, name)
    return Item("dataset", found.id, found.name)


def _device(session: Session, name: str) -> Item:
    found = devices.get_device(session, name)
    return Item("device", found.id, found.name)


def _table(session: Session, name: str) -> Item:
    found = devices.get_table(session, name)
    return Item("table", found.id, found.version)


def _search(session: Session, name: str) -> Item:
    found = searches.get_search(session, name)
    return Item("search", found.id, found.id)


def _compression(session: Session, name: str) -> Item:
    found = jobs.list_jobs(session, subject=name, kind="compression", cursor=None, limit=1).items
    if not found:
        raise NotFound(f"no compression {name!r}")
    return Item("compression", name, name)


def _supernet(session: Session, name: str) -> Item:
    found = supernets.get_supernet(session, name)
    return Item("supernet", found.id, found.id)


_FIND: dict[str, Callable[[Session, str], Item]] = {
    "dataset": _dataset,
    "device": _device,
    "table": _table,
    "search": _search,
    "supernet": _supernet,
    "compression": _compression,
}
_ROWS: dict[str, Any] = {
    "dataset": DatasetRow,
    "device": DeviceRow,
    "table": TableRow,
    "search": SearchRow,
    "supernet": SupernetRow,
}
KINDS = tuple(_FIND)
