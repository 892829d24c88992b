"""Pictures that are stored turned, with a tag that says how (EXIF), and masks that have none.

A picture is read upright. Its mask may have been drawn on the upright picture, as by programs that
heed the tag, or on the pixels as they are stored. The sides tell where a picture lies on its side
and is no square; the others are taken to be as those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps

from nas_service.datasets.pictures import ON_THEIR_SIDE, ORIENTATION, UPRIGHT
from nas_service.errors import InvalidData


@dataclass(frozen=True)
class Turned:
    """A picture whose tag turns it, of upright sides `(height, width)`, with its untagged mask."""

    place: str
    orientation: int
    upright: tuple[int, int]
    mask_place: str
    mask: tuple[int, int]

    def drawn_as_stored(self) -> bool | None:
        """Whether the mask was drawn on the picture as it is stored; None where sides do not tell.

        Raises:
            InvalidData: the mask's sides are neither.
        """
        height, width = self.upright
        stored = (width, height) if self.orientation in ON_THEIR_SIDE else self.upright
        if self.mask not in {self.upright, stored}:
            raise InvalidData(
                f"{self.mask_place} is {self.mask[1]}x{self.mask[0]} pixels, its picture "
                f"{self.place} is {width}x{height}"
            )
        return None if self.upright == stored else self.mask == stored


def drawn_as_stored(turned: Sequence[Turned]) -> frozenset[str]:
    """The pictures, by place, whose masks were drawn on the pixels as these are stored.

    Raises:
        InvalidData: of one it cannot be told.
    """
    found = [(one, one.drawn_as_stored()) for one in turned]
    known = {stored for _, stored in found if stored is not None}
    unknown = [one for one, stored in found if stored is None]
    if unknown and len(known) != 1:
        first = unknown[0]
        others = "the others do not agree" if known else "no other picture tells"
        raise InvalidData(
            f"{first.place} is stored turned (EXIF orientation {first.orientation}), its mask "
            f"{first.mask_place} has no such tag: whether it was drawn on the upright picture "
            f"cannot be told from their sides, and {others}. Store both upright, without the tag"
        )
    return frozenset(
        one.place for one, stored in found if stored or (stored is None and known == {True})
    )


def upright(mask: Image.Image, orientation: int) -> Image.Image:
    """A mask turned as its own tag says, or else as `orientation` does."""
    tags = mask.getexif()
    if tags.get(ORIENTATION, UPRIGHT) == UPRIGHT:
        tags[ORIENTATION] = orientation
    return ImageOps.exif_transpose(mask)
