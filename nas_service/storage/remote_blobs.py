"""Blobs on any file system that fsspec knows, with copies on this machine's disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from nas_service.errors import NotFound, Unavailable
from nas_service.settings import Settings
from nas_service.storage.blobs import BlobStore, FileBlobs, place_of, require_space

KEPT_S = 3600.0
"""A copy that was used so lately is not removed to make room: somebody may be reading it."""
_FRESH = timedelta(minutes=10)
"""A blob that was put so lately is not put again; far less than what collecting spares."""


def blobs_of(settings: Settings) -> BlobStore:
    """The store that the settings name: files below the data folder unless they name another.

    Raises:
        Unavailable: the store cannot be reached.
    """
    if not settings.blobs_url:
        return FileBlobs(settings.blobs_dir, min_free_bytes=settings.min_free_bytes)
    try:
        system, root = fsspec.core.url_to_fs(settings.blobs_url)
    except (ImportError, ValueError, OSError) as error:
        raise Unavailable(f"blobs at {settings.blobs_url!r}: {error}") from error
    if isinstance(system, LocalFileSystem):
        return FileBlobs(Path(root), min_free_bytes=settings.min_free_bytes)
    return RemoteBlobs(
        system,
        root,
        settings.var_dir.resolve() / "blob-cache",
        cache_bytes=settings.blob_cache_bytes,
        min_free_bytes=settings.min_free_bytes,
    )


class RemoteBlobs:
    """Blobs below `root` of a file system; those that are read are copied below `cache` once.

    A file that is written under its final name is there whole or not at all, as in object stores;
    two that write the same blob write the same bytes.
    """

    def __init__(
        self, system: Any, root: str, cache: Path, *, cache_bytes: int, min_free_bytes: int = 0
    ) -> None:
        self._system = system
        self._root = root.rstrip("/")
        self._cache = cache
        self._cache_bytes = cache_bytes
        self._min_free = min_free_bytes

    def put(self, source: Path) -> str:
        """See `BlobStore.put`."""
        digest = hashlib.sha256()
        with source.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        name = digest.hexdigest()
        with self._reached():
            if not self._is_fresh(self._place(name)):
                self._system.makedirs(self._place(name).rpartition("/")[0], exist_ok=True)
                self._system.put_file(str(source), self._place(name))
        return name

    def put_bytes(self, content: bytes) -> str:
        """See `BlobStore.put_bytes`."""
        name = hashlib.sha256(content).hexdigest()
        with self._reached():
            if not self._is_fresh(self._place(name)):
                self._system.makedirs(self._place(name).rpartition("/")[0], exist_ok=True)
                self._system.pipe_file(self._place(name), content)
        return name

    def open(self, sha256: str) -> BinaryIO:
        """See `BlobStore.open`."""
        with self.local(sha256) as path:
            return path.open("rb")

    @contextmanager
    def local(self, sha256: str) -> Iterator[Path]:
        """See `BlobStore.local`: a copy, made where there is none yet."""
        copy = self._cache / place_of(sha256)
        if not copy.exists():
            self._fetch(sha256, copy)
        os.utime(copy)
        yield copy

    def size_bytes(self, sha256: str) -> int:
        """See `BlobStore.size_bytes`: copies here do not count."""
        with self._reached():
            try:
                return int(self._system.size(self._place(sha256)) or 0)
            except FileNotFoundError as error:
                raise NotFound(f"no blob {sha256}") from error

    def discard(self, keep: Collection[str], before: datetime | None = None) -> int:
        """See `BlobStore.discard`; copies here go with the store's.

        Of a store that does not tell when a file was put nothing is removed with `before`. A blob
        that is put anew in the very moment between the last look at it and its removal is lost:
        object stores have no removal on a condition.
        """
        removed = 0
        with self._reached():
            for place in self._system.find(self._root):
                name = place.rpartition("/")[2]
                if len(name) != 64 or name in keep or not self._is_older(place, before):
                    continue
                self._system.invalidate_cache()  # the listing is as old as the loop is long
                if self._is_older(place, before):
                    self._system.rm_file(place)
                    (self._cache / place_of(name)).unlink(missing_ok=True)
                    removed += 1
        return removed

    def _place(self, sha256: str) -> str:
        return f"{self._root}/{place_of(sha256)}"

    def _is_fresh(self, place: str) -> bool:
        """Whether a blob is there and was put a short while ago: it need not be put again.

        An old one is written anew, so that it counts as put just now. Stores that do not tell the
        time remove nothing by it either.
        """
        if not self._system.exists(place):
            return False
        put_at = self._put_at(place)
        return put_at is None or datetime.now(UTC) - put_at < _FRESH

    def _is_older(self, place: str, before: datetime | None) -> bool:
        if before is None:
            return True
        put_at = self._put_at(place)
        return put_at is not None and put_at < before

    def _put_at(self, place: str) -> datetime | None:
        """When a file was put, by the store's clock; None where it does not tell."""
        try:
            told: datetime = self._system.modified(place)
        except NotImplementedError:
            return None
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told

    def _fetch(self, sha256: str, copy: Path) -> None:
        copy.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="partial-", dir=self._cache)
        os.close(handle)
        partial = Path(name)
        try:
            with self._reached():
                try:
                    size = int(self._system.size(self._place(sha256)) or 0)
                    require_space(self._cache, size + self._min_free)
                    self._system.get_file(self._place(sha256), str(partial))
                except FileNotFoundError as error:
                    raise NotFound(f"no blob {sha256}") from error
            with partial.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
                    raise Unavailable(f"blob {sha256} arrived damaged")
            partial.replace(copy)
        finally:
            partial.unlink(missing_ok=True)
        self._make_room()

    def _make_room(self) -> None:
        """Remove copies that were not used for the longest until the rest is within the limit."""
        known = []
        for copy in self._cache.glob("??/*"):
            with suppress(FileNotFoundError):  # another process made room at the same time
                known.append((copy.stat().st_mtime, copy.stat().st_size, copy))
        total = sum(size for _, size, _ in known)
        for used, size, copy in sorted(known):
            if total <= self._cache_bytes or time.time() - used < KEPT_S:
                return
            copy.unlink(missing_ok=True)
            total -= size

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """What a store raises that does not answer, as `Unavailable`."""
        try:
            self._system.invalidate_cache()  # what others wrote or removed counts
            yield
        except (NotFound, Unavailable):
            raise
        except Exception as error:  # every file system has errors of its own
            raise Unavailable(f"blobs at {self._root}: {error}") from error
