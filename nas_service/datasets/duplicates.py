"""Pictures that are there more than once: the same bytes or pixels, or nearly the same pixels."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nas_service.datasets.pictures import Picture, Pixels

IntArray = npt.NDArray[np.int64]
_ALIKE = 3.0
"""Levels of 255 by which near duplicates differ on average, at most."""
_MOST_ALIKE = 50
"""Pictures of one hash that are compared with each other: more are of a plain kind."""


def same_bytes(pictures: Sequence[Picture]) -> list[list[int]]:
    """Groups of two or more pictures whose files, or arrays, are equal byte for byte.

    Only files of one size are read.
    """
    by_size: dict[int, list[int]] = defaultdict(list)
    for row, picture in enumerate(pictures):
        if isinstance(picture.content, Path):
            by_size[picture.content.stat().st_size].append(row)
        elif isinstance(picture.content, np.ndarray):
            by_size[picture.content.nbytes].append(row)
        else:
            by_size[-1].append(row)
    groups: dict[bytes, list[int]] = defaultdict(list)
    for rows in by_size.values():
        for row in rows if len(rows) > 1 else ():
            groups[_digest(pictures[row])].append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def same_pixels(images: Pixels) -> IntArray:
    """For each of `(n, s, s, c)` the first picture that has its pixels: `(n,)`."""
    first: dict[bytes, int] = {}
    digests = (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)
    return np.array([first.setdefault(one, row) for row, one in enumerate(digests)], dtype=np.int64)


def nearly_same(images: Pixels, parts: IntArray) -> list[tuple[int, int]]:
    """Pairs of pictures `(n, s, s, c)` in different parts that look the same and are not equal.

    Of the same difference hash (Krawetz, 2013: 64 comparisons of neighbouring pixels), and no more
    than three levels apart on average.
    """
    hashes = np.array([_difference_hash(image) for image in images], dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    starts = 1 + np.flatnonzero(np.diff(hashes[order]))
    pairs = []
    for rows in np.split(order, starts):
        if len(rows) > 1 and len(set(parts[rows].tolist())) > 1:
            pairs += list(_alike(images, parts, rows[:_MOST_ALIKE]))
    return pairs


def _alike(images: Pixels, parts: IntArray, rows: IntArray) -> Iterator[tuple[int, int]]:
    for number, one in enumerate(rows[:-1]):
        others = rows[number + 1 :]
        others = others[parts[others] != parts[one]]
        if not len(others):
            continue
        apart = np.abs(images[others].astype(np.int16) - images[one].astype(np.int16))
        means = apart.reshape(len(others), -1).mean(axis=1)
        for other in others[(means > 0) & (means <= _ALIKE)]:
            yield int(one), int(other)


def _difference_hash(pixels: Pixels) -> int:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("L")
    small = np.asarray(image.resize((9, 8), Image.Resampling.BILINEAR))
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    return int.from_bytes(bits.tobytes(), "big")


def _digest(picture: Picture) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    content = picture.content
    if isinstance(content, Path):
        with content.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    elif isinstance(content, np.ndarray):
        digest.update(repr(content.shape).encode() + content.tobytes())
    else:
        digest.update(content())
    return digest.digest()
