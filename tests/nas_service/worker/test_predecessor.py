"""Who served a folder before is known to the next one, where nobody else can have it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from nas_service.processes import ALONE
from nas_service.worker.predecessor import predecessor


def test_each_worker_learns_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for name in ("first", "second", "third"):
        monkeypatch.setenv(ALONE, "1")
        told.append(predecessor(tmp_path, name))
        assert ALONE not in os.environ  # what the worker starts has not the folder to itself
    assert told == [None, "first", "second"]
    assert [one.name for one in tmp_path.iterdir()] == ["executor"]


def test_a_worker_beside_others_knows_of_none_and_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALONE, "1")
    predecessor(tmp_path, "first")
    monkeypatch.delenv(ALONE, raising=False)
    assert predecessor(tmp_path, "beside") is None
    monkeypatch.setenv(ALONE, "1")
    assert predecessor(tmp_path, "second") == "first"


def test_the_copy_of_a_folder_says_nothing_of_who_serves_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    monkeypatch.setenv(ALONE, "1")
    predecessor(tmp_path / "one", "first")
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    monkeypatch.setenv(ALONE, "1")
    assert predecessor(tmp_path / "copy", "other") is None
    monkeypatch.setenv(ALONE, "1")
    monkeypatch.setattr("socket.gethostname", lambda: "another-host")
    assert predecessor(tmp_path / "one", "elsewhere") is None
