"""Parts that a `data.yaml` gives to folders: `train`, `val` and `test`, each a path or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas_service.datasets.names import PARTS, normal
from nas_service.datasets.pairing import part_above
from nas_service.datasets.texts import part_named
from nas_service.datasets.walking import File

Folder = tuple[str, ...]


def parts_of_folders(told: Mapping[str, Any], pictures: Sequence[File]) -> dict[Folder, str | None]:
    """The part of each folder that is named; None of one that is named for several.

    Paths are often those of another machine: of each its longest end counts that leads to pictures
    here. Lists of pictures (`.txt`) are none.
    """
    above = {file.names[:-1] for file in pictures}
    found: dict[Folder, str | None] = {}
    for key, value in told.items():
        part = part_named(key)
        if part is None:
            continue
        for path in value if isinstance(value, list) else [value]:
            folder = _here(str(path), above)
            if folder is not None:
                found[folder] = part if found.get(folder, part) == part else None
    return found


def part_in(picture: File, folders: Mapping[Folder, str | None]) -> str | None:
    """The part of the innermost folder that was named around a picture, else what names say."""
    inside = [one for one in folders if _lies_in(picture.names[:-1], one)]
    return folders[max(inside, key=len)] if inside else part_above(picture)


def notes_on(folders: Mapping[Folder, str | None]) -> list[str]:
    """What is to be said of parts that were named."""
    if not folders:
        return []
    named = [f"{'/'.join(one)} for {part}" for one, part in folders.items() if part is not None]
    twice = ["/".join(one) for one, part in folders.items() if part is None]
    notes = []
    if named and any(part_named(one[-1]) != folders[one] for one in folders):
        notes.append(f"parts are as data.yaml names folders: {', '.join(named)}")
    if twice:
        notes.append(
            f"data.yaml names {', '.join(twice)} for more than one of {', '.join(PARTS)}: its "
            "pictures are shared out anew"
        )
    return notes


def _here(path: str, above: set[Folder]) -> Folder | None:
    if path.lower().endswith(".txt"):
        return None
    names = tuple(one for one in normal(path).replace("\\", "/").split("/") if one.strip(". "))
    ends = (names[start:] for start in range(len(names)))
    return next((one for one in ends if any(_lies_in(folder, one) for folder in above)), None)


def _lies_in(folder: Folder, around: Folder) -> bool:
    n = len(around)
    return any(folder[at : at + n] == around for at in range(len(folder) - n + 1))
