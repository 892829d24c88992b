"""Sentences on how the pictures of a source are read, from their headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from nas_service.datasets.answers import Answers
from nas_service.datasets.pictures import (
    FULL_16_BITS,
    WHITE,
    Header,
    Picture,
    Reading,
    pixels,
    scale_of,
)
from nas_service.datasets.report import Alternative, Question
from nas_service.errors import InvalidData

DEFAULT_LARGEST = 224
_SAMPLED = 40
_BARELY_USED = 0.25
_PLAIN_SHARE = 0.1


def side_of(headers: Sequence[Header], answers: Answers) -> int:
    """Pixels a side of the stored pictures: as answered, or their median, at most 224."""
    if answers.image_size is not None:
        return answers.image_size
    sides = [min(one.height, one.width) for one in headers]
    return int(np.clip(round(float(np.median(sides)) / 4) * 4, 8, DEFAULT_LARGEST))


def reading_of(
    pictures: Sequence[Picture], headers: Sequence[Header], answers: Answers
) -> tuple[Reading, list[str], list[Question]]:
    """How these pictures become pixels, what to tell of it, and what has to be asked first."""
    reading = Reading(answers.background or WHITE, answers.value_range)
    notes, questions = [], []
    sides = np.array([(one.height, one.width) for one in headers])
    side = side_of(headers, answers)
    shapes = {tuple(one) for one in sides.tolist()}
    shown = (
        "{}x{}".format(*reversed(next(iter(shapes))))
        if len(shapes) == 1
        else f"{sides[:, 1].min()}x{sides[:, 0].min()} to {sides[:, 1].max()}x{sides[:, 0].max()}"
    )
    notes.append(f"{shown} pixels, stored as {side}x{side}" + _cut(sides, side))
    if answers.image_size is None and float(np.median(sides.min(axis=1))) > DEFAULT_LARGEST + 2:
        notes.append(
            f"half of them have more than {DEFAULT_LARGEST} pixels a side; --image-size keeps more"
        )
    notes += _colours(headers)
    for flag, text in (
        ("turned", "turned upright as their EXIF orientation says"),
        ("animated", "have several frames: the first one is read"),
    ):
        n = sum(one.turned if flag == "turned" else one.frames > 1 for one in headers)
        if n:
            notes.append(f"{n} pictures {text}")
    deep = [row for row, one in enumerate(headers) if one.bits > 8]
    if deep:
        text, question = _depth([pictures[i] for i in deep], [headers[i] for i in deep], reading)
        notes.append(text)
        questions += question
    clear = [row for row, one in enumerate(headers) if one.alpha]
    if clear:
        colour = "#" + bytes(reading.background).hex()
        notes.append(f"{len(clear)} pictures have alpha: composed over {colour}")
        if answers.background is None:
            questions += _invisible([pictures[i] for i in clear], reading)
    return reading, notes, questions


def _cut(sides: np.ndarray, side: int) -> str:
    if (sides == side).all():
        return ""
    return ": the middle square" if (sides[:, 0] != sides[:, 1]).any() else ""


def _colours(headers: Sequence[Header]) -> list[str]:
    grey = sum(one.channels == 1 for one in headers)
    modes = Counter(one.mode for one in headers)
    odd = {
        mode: n for mode, n in modes.items() if mode in {"CMYK", "YCbCr", "LAB", "HSV", "P", "PA"}
    }
    notes = [f"{n} pictures in {mode} become RGB" for mode, n in sorted(odd.items())]
    if grey == len(headers):
        return ["grey, one channel", *notes]
    if grey:
        return [f"RGB; {grey} grey pictures get three equal channels", *notes]
    return ["RGB", *notes]


def _depth(
    pictures: Sequence[Picture], headers: Sequence[Header], reading: Reading
) -> tuple[str, list[Question]]:
    """What is black and white in pictures beyond 8 bits, and a question where that is not clear."""
    limits = reading.value_range
    bits = sorted({one.bits for one in headers})
    named = " and ".join(f"{one}-bit" for one in bits)
    if limits is not None:
        return f"{len(pictures)} {named} pictures: {limits[0]:g} is black, {limits[1]:g} white", []
    some = np.unique(np.linspace(0, len(pictures) - 1, _SAMPLED).round().astype(int))
    scales = [scale for i in some if (scale := scale_of(pictures[i])) is not None]
    if not scales:  # those that cannot be decoded are told, and named, when they are read
        return f"{len(pictures)} {named} pictures, none of which tells its range", []
    low, high = min(one[0] for one in scales), max(one[1] for one in scales)
    text = (
        f"{len(pictures)} {named} pictures: 0 is black, 65535 white; in {len(scales)} of them the "
        f"largest is {high:g}"
    )
    if bits == [16] and high > _BARELY_USED * FULL_16_BITS[1]:
        return text, []
    used = 1.0 if high <= 1.0 else float(2 ** int(np.ceil(np.log2(high + 1.0))) - 1)
    ways = [(min(low, 0.0), max(used, high, 1e-6)), (low, high if high > low else low + 1.0)]
    ways += [FULL_16_BITS] if bits == [16] else []
    question = Question(
        "value_range",
        f"{len(pictures)} pictures have {named} values, from {low:g} to {high:g} in {len(scales)} "
        "of them: what is black and what white",
        tuple(
            Alternative(f"{a:g},{b:g}", f"{a:g} is black, {b:g} white, beyond is cut off")
            for a, b in dict.fromkeys(ways)
        ),
    )
    return text, [question]


def _invisible(pictures: Sequence[Picture], reading: Reading) -> list[Question]:
    """Pictures that show nothing over the background: white drawings over white."""
    some = np.unique(np.linspace(0, len(pictures) - 1, _SAMPLED).round().astype(int))
    plain = 0
    for i in some:
        try:
            values = pixels(pictures[i], reading)
        except InvalidData:  # told with those that cannot be read
            continue
        plain += bool((values == values[0, 0]).all())
    if plain <= _PLAIN_SHARE * len(some):
        return []
    return [
        Question(
            "background",
            f"{plain} of {len(some)} pictures with alpha show nothing over white",
            (
                Alternative("black", "they are drawn in light colours"),
                Alternative("white", "they are meant to be empty"),
            ),
        )
    ]


def counts_of(pictures: Sequence[Picture], classes: Sequence[str]) -> Mapping[str, dict[str, int]]:
    """Pictures a part and class; `drawn` where the import draws the parts."""
    counted = Counter((one.part or "drawn", one.label) for one in pictures)
    parts = [p for p in ("drawn", "train", "validation", "test") if any(k[0] == p for k in counted)]
    return {part: {name: counted[part, name] for name in classes} for part in parts}
