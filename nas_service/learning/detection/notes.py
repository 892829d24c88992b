"""What deserves a look in pictures with boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas_service.datasets.names import PARTS
from nas_service.datasets.pictures import Pixels
from nas_service.learning.detection.scenes import Scene

_FEW = 20
_SMALL = 4.0
_CROWDED = 60
_SHOWN = 10


def turned_notes(scenes: Sequence[Scene]) -> list[str]:
    """Where pictures are stored turned: on what their boxes are taken to be drawn."""
    n = sum(one.turned for one in scenes)
    if not n:
        return []
    return [
        f"pictures turned upright as their EXIF orientation says: {n}; their boxes are taken to "
        "be drawn on the upright pictures"
    ]


def notes_on(
    images: Pixels,
    boxes: npt.NDArray[np.float32],
    split: npt.NDArray[np.int64],
    classes: Sequence[str],
    unused: Sequence[str],
) -> list[str]:
    """Sentences on images `(n, s, s, c)` and boxes `(n, k, 5)` in their parts `(n,)`."""
    notes = []
    labels = boxes[..., 0]
    has = labels >= 0
    if unused:
        shown = ", ".join(unused[:_SHOWN]) + (" ..." if len(unused) > _SHOWN else "")
        notes.append(f"named classes without a box: {len(unused)}, {shown}")
    empty = int((~has.any(axis=1)).sum())
    if empty:
        notes.append(f"pictures that nothing is on: {empty}")
    for p, part in enumerate(PARTS):
        counts = {name: int((labels[split == p] == k).sum()) for k, name in enumerate(classes)}
        if missing := [name for name, n in counts.items() if not n]:
            notes.append(f"classes without a box in {part}: {', '.join(missing)}")
        elif part == PARTS[0] and (few := [name for name, n in counts.items() if n < _FEW]):
            notes.append(f"classes of fewer than {_FEW} boxes to train on: {', '.join(few)}")
    sides = (boxes[..., 3:] - boxes[..., 1:3]).min(axis=2) * images.shape[1]
    small = int((has & (sides < _SMALL)).sum())
    if small:
        share = small / int(has.sum())
        notes.append(
            f"boxes of less than {_SMALL:.0f} pixels width or height at {images.shape[1]} pixels: "
            f"{small} ({share:.0%}); a larger image size shows them better"
        )
    if boxes.shape[1] > _CROWDED:
        notes.append(f"a picture has {boxes.shape[1]} boxes; at most 100 are told of one")
    return notes
