"""Parts that a `data.yaml` gives to folders: `train`, `val` and `test`, each a path or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas_service.datasets.names import PARTS, normal
from nas_service.datasets.names import part_of as part_of_name
from nas_service.datasets.pairing import IMAGE_FOLDERS, part_above
from nas_service.datasets.texts import part_named
from nas_service.datasets.walking import File
from nas_service.learning.detection.yolo_names import Description

Folder = tuple[str, ...]


def parts_of_folders(
    description: Description | None, pictures: Sequence[File]
) -> dict[Folder, str | None]:
    """The part of each folder that is named; None of one that is named for several.

    Paths lead on from the folder that the file lies in, or from the root. They are often
    those of another machine: of each its longest end counts that leads to pictures here, but none
    that is only what any folder of pictures is called. Lists of pictures (`.txt`) are none.
    """
    known = {file.names[:end] for file in pictures for end in range(1, len(file.names))}
    found: dict[Folder, str | None] = {}
    if description is None:
        return found
    for key, value in description.settings.items():
        part = part_named(key)
        if part is None:
            continue
        for path in value if isinstance(value, list) else [value]:
            folder = _here(str(path), description.folder, known)
            if folder is not None:
                found[folder] = part if found.get(folder, part) == part else None
    return found


def part_in(picture: File, folders: Mapping[Folder, str | None]) -> str | None:
    """The part of the innermost folder that was named around a picture, else what names say.

    A folder below it that is called as a part is one.
    """
    above = picture.names[:-1]
    around = max((one for one in folders if above[: len(one)] == one), key=len, default=None)
    if around is None or any(part_of_name(one) for one in above[len(around) :]):
        return part_above(picture)
    return folders[around] or part_above(picture)


def notes_on(folders: Mapping[Folder, str | None]) -> list[str]:
    """What is to be said of parts that were named."""
    named = {one: part for one, part in folders.items() if part is not None}
    notes = []
    if any(part_named(one[-1]) != part for one, part in named.items()):
        shown = ", ".join(f"{'/'.join(one)} for {part}" for one, part in named.items())
        notes.append(f"parts are as data.yaml names folders: {shown}")
    twice = ["/".join(one) for one, part in folders.items() if part is None]
    if twice:
        notes.append(
            f"data.yaml names {', '.join(twice)} for more than one of {', '.join(PARTS)}: parts "
            "are those that folders are called, or drawn"
        )
    return notes


def _here(path: str, beside: Folder, known: set[Folder]) -> Folder | None:
    if path.lower().endswith(".txt"):
        return None
    names = tuple(one for one in normal(path).replace("\\", "/").split("/") if one.strip(". "))
    for start in range(len(names)):
        end = names[start:]
        if start and len(end) == 1 and end[0].lower() in IMAGE_FOLDERS:
            return None
        for folder in ((*beside, *end), end):
            if folder in known:
                return folder
    return None
