"""Turn what a user has into a stored data set: images, labels, fixed splits. Needs no torch.

Accepted: a folder of class folders with images; an `.npz` with `x` and `y`; image Parquet files
(`image.bytes`, `label`); the digits that ship with scikit-learn. A zip may hold any of them. A
part of the path named `test` (or a file `test*.parquet`) keeps its images for testing.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from nas_service.errors import InvalidData

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".pgm"}
MIN_PER_CLASS = 10
MAX_SIZE = 224
MAX_IMAGES = 2_000_000
_MAX_UNPACKED = 32 * 1024**3
_MAX_PIXELS = 50_000_000

Progress = Callable[[float, str], None]
Pixels = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class _Raw:
    """One image as it was found: where, its pixels, its class, and whether it is for testing."""

    place: str
    pixels: Pixels
    label: int
    test: bool


def digits() -> Ingested:
    """Handwritten digits of scikit-learn: 1,797 images of 8x8, enlarged to 32x32."""
    from sklearn.datasets import load_digits

    found = load_digits()
    raws = [
        _Raw(
            f"digit {i}", np.rint(image * (255 / 16)).astype(np.uint8)[..., None], int(label), False
        )
        for i, (image, label) in enumerate(zip(found.images, found.target, strict=True))
    ]
    return _assemble(raws, tuple(str(n) for n in range(10)), 32)


def ingest(source: Path, *, size: int | None = None, report: Progress | None = None) -> Ingested:
    """Read `source`; images are brought to `size` pixels a side (their own median unless given).

    Raises:
        InvalidData: says which file, row or class is at fault.
    """
    tell = report or (lambda _fraction, _message: None)
    if size is not None and not 8 <= size <= MAX_SIZE:
        raise InvalidData(f"image_size: {size} is not between 8 and {MAX_SIZE}", field="image_size")
    if source.is_file() and source.suffix == ".npz":
        raws, classes = _from_npz(source)
    elif source.is_file() and source.suffix == ".parquet":
        raws, classes = _from_parquet([source], tell)
    elif source.is_dir():
        raws, classes = _from_folder(source, tell)
    elif not source.exists():
        raise InvalidData(f"{source} does not exist", field="path")
    else:
        raise InvalidData(f"{source.name} is none of: folder, .zip, .npz, .parquet", field="path")
    return _assemble(raws, classes, size)


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


def _from_folder(folder: Path, tell: Progress) -> tuple[list[_Raw], tuple[str, ...]]:
    if tables := sorted(folder.rglob("*.parquet")):
        return _from_parquet(tables, tell)
    places = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_ENDINGS)
    if not places:
        arrays = sorted(folder.glob("*.npz"))
        if len(arrays) == 1:
            return _from_npz(arrays[0])
        raise InvalidData(f"{folder.name}: no class folders with images, no .npz, no .parquet")
    classes = tuple(sorted({place.parent.name for place in places}))
    raws = []
    for number, place in enumerate(places):
        if number % 500 == 0:
            tell(0.8 * number / len(places), f"reading image {number} of {len(places)}")
        inner = place.relative_to(folder)
        test = any(part.lower() == "test" for part in inner.parts[:-2])
        label = classes.index(place.parent.name)
        raws.append(_Raw(str(inner), _decode(place.read_bytes(), str(inner)), label, test))
    return raws, classes


def _from_parquet(paths: list[Path], tell: Progress) -> tuple[list[_Raw], tuple[str, ...]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    raws: list[_Raw] = []
    names: tuple[str, ...] | None = None
    for number, path in enumerate(paths):
        tell(0.8 * number / len(paths), f"reading {path.name}")
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise InvalidData(f"{path.name}: not a Parquet file ({error})") from error
        for column in ("image", "label"):
            if column not in table.column_names:
                raise InvalidData(f"{path.name}: no column {column!r}", field=column)
        names = names or _class_names(table.schema.metadata or {})
        test = path.name.lower().startswith("test")
        labels = table.column("label").to_pylist()
        for row, (image, label) in enumerate(zip(table.column("image"), labels, strict=True)):
            where = f"{path.name} row {row}"
            content = image["bytes"].as_py() if isinstance(image, pa.StructScalar) else None
            if content is None:
                raise InvalidData(f"{where}: image.bytes is missing")
            if not isinstance(label, int) or label < 0:
                raise InvalidData(f"{where}: label {label!r} is not a class number", field="label")
            if names is not None and label >= len(names):
                raise InvalidData(
                    f"{where}: label {label} is out of range, there are {len(names)} classes",
                    field="label",
                )
            raws.append(_Raw(where, _decode(content, where), label, test))
    n_classes = 1 + max((raw.label for raw in raws), default=-1)
    return raws, names or tuple(str(n) for n in range(n_classes))


def _class_names(metadata: dict[bytes, bytes]) -> tuple[str, ...] | None:
    """The class names that the Hugging Face layout keeps in the schema."""
    try:
        found = json.loads(metadata[b"huggingface"])["info"]["features"]["label"]["names"]
        return tuple(str(name) for name in found)
    except (KeyError, TypeError, ValueError):
        return None


def _from_npz(path: Path) -> tuple[list[_Raw], tuple[str, ...]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in ("x", "y") if name not in arrays]
            if missing:
                raise InvalidData(f"{path.name}: no array {missing[0]!r}", field=missing[0])
            x, y = arrays["x"], arrays["y"]
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InvalidData(f"{path.name}: not a readable .npz ({error})") from error
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim == 4 and x.shape[1] in {1, 3} and x.shape[3] not in {1, 3}:
        x = x.transpose(0, 2, 3, 1)
    if x.ndim != 4 or x.shape[3] not in {1, 3}:
        raise InvalidData(
            f"{path.name}: x has shape {x.shape}, expected (n, height, width, 1 or 3)", field="x"
        )
    if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
        raise InvalidData(
            f"{path.name}: y has shape {y.shape} and type {y.dtype}, expected {len(x)} integers",
            field="y",
        )
    if len(y) and y.min() < 0:
        row = int(np.argmin(y))
        raise InvalidData(f"{path.name} row {row}: label {y[row]} is out of range", field="y")
    if len(y) and y.max() >= len(y):
        row = int(np.argmax(y))
        raise InvalidData(f"{path.name} row {row}: label {y[row]} is out of range", field="y")
    if np.issubdtype(x.dtype, np.floating):
        bad = ~np.isfinite(x).all(axis=(1, 2, 3))
        if bad.any():
            raise InvalidData(f"{path.name} row {int(np.argmax(bad))}: pixels are not finite")
        x = np.rint(x * (255.0 if x.max() <= 1.0 else 1.0))
    if len(x) and (x.min() < 0 or x.max() > 255):
        raise InvalidData(f"{path.name}: pixels lie outside 0..255 (or 0..1)", field="x")
    pixels = x.astype(np.uint8)
    raws = [_Raw(f"row {i}", pixels[i], int(y[i]), False) for i in range(len(y))]
    return raws, tuple(str(n) for n in range(int(y.max()) + 1 if len(y) else 0))


def _decode(content: bytes, where: str) -> Pixels:
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise InvalidData(f"{where}: {image.width}x{image.height} pixels are too many")
            mode = "L" if image.mode in {"1", "L", "I;16"} else "RGB"
            pixels = np.asarray(image.convert(mode))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidData(f"{where}: corrupt image ({error})") from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _assemble(raws: list[_Raw], classes: tuple[str, ...], size: int | None) -> Ingested:
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
    channels = max(raw.pixels.shape[2] for raw in raws)
    images = np.empty((len(raws), side, side, channels), dtype=np.uint8)
    for i, raw in enumerate(raws):
        images[i] = _fit(raw.pixels, side)
    digest = hashlib.sha256()
    for part in _identity(images, labels, classes):
        digest.update(part)
    name = digest.hexdigest()
    split = _split(images, labels, np.array([raw.test for raw in raws]), int(name[:12], 16))
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


def _median_side(raws: list[_Raw]) -> int:
    sides = [min(raw.pixels.shape[:2]) for raw in raws]
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


def _split(
    images: Pixels, labels: npt.NDArray[np.int64], test: npt.NDArray[np.bool_], seed: int
) -> npt.NDArray[np.int64]:
    """A fifth (at most 5,000 in all) each for validation and, unless some are given, testing.

    Drawn class by class from neighbours in difficulty, so that validation and test agree on how
    hard the data are: on the digits this halves the standard deviation of the difference in a
    classifier's accuracy between the two (1.5 to 0.8 points).
    """
    generator = np.random.default_rng(seed)
    hardness = _hardness(images, labels)
    split = np.zeros(len(labels), dtype=np.int64)
    split[test] = 2
    step = max(5, -(-int((~test).sum()) // 5_000))
    for label in np.unique(labels):
        rows = np.flatnonzero((labels == label) & ~test)
        rows = rows[np.argsort(hardness[rows], kind="stable")]
        for start in range(0, len(rows), step):
            drawn = generator.permutation(rows[start : start + step])
            if len(drawn) >= min(step, 5):
                split[drawn[0]] = 1
                if not test.any():
                    split[drawn[1]] = 2
    return split


def _hardness(images: Pixels, labels: npt.NDArray[np.int64]) -> FloatArray:
    """How much nearer an image is to another class's mean than to its own: `(n,)`."""
    classes = np.unique(labels)
    means = np.stack([images[labels == c].mean(axis=0).ravel() for c in classes]) / 255.0
    own = np.searchsorted(classes, labels)
    found = np.empty(len(labels))
    for start in range(0, len(labels), 2_000):
        part = slice(start, start + 2_000)
        pixels = images[part].reshape(len(images[part]), -1) / np.float32(255.0)
        distance = (means**2).sum(axis=1) - 2.0 * pixels @ means.T
        rows = np.arange(len(pixels))
        mine = distance[rows, own[part]].copy()
        distance[rows, own[part]] = np.inf
        found[part] = mine - distance.min(axis=1)
    return found
