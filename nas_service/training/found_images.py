"""Images with their classes as they are found in folders, arrays and Parquet files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from nas_service.errors import InvalidData

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm", ".pgm"}
_MAX_PIXELS = 50_000_000

Progress = Callable[[float, str], None]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Found:
    """One image as it was found: where, how large, its class, and whether it is for testing.

    `pixels()` `(height, width, channels)` is read when it is asked for: thousands of photographs
    would not fit into memory as they are.
    """

    place: str
    shape: tuple[int, int, int]
    label: int
    test: bool
    pixels: Callable[[], Pixels]


def read(source: Path, tell: Progress) -> tuple[list[Found], tuple[str, ...]]:
    """All images of `source` and the names of their classes.

    Raises:
        InvalidData: says which file or row is at fault.
    """
    if source.is_file() and source.suffix == ".npz":
        return _from_npz(source)
    if source.is_file() and source.suffix == ".parquet":
        return _from_parquet([source], tell)
    if source.is_dir():
        return _from_folder(source, tell)
    if not source.exists():
        raise InvalidData(f"{source} does not exist", field="path")
    raise InvalidData(f"{source.name} is none of: folder, .zip, .npz, .parquet", field="path")


def _from_folder(folder: Path, tell: Progress) -> tuple[list[Found], tuple[str, ...]]:
    if tables := sorted(folder.rglob("*.parquet")):
        return _from_parquet(tables, tell)
    places = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_ENDINGS)
    if not places:
        arrays = sorted(folder.glob("*.npz"))
        if len(arrays) == 1:
            return _from_npz(arrays[0])
        raise InvalidData(f"{folder.name}: no class folders with images, no .npz, no .parquet")
    classes = tuple(sorted({place.parent.name for place in places}))
    found = []
    for number, place in enumerate(places):
        if number % 500 == 0:
            tell(0.3 * number / len(places), f"looking at image {number} of {len(places)}")
        inner = place.relative_to(folder)
        test = any(part.lower() == "test" for part in inner.parts[:-2])
        label = classes.index(place.parent.name)
        found.append(_image(str(inner), place.read_bytes, label, test))
    return found, classes


def _from_parquet(paths: list[Path], tell: Progress) -> tuple[list[Found], tuple[str, ...]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: list[Found] = []
    names: tuple[str, ...] | None = None
    for number, path in enumerate(paths):
        tell(0.3 * number / len(paths), f"reading {path.name}")
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
            found.append(_image(where, partial(bytes, content), label, test))
    n_classes = 1 + max((one.label for one in found), default=-1)
    return found, names or tuple(str(n) for n in range(n_classes))


def _class_names(metadata: dict[bytes, bytes]) -> tuple[str, ...] | None:
    """The class names that the Hugging Face layout keeps in the schema."""
    try:
        found = json.loads(metadata[b"huggingface"])["info"]["features"]["label"]["names"]
        return tuple(str(name) for name in found)
    except (KeyError, TypeError, ValueError):
        return None


def _from_npz(path: Path) -> tuple[list[Found], tuple[str, ...]]:
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
        x = np.rint(x * (255.0 if x.max(initial=0.0) <= 1.0 else 1.0))
    if len(x) and (x.min() < 0 or x.max() > 255):
        raise InvalidData(f"{path.name}: pixels lie outside 0..255 (or 0..1)", field="x")
    pixels = x.astype(np.uint8)
    found = [of_array(f"row {i}", pixels[i], int(y[i])) for i in range(len(y))]
    return found, tuple(str(n) for n in range(int(y.max()) + 1 if len(y) else 0))


def of_array(place: str, pixels: Pixels, label: int) -> Found:
    """An image that is in memory already: `(height, width, channels)`."""
    height, width, channels = pixels.shape
    return Found(place, (height, width, channels), label, False, lambda: pixels)


def _image(where: str, content: Callable[[], bytes], label: int, test: bool) -> Found:
    """An image of which only the header is read now."""
    with _opened(content(), where) as image:
        if image.width * image.height > _MAX_PIXELS:
            raise InvalidData(f"{where}: {image.width}x{image.height} pixels are too many")
        shape = (image.height, image.width, 1 if _mode(image) == "L" else 3)

    def pixels() -> Pixels:
        with _opened(content(), where) as image:
            found = np.asarray(image.convert(_mode(image)))
        return found[..., None] if found.ndim == 2 else found

    return Found(where, shape, label, test, pixels)


@contextmanager
def _opened(content: bytes, where: str) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(content)) as image:
            yield image
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidData(f"{where}: corrupt image ({error})") from error


def _mode(image: Image.Image) -> str:
    return "L" if image.mode in {"1", "L", "I;16"} else "RGB"
