"""What was lacking on a machine is told from what is wrong with the work."""

from __future__ import annotations

import builtins
import errno
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_service.datasets import ingest
from nas_service.errors import InvalidData, Unavailable, Unsupported, as_unsupported, lacking


def _full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/nas/prepared.onnx")


def _in_words_of_a_library(reason: Exception) -> Exception:
    wrapped = ValueError("the graph cannot be written")
    wrapped.__cause__ = reason
    return wrapped


@pytest.mark.parametrize("wrapped", [_full(), _in_words_of_a_library(_full())])
def test_a_full_disk_is_the_reason_whatever_a_library_makes_of_it(wrapped: Exception) -> None:
    found = lacking(wrapped)
    assert found is not None
    assert found.detail == "No space left on device: /var/nas/prepared.onnx"
    with pytest.raises(Unavailable, match="No space left"), as_unsupported("it cannot"):
        raise wrapped


@pytest.mark.parametrize(
    "other",
    [FileNotFoundError(errno.ENOENT, "no such file", "x"), OSError("truncated"), KeyError()],
)
def test_what_is_wrong_with_the_work_lacks_nothing(other: Exception) -> None:
    wrapped = _in_words_of_a_library(other)
    assert lacking(wrapped) is None
    with pytest.raises(Unsupported, match="it cannot: the graph"), as_unsupported("it cannot"):
        raise wrapped


def test_a_picture_whose_disk_does_not_answer_is_not_set_aside_as_corrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        place = tmp_path / f"class{number % 2}" / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((9, 9, 3), 20 * number, np.uint8)).save(place)
    real = io.open

    def failing(file: Any, *given: Any, **named: Any) -> Any:
        if str(file).endswith("7.png"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(file))
        return real(file, *given, **named)

    for module in (builtins, io):  # Pillow calls the one, a path the other
        monkeypatch.setattr(module, "open", failing)
    with pytest.raises(Unavailable, match=r"Input/output error: .*7\.png"):
        ingest.ingest(tmp_path)
    monkeypatch.undo()
    (tmp_path / "class1" / "7.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(InvalidData, match="class 'class1' has 5 images"):
        ingest.ingest(tmp_path)


def test_what_an_error_says_can_be_printed_and_read() -> None:
    named = InvalidData("a folder \x1b[31mred\x07 \udcff \u65e5\u3000\u672c\nand a line")
    assert str(named) == r"a folder \x1b[31mred\x07 \udcff " + "\u65e5\u3000\u672c\nand a line"
    long = InvalidData("x" * 1_000_000)
    assert len(long.detail) < 5000
    assert long.detail.endswith("... (1,000,000 characters)")
    assert InvalidData(long.detail).detail == long.detail  # as it comes back from a process
    bells = InvalidData("\x07" * 3999).detail
    assert bells.endswith("... (3,999 characters)")
    assert InvalidData(bells).detail == bells
