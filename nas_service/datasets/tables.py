"""CSV files of paths and labels beside the pictures that they describe."""

from __future__ import annotations

import csv
import io
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
    on_group_column,
    part_answered,
    part_column,
    plain,
)
from nas_service.datasets.named_pictures import NamedPictures
from nas_service.datasets.names import HELD_OUT, PARTS, TEST, normal, part_of
from nas_service.datasets.pictures import Picture
from nas_service.datasets.report import LEFT_OUT, Alternative, Question, SetAside
from nas_service.datasets.source import Source, in_order
from nas_service.datasets.texts import group_of, text_of
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData

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


@dataclass
class Described:
    """Tables that describe the pictures of a folder."""

    tables: list[_Table]
    pictures: NamedPictures
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
        if label is None:
            return
        used = {one for one in (table.paths, label, group) if one is not None}
        split = _index(table, None, SPLIT_NAMES)
        if split is None:
            split = part_column(table.header, table.rows, used)
            if split is not None:
                source.notes.append(f"{place}: column {table.header[split]} names the parts")
        of_file = self._part_of_table(table, source)
        if of_file == IGNORE:
            set_aside.add(LEFT_OUT, place)
            return
        if group is not None:
            source.notes.append(on_group_column(table.header[group]))
        source.notes += [one for one in table.notes if one not in source.notes]
        source.notes += _on_unread(table, used if split is None else {*used, split})
        by_folder = split is None and of_file is None and self._folders_name_parts(table)
        if by_folder:
            source.notes.append(f"{place} names no parts: they are those of the pictures' folders")
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
            elif by_folder and part is None:
                part = _folders_part(file)
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

    def _folders_name_parts(self, table: _Table) -> bool:
        """Whether each picture of a table lies in a folder of one part, and not all in the same."""
        if self.answers.draws_parts:
            return False
        folder = table.file.names[:-1]
        rows = [row for row in table.rows if len(row) > table.paths]  # others are refused
        files = [self.pictures.find(row[table.paths], folder) for row in rows]
        parts = {_folders_part(one) for one in files if one is not None}
        return None not in parts and len(parts) > 1

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
            named = [i for i in others if plain(table.header[i]) in known]
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


def _folders_part(file: File) -> str | None:
    """The part that the folders above a picture name."""
    parts = {part_of(one) for one in file.names[:-1]} - {None}
    found = parts.pop() if len(parts) == 1 else None
    return TEST if found == HELD_OUT else found


def _on_unread(table: _Table, used: set[int]) -> list[str]:
    others = [name or "without a name" for i, name in enumerate(table.header) if i not in used]
    return [f"{table.file.place}: columns that are not read: {', '.join(others)}"] if others else []


def read_tables(
    files: Sequence[File], pictures: Sequence[File], answers: Answers
) -> tuple[Described | None, list[str]]:
    """The tables among `files` whose rows name pictures, or None; and what to tell of the others.

    A table that has columns of pictures and of labels or parts was meant to be read.
    """
    by_name = NamedPictures(pictures)
    unread: list[str] = []
    tables = [
        table for file in files if (table := _table(file, by_name, answers, unread)) is not None
    ]
    return (Described(tables, by_name, answers) if tables else None), unread


def _table(
    file: File, pictures: NamedPictures, answers: Answers, unread: list[str]
) -> _Table | None:
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
    columns = [i for i, name in enumerate(header) if plain(name) not in others]
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
        if named is not None and {plain(one) for one in header} & {*LABEL_NAMES, *SPLIT_NAMES}:
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
