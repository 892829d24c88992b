"""A search as small as one can be, on images of 8x8 pixels; tests say what theirs has beside it."""

from __future__ import annotations

from typing import Any


def toy_search(**own: Any) -> dict[str, Any]:
    """What to submit: the toy data on the device `here`, with what is a test's own."""
    return {
        "dataset": "toy",
        "space": "mbconv",
        "device": "here",
        "n_initial": 10,
        "n_holdout": 3,
        "n_queries": 8,
        "batch": 2,
        "n_winners": 1,
        "n_probes": 2,
        "profile_budget_s": 5,
        "training": {"epochs": 1, "finetune_epochs": 1, "batch": 16},
        **own,
    }
