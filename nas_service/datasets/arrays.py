"""`.npz` files: pictures and labels as arrays, in shapes and under names that people use."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.answers import IGNORE, Answers
from nas_service.datasets.columns import GROUP_NAMES, on_group_column, part_answered
from nas_service.datasets.names import HELD_OUT, part_of, words
from nas_service.datasets.pictures import WHITE, Picture, Pixels, scaled
from nas_service.datasets.report import LEFT_OUT, Alternative, Question, SetAside
from nas_service.datasets.sound import require_sound
from nas_service.datasets.source import Source, in_order
from nas_service.datasets.stored_arrays import numbers_of_hot
from nas_service.datasets.texts import group_of, text_of
from nas_service.errors import InvalidData

Array = npt.NDArray[Any]

_IMAGES = {"x", "images", "image", "data", "pictures", "imgs", "pixels", "features"}
_LABELS = {"y", "labels", "label", "targets", "target", "classes"}
_CLASS_NAMES = ("class_names", "label_names", "classes", "names")
_BARELY_USED = 0.25
"""Numbers whose largest is below this share of their type's range have another white."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """Pictures and their labels, of one part where their names say so."""

    images: str
    labels: str
    part: str | None


def read_arrays(path: Path, answers: Answers, set_aside: SetAside) -> Source:
    """The pictures of a `.npz` file.

    Raises:
        InvalidData: says which array, and which row of it.
    """
    arrays = _load(path)
    pairs = _pairs(path.name, arrays)
    source = Source("arrays", [], ())
    used = {name for pair in pairs for name in (pair.images, pair.labels)}
    names = _class_names(arrays, used, {arrays[pair.images].shape[:1] for pair in pairs})
    signs = _are_signs([arrays[pair.labels] for pair in pairs])
    split = next((arrays[one] for one in ("split", "splits", "part") if one in arrays), None)
    labels: list[str] = []
    for pair in pairs:
        images = _pixels(path.name, pair.images, arrays[pair.images], answers, source)
        own = _labels(path.name, pair.labels, arrays[pair.labels], len(images), names, signs)
        parts = _parts(path.name, split, len(images), answers, source, pair.part)
        prefix = f"{pair.images} " if len(pairs) > 1 else ""
        labels += own
        groups = _groups(path.name, arrays, pair, len(images), answers, source)
        for i in range(len(images)):
            place = f"{prefix}row {i}"
            if parts[i] == IGNORE:
                set_aside.add(LEFT_OUT, place)
                continue
            group = None if groups is None else groups[i]
            source.pictures.append(Picture(place, own[i], images[i], parts[i], group))
    if names is not None and not set(labels) <= set(names):  # labels are texts of their own
        source.notes.append("names of classes are not read: labels are others")
        names = None
    source.classes = names if names is not None else in_order(labels)
    others = set(arrays) - used - {"split", "splits", "part", *_CLASS_NAMES}
    others -= {_group_key(arrays, pair, answers) for pair in pairs}
    if others:
        source.notes.append(f"arrays {', '.join(sorted(others))} are not read")
    return source


def _load(path: Path) -> dict[str, Array]:
    try:
        require_sound(path)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidData(
            f"{path.name}: not a readable .npz: it is damaged, or has Python objects in place of "
            "numbers and texts"
        ) from error


def _pairs(name: str, arrays: Mapping[str, Array]) -> list[_Pair]:
    """Arrays of pictures with those of their labels: `x` and `y`, `x_train` and `y_train`, ..."""
    found: dict[str | None, dict[str, str]] = {}
    for key in arrays:
        own = set(words(key.replace("_", " "))) or {key.lower()}
        part = part_of(" ".join(own - _IMAGES - _LABELS)) if own - _IMAGES - _LABELS else None
        if own & _IMAGES and not own & _LABELS:
            found.setdefault(part, {})["images"] = key
        elif own & _LABELS and not own & _IMAGES:
            if arrays[key].dtype.kind in "US" and key in _CLASS_NAMES and key != "labels":
                continue
            found.setdefault(part, {})["labels"] = key
    pairs = [
        _Pair(keys["images"], keys["labels"], part)
        for part, keys in found.items()
        if set(keys) == {"images", "labels"}
    ]
    if len(pairs) > 1:
        pairs = [pair for pair in pairs if pair.part is not None]
    if not pairs:
        half = next(iter(found.values()), {})
        missing = "x" if "images" not in half else "y"
        raise InvalidData(
            f"{name}: no array {missing!r}; pictures and labels are needed, as x and y, "
            f"or x_train, y_train, x_test and y_test; it has {', '.join(sorted(arrays)) or 'none'}",
            field=missing,
        )
    if any(pair.part == HELD_OUT for pair in pairs):
        raise InvalidData(
            f"{name}: rename the held-out arrays to x_test or x_validation", field="x"
        )
    return pairs


