"""Agreement column by column, by hand arithmetic."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nas_service.learning.registry import learning_task
from nas_service.recorded.parity import parity_of

AGREE = learning_task().agreement

LOGITS = np.random.default_rng(0).standard_normal((200, 6)).astype(np.float32)


def test_the_same_outputs_agree_in_every_precision() -> None:
    for precision in ("fp32", "fp16", "bf16", "int8"):
        same = parity_of(LOGITS, LOGITS, precision, AGREE)
        assert same.ok
        assert same.worst_column_cosine == pytest.approx(1.0)


def test_a_column_that_varied_and_is_constant_now_fails() -> None:
    """Pixels up to 640 beside scores up to 1: over all numbers the scores hardly count."""
    generator = np.random.default_rng(1)
    pixels = generator.uniform(0, 640, (200, 4))
    scores = generator.uniform(0, 1, (200, 2))
    reference = np.column_stack([pixels, scores]).astype(np.float32)
    dead = reference.copy()
    dead[:, 4:] = 0.0
    same = parity_of(dead, reference, "int8", AGREE)
    assert same.sqnr_db > 45
    assert not same.ok
    assert same.why == "column 4 varied in the original and is constant now"


def test_a_column_with_more_noise_than_signal_fails_though_all_together_are_fine() -> None:
    reference = LOGITS.copy()
    reference[:, 0] = 100.0 + 20.0 * LOGITS[:, 0]
    found = reference.copy()
    found[:, 3] += 2.0 * np.random.default_rng(2).standard_normal(200)
    same = parity_of(found, reference, "int8", AGREE)
    assert same.sqnr_db > 20
    assert same.worst_column == 3
    assert same.worst_column_sqnr_db == pytest.approx(-6, abs=1)  # noise of twice the deviation
    assert not same.ok


def test_a_large_mean_hides_no_noise() -> None:
    reference = LOGITS + 1000.0
    found = reference + np.random.default_rng(3).standard_normal(LOGITS.shape).astype(np.float32)
    assert parity_of(found, reference, "int8", AGREE).sqnr_db > 50
    assert not parity_of(found, reference, "int8", AGREE).ok


@pytest.mark.parametrize("which", ["ours", "theirs"])
def test_what_is_no_number_never_agrees(which: str) -> None:
    broken = LOGITS.copy()
    broken[7, 2] = np.nan
    pair = (broken, LOGITS) if which == "ours" else (LOGITS, broken)
    same = parity_of(*pair, "int8", AGREE)
    assert not same.ok
    assert same.agreement == 0.0
    assert "no number in column 2" in same.why
    json.dumps(same.as_dict(), allow_nan=False)
