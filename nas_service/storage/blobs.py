"""Files named by their content."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from nas_service.errors import NotFound, Unavailable

_PARTIAL = "partial-"
_ASIDE = f"{_PARTIAL}discarded-"


class BlobStore(Protocol):
    """Keeps files by the SHA-256 of their content.

    `put` is atomic: a blob is there whole or not at all, and putting the same content again
    changes nothing. Calls may come from several processes.
    """

    def put(self, source: Path) -> str: ...

    def put_bytes(self, content: bytes) -> str: ...

    def open(self, sha256: str) -> BinaryIO: ...

    def local(self, sha256: str) -> AbstractContextManager[Path]:
        """The blob as a file of this machine, which must not be written to.

        It is there as long as the context lasts, and an hour beyond where it is a copy.

        Raises:
            NotFound: there is no such blob.
        """
        ...

    def size_bytes(self, sha256: str) -> int:
        """How large the blob is that the store itself has; `NotFound` where it has none."""
        ...

    def discard(self, keep: Collection[str], before: datetime | None = None) -> int:
        """Remove every blob that is not in `keep`; returns how many.

        With `before` those alone that were last put before then, by the store's clock: others go
        on putting meanwhile, and what they put stays.
        """
        ...


class FileBlobs:
    """Blobs as files below one folder."""

    def __init__(self, folder: Path, *, min_free_bytes: int = 0) -> None:
        self._folder = folder
        self._min_free = min_free_bytes

    def put(self, source: Path) -> str:
        """Store a copy of the file; returns the SHA-256.

        Raises:
            Unavailable: the disk is full; nothing is left behind.
        """
        digest = hashlib.sha256()
        with source.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        name = digest.hexdigest()
        target = self._place(name)
        if not _touched(target):
            require_space(self._folder, source.stat().st_size + self._min_free)
            with self._partial() as partial:
                shutil.copyfile(source, partial)
                self._finish(partial, target)
        return name

    def put_bytes(self, content: bytes) -> str:
        """Store `content`; returns the SHA-256."""
        name = hashlib.sha256(content).hexdigest()
        target = self._place(name)
        if not _touched(target):
            require_space(self._folder, len(content) + self._min_free)
            with self._partial() as partial:
                partial.write_bytes(content)
                self._finish(partial, target)
        return name

    def open(self, sha256: str) -> BinaryIO:
        """The blob for reading."""
        with self.local(sha256) as path:
            return path.open("rb")

    @contextmanager
    def local(self, sha256: str) -> Iterator[Path]:
        """See `BlobStore.local`: where the blob lies."""
        place = self._place(sha256)
        if not place.exists():
            raise NotFound(f"no blob {sha256}")
        yield place

    def size_bytes(self, sha256: str) -> int:
        """See `BlobStore.size_bytes`."""
        with self.local(sha256) as path:
            return path.stat().st_size

    def discard(self, keep: Collection[str], before: datetime | None = None) -> int:
        """See `BlobStore.discard`."""
        limit = math.inf if before is None else before.timestamp()
        removed = 0
        for aside in self._folder.glob(f"{_ASIDE}*"):  # of one who was killed while he looked
            name = aside.name.removeprefix(_ASIDE)
            if name in keep and not self._place(name).exists():
                aside.replace(self._place(name))
        for place in self._folder.glob("??/*"):
            if len(place.name) == 64 and place.name not in keep:
                removed += self._discard(place, limit)
        for partial in self._folder.glob(f"{_PARTIAL}*"):  # of a process that was killed
            if before is not None and _put_at(partial) < limit:
                partial.unlink(missing_ok=True)
        return removed

    def _discard(self, place: Path, limit: float) -> bool:
        """Take a blob out of its place first: who puts it now either was seen or puts it anew."""
        if _put_at(place) >= limit:
            return False
        aside = self._folder / f"{_ASIDE}{place.name}"
        try:
            place.replace(aside)
        except FileNotFoundError:  # somebody else collects as well
            return False
        if _put_at(aside) >= limit:
            aside.replace(place)
            return False
        aside.unlink(missing_ok=True)
        return True

    def _place(self, sha256: str) -> Path:
        return self._folder / place_of(sha256)

    def _partial(self) -> _Partial:
        self._folder.mkdir(parents=True, exist_ok=True)
        return _Partial(self._folder)

    def _finish(self, partial: Path, target: Path) -> None:
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(target)


def place_of(sha256: str) -> str:
    """Where a blob lies below a store's root; `NotFound` for what is no SHA-256."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise NotFound(f"{sha256!r} is no SHA-256")
    return f"{sha256[:2]}/{sha256}"


def _touched(place: Path) -> bool:
    """Whether a file is there, which counts as put just now."""
    try:
        os.utime(place)
    except FileNotFoundError:
        return False
    return True


def _put_at(place: Path) -> float:
    """When a file was put, in seconds; never, where it is gone."""
    try:
        return place.stat().st_mtime
    except FileNotFoundError:
        return math.inf


class _Partial:
    """A file in the making, gone again if anything goes wrong."""

    def __init__(self, folder: Path) -> None:
        handle, name = tempfile.mkstemp(prefix=_PARTIAL, dir=folder)
        os.close(handle)
        self._path = Path(name)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        self._path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Unavailable(f"cannot write to {self._path.parent}: {error.strerror}") from error


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise `Unavailable`, which says how much is lacking, where a disk has too little left."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise Unavailable(
            f"disk full: {folder} has {free:,} bytes free, {needed_bytes:,} are needed",
            free_bytes=free,
            needed_bytes=needed_bytes,
        )
