"""Parquet files that hold pictures, in the layout of Hugging Face's data sets or near it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nas_service.datasets.answers import IGNORE, Answers
from nas_service.datasets.columns import (
    GROUP_NAMES,
    LABEL_NAMES,
    SPLIT_NAMES,
    named_column,
    on_group_column,
    part_answered,
)
from nas_service.datasets.names import HELD_OUT, normal, part_of
from nas_service.datasets.pictures import Picture
from nas_service.datasets.report import LEFT_OUT, Alternative, Question, SetAside
from nas_service.datasets.source import Progress, Source, in_order
from nas_service.datasets.texts import group_of, text_of
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData

if TYPE_CHECKING:
    import pyarrow as pa


def read_parquet(
    files: Sequence[File], answers: Answers, tell: Progress, set_aside: SetAside
) -> Source:
    """All rows of these files; labels go by the names that each file has for its own numbers.

    Raises:
        InvalidData: a file has no pictures or no labels, or some files name classes and some do
            not.
    """
    source = Source("Parquet files with pictures", [], ())
    orders: list[tuple[str, ...]] = []
    unnamed: list[str] = []
    for number, file in enumerate(files):
        tell(0.3 * number / len(files), f"reading {file.place}")
        table = _table(file)
        image = _image_column(table, file, answers)
        label = _label_column(table, file, answers, source, image)
        if label is None:
            continue
        names = _class_names(table, label)
        if names is not None:
            orders.append(names)
        elif _is_number(table.schema.field(label).type):
            unnamed.append(file.place)
        part = _part_of_file(file, files, answers, source)
        if part == IGNORE:
            set_aside.add(LEFT_OUT, file.place)
        else:
            _add_rows(source, table, file, answers, (image, label), names, part, set_aside)
    if orders and unnamed:
        raise InvalidData(
            f"{unnamed[0]}: labels are numbers without names, and other files name their classes",
            field="label",
        )
    labels = [one.label for one in source.pictures]
    first = orders[0] if orders else ()
    if all(set(order) <= set(first) for order in orders) and set(labels) <= set(first):
        source.classes = first
    else:
        source.classes = in_order([*labels, *(name for order in orders for name in order)])
    if len({frozenset(order) for order in orders}) > 1 or len(set(orders)) > 1:
        source.notes.append(
            "files number their classes differently; labels go by each file's names"
        )
    return source


def _table(file: File) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(file.path)
    except (pa.ArrowException, OSError) as error:
        raise InvalidData(f"{file.place}: not a Parquet file ({error})") from error


def _image_column(table: pa.Table, file: File, answers: Answers) -> str:
    """The column of pictures: the one that has bytes of files."""
    import pyarrow as pa

    holding = [
        field.name
        for field in table.schema
        if pa.types.is_binary(field.type)
        or pa.types.is_large_binary(field.type)
        or (
            pa.types.is_struct(field.type)
            and any(field.type.field(i).name == "bytes" for i in range(field.type.num_fields))
        )
    ]
    if answers.image_column is not None:
        if answers.image_column not in holding:
            raise InvalidData(
                f"image_column: {file.place} has no pictures in {answers.image_column!r}, but in "
                f"{', '.join(holding) or 'none'}",
                field="image_column",
            )
        return str(answers.image_column)
    if len(holding) == 1:
        return str(holding[0])
    if not holding:
        raise InvalidData(
            f"{file.place}: no column 'image' with the bytes of pictures", field="image"
        )
    if "image" in holding:
        return "image"
    raise InvalidData(
        f"{file.place}: pictures in {', '.join(holding)}; say which with --image-column",
        field="image_column",
    )


def _label_column(
    table: pa.Table, file: File, answers: Answers, source: Source, image: str
) -> str | None:
    import pyarrow as pa

    header = list(table.column_names)
    found = named_column(header, answers.label_column, LABEL_NAMES, file.place, "label_column")
    if found is not None:
        return str(header[found])
    scalar = [
        field.name
        for field in table.schema
        if field.name != image
        and (pa.types.is_integer(field.type) or _is_text(field.type))
        and part_of(field.name) is None
    ]
    named = [name for name in scalar if _class_names(table, name) is not None]
    several = named or scalar
    if len(several) == 1:
        return str(several[0])
    if not several:
        raise InvalidData(f"{file.place}: no column 'label'", field="label")
    question = Question(
        "label_column",
        f"{file.place}: which column holds the labels",
        tuple(Alternative(name, f"as {table.column(name)[0].as_py()!r}") for name in several),
    )
    if all(one.field != question.field for one in source.questions):
        source.questions.append(question)
    return None


def _class_names(table: pa.Table, label: str) -> tuple[str, ...] | None:
    """The class names that the Hugging Face layout keeps in the schema."""
    try:
        info = json.loads((table.schema.metadata or {})[b"huggingface"])["info"]
        names = info["features"][label]["names"]
        return tuple(normal(str(name)) for name in names)
    except (KeyError, TypeError, ValueError):
        return None


def _part_of_file(
    file: File, files: Sequence[File], answers: Answers, source: Source
) -> str | None:
    """The part that a file's name, or that of a folder around it, says."""
    names = [*file.names[:-1], file.path.stem]
    for name in names:
        if name in answers.split:
            return answers.split[name]
    siblings = [one.path.stem for one in files]
    parts = {part_of(name, siblings) for name in names} - {None}
    if HELD_OUT in parts:
        return part_answered(file.path.stem, answers, source.questions)
    return parts.pop() if len(parts) == 1 else None


def _add_rows(
    source: Source,
    table: pa.Table,
    file: File,
    answers: Answers,
    columns: tuple[str, str],
    names: tuple[str, ...] | None,
    part: str | None,
    set_aside: SetAside,
) -> None:
    header = list(table.column_names)
    image, label = columns
    split = named_column(header, None, SPLIT_NAMES, file.place, "split")
    group = named_column(header, answers.group_column, GROUP_NAMES, file.place, "group_column")
    labels = table.column(label).to_pylist()
    parts = table.column(split).to_pylist() if split is not None else None
    groups = table.column(group).to_pylist() if group is not None else None
    if group is not None:
        source.notes.append(on_group_column(header[group]))
    for row, cell in enumerate(table.column(image)):
        where = f"{file.place} row {row}"
        value = cell.as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise InvalidData(f"{where}: image.bytes is missing")
        own = part
        if parts is not None:
            name = "" if parts[row] is None else text_of(parts[row])
            own = part_answered(name, answers, source.questions)
        if own == IGNORE:
            set_aside.add(LEFT_OUT, where)
            continue
        source.pictures.append(
            Picture(
                where,
                _label(labels[row], names, where),
                partial(bytes, content),
                own,
                None if groups is None else group_of(groups[row]),
            )
        )


def _label(value: Any, names: tuple[str, ...] | None, where: str) -> str:
    if isinstance(value, str | bytes) and text_of(value):
        return text_of(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or value < 0:
        raise InvalidData(f"{where}: label {value!r} is not a class number", field="label")
    if names is None:
        return str(value)
    if value >= len(names):
        raise InvalidData(
            f"{where}: label {value} is out of range, there are {len(names)} classes", field="label"
        )
    return names[value]


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )
