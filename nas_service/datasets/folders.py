"""A folder: pictures in class folders, or beside a table that says their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from nas_service.datasets import arrays, layout, parquet, tables
from nas_service.datasets.answers import ARRAYS, FOLDERS, PARQUET, TABLE, Answers
from nas_service.datasets.consulted import require_concerned
from nas_service.datasets.pictures import Picture
from nas_service.datasets.report import LEFT_OUT, Alternative, Question, SetAside
from nas_service.datasets.source import Progress, Source, in_order
from nas_service.datasets.walking import File, files_below
from nas_service.errors import InvalidData, lacking

_NO_STILLS = {
    ".pdf",
    ".eps",
    ".ps",
    ".mpg",
    ".mpeg",
    ".h5",
    ".hdf",
    ".bufr",
    ".grib",
    ".wmf",
    ".emf",
}
_KNOWN_OTHERS = {
    *(".txt", ".md", ".rst", ".html", ".htm", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml"),
    *(".py", ".ipynb", ".sh", ".log", ".ini", ".cfg", ".csv", ".tsv", ".xlsx", ".doc", ".docx"),
    *(".npz", ".npy", ".parquet", ".pkl", ".pt", ".pth", ".onnx", ".mat", ".zip", ".gz", ".tar"),
    *(".mp4", ".avi", ".mov", ".wav", ".mp3", ".sha256", ".md5"),
}
_TABLES = {".csv", ".tsv"}
UNREAD = "picture that nothing describes"
_MOST_LOOSE = 0.05
"""A larger share of pictures in no class folder is no oversight."""


def read_folder(
    folder: Path,
    answers: Answers,
    set_aside: SetAside,
    tell: Progress,
    within: Sequence[Path] | None,
) -> Source:
    """Everything below `folder`, in the layout that it has or that was answered.

    Raises:
        InvalidData: nothing there can be read, or a class's files cannot.
    """
    files = files_below(folder, set_aside, within)
    by_ending: dict[str, list[File]] = {}
    for file in files:
        by_ending.setdefault(file.path.suffix.lower(), []).append(file)
    pictures, others = _pictures(files)
    parquets, archives = by_ending.get(".parquet", []), by_ending.get(".npz", [])
    described, unread = tables.read_tables(
        [file for ending in _TABLES for file in by_ending.get(ending, [])], pictures, answers
    )
    with_classes = _has_classes(pictures, answers) or (bool(pictures) and described is None)
    ways = {
        FOLDERS: f"{len(pictures)} pictures in class folders" if with_classes else "",
        TABLE: "" if described is None else f"the rows of {described.name}",
        PARQUET: f"{len(parquets)} Parquet files" if parquets else "",
        ARRAYS: f"the arrays of {archives[0].place}" if archives else "",
    }
    ways = {way: text for way, text in ways.items() if text}
    chosen = answers.layout or (FOLDERS if not ways else next(iter(ways)))
    if chosen not in ways:
        raise InvalidData(_nothing_there(folder, chosen, pictures, ways), field="layout")
    require_concerned(answers, chosen)
    if chosen == PARQUET:
        source = parquet.read_parquet(parquets, answers, tell, set_aside)
    elif chosen == ARRAYS:
        if len(archives) > 1:
            raise InvalidData(f"{folder.name}: {len(archives)} .npz files, give the one to read")
        source = arrays.read_arrays(archives[0].path, answers, set_aside)
    elif chosen == TABLE and described is not None:
        source = described.source(set_aside)
    else:
        source = _class_folders(folder, pictures, others, answers, set_aside, unread)
    source.notes += unread
    if chosen != FOLDERS and source.pictures:
        named = described.named if chosen == TABLE and described is not None else set()
        for file in pictures:
            if file.path not in named:
                set_aside.add(UNREAD, file.place)
    used = {PARQUET: parquets, ARRAYS: archives}.get(chosen, [])
    if chosen == TABLE and described is not None:
        used = [table.file for table in described.tables]
    for file in others:
        if file not in used:
            ending = file.path.suffix.lower() or "no ending"
            set_aside.add(f"no picture ({ending})", file.place)
    if chosen == FOLDERS:
        _require_known_names(answers, files)
    if answers.layout is None and len(ways) > 1:
        source.questions.insert(0, _which(folder, ways))
    return source


def _which(folder: Path, ways: Mapping[str, str]) -> Question:
    """What has to be asked where a folder can be read in several ways."""
    return Question(
        "layout",
        f"{folder.name} can be read as " + " or as ".join(ways.values()),
        tuple(Alternative(way, text) for way, text in ways.items()),
    )


def _require_known_names(answers: Answers, files: Sequence[File]) -> None:
    """Refuse answers about folders that are not there: a slip would be no answer at all."""
    known = {name for file in files for name in file.names[:-1]}
    unknown = sorted(set(answers.split) - known - {"*"})
    if unknown:
        raise InvalidData(
            f"split: no folder is called {unknown[0]!r}; there are "
            f"{', '.join(sorted(known)[:20]) or 'none'}",
            field="split",
        )


def _pictures(files: Sequence[File]) -> tuple[list[File], list[File]]:
    """Files that may be pictures, by ending or by how they begin, and the others."""
    known = set(Image.registered_extensions()) - _NO_STILLS
    pictures, others = [], []
    for file in files:
        ending = file.path.suffix.lower()
        if ending in known or (ending not in _KNOWN_OTHERS | _NO_STILLS and _begins_as_one(file)):
            pictures.append(file)
        else:
            others.append(file)
    return pictures, others


def _begins_as_one(file: File) -> bool:
    try:
        with Image.open(file.path):
            return True
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if away := lacking(error):
            raise away from error
        return False


def _class_folders(
    folder: Path,
    pictures: Sequence[File],
    others: Sequence[File],
    answers: Answers,
    set_aside: SetAside,
    unread: Sequence[str],
) -> Source:
    known = layout.recognised({file.names[:-1] for file in pictures}, answers)
    _require_readable_classes(pictures, others, answers)
    kept: list[Picture] = []
    n_loose = 0
    for file in pictures:
        place = known.places[file.names[:-1]]
        if place.ignored:
            set_aside.add(LEFT_OUT, file.place)
        elif not place.class_names:
            set_aside.add(layout.NO_CLASS, file.place)
            n_loose += 1
        else:
            label, group = layout.class_of(place, answers.classes)
            kept.append(Picture(file.place, label, file.path, place.part, group))
    if not kept or n_loose > max(_MOST_LOOSE, answers.allow_unreadable) * len(pictures):
        raise InvalidData(
            f"{folder.name}: {n_loose} of {len(pictures)} pictures are in no class folder, as "
            f"{next(iter(set_aside.names.get(layout.NO_CLASS, [])), 'none')}; put them into "
            "folders named for their classes, or give a CSV of paths and labels"
            + "".join(f"; {one}" for one in unread),
            field="path",
        )
    classes = in_order([one.label for one in kept])
    return Source(known.name, kept, classes, list(known.questions))


def _require_readable_classes(
    pictures: Sequence[File], others: Sequence[File], answers: Answers
) -> None:
    """No folder may vanish because its files are of a kind that cannot be read."""
    readable = {file.names[:-1] for file in pictures}
    lost = Counter(
        (file.names[:-1], file.path.suffix.lower())
        for file in others
        if len(file.names) > 1
        and file.names[:-1] not in readable
        and file.path.suffix.lower() not in _KNOWN_OTHERS
        and not any(answers.split.get(name) == "ignore" for name in file.names[:-1])
    )
    if lost:
        (names, ending), n = lost.most_common(1)[0]
        raise InvalidData(
            f"{'/'.join(names)}: {n} files, none of which can be read as a picture "
            f"({ending or 'no ending'}); convert them, or leave the folder out with "
            f"--split {names[-1]}=ignore",
            field="path",
        )


def _has_classes(pictures: Sequence[File], answers: Answers) -> bool:
    """Whether folders say two classes or more; one alone may hold what a table describes."""
    places = layout.recognised({file.names[:-1] for file in pictures}, answers).places
    return len({place.class_names for place in places.values() if place.class_names}) > 1


def _nothing_there(
    folder: Path, chosen: str, pictures: Sequence[File], ways: dict[str, str]
) -> str:
    if ways:
        return f"layout: {folder.name} has no {chosen}, but {' and '.join(ways.values())}"
    loose = f"; {len(pictures)} pictures lie in no folder" if pictures else ""
    return (
        f"{folder.name}: no class folders with images, no CSV of paths and labels, no .parquet, "
        f"no .npz{loose}"
    )
