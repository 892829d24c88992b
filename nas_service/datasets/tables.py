"""CSV files of paths and labels beside the pictures that they describe."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nas_service.datasets.answers import IGNORE, Answers
from nas_service.datasets.columns import (
    GROUP_NAMES,
    IMAGE_NAMES,
    LABEL_NAMES,
    SPLIT_NAMES,
    UTF_16,
    named_column,
    part_answered,
)
from nas_service.datasets.names import HELD_OUT, PARTS, normal, part_of
from nas_service.datasets.pictures import Picture
from nas_service.datasets.report import LEFT_OUT, Alternative, Question, SetAside
from nas_service.datasets.source import Source, in_order
from nas_service.datasets.texts import group_of, text_of
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData

_LONGEST_PATH = 4096
_MOST_FOLDERS = 16
"""Of a path's end; longer ones are compared as a whole."""
_ABSOLUTE = re.compile(r"/|[A-Za-z]:|~|\.\./")
_MOST_MISSING = 0.5
"""A column of which fewer cells than this share name a picture is no column of paths."""


@dataclass
class _Table:
    """A table whose rows name pictures: `paths` is the column that does."""

    file: File
    header: list[str]
    rows: list[list[str]]
    paths: int
    notes: list[str] = field(default_factory=list)


class _Pictures:
    """Pictures by what a table may call them.

    That is a path from the table's folder or the root, the end of such a path, its name or stem; or
    an absolute path of another machine, which ends in the whole path of the picture here.
    """

    def __init__(self, pictures: Sequence[File]) -> None:
        self._whole = {file.names: file for file in pictures}
        self._deepest = min(max((len(one) for one in self._whole), default=0), _MOST_FOLDERS)
        self._ends: dict[int, dict[tuple[str, ...], File | None]] = {}

    def find(self, cell: str, folder: tuple[str, ...]) -> File | None:
        """The picture that a cell of a table in `folder` names; None for none, or for several."""
        if len(cell) > _LONGEST_PATH:
            return None
        path = normal(cell.strip()).replace("\\", "/")
        names = tuple(n for n in path.split("/") if n not in ("", "."))
        if not names:
            return None
        found = self._whole.get((*folder, *names)) or self._whole.get(names)
        found = found or self._by_end((*folder, *names)) or self._by_end(names)
        if found is None and _ABSOLUTE.match(path):
            lengths = range(min(len(names) - 1, self._deepest), 0, -1)
            ends = (names[-length:] for length in lengths)
            found = next((self._whole[one] for one in ends if one in self._whole), None)
        return found

    def _by_end(self, names: tuple[str, ...]) -> File | None:
        """The one picture whose path ends so, with or without its ending."""
        length = len(names)
        if length > self._deepest:
            return None
        if length not in self._ends:  # made for the lengths that are asked for
            found: dict[tuple[str, ...], File | None] = {}
            for file in self._whole.values():
                if len(file.names) < length:
                    continue
                *folders, name = file.names[-length:]
                for key in {(*folders, name), (*folders, name.rpartition(".")[0] or name)}:
                    # what two pictures are called by is none's name
                    found[key] = None if key in found else file
            self._ends[length] = found
        return self._ends[length].get(names)


