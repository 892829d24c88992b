"""Which images train, validate and test, fixed for a data set by its content."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nas_service.datasets.pictures import Pixels
from nas_service.errors import InvalidData

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
TRAIN, VALIDATION, TEST = 0, 1, 2
_FOLDS = 5
_NUMBERS = 2**21
"""Of images that are compared with the means at once, where large ones would fill the memory."""


def split_of(
    images: Pixels,
    labels: IntArray,
    given: IntArray,
    seed: int,
    *,
    copy_of: IntArray | None = None,
    groups: IntArray | None = None,
    test_fifths: int = 1,
) -> IntArray:
    """The part of each image: as `given` `(n,)`, where that is -1 drawn.

    A fifth (at most 5,000 in all) each for validation and testing, unless some are given;
    `test_fifths` fifths test where the data are few. Images of one of `groups` `(n,)`, and copies
    (`copy_of` `(n,)` says of which), are in one part.

    Drawn class by class from neighbours in difficulty, so that validation and test agree on how
    hard the data are: on the digits this halves the standard deviation of the difference in a
    classifier's accuracy between the two (1.5 to 0.8 points). Groups are drawn whole, by classes
    alone.
    """
    split = np.where(given < 0, TRAIN, given)
    wanted = [part for part in (VALIDATION, TEST) if not (given == part).any()]
    free = (given < 0) | ((given == TRAIN) & bool(wanted))
    if not wanted:
        return split
    if groups is not None:
        units = groups if copy_of is None else _joined(groups, copy_of)
        return _draw_groups(split, labels, free, units, seed, wanted, test_fifths)
    first = free if copy_of is None else free & (copy_of == np.arange(len(labels)))
    _draw(split, images, labels, first, seed, wanted, test_fifths)
    if copy_of is not None:
        split[free] = split[copy_of[free]]
    return split


def notes_on_groups(groups: IntArray | None, split: IntArray) -> list[str]:
    """What is to be said of groups `(n,)` of which some are in more than one part."""
    if groups is None:
        return []
    sides = np.unique(np.stack([groups, split], axis=1), axis=0)
    apart = int((np.unique(sides[:, 0], return_counts=True)[1] > 1).sum())
    if not apart:
        return []
    return [
        f"{apart} groups stand in more than one of the parts that were given: measured quality "
        "will be too good; `--split draw` draws parts anew"
    ]


def _draw(
    split: IntArray,
    images: Pixels,
    labels: IntArray,
    free: BoolArray,
    seed: int,
    wanted: list[int],
    test_fifths: int,
) -> None:
    generator = np.random.default_rng(seed)
    hardness = _hardness(images, labels)
    step = max(5, -(-int(free.sum()) // 5_000))
    for label in np.unique(labels):
        rows = np.flatnonzero((labels == label) & free)
        rows = rows[np.argsort(hardness[rows], kind="stable")]
        for start in range(0, len(rows), step):
            drawn = generator.permutation(rows[start : start + step])
            if len(drawn) >= min(step, 5):
                if VALIDATION in wanted:
                    split[drawn[0]] = VALIDATION
                if TEST in wanted:
                    split[drawn[1 : 1 + test_fifths]] = TEST


def _draw_groups(
    split: IntArray,
    labels: IntArray,
    free: BoolArray,
    units: IntArray,
    seed: int,
    wanted: list[int],
    test_fifths: int,
) -> IntArray:
    """Whole groups, so that every part has about the same share of each class."""
    from sklearn.model_selection import StratifiedGroupKFold

    rows = np.flatnonzero(free)
    n_units = len(np.unique(units[rows]))
    if n_units < _FOLDS:
        raise InvalidData(
            f"{n_units} groups: at least {_FOLDS} are needed to keep each on one side",
            field="group_column",
        )
    if np.unique(labels[rows], return_counts=True)[1].max() < _FOLDS:
        labels = np.zeros_like(labels)  # too few of any class to have them in all parts
    folds = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=seed % 2**32)
    numbers = np.zeros(len(rows), dtype=np.int64)
    for number, (_, held) in enumerate(folds.split(rows, labels[rows], units[rows])):
        numbers[held] = number
    if VALIDATION in wanted:
        split[rows[numbers == 0]] = VALIDATION
    if TEST in wanted:
        split[rows[(numbers >= 1) & (numbers <= test_fifths)]] = TEST
    return split


def _joined(groups: IntArray, copy_of: IntArray) -> IntArray:
    """Groups that share a picture are one: `(n,)`."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(groups)
    names, numbers = np.unique(groups, return_inverse=True)
    ends = np.concatenate([copy_of, n + numbers.ravel()])
    starts = np.concatenate([np.arange(n), np.arange(n)])
    size = n + len(names)
    graph = coo_matrix((np.ones(2 * n), (starts, ends)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:n], dtype=np.int64)


def _hardness(images: Pixels, labels: IntArray) -> FloatArray:
    """How much nearer an image is to another class's mean than to its own: `(n,)`."""
    classes = np.unique(labels)
    means = np.stack([images[labels == c].mean(axis=0).ravel() for c in classes]) / 255.0
    own = np.searchsorted(classes, labels)
    found = np.empty(len(labels))
    at_once = max(1, min(2_000, _NUMBERS // means.shape[1]))
    for start in range(0, len(labels), at_once):
        part = slice(start, start + at_once)
        pixels = images[part].reshape(len(images[part]), -1) / np.float32(255.0)
        distance = (means**2).sum(axis=1) - 2.0 * pixels @ means.T
        rows = np.arange(len(pixels))
        mine = distance[rows, own[part]].copy()
        distance[rows, own[part]] = np.inf
        found[part] = mine - distance.min(axis=1)
    return found
