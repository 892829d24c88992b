"""Files of tables: CSV in the encodings that spreadsheet programs write, and Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from nas_service.datasets.columns import UTF_16
from nas_service.errors import InvalidData

_EMPTY_IS_NULL = csv.ConvertOptions(strings_can_be_null=True)


def read_file(path: Path) -> pa.Table:
    """A table, with columns of the types that its file tells.

    Raises:
        InvalidData: it cannot be read, has no rows, or two columns of one name.
    """
    try:
        found = (
            parquet.read_table(path)
            if path.suffix.lower() == ".parquet"
            else _stripped(
                csv.read_csv(
                    path, csv.ReadOptions(encoding=_encoding(path)), convert_options=_EMPTY_IS_NULL
                )
            )
        )
    except (pa.ArrowInvalid, UnicodeError, OSError) as error:
        raise InvalidData(f"{path.name} cannot be read: {error}") from error
    if found.num_rows == 0:
        raise InvalidData(f"{path.name} has no rows")
    for name, n in Counter(found.column_names).items():
        if n > 1:
            raise InvalidData(f"{path.name} has {n} columns {name!r}: give each a name of its own")
    return found


def as_texts(table: pa.Table, path: Path, names: Collection[str | None]) -> pa.Table:
    """The table with these columns of its CSV as they are written.

    What they hold would else be told from the rows of one file: `01` a number here, a text where
    another row has `A2`; and `NA` no class at all.
    """
    wanted = [one for one in table.column_names if one in names]
    if path.suffix.lower() == ".parquet" or not wanted:
        return table
    try:
        texts = _texts(path, wanted, _encoding(path))
    except pa.ArrowInvalid:
        texts = _texts(path, wanted, "latin-1")
    for one in wanted:
        table = table.set_column(table.column_names.index(one), one, texts[one])
    return table


def _texts(path: Path, wanted: Collection[str], encoding: str) -> pa.Table:
    """These columns of a CSV as texts; an empty cell alone is none."""
    reading = csv.ReadOptions(encoding=encoding)
    with csv.open_csv(path, reading) as reader:
        written = [one for one in reader.schema.names if one.strip() in wanted]
    as_texts = csv.ConvertOptions(
        include_columns=written,
        column_types=dict.fromkeys(written, pa.string()),
        strings_can_be_null=True,
        null_values=[""],
    )
    return _stripped(csv.read_csv(path, reading, convert_options=as_texts))


def _stripped(table: pa.Table) -> pa.Table:
    return table.rename_columns([one.strip() for one in table.column_names])


def _encoding(path: Path) -> str:
    with path.open("rb") as stream:
        return "utf-16" if stream.read(2) in UTF_16 else "utf-8"
