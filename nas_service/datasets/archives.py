"""Unpack what users upload: zips and tars from any system's file manager."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from nas_service.datasets.names import belongs_to_the_system, normal
from nas_service.datasets.sound import require_ratio
from nas_service.errors import InvalidData

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
_MAX_UNPACKED_BYTES = 32 * 1024**3
_UTF_8_FLAG = 0x800
_UNIX = 3


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack below `folder`; gives what can be inspected. Files that are no archive stay.

    A single folder around everything is left out. Symbolic links are refused: what they lead to is
    not known to be in the archive.

    Raises:
        InvalidData: it is damaged, encrypted, too large, has a link, or a name leads out of it.
    """
    if archive.suffix.lower() in {".npz", ".parquet", ".csv"}:
        return archive
    if zipfile.is_zipfile(archive):
        _unpack_zip(archive, folder)
    elif tarfile.is_tarfile(archive):
        _unpack_tar(archive, folder)
    else:
        return archive
    folder.mkdir(parents=True, exist_ok=True)
    inside = [place for place in folder.iterdir() if not belongs_to_the_system(place.name)]
    return inside[0] if len(inside) == 1 else folder


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed, _readable():
        total = 0
        for member in packed.infolist():
            name = _safe(_zip_name(member))
            total = _within_limit(total + member.file_size, archive)
            if member.is_dir():
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                _refuse_link(name)
                continue
            with packed.open(member) as stream:
                _write(stream, folder / name)


def _zip_name(member: zipfile.ZipInfo) -> str:
    """The name as it was meant: zips have UTF-8, or what their system uses, without saying so."""
    if member.flag_bits & _UTF_8_FLAG:
        return member.filename
    raw = member.filename.encode("cp437")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1") if member.create_system == _UNIX else member.filename


def _unpack_tar(archive: Path, folder: Path) -> None:
    with _readable(), tarfile.open(archive) as packed:
        total = 0
        for member in packed:
            name = _safe(member.name)
            total = _within_limit(total + member.size, archive)
            if member.isdir():
                continue
            if not (member.isreg() or member.islnk()):  # hard links are files of the archive
                _refuse_link(name)
                continue
            if (stream := packed.extractfile(member)) is not None:
                written = _write(stream, folder / name)
                total = _within_limit(total + written - member.size, archive)  # of a hard link, 0


def _refuse_link(name: PurePosixPath) -> None:
    """A link, unless it is the system's own: what it leads to is not known to be in the archive."""
    if not any(belongs_to_the_system(part) for part in name.parts):
        raise InvalidData(
            f"{name} in the archive is a link or no file; pack what it leads to (tar --dereference)"
        )


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        KeyError,  # a hard link to what is not in it
        RuntimeError,  # encrypted
        NotImplementedError,  # packed in a way that is not known here
        EOFError,
        zlib.error,
    ) as error:
        raise InvalidData(f"the archive cannot be unpacked: {error}") from error


def _safe(name: str) -> PurePosixPath:
    """The name below the folder, accents composed; bytes that are no text are written out."""
    shown = normal(name.replace("\\", "/"))
    path = PurePosixPath(shown)
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise InvalidData(f"{shown!r} in the archive points outside of it")
    return path


def _within_limit(total_bytes: int, archive: Path) -> int:
    require_ratio(total_bytes, archive)
    if total_bytes > _MAX_UNPACKED_BYTES:
        raise InvalidData(f"the archive unpacks to more than {_MAX_UNPACKED_BYTES:,} bytes")
    return total_bytes


def _write(stream: IO[bytes], path: Path) -> int:
    """How many bytes were written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = 2
    while path.exists():  # two spellings of one name, as NFC and NFD, are two files
        path = path.with_name(f"{path.stem}~{number}{path.suffix}")
        number += 1
    with path.open("wb") as target:
        shutil.copyfileobj(stream, target)
        return target.tell()