def _pixels(name: str, key: str, x: Array, answers: Answers, source: Source) -> Pixels:
    """Pictures `(n, height, width, 1 or 3)` in 8 bits."""
    if not x.size:
        raise InvalidData(f"{name}: {key} has shape {x.shape}: no images", field=key)
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim == 4 and x.shape[1] in {1, 3, 4} and x.shape[3] not in {1, 3, 4}:
        x = x.transpose(0, 2, 3, 1)
        source.notes.append(f"{key} has its channels before height and width")
    if x.ndim != 4 or x.shape[3] not in {1, 3, 4}:
        raise InvalidData(
            f"{name}: {key} has shape {x.shape}, expected (n, height, width, 1, 3 or 4)", field=key
        )
    values = _in_8_bits(name, key, x, answers, source)
    if values.shape[3] == 4:
        under = np.array(answers.background or WHITE, dtype=np.float64)
        alpha = values[..., 3:].astype(np.float64) / 255.0
        composed = values[..., :3] * alpha + under * (1.0 - alpha)
        source.notes.append(
            f"{key} has alpha: composed over {'#' + bytes(answers.background or WHITE).hex()}"
        )
        return np.rint(composed).astype(np.uint8)
    return values


def _in_8_bits(name: str, key: str, x: Array, answers: Answers, source: Source) -> Pixels:
    if x.dtype == np.uint8 and answers.value_range is None:
        return x
    if x.dtype == np.bool_:
        source.notes.append(f"{key} is of true and false: 0 and 255")
        return np.asarray(x, dtype=np.uint8) * np.uint8(255)
    if x.dtype.kind not in "iuf":
        raise InvalidData(f"{name}: {key} has type {x.dtype}, expected numbers", field=key)
    if x.dtype.kind == "f":
        bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        if bad.any():
            raise InvalidData(f"{name} row {int(np.argmax(bad))}: pixels of {key} are not finite")
    low, high = float(x.min(initial=0)), float(x.max(initial=0))
    limits = answers.value_range or _known_range(x, low, high)
    if limits is None:
        row = int(np.argmax(x.reshape(len(x), -1).max(axis=1)))
        ways = [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)] if x.dtype.kind == "f" else []
        ways = [
            (a, b)
            for a, b in ways
            if (a < 0) == (low < 0) and (high < 2.0 if b == 1.0 else high > 2.0)
        ]
        ways += [(0.0, 65535.0)] if x.dtype.kind != "f" and high > 255 else []
        ways += [(0.0, float(2 ** int(np.ceil(np.log2(high + 1))) - 1))] if high > 255 else []
        ways += [(min(low, 0.0), high)]
        source.questions.append(
            Question(
                "value_range",
                f"{key} is {x.dtype} from {low:g} to {high:g} (row {row}): what is black and white",
                tuple(
                    Alternative(f"{a:g},{b:g}", f"{a:g} is black, {b:g} white, beyond is cut off")
                    for a, b in dict.fromkeys(ways)
                ),
            )
        )
        limits = (low, max(high, low + 1.0))
    source.notes.append(f"{key} is {x.dtype}: {limits[0]:g} is black, {limits[1]:g} white")
    return scaled(x, *limits)


def _known_range(x: Array, low: float, high: float) -> tuple[float, float] | None:
    """What is black and white where the numbers leave no doubt."""
    if low < 0:
        return None
    if x.dtype.kind == "f":
        if high <= 1.0:
            return 0.0, 1.0
        whole = high <= 255.0 and bool((x == np.rint(x)).all())
        return (0.0, 255.0) if whole and high > 15.0 else None
    if high <= 255.0:
        return (0.0, 255.0) if x.dtype != np.uint16 or high > 255 * _BARELY_USED else None
    return (0.0, 65535.0) if x.dtype == np.uint16 and high > 65535 * _BARELY_USED else None


