"""One picture: where it is, what its header says, and its pixels as everybody sees them.

Any still format that Pillow reads. Pixels are turned upright (EXIF), composed over a background
where they have alpha, scaled from their own depth to 8 bits by a stated range, and have one channel
(grey) or three (RGB).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from nas_service.errors import InvalidData, lacking

Pixels = npt.NDArray[np.uint8]
MAX_PIXELS = 89_000_000
WHITE = (255, 255, 255)
FULL_16_BITS = (0.0, 65535.0)
ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is stored: 1 is upright."""
UPRIGHT = 1
_PHOTOMETRIC = 262
ON_THEIR_SIDE = (5, 6, 7, 8)

_SPARE = 3
"""Times as large as stored: what the JPEG library averages is no different by then."""
_GREY = {"1", "L", "LA", "La"}
_DEEP = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}
_WITH_ALPHA = {"RGBA", "RGBa", "LA", "La", "PA"}
_SEVERAL_FRAMES = {"GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How pictures become pixels: what lies below alpha, what is black and white beyond 8 bits.

    JPEGs much larger than `side` (0: none is) are decoded at a half, a quarter or an eighth of
    their size, never below three times `side`: large photographs in a quarter of the time.
    """

    background: tuple[int, int, int] = WHITE
    value_range: tuple[float, float] | None = None
    side: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a source: `content` is a file, its bytes when asked for, or its pixels.

    `part` is None where the import draws parts. Pictures of one `group` stay on one side.
    """

    place: str
    label: str
    content: Path | Callable[[], bytes] | Pixels
    part: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture before its pixels are read; sides are those of the upright one."""

    height: int
    width: int
    channels: int
    bits: int
    alpha: bool
    orientation: int
    frames: int
    mode: str

    @property
    def turned(self) -> bool:
        """Whether it is stored otherwise than upright."""
        return self.orientation != UPRIGHT


def header(picture: Picture) -> Header:
    """The header of a picture.

    Raises:
        InvalidData: it is no picture, or larger than can be read.
    """
    if isinstance(picture.content, np.ndarray):
        height, width, channels = picture.content.shape
        mode = "L" if channels == 1 else "RGB"
        return Header(height, width, channels, 8, False, UPRIGHT, 1, mode)
    with _opened(picture) as image:
        height, width = upright_sides(image)
        return Header(
            height=height,
            width=width,
            channels=_channels(image),
            bits=_bits(image),
            alpha=has_alpha(image),
            orientation=orientation_of(image),
            frames=getattr(image, "n_frames", 1) if image.format in _SEVERAL_FRAMES else 1,
            mode=image.mode,
        )


def pixels(picture: Picture, reading: Reading) -> Pixels:
    """The picture's pixels `(height, width, 1 or 3)`.

    Raises:
        InvalidData: it cannot be decoded.
    """
    if isinstance(picture.content, np.ndarray):
        return picture.content
    with _opened(picture) as image:
        if reading.side and image.format == "JPEG":
            factor = _SPARE * reading.side / min(image.size)
            image.draft(None, (int(image.width * factor), int(image.height * factor)))
        inverted = image.mode.startswith("I;16") and _white_is_zero(image)
        pixels = np.asarray(_in_8_bits(ImageOps.exif_transpose(image), reading))
    if inverted:
        pixels = 255 - pixels
    return pixels[..., None] if pixels.ndim == 2 else pixels


def orientation_of(image: Image.Image) -> int:
    """How the picture is stored; one whose tag says what there is not is upright."""
    tag = image.getexif().get(ORIENTATION, UPRIGHT)
    return tag if tag in range(1, 9) else UPRIGHT


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF counts from white on, which the library heeds in 8 bits alone."""
    return getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0


def upright_sides(image: Image.Image) -> tuple[int, int]:
    """Height and width of the upright picture, known before its pixels are read."""
    # the library's sides of a TIFF are upright already
    if image.format != "TIFF" and orientation_of(image) in ON_THEIR_SIDE:
        return image.width, image.height
    return image.height, image.width


def scale_of(picture: Picture) -> tuple[float, float] | None:
    """The smallest and largest number in a picture beyond 8 bits; None where it tells none."""
    try:
        with _opened(picture) as image:
            values = np.asarray(image)
    except InvalidData:
        return None
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def has_alpha(image: Image.Image) -> bool:
    """Whether parts of the picture may be transparent."""
    return image.mode in _WITH_ALPHA or "transparency" in image.info


def scaled(values: npt.NDArray[Any], low: float, high: float) -> Pixels:
    """Numbers brought to 0..255: `low` is black, `high` white, what lies beyond is cut off."""
    share = (values.astype(np.float64) - low) / (high - low)
    return np.asarray(np.rint(255.0 * np.clip(share, 0.0, 1.0)), dtype=np.uint8)


def _in_8_bits(image: Image.Image, reading: Reading) -> Image.Image:
    """The picture in mode L or RGB."""
    if image.mode in _DEEP:
        low, high = reading.value_range or FULL_16_BITS
        if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
            raise ValueError("it has values that are no numbers")
        return Image.fromarray(scaled(np.asarray(image), low, high))
    if has_alpha(image):
        over = Image.new("RGBA", image.size, (*reading.background, 255))
        over.alpha_composite(image.convert("RGBA"))
        grey = image.mode in _GREY and len(set(reading.background)) == 1
        return over.convert("RGB").convert("L") if grey else over.convert("RGB")
    if image.mode == "LAB":
        return _from_lab(image)
    return image.convert("L" if image.mode in _GREY else "RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # needs littlecms, which is loaded for the few that are in Lab

    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(*profiles, "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted


def _channels(image: Image.Image) -> int:
    return 1 if image.mode in _GREY | _DEEP else 3


def _bits(image: Image.Image) -> int:
    if image.mode in {"I", "F"}:
        return 16 if image.format in {"PPM", "PNG"} and image.mode == "I" else 32
    return 16 if image.mode in _DEEP else 8


def _require_size(place: str, image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise InvalidData(f"{place}: {image.width}x{image.height} pixels are too many")


@contextmanager
def _opened(picture: Picture) -> Iterator[Image.Image]:
    content = picture.content
    assert not isinstance(content, np.ndarray)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; large pictures are refused here
            # never by its path: turned TIFFs that are mapped into memory come out scrambled
            with (
                (
                    content.open("rb") if isinstance(content, Path) else io.BytesIO(content())
                ) as stream,
                Image.open(stream) as image,
            ):
                _require_size(picture.place, image)
                yield image
    except UnidentifiedImageError as error:
        raise InvalidData(f"{picture.place}: corrupt image, or none that is known") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # the library raises these, and more of ValueError's kind, on broken files
        if away := lacking(error):
            raise away from error
        raise InvalidData(f"{picture.place}: corrupt image ({error})") from error
