"""Pack what a user points at into one file that can be uploaded."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas_service.errors import InvalidData

READY = {".zip", ".npz", ".parquet"}
WANTED = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".parquet", ".npz"}


def content_digest(file: Path, image_size: int | None) -> str:
    """Eight hexadecimal digits of what would be uploaded, and of how it is to be read."""
    digest = hashlib.sha256(str(image_size).encode())
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:8]


@contextmanager
def packed(source: Path) -> Iterator[Path]:
    """The file to upload: `source` itself, or a temporary zip of the folder that it is."""
    if source.is_file():
        if source.suffix.lower() not in READY:
            raise InvalidData(f"{source} is none of: folder, {', '.join(sorted(READY))}")
        yield source
        return
    if not source.is_dir():
        raise InvalidData(f"{source} does not exist")
    files = sorted(p for p in source.rglob("*") if p.suffix.lower() in WANTED and p.is_file())
    if not files:
        raise InvalidData(f"{source} has no images, .npz or .parquet files")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "data.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as pack:
            for file in files:
                pack.write(file, file.relative_to(source))
        yield archive
