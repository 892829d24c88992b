"""Which pictures of a source stay, in which part and order: of pictures with masks or boxes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas_service.datasets.copies import on_one_side
from nas_service.datasets.duplicates import same_pixels
from nas_service.datasets.names import PARTS
from nas_service.datasets.pictures import Pixels
from nas_service.datasets.report import SetAside
from nas_service.datasets.splits import IntArray, notes_on_groups, split_of
from nas_service.errors import InvalidData

COPY = "copy of a picture in another part"
LEAST_A_PART = 2


@dataclass(frozen=True)
class Parted:
    """Rows that stay, in the order in which they are stored, and their parts; `(n,)` each.

    The digest is that of the content and, where the source gives parts, of these.
    """

    rows: IntArray
    split: IntArray
    digest: str
    notes: Sequence[str] = ()


def parted(
    images: Pixels,
    labels: IntArray,
    given: Sequence[str | None],
    groups: Sequence[str | None],
    *,
    digest: str,
    places: Sequence[str],
    aside: SetAside,
) -> Parted:
    """Parts as they are given, else drawn, class by class; equal pictures are on one side.

    Those that stand in several given parts stay in the one that judges most. The order is shuffled,
    since what takes the first few takes them as they come.

    Raises:
        InvalidData: too few are left for a part.
    """
    parts = np.array([-1 if one is None else PARTS.index(one) for one in given], dtype=np.int64)
    kept = on_one_side(parts, same_pixels(images))
    notes = []
    if not kept.all():
        for row in np.flatnonzero(~kept):
            aside.add(COPY, places[int(row)])
        notes.append(
            f"pictures with the pixels of one in another part: {int((~kept).sum())}, left out"
        )
    rows = np.flatnonzero(kept)
    images, labels, parts = images[rows], labels[rows], parts[rows]
    units = None
    if groups[0] is not None:
        units = np.unique([str(groups[int(row)]) for row in rows], return_inverse=True)[1].ravel()
    seed = int(digest[:12], 16)
    split = split_of(images, labels, parts, seed, copy_of=same_pixels(images), groups=units)
    notes += notes_on_groups(units, split)
    for name, n in zip(PARTS, np.bincount(split, minlength=len(PARTS)), strict=True):
        if n < LEAST_A_PART:
            raise InvalidData(f"{n} pictures are for {name}, {LEAST_A_PART} at least are needed")
    digest = with_parts(digest, parts, split)
    order = np.random.default_rng(seed).permutation(len(rows))
    return Parted(rows[order], split[order], digest, notes)


def with_parts(digest: str, given: IntArray, split: IntArray) -> str:
    """The digest of content and parts, where a source gives these; drawn ones follow from it.

    What is trained on the same pictures in other parts has seen what these test on.
    """
    if not (given >= 0).any():
        return digest
    return hashlib.sha256(digest.encode() + split.tobytes()).hexdigest()
