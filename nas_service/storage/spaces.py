"""Search spaces: those that are installed, those of documents, and those of users' own models.

The latter two are artifacts whose owner is the space's name. Of a document it is the document; of a
model what the space is, the program that its members are cut out of, how they are cut, and a report
of what is elastic.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nas_service.errors import UnknownPlugin
from nas_service.plugins import SPACES, load, names
from nas_service.space.base import Sample, SearchSpace
from nas_service.space.described.document import read_document
from nas_service.space.described.space import DescribedSpace
from nas_service.space.elastic.description import ElasticDescription
from nas_service.space.elastic.space import ElasticSpace, OwnModel
from nas_service.space.ruled import RuledSpace
from nas_service.space.rules import rules_of
from nas_service.storage import artifacts
from nas_service.storage.artifacts import StoredArtifact
from nas_service.storage.blobs import BlobStore
from nas_service.storage.models.files import ArtifactRow

KIND = artifacts.SEARCH_SPACE
DESCRIPTION, MODEL, CUTS, REPORT = "space.json", "model.pt2", "cuts.json", "report.json"
PREFIX, DESCRIBED = "elastic-", "yaml-"
"""How names of spaces begin that are made of a model, and of a document."""


@dataclass(frozen=True)
class Made:
    """Files of a space that was made, by what they are."""

    description: Path
    model: Path
    cuts: Path
    report: Path


def own_spaces(session: Session) -> list[str]:
    """Names of the spaces that users made, newest first."""
    query = (
        select(ArtifactRow.owner)
        .where(ArtifactRow.kind == KIND, ArtifactRow.name == DESCRIPTION)
        .order_by(ArtifactRow.id.desc())
    )
    return list(session.scalars(query))


def check_space(session: Session, name: str) -> None:
    """Raise `UnknownPlugin`, which lists the known names, where there is no such space."""
    if name not in names(SPACES) and not _files(session, name):
        known = [*names(SPACES), *own_spaces(session)]
        raise UnknownPlugin(
            f"no search space {name!r}; known: {', '.join(known)}",
            field="space",
            known_names=known,
        )


def open_space(
    session: Session, blobs: BlobStore, name: str, sample: Sample, *, with_model: bool = False
) -> SearchSpace:
    """The space of that name for samples like this one; `with_model` to build members of it.

    Raises:
        UnknownPlugin: there is none.
    """
    if not name.startswith((PREFIX, DESCRIBED)):
        space: SearchSpace = load(SPACES, name)(sample)
        return space
    check_space(session, name)
    files = _files(session, name)
    if name.startswith(DESCRIBED):
        document = read_document(json.loads(_content(blobs, files[DESCRIPTION])))
        return DescribedSpace(name, document, sample)  # its rules were checked when it was made
    description = ElasticDescription.from_dict(json.loads(_content(blobs, files[DESCRIPTION])))
    model = None
    if with_model:
        model = OwnModel(_content(blobs, files[MODEL]), _content(blobs, files[CUTS]))
    return ElasticSpace(description, sample, model)


def described(name: str, given: Any, sample: Sample) -> SearchSpace:
    """The space of a document; its rules are checked, a search takes them as its own.

    Weights are shared without rules, so that the largest network is that of every slot.

    Raises:
        InvalidSpec: names the place in it that is wrong, or does not suit the samples.
    """
    document = read_document(given)
    space = DescribedSpace(name, document, sample)
    if document.rules:
        RuledSpace(space, rules_of(space, document.rules))
    return space


def add_described(
    session: Session, blobs: BlobStore, name: str, file: Path, lineage: dict[str, Any]
) -> None:
    """Keep a document's space; one that is there already stays as it is."""
    if not _files(session, name):
        artifacts.add_artifact(
            session, blobs, file, owner=name, name=DESCRIPTION, kind=KIND, lineage=lineage
        )


def report_of(session: Session, blobs: BlobStore, name: str) -> dict[str, Any] | None:
    """What is elastic in a space of a user's model, layer by layer; nothing of installed ones."""
    files = _files(session, name)
    if REPORT not in files:
        return None
    found: dict[str, Any] = json.loads(_content(blobs, files[REPORT]))
    return found


def add_space(
    session: Session, blobs: BlobStore, name: str, made: Made, lineage: dict[str, Any]
) -> None:
    """Keep a space; one that is there already stays as it is."""
    if _files(session, name):
        return
    named = {MODEL: made.model, CUTS: made.cuts, REPORT: made.report, DESCRIPTION: made.description}
    for file, path in named.items():  # the description last: with it the space is there
        artifacts.add_artifact(
            session, blobs, path, owner=name, name=file, kind=KIND, lineage=lineage
        )


def _files(session: Session, name: str) -> dict[str, StoredArtifact]:
    """The files of a space; none where one is missing."""
    found = {one.name: one for one in artifacts.artifacts_of(session, name) if one.kind == KIND}
    whole = {DESCRIPTION} if name.startswith(DESCRIBED) else {DESCRIPTION, MODEL, CUTS, REPORT}
    return found if whole <= set(found) else {}


def _content(blobs: BlobStore, file: StoredArtifact) -> bytes:
    with blobs.local(file.sha256) as path:
        return path.read_bytes()
