"""Files of two kinds that belong together by their names: pictures and their masks, or boxes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nas_service.datasets.names import normal, part_of
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData

Key = tuple[str, ...]
IMAGE_ENDINGS = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm"}
)
IMAGE_FOLDERS = frozenset(
    {"images", "image", "imgs", "img", "pictures", "photos", "frames", "inputs", "x"}
)

_OFTEN_WITHIN = frozenset({"frames", "inputs", "x", "y", "targets", "photos", "pictures", "gt"})
"""Names that folders of one kind bear within another, as in images/frames and labels/frames."""


def by_name(
    files: Sequence[File],
    folders: Collection[str],
    endings: Collection[str],
    *,
    tails: Sequence[str] = (),
    elsewhere: bool = False,
    last: bool = False,
) -> dict[Key, File]:
    """Files below a folder of one of these names, by their path without that and the ending.

    Of several such folders the last is left out of the path, one that bears a name of
    `_OFTEN_WITHIN` only where no other is there, or where `last` says so. With `elsewhere` those
    below no such folder, too. What a name has beyond, as `_mask`, is one of `tails`.

    Raises:
        InvalidData: two have the same name.
    """
    found: dict[Key, File] = {}
    for file in files:
        above = file.names[:-1]
        places = [i for i, one in enumerate(above) if one.lower() in folders]
        plain = [i for i in places if last or above[i].lower() not in _OFTEN_WITHIN]
        at = next(reversed(plain or places), None)
        if (at is None and not elsewhere) or file.path.suffix.lower() not in endings:
            continue
        stem = file.path.stem
        stem = next((stem[: -len(one)] for one in tails if stem.lower().endswith(one)), stem)
        kept = above if at is None else (*above[:at], *above[at + 1 :])
        key = (*kept, normal(stem))
        if key in found:
            raise InvalidData(f"{file.place} and {found[key].place} have the same name")
        found[key] = file
    return found


def part_above(file: File) -> str | None:
    """The part that a folder above a file names; None where none does."""
    return next((found for one in file.names[:-1] if (found := part_of(one)) is not None), None)
