"""What names of folders and files say: which part they hold, and which are the system's own.

A part is `train`, `validation` or `test`. Names come in any spelling (`Training`, `seg_test`,
`val2017`, `TestSet`), so they are cut into words; a name whose other words say something of their
own (`train_cats`) is no part's name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from nas_service.errors import InvalidData

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")
HELD_OUT = "held out"
"""A part that may be for validation or for testing: its name does not tell."""

_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "trainset": TRAIN,
    "trainval": TRAIN,
    "trn": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "validate": VALIDATION,
    "valset": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "tests": TEST,
    "testing": TEST,
    "testset": TEST,
    "tst": TEST,
    "eval": HELD_OUT,
    "evaluation": HELD_OUT,
    "holdout": HELD_OUT,
    "heldout": HELD_OUT,
}
_FILLING = {
    *("set", "sets", "split", "splits", "part", "data", "dataset", "folder", "dir", "of"),
    *("image", "images", "img", "imgs", "picture", "pictures", "pics", "photo", "photos", "seg"),
}
_SYSTEM = {
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    "ehthumbs.db",
    "icon\r",
    "@eadir",
    "$recycle.bin",
}


def normal(name: str) -> str:
    """The name with its accents composed (NFC): macOS stores them apart, and they print alike.

    Bytes that are no UTF-8, as older systems wrote names, are written out: no text can hold them.
    """
    return unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode())


def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case, without numbers: `TestSet_2017` gives `test`, `set`."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", normal(name))
    return tuple(word.lower() for word in re.findall(r"[^\W\d_]+", apart))


def part_of(name: str, siblings: Collection[str] = ()) -> str | None:
    """The part that a folder or file of this name holds; None where it names none.

    Words that all `siblings` share say nothing of one of them: `flowers_train` beside
    `flowers_test` is a part.
    """
    own = words(name)
    parts = {_WORDS[word] for word in own if word in _WORDS}
    if len(parts) != 1:
        return None
    others = [set(words(one)) for one in siblings if one != name]
    shared = set(own).intersection(*others) if others else set()
    rest = [word for word in own if word not in _WORDS and word not in _FILLING]
    return parts.pop() if all(word in shared for word in rest) else None


def part_numbers(parts: Sequence[str]) -> npt.NDArray[np.int64]:
    """The place of each part among `PARTS`."""
    return np.array([PARTS.index(one) for one in parts], dtype=np.int64)


def speaks_of_a_part(name: str) -> bool:
    """Whether any word of the name is one of a part's."""
    return any(word in _WORDS for word in words(name))


def belongs_to_the_system(name: str) -> bool:
    """Whether file managers and tools made it, not the user: hidden, resource forks, thumbnails."""
    return name.startswith(".") or name.lower() in _SYSTEM


def names_apart(names: tuple[str, ...], place: str) -> tuple[str, ...]:
    """Names of classes, each of one; `InvalidData` says which two have the same."""
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise InvalidData(f"{place}: two classes are called {twice[0]!r}")
    return names
