"""Turn what a user has into a stored data set: images, labels, fixed splits. Needs no torch.

Accepted: a folder of class folders with images; an `.npz` with `x` and `y`; image Parquet files
(`image.bytes`, `label`); the digits that ship with scikit-learn. A zip may hold any of them. A
part of the path named `test` (or a file `test*.parquet`) keeps its images for testing.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nas_service.errors import InvalidData
from nas_service.training.found_images import Found, Pixels, Progress, of_array, read
from nas_service.training.splits import split_of

MIN_PER_CLASS = 10
MAX_SIZE = 224
MAX_IMAGES = 2_000_000
_MAX_UNPACKED = 32 * 1024**3


@dataclass(frozen=True)
class Ingested:
    """Images `(n, s, s, c)`, labels `(n,)`, splits `(n,)`, class names, a digest of it all."""

    images: Pixels
    labels: npt.NDArray[np.int64]
    split: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    digest: str

    def facts(self) -> dict[str, Any]:
        """What users are told of the data set."""
        counts = np.bincount(self.split, minlength=3)
        return {
            "size": int(self.images.shape[1]),
            "channels": int(self.images.shape[3]),
            "classes": list(self.classes),
            "n_train": int(counts[0]),
            "n_validation": int(counts[1]),
            "n_test": int(counts[2]),
        }

    def save(self, path: Path) -> None:
        """Write the stored form."""
        with path.open("wb") as stream:
            np.savez(stream, images=self.images, labels=self.labels, split=self.split)


def digits() -> Ingested:
    """Handwritten digits of scikit-learn: 1,797 images of 8x8.

    Two fifths test, as few images tell winners apart badly.
    Enlarged images would be easier, and tiny networks as good as large ones.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    raws = [
        of_array(f"digit {i}", np.rint(image * (255 / 16)).astype(np.uint8)[..., None], int(label))
        for i, (image, label) in enumerate(zip(found.images, found.target, strict=True))
    ]
    names = tuple(str(n) for n in range(10))
    return _assemble(raws, names, 8, lambda _fraction, _message: None, test_fifths=2)


def ingest(source: Path, *, size: int | None = None, report: Progress | None = None) -> Ingested:
    """Read `source`; images are brought to `size` pixels a side (their own median unless given).

    Raises:
        InvalidData: says which file, row or class is at fault.
    """
    tell = report or (lambda _fraction, _message: None)
    if size is not None and not 8 <= size <= MAX_SIZE:
        raise InvalidData(f"image_size: {size} is not between 8 and {MAX_SIZE}", field="image_size")
    found, classes = read(source, tell)
    return _assemble(found, classes, size, tell)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an uploaded zip below `folder`; gives what `ingest` takes. Others stay as they are."""
    if not zipfile.is_zipfile(archive) or archive.suffix == ".npz":
        return archive
    with zipfile.ZipFile(archive) as packed:
        total = 0
        for member in packed.infolist():
            path = Path(member.filename)
            if path.is_absolute() or ".." in path.parts:
                raise InvalidData(f"{member.filename!r} in the archive points outside of it")
            total += member.file_size
            if total > _MAX_UNPACKED:
                raise InvalidData(f"the archive unpacks to more than {_MAX_UNPACKED:,} bytes")
        try:
            packed.extractall(folder)
        except (zipfile.BadZipFile, RuntimeError, EOFError, zlib.error) as error:
            raise InvalidData(f"the archive cannot be unpacked: {error}") from error
    inside = [place for place in folder.iterdir() if not place.name.startswith((".", "__MACOSX"))]
    return inside[0] if len(inside) == 1 else folder


def _assemble(
    raws: list[Found],
    classes: tuple[str, ...],
    size: int | None,
    tell: Progress,
    *,
    test_fifths: int = 1,
) -> Ingested:
    if not raws:
        raise InvalidData("the data set has no images")
    if len(raws) > MAX_IMAGES:
        raise InvalidData(f"{len(raws):,} images are more than the {MAX_IMAGES:,} supported")
    labels = np.array([raw.label for raw in raws], dtype=np.int64)
    counts = np.bincount(labels, minlength=len(classes))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        raise InvalidData(
            f"the data set has one class ({classes[present[0]]!r}); at least 2 are needed"
        )
    if (counts < MIN_PER_CLASS).any():
        least = int(np.argmin(counts))
        raise InvalidData(
            f"class {classes[least]!r} has {counts[least]} images, at least {MIN_PER_CLASS} "
            "are needed"
        )
    side = size or _median_side(raws)
    channels = max(raw.shape[2] for raw in raws)
    images = np.empty((len(raws), side, side, channels), dtype=np.uint8)
    for i, raw in enumerate(raws):
        if i % 500 == 0:
            tell(0.3 + 0.6 * i / len(raws), f"cutting image {i} of {len(raws)}")
        images[i] = _fit(raw.pixels(), side)
    digest = hashlib.sha256()
    for part in _identity(images, labels, classes):
        digest.update(part)
    name = digest.hexdigest()
    test = np.array([raw.test for raw in raws])
    split = split_of(images, labels, test, int(name[:12], 16), test_fifths=test_fifths)
    for number, what in enumerate(("training", "validation", "test")):
        if not (split == number).any():
            raise InvalidData(f"the data set leaves no images for {what}")
    order = np.random.default_rng(int(name[12:24], 16)).permutation(len(labels))
    return Ingested(images[order], labels[order], split[order], classes, name)


def _identity(
    images: Pixels, labels: npt.NDArray[np.int64], classes: tuple[str, ...]
) -> Iterator[bytes]:
    yield json.dumps([list(images.shape), list(classes)]).encode()
    yield labels.tobytes()
    yield images.tobytes()


def _median_side(raws: list[Found]) -> int:
    sides = [min(raw.shape[:2]) for raw in raws]
    return int(np.clip(round(float(np.median(sides)) / 4) * 4, 8, MAX_SIZE))


def _fit(pixels: Pixels, side: int) -> Pixels:
    """Cut to the middle square and resize."""
    height, width = pixels.shape[:2]
    if (height, width) == (side, side):
        return pixels
    inner = min(height, width)
    top, left = (height - inner) // 2, (width - inner) // 2
    square = pixels[top : top + inner, left : left + inner]
    image = Image.fromarray(square[..., 0] if pixels.shape[2] == 1 else square)
    found = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    return found[..., None] if found.ndim == 2 else found
