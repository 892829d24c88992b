"""A copy of everything that an embedded service keeps, made while it runs, and put back.

A backup is a folder: both databases as they were at one moment each, the files that the first of
them speaks of, and `manifest.json`, which says what has to be there. The engine's database is
copied first: steps that it does not know to have finished are done again, which changes nothing;
the other way round, a step would count as finished whose results are not there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nas_service import __version__
from nas_service.errors import Conflict, InvalidData, NotFound, Unavailable, Unsupported
from nas_service.settings import Settings
from nas_service.storage.artifacts import referenced
from nas_service.storage.blobs import place_of, require_space
from nas_service.storage.held_files import files_held
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.revisions import knows_revision, migrations
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, now

ENGINE, MAIN = "engine.sqlite", "nas.sqlite"
MANIFEST, BLOBS = "manifest.json", "blobs"
_PARTIAL = "restored.partial"
_CHUNK = 1 << 20
OnProgress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds: digests of the databases, and how many files of how many bytes."""

    version: str
    revision: str
    made_at: str
    databases: dict[str, str]
    n_files: int
    n_bytes: int


def require_embedded(settings: Settings) -> None:
    """Raise `Unsupported` where the database, or the files, are kept by something else."""
    if settings.database_url:
        raise Unsupported(
            "this service keeps its rows in PostgreSQL: back that up with pg_dump, and the files "
            f"below {settings.blobs_url or settings.blobs_dir} with whatever copies folders",
            field="database_url",
        )
    if settings.blobs_url:
        raise Unsupported(
            f"this service keeps its files at {settings.blobs_url}, which has backups of its own",
            field="blobs_url",
        )


def back_up(settings: Settings, out: Path, on_progress: OnProgress = lambda _: None) -> Manifest:
    """Copy what the service keeps to the folder `out`, which is there when all of it is.

    Raises:
        Conflict: `out` is there already, or garbage is being collected.
        NotFound: there is no database, or a file that it speaks of is gone.
        Unsupported: see `require_embedded`.
        Unavailable: the disk is full; nothing is left behind.
    """
    require_embedded(settings)
    source = settings.var_dir.resolve()
    if not (source / MAIN).exists():
        raise NotFound(f"{source} has no database to back up", field="var_dir")
    with files_held(settings, "backing up"), _made(out) as partial:
        for name in (ENGINE, MAIN):
            on_progress(f"copying {name}")
            _copy_database(source / name, partial / name)
        copy = Database(f"sqlite:///{partial / MAIN}", SERVICE)
        try:
            revision, _ = migrations(copy)
            with copy.session() as session:
                wanted = sorted(referenced(session))
        finally:
            copy.close()
        for name in (ENGINE, MAIN):
            _to_one_file(partial / name)
        blobs, n_bytes = blobs_of(settings), 0
        for number, sha256 in enumerate(wanted, start=1):
            with blobs.local(sha256) as path:
                size = path.stat().st_size
                require_space(partial, size + settings.min_free_bytes)
                target = partial / BLOBS / place_of(sha256)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            n_bytes += size
            if number % 100 == 0 or number == len(wanted):
                on_progress(f"copying files: {number} of {len(wanted)}")
        made = Manifest(
            version=__version__,
            revision=revision or "",
            made_at=now().isoformat(),
            databases={name: _digest(partial / name) for name in (ENGINE, MAIN)},
            n_files=len(wanted),
            n_bytes=n_bytes,
        )
        (partial / MANIFEST).write_text(json.dumps(asdict(made), indent=1) + "\n")
    return made


def put_back(
    backup: Path, settings: Settings, on_progress: OnProgress = lambda _: None
) -> Manifest:
    """Fill an empty data folder with a backup, every file checked against its digest first.

    Raises:
        Conflict: the data folder has a database, or another restore fills it.
        InvalidData: the backup is none, damaged (the file is named), or of a newer version;
            nothing is put back.
        Unsupported: see `require_embedded`.
    """
    require_embedded(settings)
    target = settings.var_dir.resolve()
    _require_empty(target)
    made = _checked(backup, on_progress)
    if not knows_revision(made.revision):
        raise InvalidData(
            f"{backup} is of version {made.version} of the service (tables {made.revision}), which "
            f"is newer than this one ({__version__}): restore it with that version"
        )
    with files_held(settings, "restoring"):
        _require_empty(target)  # nor has somebody else filled it meanwhile
        require_space(target, made.n_bytes + settings.min_free_bytes)
        _fill(target, backup)
    return made


def _was_cut_off(target: Path) -> bool:
    """Whether a restore was killed while it moved things; nothing else makes that folder."""
    return (target / _PARTIAL).exists() and not (target / MAIN).exists()


def _require_empty(target: Path) -> None:
    for name in (MAIN,) if _was_cut_off(target) else (MAIN, ENGINE, BLOBS):
        if (target / name).exists():
            raise Conflict(
                f"{target} has {name} already: restore to an empty folder", field="var_dir"
            )


def _fill(target: Path, backup: Path) -> None:
    partial = target / _PARTIAL
    if _was_cut_off(target):
        shutil.rmtree(target / BLOBS, ignore_errors=True)
        (target / ENGINE).unlink(missing_ok=True)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(backup, partial)
        for name in (BLOBS, ENGINE, MAIN):  # the database last: without it nothing was restored
            if (partial / name).exists():
                (partial / name).replace(target / name)
    except OSError as error:
        raise Unavailable(f"cannot write to {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _checked(backup: Path, on_progress: OnProgress) -> Manifest:
    try:
        made = Manifest(**json.loads((backup / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InvalidData(f"{backup} is no backup: {MANIFEST}: {error}") from error
    for name, digest in made.databases.items():
        if not (backup / name).is_file() or _digest(backup / name) != digest:
            raise InvalidData(f"{backup / name} is missing or damaged")
    files = sorted(one for one in (backup / BLOBS).glob("??/*") if one.is_file())
    for number, one in enumerate(files, start=1):
        if _digest(one) != one.name:
            raise InvalidData(f"{one} is damaged")
        if number % 100 == 0 or number == len(files):
            on_progress(f"checking files: {number} of {len(files)}")
    if len(files) != made.n_files:
        raise InvalidData(f"{backup} has {len(files)} files of {made.n_files}")
    return made


@contextmanager
def _made(out: Path) -> Iterator[Path]:
    """A folder in the making beside `out`, which it becomes at the end, or nothing."""
    if out.exists():
        raise Conflict(f"{out} is there already", field="out")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(out)
    except OSError as error:
        raise Unavailable(f"cannot write to {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _copy_database(source: Path, target: Path) -> None:
    """A SQLite file as it is at one moment, whoever writes to it."""
    if not source.exists():
        raise NotFound(f"{source} is missing")
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def _to_one_file(database: Path) -> None:
    """Nothing of it in a log beside it."""
    with closing(sqlite3.connect(database)) as one:
        one.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        one.execute("PRAGMA journal_mode=DELETE")


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