def _are_signs(labels: Sequence[Array]) -> bool:
    """Whether all labels together are -1 and 1."""
    if not all(one.dtype.kind in "if" for one in labels):
        return False
    return {value for one in labels for value in np.unique(one).tolist()} == {-1, 1}


def _labels(
    name: str, key: str, y: Array, n: int, names: tuple[str, ...] | None, signs: bool
) -> list[str]:
    """Labels as text: class names, or numbers of classes, -1 among them where they are `signs`."""
    if y.ndim == 2 and y.shape == (n, 1):
        y = y[:, 0]
    if y.ndim == 2 and len(y) == n and y.dtype.kind in "biuf":
        y = numbers_of_hot(y, key, "row")
    if y.shape != (n,):
        raise InvalidData(f"{name}: {key} has shape {y.shape}, expected {n} labels", field=key)
    if y.dtype.kind in "US":
        try:
            texts = [text_of(one) for one in y]
        except InvalidData as error:
            raise InvalidData(f"{name}: {key} has text that is not UTF-8: {error}") from error
        if "" in texts:
            raise InvalidData(f"{name} row {texts.index('')}: {key} is empty", field=key)
        return texts
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (y == np.rint(y))
        if not whole.all():
            row = int(np.argmin(whole))
            raise InvalidData(f"{name} row {row}: label {y[row]} is not a whole number", field=key)
    elif y.dtype.kind not in "biu":
        raise InvalidData(f"{name}: {key} has type {y.dtype}, expected labels", field=key)
    numbers = y.astype(np.int64)
    if names is None and signs:
        return [str(one) for one in numbers.tolist()]
    top = len(names) if names is not None else max(n, 1)
    bad = (numbers < 0) | (numbers > top - (names is not None))
    if bad.any():
        row = int(np.argmax(bad))
        raise InvalidData(f"{name} row {row}: label {y[row]} is out of range", field=key)
    return [str(v) if names is None else names[v] for v in numbers.tolist()]


def _class_names(
    arrays: Mapping[str, Array], used: set[str], of_pictures: set[tuple[int, ...]]
) -> tuple[str, ...] | None:
    """Names of classes by their numbers; as many as there are pictures are none."""
    for key in _CLASS_NAMES:
        if key in used or key not in arrays:
            continue
        texts = arrays[key].ndim == 1 and arrays[key].dtype.kind in "US"
        if texts and arrays[key].shape not in of_pictures:
            return tuple(text_of(one) for one in arrays[key])
    return None


def _group_key(arrays: Mapping[str, Array], pair: _Pair, answers: Answers) -> str | None:
    """The array of groups: as answered, or by the names that tables give to such columns."""
    for name in (answers.group_column,) if answers.group_column else GROUP_NAMES:
        ending = pair.images.partition("_")[2]
        for key in (f"{name}_{ending}", name, f"{name}s"):
            if key in arrays:
                return key
    return None


def _groups(
    name: str,
    arrays: Mapping[str, Array],
    pair: _Pair,
    n: int,
    answers: Answers,
    source: Source,
) -> list[str | None] | None:
    """The group of every row, which stays on one side; None where there are none."""
    key = _group_key(arrays, pair, answers)
    if key is None:
        if answers.group_column is not None:
            raise InvalidData(
                f"group_column: {name} has no array {answers.group_column!r}; it has "
                f"{', '.join(sorted(arrays))}",
                field="group_column",
            )
        return None
    if arrays[key].shape != (n,):
        raise InvalidData(
            f"{name}: {key} has shape {arrays[key].shape}, expected {n} groups", field=key
        )
    source.notes.append(on_group_column(key))
    return [group_of(one) for one in arrays[key].tolist()]


def _parts(
    name: str,
    split: Array | None,
    n: int,
    answers: Answers,
    source: Source,
    part: str | None,
) -> list[str | None]:
    """The part of every row: its pair's, or what the array `split` says."""
    if split is None or part is not None:
        return [part] * n
    if split.shape != (n,):
        raise InvalidData(
            f"{name}: split has shape {split.shape}, expected {n} parts", field="split"
        )
    texts = [text_of(one) for one in split.tolist()]
    known = {text: part_answered(text, answers, source.questions) for text in dict.fromkeys(texts)}
    return [known[text] for text in texts]
