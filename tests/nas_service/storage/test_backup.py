"""Backups: whole or not there, checked before they are put back."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nas_service.cli.databases import prepare
from nas_service.errors import Conflict, InvalidData, NasError, NotFound, Unavailable, Unsupported
from nas_service.settings import Settings
from nas_service.storage import artifacts
from nas_service.storage.backup import back_up, put_back
from nas_service.storage.held_files import files_held
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.session import Database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a data folder with three files that rows name, and one that none does."""
    made = Settings(var_dir=tmp_path / "var")
    prepare(made)
    database, blobs = Database(made.url), blobs_of(made)
    with database.session() as session:
        for name in ("a", "b", "c"):
            (tmp_path / name).write_bytes(name.encode() * 1000)
            artifacts.add_artifact(
                session, blobs, tmp_path / name, owner="o", name=name, kind="model", lineage={}
            )
    database.close()
    blobs.put_bytes(b"garbage")
    return made


def _names(settings: Settings) -> list[str]:
    database = Database(settings.url)
    try:
        with database.session() as session:
            return sorted(one.name for one in artifacts.artifacts_of(session, "o"))
    finally:
        database.close()


def test_what_was_backed_up_is_put_back(settings: Settings, tmp_path: Path) -> None:
    made = back_up(settings, tmp_path / "backup")
    assert (made.n_files, made.n_bytes) == (3, 3000)
    told = json.loads((tmp_path / "backup" / "manifest.json").read_text())
    assert told["n_files"] == 3
    assert sorted(one.name for one in (tmp_path / "backup").iterdir()) == [
        "blobs",
        "engine.sqlite",
        "manifest.json",
        "nas.sqlite",
    ]
    other = Settings(var_dir=tmp_path / "elsewhere" / "var")
    assert put_back(tmp_path / "backup", other) == made
    assert _names(other) == ["a", "b", "c"]
    database = Database(other.url)
    with database.session() as session:
        for one in artifacts.artifacts_of(session, "o"):
            with blobs_of(other).local(one.sha256) as path:
                assert path.read_bytes() == one.name.encode() * 1000
    database.close()
    prepare(other)  # as a service that starts does
    assert sorted(one.name for one in other.var_dir.iterdir() if one.is_dir()) == [
        "blobs",
        "scratch",
    ]


def test_a_backup_holds_what_was_committed_and_nothing_of_a_transaction(
    settings: Settings, tmp_path: Path
) -> None:
    database, blobs = Database(settings.url), blobs_of(settings)
    with database.session() as session:
        artifacts.add_artifact(
            session, blobs, tmp_path / "a", owner="o", name="late", kind="model", lineage={}
        )
        session.flush()
        back_up(settings, tmp_path / "backup")
    database.close()
    other = Settings(var_dir=tmp_path / "other")
    put_back(tmp_path / "backup", other)
    assert _names(other) == ["a", "b", "c"]
    assert "late" in _names(settings)


def test_no_garbage_is_collected_while_files_are_copied(settings: Settings, tmp_path: Path) -> None:
    """The copy of the database names what somebody may delete meanwhile."""
    said: list[str] = []

    def meanwhile(told: str) -> None:
        if told.startswith("copying files"):
            with (
                pytest.raises(Conflict, match="backing up has the files"),
                files_held(settings, "x"),
            ):
                pass
            said.append(told)

    back_up(settings, tmp_path / "backup", meanwhile)
    assert said
    with (
        files_held(settings, "collecting garbage"),
        pytest.raises(Conflict, match="collecting garbage has the files"),
    ):
        back_up(settings, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("damage", ["blob", "blob gone", "database", "manifest", "no manifest"])
def test_a_damaged_backup_is_named_and_nothing_is_put_back(
    settings: Settings, tmp_path: Path, damage: str
) -> None:
    backup = tmp_path / "backup"
    back_up(settings, backup)
    blob = next((backup / "blobs").glob("??/*"))
    named = {"blob": blob, "database": backup / "nas.sqlite"}.get(damage, backup)
    if damage == "blob":
        blob.write_bytes(b"another")
    elif damage == "blob gone":
        blob.unlink()
    elif damage == "database":
        content = bytearray(named.read_bytes())
        content[5000] ^= 1
        named.write_bytes(content)
    elif damage == "manifest":
        (backup / "manifest.json").write_text('{"version": 1')
    else:
        (backup / "manifest.json").unlink()
    other = Settings(var_dir=tmp_path / "other")
    with pytest.raises(InvalidData, match=str(named)):
        put_back(backup, other)
    assert not other.var_dir.exists()


def test_a_backup_of_a_newer_version_is_refused(settings: Settings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**document, "version": "9.0.0", "revision": "9999"}))
    other = Settings(var_dir=tmp_path / "other")
    with pytest.raises(InvalidData, match=r"of version 9\.0\.0 of the service \(tables 9999\)"):
        put_back(tmp_path / "backup", other)
    assert not other.var_dir.exists()


