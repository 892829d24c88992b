"""Blobs on a file system that is not this machine's disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from nas_service.errors import NotFound, Unavailable
from nas_service.settings import Settings
from nas_service.storage import remote_blobs
from nas_service.storage.blobs import BlobStore, FileBlobs
from nas_service.storage.remote_blobs import RemoteBlobs, blobs_of

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""SHA-256 of "abc", FIPS 180-2 appendix B.1."""


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[BlobStore]:
    system = fsspec.filesystem("memory")
    yield blobs_of(Settings(var_dir=tmp_path, blobs_url="memory://nas", blob_cache_bytes=10))
    system.store.clear()


def test_the_settings_choose_the_store(tmp_path: Path, blobs: BlobStore) -> None:
    assert isinstance(blobs, RemoteBlobs)
    assert isinstance(blobs_of(Settings(var_dir=tmp_path)), FileBlobs)
    elsewhere = blobs_of(Settings(var_dir=tmp_path, blobs_url=f"file://{tmp_path}/shared"))
    assert isinstance(elsewhere, FileBlobs)
    elsewhere.put_bytes(b"abc")
    assert (tmp_path / "shared" / ABC[:2] / ABC).read_bytes() == b"abc"
    with pytest.raises(Unavailable, match="blobs at 'nowhere://x'"):
        blobs_of(Settings(var_dir=tmp_path, blobs_url="nowhere://x"))


def test_what_is_put_is_read_back_whatever_machine_put_it(tmp_path: Path, blobs: BlobStore) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert blobs.put(tmp_path / "f") == blobs.put_bytes(b"abc") == ABC
    other = blobs_of(Settings(var_dir=tmp_path / "other", blobs_url="memory://nas"))
    for one in (blobs, other):
        with one.local(ABC) as path:
            assert path.read_bytes() == b"abc"
        with one.open(ABC) as stream:
            assert stream.read() == b"abc"
    assert list((tmp_path / "other" / "blob-cache").glob("??/*"))


def test_a_size_is_the_store_s_own(tmp_path: Path, blobs: BlobStore) -> None:
    for store in (blobs, FileBlobs(tmp_path / "files")):
        store.put_bytes(b"abc")
        assert store.size_bytes(ABC) == 3
    with blobs.local(ABC):  # there is a copy here now
        pass
    fsspec.filesystem("memory").rm_file(f"/nas/{ABC[:2]}/{ABC}")
    for store in (blobs, FileBlobs(tmp_path / "none")):
        with pytest.raises(NotFound, match=f"no blob {ABC}"):
            store.size_bytes(ABC)


def test_what_is_not_there_and_what_arrives_damaged_are_named(blobs: BlobStore) -> None:
    with pytest.raises(NotFound, match=f"no blob {ABC}"), blobs.local(ABC):
        pass
    with pytest.raises(NotFound, match="no SHA-256"), blobs.local("../../etc/passwd"):
        pass
    fsspec.filesystem("memory").pipe_file(f"/nas/{ABC[:2]}/{ABC}", b"abd")
    with pytest.raises(Unavailable, match="arrived damaged"), blobs.local(ABC):
        pass


def test_a_store_that_does_not_answer_is_unavailable(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise TimeoutError("no answer")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "exists", away)
    with pytest.raises(Unavailable, match="no answer"):
        blobs.put_bytes(b"abc")


def test_copies_make_room_for_others_but_not_while_they_may_be_read(
    tmp_path: Path, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [blobs.put_bytes(content) for content in (b"12345678", b"abcdefgh", b"ABCDEFGH")]
    copies = [tmp_path / "blob-cache" / name[:2] / name for name in names]
    for name in names[:2]:  # 16 bytes of 10: both are fresh
        with blobs.local(name):
            pass
    assert [one.exists() for one in copies] == [True, True, False]
    os.utime(copies[0], (1.0, 1.0))
    with blobs.local(names[2]):
        assert [one.exists() for one in copies] == [False, True, True]
    monkeypatch.setattr(remote_blobs, "KEPT_S", 0.0)
    with blobs.local(names[0]) as path:
        assert path.read_bytes() == b"12345678"


def test_garbage_goes_from_the_store_and_from_here(blobs: BlobStore) -> None:
    kept, orphan = blobs.put_bytes(b"kept"), blobs.put_bytes(b"orphan")
    with blobs.local(orphan) as copy:
        assert copy.exists()
    assert blobs.discard({kept}) == 1
    assert not copy.exists()
    with blobs.local(kept), pytest.raises(NotFound), blobs.local(orphan):
        pass
