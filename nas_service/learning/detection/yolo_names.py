"""What files beside YOLO's boxes say: names of classes, and which folders are which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lookup_tables.yaml_text import read_yaml_text
from nas_service.datasets.names import names_apart
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData

NAME_FILES = ("classes.txt", "obj.names", "classes.names", "names.txt", "labels.txt")
_YAML = (".yaml", ".yml")
_LONGEST_NUMBER = 9


@dataclass(frozen=True)
class Description:
    """What one file says: `names` of classes by their numbers, and its `settings` if it is YAML."""

    place: str
    folder: tuple[str, ...]
    names: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


def descriptions(files: Sequence[File]) -> list[Description]:
    """The files that name classes, the outermost first.

    Of those further in one that cannot be read is left out: it may be of something else.

    Raises:
        InvalidData: the outermost cannot be read, or says what cannot be; names the place.
    """
    found: list[Description] = []
    for file in sorted(files, key=lambda one: len(one.names)):
        try:
            description = _read(file)
        except InvalidData:
            if not found:
                raise
            continue
        if description is not None:
            found.append(description)
    if found:
        names_apart(found[0].names, found[0].place)
    return found


def notes_on_names(found: Sequence[Description]) -> list[str]:
    """What is to be said of files that name classes otherwise than the outermost does."""
    if not found:
        return ["classes have no names: there is no data.yaml, and no classes.txt"]
    others = [one.place for one in found if one.names != found[0].names]
    if not others:
        return []
    return [f"classes are named as in {found[0].place}, otherwise than in {others[0]}"]


def text_in(file: File) -> str:
    """A text file's content; `InvalidData` where it is not UTF-8."""
    try:
        return file.path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(f"{file.place} is not UTF-8: {error}") from error


def _read(file: File) -> Description | None:
    """What a file says; None where it names no classes."""
    folder = file.names[:-1]
    if file.path.suffix.lower() in _YAML:
        settings = _yaml(file)
        if not isinstance(settings, dict) or "names" not in settings:
            return None
        names = _listed(settings["names"], file.place)
        return Description(file.place, folder, names, {str(k): v for k, v in settings.items()})
    if file.names[-1].lower() not in NAME_FILES:
        return None
    lines = tuple(one.strip() for one in text_in(file).rstrip().splitlines())
    if "" in lines:
        empty = lines.index("") + 1
        raise InvalidData(f"{file.place}: line {empty} is empty; a class a line is needed")
    return Description(file.place, folder, lines)


def _yaml(file: File) -> Any:
    try:
        return read_yaml_text(text_in(file), as_written=True)
    except ValueError as error:
        raise InvalidData(f"{file.place} is no YAML: {error}") from error


def _listed(names: Any, place: str) -> tuple[str, ...]:
    """Names in a list, or by their numbers."""
    if isinstance(names, dict):
        keys = [str(one) for one in names]
        if all(one.isdecimal() and len(one) <= _LONGEST_NUMBER for one in keys):
            by_number = dict(sorted(zip(map(int, keys), names.values(), strict=True)))
            # fewer where a number is there twice, as 1 and 01
            if len(by_number) == len(keys) and list(by_number) == list(range(len(keys))):
                names = list(by_number.values())
    if not isinstance(names, list):
        raise InvalidData(f"{place}: names are a list, or numbers from 0 on with a name each")
    for one in names:
        if not isinstance(one, str):
            raise InvalidData(f"{place}: name {one!r} is no text; put it into quotes")
    return tuple(names)