def test_a_folder_that_is_used_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "backup")
    with pytest.raises(Conflict, match=r"has nas\.sqlite already"):
        put_back(tmp_path / "backup", settings)
    with pytest.raises(Conflict, match="is there already"):
        back_up(settings, tmp_path / "backup")
    assert _names(settings) == ["a", "b", "c"]


_KILLED = """
import os, sys
from pathlib import Path
from nas_service.settings import Settings
from nas_service.storage.backup import put_back

after, moved, move = int(sys.argv[3]), [], Path.replace

def killed(self, target):
    if len(moved) == after:
        os._exit(9)
    moved.append(target)
    return move(self, target)

Path.replace = killed
put_back(Path(sys.argv[1]), Settings(var_dir=Path(sys.argv[2])))
"""


@pytest.mark.parametrize("after", range(3))
def test_a_restore_that_was_killed_is_made_again(
    settings: Settings, tmp_path: Path, after: int
) -> None:
    back_up(settings, tmp_path / "backup")
    other = Settings(var_dir=tmp_path / "other")
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "backup"), str(other.var_dir)]
    done = subprocess.run([*command, str(after)], check=False, timeout=120)
    assert done.returncode == 9
    assert not (other.var_dir / "nas.sqlite").exists()
    put_back(tmp_path / "backup", other)
    assert _names(other) == ["a", "b", "c"]
    assert not list(other.var_dir.glob("*.partial"))


def test_of_restores_at_once_one_fills_the_folder(settings: Settings, tmp_path: Path) -> None:
    back_up(settings, tmp_path / "backup")
    other = Settings(var_dir=tmp_path / "other")
    with (
        files_held(other, "restoring"),
        pytest.raises(Conflict, match="restoring has the files of"),
    ):
        put_back(tmp_path / "backup", other)

    def put(_: int) -> bool:
        try:
            put_back(tmp_path / "backup", other)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(put, range(6)))
    assert sum(done) == 1
    assert _names(other) == ["a", "b", "c"]
    assert not list(other.var_dir.glob("*.partial"))


def test_a_file_that_is_gone_is_told_and_no_backup_is_left(
    settings: Settings, tmp_path: Path
) -> None:
    gone = next(one for one in settings.blobs_dir.glob("??/*") if one.stat().st_size == 1000)
    gone.unlink()
    with pytest.raises(NotFound, match=gone.name):
        back_up(settings, tmp_path / "backup")
    assert not list(tmp_path.glob("backup*"))


@pytest.mark.parametrize(
    ("own", "raised", "said"),
    [
        ({"database_url": "postgresql://nobody@127.0.0.1:1/none"}, Unsupported, "pg_dump"),
        ({"blobs_url": "memory://files"}, Unsupported, "memory://files"),
        ({"min_free_bytes": 10**18}, Unavailable, "disk full"),
        ({"var_dir": Path("nothing")}, NotFound, "no database to back up"),
    ],
)
def test_what_cannot_be_backed_up_is_said(
    settings: Settings, tmp_path: Path, own: dict[str, object], raised: type[NasError], said: str
) -> None:
    asked = Settings(**{"var_dir": settings.var_dir, **own})  # type: ignore[arg-type]  # by name
    with pytest.raises(raised, match=said):
        back_up(asked, tmp_path / "backup")
    assert not list(tmp_path.glob("backup*"))
