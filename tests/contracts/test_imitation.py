"""Imitation keeps the contract of learning tasks; its metrics against hand arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.base import LearningTask
from nas_service.learning.imitation.agreement import COSINE, DECISIONS, FIDELITY, Imitated
from nas_service.learning.imitation.read import read_recorded
from nas_service.learning.imitation.task import Imitation
from nas_service.learning.registry import learning_task
from nas_service.learning.testing import LearningTaskContract
from nas_service.worker.evaluators import OutsideEvaluator, score_of


def save_recorded(path: Path, axes: tuple[int, ...], n: int = 120) -> Path:
    """Noise, and what a fixed linear map answers to it."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(n, *axes)).astype(np.float32)
    weights = generator.normal(size=(int(np.prod(axes)), 3))
    np.savez(path, x=x, y=x.reshape(n, -1) @ weights)
    return path


class TestImitation(LearningTaskContract):
    """For vectors, windows, square maps and others."""

    @pytest.fixture
    def task(self) -> LearningTask:
        return learning_task("imitation")

    @pytest.fixture(params=[(24,), (6, 40), (3, 16, 16), (1, 8, 20)], ids=str)
    def source(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        return save_recorded(tmp_path / "recorded.npz", request.param)


def test_agreement_in_every_term_by_hand() -> None:
    answers = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0], [4.0, 3.0]])
    outputs = np.array([[1.0, 0.0], [1.0, 0.0], [3.0, 4.0], [4.0, 3.0]])
    judged = Imitated(outputs, answers)
    # one sample of four is off by 1 in both columns; columns vary by 2.5 (mean 2, all squares)
    assert FIDELITY.value(judged) == pytest.approx(1.0 - (1.0 / 4.0) / 2.5)
    assert judged.sqnr_db == pytest.approx(10.0)
    assert DECISIONS.value(judged) == 0.75
    assert COSINE.value(judged) == pytest.approx((1.0 + 0.0 + 1.0 + 1.0) / 4.0)


@pytest.mark.parametrize(
    ("answers", "outputs", "same"),
    [
        ([0.1, 0.9, 0.4], [0.45, 0.51, 0.6], 2 / 3),  # shares: cut at a half
        ([-2.0, 3.0, 0.2], [-0.1, 0.1, -0.3], 2 / 3),  # scores: cut at 0
    ],
)
def test_one_number_decides_by_its_side(
    answers: list[float], outputs: list[float], same: float
) -> None:
    judged = Imitated(np.array(outputs)[:, None], np.array(answers)[:, None])
    assert DECISIONS.value(judged) == pytest.approx(same)


def test_samples_of_one_group_are_in_one_part(tmp_path: Path) -> None:
    path = save_recorded(tmp_path / "plain.npz", (6, 40))
    with np.load(path) as arrays:
        groups = np.arange(len(arrays["x"])) // 6
        np.savez(tmp_path / "grouped.npz", x=arrays["x"], y=arrays["y"], groups=groups)
    found = read_recorded(tmp_path / "grouped.npz", tell=lambda *_: None)
    for group in range(20):
        assert len(set(found.part[groups == group].tolist())) == 1
    assert sorted(set(found.part.tolist())) == [0, 1, 2]


def test_parts_that_are_given_are_kept(tmp_path: Path) -> None:
    path = save_recorded(tmp_path / "plain.npz", (6, 40))
    with np.load(path) as arrays:
        named = np.array(["train", "val", "testing"])[np.arange(len(arrays["x"])) % 3]
        np.savez(tmp_path / "given.npz", x=arrays["x"], y=arrays["y"], split=named)
    found = read_recorded(tmp_path / "given.npz", tell=lambda *_: None)
    assert found.part.tolist() == (np.arange(len(named)) % 3).tolist()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": np.zeros((40, 2))}, "has no array x"),
        (
            {"x": np.ones((40, 8)), "y": np.arange(40.0), "split": np.array(["train", "x"] * 20)},
            "split has 'x' in sample 1; parts are train, validation, test",
        ),
        (
            {"x": np.ones((40, 8)), "y": np.arange(40.0), "split": np.array(["train"])},
            r"split is \(1,\), x has 40 samples",
        ),
        ({"x": np.zeros((40, 8))}, "say whose answers are learned"),
        ({"x": np.ones((40, 8)), "y": np.ones((39, 2))}, "y has 39 answers to 40 samples"),
        ({"x": np.ones((5, 8)), "y": np.arange(5.0)}, "x has 5 samples, 20 at least"),
        ({"x": np.ones((40, 8)), "y": np.ones((40, 2))}, "nothing to imitate"),
        ({"x": np.array(["a"] * 40), "y": np.arange(40.0)}, "x has <U1; numbers are needed"),
        (
            {"x": np.where(np.arange(320) == 90, np.nan, 1.0).reshape(40, 8), "y": np.arange(40.0)},
            r"x\[11\] has a number that is not finite",
        ),
        ({"x": np.ones((40, 8)), "y": np.ones((40, 0))}, "there is nothing in it"),
        ({"x": np.ones((40, 2, 2, 2, 2)), "y": np.arange(40.0)}, "one to 3 axes"),
    ],
)
def test_what_cannot_be_read_is_named(
    arrays: dict[str, np.ndarray], said: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "given.npz", **arrays)
    with pytest.raises(InvalidData, match=said):
        read_recorded(tmp_path / "given.npz", tell=lambda *_: None)


@pytest.mark.parametrize("content", ["empty", "one array", "objects", "not a zip"])
def test_files_that_are_none_are_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "given.npz"
    if content == "one array":
        with file.open("wb") as stream:
            np.save(stream, np.zeros(3))
    elif content == "objects":
        np.savez(file, x=np.array([{}] * 40), y=np.arange(40.0))
    else:
        file.write_bytes(b"" if content == "empty" else b"PK and no more")
    with pytest.raises(InvalidData, match=r"cannot be read|is one array"):
        read_recorded(file, tell=lambda *_: None)


def test_what_a_user_may_say_is_whose_answers_are_learned() -> None:
    assert Imitation().answers({"teacher": "art_1", "layout": None}) == {"teacher": "art_1"}
    with pytest.raises(InvalidSpec, match="layout: recorded samples are read in one way"):
        Imitation().answers({"layout": "arrays"})


def test_a_network_worse_than_the_mean_answer_is_worth_nothing() -> None:
    """And not less: what predictors learn from are shares."""
    asked = OutsideEvaluator(lambda rows, _: np.linspace(-0.6, 0.6, len(rows)))
    found = asked.evaluate(np.zeros((3, 2), dtype=np.int64), fidelity=1.0, seed=0)
    assert found.tolist() == [0.0, 0.0, 0.6]
    judged = Imitated(np.array([[3.0], [-3.0]]), np.array([[-1.0], [1.0]]))
    assert FIDELITY.value(judged) < 0.0
    assert score_of(FIDELITY, judged) == 0.0