@dataclass
class Described:
    """Tables that describe the pictures of a folder."""

    tables: list[_Table]
    pictures: _Pictures
    answers: Answers
    named: set[Path] = field(default_factory=set)
    """The pictures that some row names, known once the source was read."""

    @property
    def name(self) -> str:
        """Their names."""
        return ", ".join(table.file.place for table in self.tables)

    def source(self, set_aside: SetAside) -> Source:
        """Pictures in the order of the rows.

        Raises:
            InvalidData: a column that was named is not there, or a row has no label.
        """
        source = Source("table of paths and labels", [], ())
        for table in self.tables:
            self._read(table, source, set_aside)
        source.classes = in_order([one.label for one in source.pictures])
        return source

    def _read(self, table: _Table, source: Source, set_aside: SetAside) -> None:
        place, answers = table.file.place, self.answers
        label = self._column(table, answers.label_column, LABEL_NAMES, "label_column", source)
        group = _index(table, answers.group_column, GROUP_NAMES)
        split = _index(table, None, SPLIT_NAMES)
        if label is None:
            return
        of_file = self._part_of_table(table, source)
        if of_file == IGNORE:
            set_aside.add(LEFT_OUT, place)
            return
        if group is not None:
            source.notes.append(f"pictures of one {table.header[group]} stay on one side")
        source.notes += [one for one in table.notes if one not in source.notes]
        for number, row in enumerate(table.rows, start=2):
            where = f"{place} row {number}"
            if len(row) != len(table.header):
                raise InvalidData(
                    f"{where}: {len(row)} cells, the header has {len(table.header)}", field="path"
                )
            file = self.pictures.find(row[table.paths], table.file.names[:-1])
            if file is None:
                set_aside.add(f"in {place}, but not here", row[table.paths])
                continue
            self.named.add(file.path)
            if not row[label].strip():
                raise InvalidData(f"{where}: no label", field=table.header[label])
            part = of_file
            if split is not None:
                part = part_answered(row[split], answers, source.questions)
            if part == IGNORE:
                set_aside.add(LEFT_OUT, file.place)
                continue
            source.pictures.append(
                Picture(
                    file.place,
                    text_of(row[label]),
                    file.path,
                    part,
                    group_of(row[group]) if group is not None else None,
                )
            )

    def _part_of_table(self, table: _Table, source: Source) -> str | None:
        """The part that a table's name or folder says; asked where it is one of several tables.

        A sample of what to hand in has paths and labels, too, and its labels mean nothing.
        """
        name = table.file.path.stem
        if name in self.answers.split:
            return self.answers.split[name]
        siblings = [one.file.path.stem for one in self.tables]
        names = [name, *table.file.names[:-1]]
        parts = {part_of(one, siblings) for one in names} - {None, HELD_OUT}
        if len(parts) == 1:
            return parts.pop()
        if len(self.tables) > 1 and not self.answers.draws_parts:
            source.questions.append(
                Question(
                    "split",
                    f"{table.file.place} is one of {len(self.tables)} tables of these pictures: "
                    "what part it describes",
                    (
                        Alternative(f"{name}={IGNORE}", "leave it out"),
                        *(Alternative(f"{name}={one}", f"the {one} part") for one in PARTS),
                    ),
                )
            )
        return None

    def _column(
        self,
        table: _Table,
        answered: str | None,
        known: Sequence[str],
        field_name: str,
        source: Source,
    ) -> int | None:
        """The position of a column; a question where several may be it."""
        found = _index(table, answered, known)
        others = [i for i in range(len(table.header)) if i != table.paths]
        if answered is None:
            named = [i for i in others if table.header[i].lower().replace(" ", "_") in known]
            if len(named) > 1 and not _say_the_same(table, named):
                found, others = None, named
        if found is not None:
            return found
        if len(others) == 1:
            return others[0]
        source.questions.append(
            Question(
                field_name,
                f"{table.file.place}: which column holds the labels",
                tuple(
                    Alternative(table.header[i], f"as {table.rows[0][i]!r} in its first row")
                    for i in others
                ),
            )
        )
        return None


def read_tables(
    files: Sequence[File], pictures: Sequence[File], answers: Answers
) -> tuple[Described | None, list[str]]:
    """The tables among `files` whose rows name pictures, or None; and what to tell of the others.

    A table that has columns of pictures and of labels or parts was meant to be read.
    """
    by_name = _Pictures(pictures)
    unread: list[str] = []
    tables = [
        table for file in files if (table := _table(file, by_name, answers, unread)) is not None
    ]
    return (Described(tables, by_name, answers) if tables else None), unread


def _table(file: File, pictures: _Pictures, answers: Answers, unread: list[str]) -> _Table | None:
    notes: list[str] = []
    rows = [row for row in _rows(file, notes) if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        return None
    header = [normal(cell.strip()) for cell in rows[0]]
    folder = file.names[:-1]
    if any(pictures.find(cell, folder) for cell in header):
        raise InvalidData(
            f"{file.place}: the first row names a picture; give the columns names, as path,label",
            field="path",
        )
    body = rows[1:]
    named = named_column(header, answers.image_column, IMAGE_NAMES, file.place, "image_column")
    others = {*LABEL_NAMES, *SPLIT_NAMES, *GROUP_NAMES}
    columns = [i for i, name in enumerate(header) if name.lower() not in others]
    columns = [named] if named is not None else columns or list(range(len(header)))
    shares = {
        i: sum(len(row) > i and pictures.find(row[i], folder) is not None for row in body)
        / len(body)
        for i in columns
    }
    if not shares:
        return None
    # of columns that name as many the one that names most different ones
    best = max(shares, key=lambda i: (shares[i], len({row[i] for row in body if len(row) > i})))
    if shares[best] < _MOST_MISSING:
        if named is not None and {one.lower() for one in header} & {*LABEL_NAMES, *SPLIT_NAMES}:
            first = next((row[named] for row in body if len(row) > named), "")
            unread.append(
                f"{file.place} is not read, neither its labels nor its parts: fewer than half of "
                f"its rows name a picture here, as {first!r} in column {header[named]!r}"
            )
        return None
    return _Table(file, header, body, best, notes)


def _say_the_same(table: _Table, columns: Sequence[int]) -> bool:
    """Whether columns divide the rows alike, as a class's number and its name do."""
    cells = {tuple(row[i] for i in columns if len(row) > i) for row in table.rows}
    return all(len({one[i : i + 1] for one in cells}) == len(cells) for i in range(len(columns)))


def _rows(file: File, notes: list[str]) -> Iterator[list[str]]:
    raw = file.path.read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in UTF_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
        notes.append(f"{file.place} is not UTF-8; it was read as Latin-1")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise InvalidData(f"{file.place}: not a readable table ({error})", field="path") from error


def _index(table: _Table, answered: str | None, known: Sequence[str]) -> int | None:
    found = named_column(table.header, answered, known, table.file.place, "label_column")
    return None if found == table.paths else found
