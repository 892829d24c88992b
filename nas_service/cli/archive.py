"""Pack what a user points at into one file that can be uploaded."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas_service.datasets.archives import ENDINGS
from nas_service.datasets.report import SetAside
from nas_service.datasets.walking import files_below
from nas_service.errors import InvalidData

READY = (*ENDINGS, ".npz", ".parquet", ".csv")


def content_digest(file: Path, answers: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits of what would be uploaded, and of how it is to be read."""
    digest = hashlib.sha256(json.dumps(answers, sort_keys=True).encode())
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:8]


@contextmanager
def packed(source: Path) -> Iterator[Path]:
    """The file to upload: `source` itself, or a temporary zip of the folder that it is.

    Links are followed: whoever packs may read what they lead to.
    """
    if source.is_file():
        if not source.name.lower().endswith(READY):
            raise InvalidData(f"{source} is none of: folder, {', '.join(sorted(READY))}")
        yield source
        return
    if not source.is_dir():
        raise InvalidData(f"there is no file or folder {source}")
    files = files_below(source, SetAside(), None)
    if not files:
        raise InvalidData(f"{source} has no files")
    for file in files:
        if "\\" in file.place:  # of the name, or written out for bytes that are no text
            raise InvalidData(
                f"{file.place}: a name with a backslash, or of bytes that are no UTF-8, is another "
                "one in an archive; rename it, or have the server read the folder (--server-path)"
            )
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "data.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as pack:
            for file in files:
                pack.write(file.path, file.place)
        yield archive
