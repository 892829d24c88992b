"""A search as small as one can be, on images of 8x8 pixels; tests say what theirs has beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SEED = 3
"""Of every search that goes on from the prepared folder: its supernet is of this seed."""


def toy_search(**own: Any) -> dict[str, Any]:
    """What to submit: the toy data on the device `here`, with what is a test's own.

    Ridge is fitted in a hundredth of the default predictor's time, which nine refits in ten of
    such a search went to; the default one has a search of its own in `test_same_seed`.
    """
    return {
        "dataset": "toy",
        "space": "mbconv",
        "device": "here",
        "predictor": "ridge",
        "n_initial": 10,
        "n_holdout": 3,
        "n_queries": 8,
        "batch": 2,
        "n_winners": 1,
        "n_probes": 2,
        "profile_budget_s": 5,
        "training": {"epochs": 1, "finetune_epochs": 1, "batch": 16},
        "seed": SEED,
        **own,
    }


def save_toy_arrays(path: Path) -> None:
    """A learnable data set of 8x8 images: bright left or bright right half."""
    generator = np.random.default_rng(0)
    labels = np.arange(240) % 2
    images = generator.integers(0, 120, (240, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        image[:, :4] += 100 * (label == 0)
        image[:, 4:] += 100 * (label == 1)
    np.savez(path, x=images.astype(np.uint8), y=labels)
