"""All files below a folder, links followed where they lead to files of the user's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_service.datasets.names import belongs_to_the_system, normal
from nas_service.datasets.report import SetAside

LEADS_OUT = "link that leads out of the folder"
SYSTEM = "hidden, or made by the system"


@dataclass(frozen=True, slots=True)
class File:
    """A file: where it is, and its names below the source, folders first, accents composed."""

    path: Path
    names: tuple[str, ...]

    @property
    def place(self) -> str:
        """As messages and reports name it."""
        return "/".join(self.names)


def files_below(folder: Path, set_aside: SetAside, within: Sequence[Path] | None) -> list[File]:
    """Files below `folder` in order of their names; what is not followed is noted.

    Links are followed to places below `within`, anywhere where that is None, and never in circles.
    """
    allowed = None if within is None else [place.resolve() for place in within]
    files: list[File] = []

    def visit(place: Path, names: tuple[str, ...], above: frozenset[Path]) -> None:
        with os.scandir(place) as entries:
            inside = sorted(entries, key=lambda entry: normal(entry.name))
        for entry in inside:
            path, inner = Path(entry.path), (*names, normal(entry.name))
            if belongs_to_the_system(entry.name):
                set_aside.add(SYSTEM, File(path, inner).place)
                continue
            if entry.is_symlink() and not _may_follow(path, allowed, above):
                set_aside.add(LEADS_OUT, File(path, inner).place)
            elif entry.is_dir():
                real = path.resolve()
                visit(path, inner, above | {real})
            elif entry.is_file():
                files.append(File(path, inner))

    visit(folder, (), frozenset({folder.resolve()}))
    return files


def _may_follow(link: Path, allowed: Sequence[Path] | None, above: frozenset[Path]) -> bool:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # broken, or a circle of links
        return False
    if target in above:
        return False
    return allowed is None or any(target.is_relative_to(place) for place in allowed)
