"""What `preprocessing.json` says: from a picture to what a network reads; see `preprocess.py`."""

from __future__ import annotations

from typing import Any

from nas_service.storage.datasets import StoredDataset
from nas_service.training.data import Data


def preprocessing_of(
    dataset: StoredDataset, data: Data, *, size: int, channels: int
) -> dict[str, Any]:
    """Every step from a picture's file to an input `(1, channels, size, size)`, in order."""
    reading = dataset.facts.get("reading") or {}
    return {
        "size": size,
        "channels": channels,
        "stored_size": int(dataset.facts["size"]),
        "background": reading.get("background", "#ffffff"),
        "value_range": reading.get("value_range"),
        "cut": "middle square",
        "resize": "bilinear, antialiased",
        "scale": 1 / 255,
        "mean": list(data.mean),
        "std": list(data.std),
        "layout": "NCHW",
        "code": "preprocess.py",
    }
