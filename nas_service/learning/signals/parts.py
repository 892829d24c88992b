"""The part of each recording: what folders say, or names of files where all of them do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nas_service.datasets.names import PARTS, part_of, speaks_of_a_part
from nas_service.learning.signals.read import DRAWN
from nas_service.learning.signals.recordings import Recording


def parts_of_files(files: Sequence[Path], source: Path) -> list[int]:
    """The part of each file below a folder `source`; `DRAWN` where nothing says it."""
    by_folder = [_part_of_folders(path, source) for path in files]
    if any(part != DRAWN for part in by_folder):
        return by_folder
    stems = [path.stem for path in files]
    named = [part_of(one, stems) for one in stems]
    if len(set(named)) < 2 or PARTS[0] not in named or not set(named) <= set(PARTS):
        return by_folder
    return [PARTS.index(str(one)) for one in named]


def with_groups_whole(
    recordings: Sequence[Recording], files: Sequence[Path], source: Path
) -> tuple[list[Recording], list[str]]:
    """Recordings whose parts are drawn where names of files would tear a group; and notes on it."""
    parts = {one.part for one in recordings}
    by_folder = any(_part_of_folders(path, source) != DRAWN for path in files)
    sides = {(one.group, one.part) for one in recordings}
    if not by_folder and len(sides) > len({group for group, _ in sides}):
        drawn = [replace(one, part=DRAWN) for one in recordings]
        return drawn, ["names of files say parts, but groups stand in several: parts are drawn"]
    ignored = parts == {DRAWN} and any(speaks_of_a_part(path.stem) for path in files)
    if ignored and len(files) > 1:
        note = "names of files that speak of parts say none here, as not all do"
        return list(recordings), [note]
    return list(recordings), []


def _part_of_folders(path: Path, source: Path) -> int:
    for folder in path.relative_to(source).parts[:-1] if path != source else ():
        named = part_of(folder)
        if named in PARTS:
            return PARTS.index(named)
    return DRAWN
