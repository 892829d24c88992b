"""Anomaly detection: what is normal, on which side anomalies are, and how scores are judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_service.errors import InvalidData, InvalidSpec
from nas_service.learning.registry import learning_task
from nas_service.learning.signals.anomalies import Scores
from nas_service.learning.signals.anomalies_data import AnomalyData
from nas_service.learning.signals.ingested import Signals
from nas_service.learning.signals.window import answer_steps
from nas_service.templates import verify
from nas_service.templates.preprocess_signal import Preprocessing
from tests.contracts.test_signals import save_beats

TASK = learning_task("signal_anomalies")


def _read(source: Path, **answers: Any) -> Signals:
    found = TASK.ingest(source, answers, tell=lambda *_: None, within=[source.parent], threads=1)
    assert isinstance(found, Signals)
    return found


def _arrays(path: Path, y: Any, **arrays: Any) -> Path:
    x = np.random.default_rng(0).normal(size=(len(y), 2, 16))
    np.savez(path, x=x, y=np.asarray(y), **arrays)
    return path


def _scores(odd: list[float], usual: list[float]) -> Scores:
    anomalous = np.array([True] * len(odd) + [False] * len(usual))
    return Scores(np.array(odd + usual), anomalous)


@pytest.mark.parametrize(
    ("odd", "usual", "auc"),
    [
        ([3.0, 4.0], [1.0, 2.0], 1.0),
        ([1.0, 2.0], [3.0, 4.0], 0.0),
        ([1.0], [1.0, 1.0], 0.5),
        ([2.0, 5.0], [1.0, 3.0, 4.0], 4 / 6),  # pairs: 2>1, 5>1, 5>3, 5>4
        ([2.0, 3.0], [1.0, 2.0], 3.5 / 4),
    ],
)
def test_auc_is_the_share_of_pairs_in_order(
    odd: list[float], usual: list[float], auc: float
) -> None:
    assert _scores(odd, usual).auc == pytest.approx(auc)


def test_auc_is_that_of_scikit_learn_and_its_error_that_of_the_paper() -> None:
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(3)
    anomalous = generator.uniform(size=500) < 0.2
    judged = Scores(np.round(generator.normal(size=500) + anomalous, 1), anomalous)
    assert judged.auc == pytest.approx(roc_auc_score(anomalous, judged.scores))
    # Hanley and McNeil, 1982: an area of .893 of 51 abnormal and 58 normal cases has .032
    rated = np.repeat([True, False], [51, 58])
    given = Scores(np.arange(109.0), rated)
    given.__dict__["auc"] = 0.893
    assert given.auc_error == pytest.approx(0.032, abs=0.001)


def test_an_alarm_is_false_once_in_a_hundred_normal_windows() -> None:
    judged = _scores([150.0, 199.5, 50.0, 300.0], [float(one) for one in range(200)])
    assert judged.threshold == 197.0  # 198 and 199 are two of two hundred
    assert judged.found == 0.5


def test_where_one_kind_is_absent_nothing_is_told() -> None:
    for judged in (_scores([1.0, 2.0], []), _scores([], [1.0, 2.0])):
        assert (judged.auc, judged.auc_error) == (0.5, 0.5)
        assert np.isfinite([judged.threshold, judged.found]).all()


def test_parts_of_a_part_have_both_kinds_however_the_source_was_sorted(tmp_path: Path) -> None:
    y = np.repeat(["normal", "odd"], [400, 100])
    found = _read(_arrays(tmp_path / "a.npz", y))
    for part in (1, 2):
        first = found.targets[found.windows.part == part][:30]
        assert 5 < int(first.sum()) < 25
    assert np.array_equal(found.targets == 1, found.windows.labels == "odd")


def test_training_sees_normal_windows_alone(tmp_path: Path) -> None:
    found = _read(save_beats(tmp_path / "a.npz"))
    part, flags = found.windows.part, found.targets
    assert not flags[part == 0].any()
    # all 40 anomalies are there to judge by, half of them a part
    assert [int(flags[part == number].sum()) for number in (1, 2)] == [20, 20]
    facts = found.facts()
    assert (facts["normal"], facts["n_anomalous"]) == ("normal", 40)
    assert "classes" not in facts
    assert "normal is 'normal'; anomalies are skipped" in facts["report"]["reading"]
    assert not facts["report"]["notes"]


def test_groups_stay_on_one_side_and_their_anomalies_are_set_aside(tmp_path: Path) -> None:
    groups = np.arange(60) // 4
    y = np.where(np.arange(60) % 4 == 0, "broken", "ok")
    found = _read(_arrays(tmp_path / "a.npz", y, groups=groups))
    assert found.windows.groups is not None
    sides = set(zip(found.windows.groups.tolist(), found.windows.part.tolist(), strict=True))
    assert len(sides) == len(set(found.windows.groups.tolist()))
    (aside,) = found.facts()["report"]["set_aside"]
    trained = len({group for group, part in sides if part == 0})
    assert (aside["n"], aside["names"]) == (trained, ["broken"])
    assert not found.targets[found.windows.part == 0].any()
    assert len(found.windows) == 60 - aside["n"]


def test_groups_of_anomalies_alone_are_for_judging(tmp_path: Path) -> None:
    groups = np.arange(100) // 4
    y = np.where(groups < 20, "ok", "broken")
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=(100, 2, 16))
        np.savez(tmp_path / "a.npz", x=x, y=y, groups=groups)
        found = _read(tmp_path / "a.npz")
        assert len(found.windows) == 100  # nothing is set aside
        for part in (1, 2):
            assert found.targets[found.windows.part == part].sum() in (8, 12)


def _recording(path: Path, labels: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{np.sin(step)},{label}" for step, label in enumerate(labels)]
    path.write_text("\n".join(["level,is_anomaly", *rows]) + "\n")


def test_a_window_with_an_anomaly_anywhere_is_one(tmp_path: Path) -> None:
    """A spike of two rows fills no window; files may write the same label as 0 and as 0.0."""
    calm, odd = ["0"] * 160, ["0"] * 160
    odd[20:22] = ["1", "1"]
    odd[95:97] = ["1", "1"]  # on both sides of the edge at row 96
    _recording(tmp_path / "data" / "train" / "a.csv", [f"{one}.0" for one in calm])
    _recording(tmp_path / "data" / "validation" / "b.csv", odd)
    _recording(tmp_path / "data" / "test" / "c.csv", odd)
    found = _read(tmp_path / "data", window=16, normal="0")
    counts = {"normal": 7, "anomalous": 3}
    assert found.report["counts"] == {
        "train": {"normal": 10},
        "validation": counts,
        "test": counts,
    }
    assert "a window with an anomaly in any of its rows is one" in found.report["reading"]
    assert found.report["set_aside"] == []


def test_windows_with_an_empty_label_are_set_aside(tmp_path: Path) -> None:
    labels = ["0"] * 80 + ["1"] * 32 + ["0"] * 48
    for number in range(6):
        labels[20] = "NA"
        _recording(tmp_path / f"r{number}.csv", labels)
    found = _read(tmp_path, window=16, normal="0")
    aside = [{"reason": "windows in which a label is empty", "n": 6, "names": []}]
    assert [one for one in found.report["set_aside"] if "empty" in one["reason"]] == aside


def test_half_of_a_given_test_part_is_for_validation_where_there_is_none(tmp_path: Path) -> None:
    split = np.array(["train"] * 20 + ["test"] * 24)
    y = np.array(["ok"] * 20 + ["ok", "broken", "ok"] * 8)
    found = _read(_arrays(tmp_path / "a.npz", y, split=split))
    counts = [np.bincount(found.targets[found.windows.part == part]).tolist() for part in (1, 2)]
    assert counts == [[8, 4], [8, 4]]
    assert not found.targets[found.windows.part == 0].any()


@pytest.mark.parametrize(
    ("y", "normal"),
    [
        (np.array([b"ok", b"odd"] * 20), "ok"),
        (np.array([0.0, 1.0] * 20), "0"),
        (np.array([False, True] * 20), "False"),
    ],
)
def test_labels_of_any_kind_have_the_same_names_in_the_bundle(
    tmp_path: Path, y: Any, normal: str
) -> None:
    found = _read(_arrays(tmp_path / "a.npz", y))
    assert found.facts()["normal"] == normal
    assert [verify.named(one) == normal for one in y] == [True, False] * 20
    if y.dtype.kind == "f":
        assert _read(tmp_path / "a.npz", normal="0.0").facts()["normal"] == "0"


def test_parts_that_are_given_are_kept(tmp_path: Path) -> None:
    split = ["train"] * 10 + ["validation"] * 8 + ["test"] * 8
    y = [0] * 10 + [0, 1] * 8
    found = _read(_arrays(tmp_path / "a.npz", y, split=np.array(split)))
    assert np.bincount(found.windows.part).tolist() == [10, 8, 8]


@pytest.mark.parametrize(
    ("y", "answers", "said"),
    [
        (["a", "b"] * 20, {}, "which label is that of normal windows. a, b; answer with --normal"),
        (["ok", "good"] * 20, {}, "which label"),
        (["a", "b"] * 20, {"normal": "c"}, "no window is labelled 'c'; labels are a, b"),
        (["normal"] * 1 + ["odd"] * 40, {}, "1 windows: at least 5 are needed to draw parts of"),
        (["normal"] * 40, {}, "every window is 'normal'"),
        (["normal"] * 37 + ["odd"] * 3, {}, "1 anomalous windows are for validation"),
        ([0.0, np.nan] * 20, {}, "empty in 20 of 40 windows"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    tmp_path: Path, y: Any, answers: dict[str, str], said: str
) -> None:
    with pytest.raises((InvalidData, InvalidSpec), match=said):
        _read(_arrays(tmp_path / "a.npz", y), **answers)


@pytest.mark.parametrize("name", ["signal_classification", "image_classification"])
def test_other_tasks_refuse_a_normal_label(name: str) -> None:
    with pytest.raises(InvalidSpec, match="normal") as refused:
        learning_task(name).answers({"normal": "a"})
    assert refused.value.fields["field"] == "normal"


@pytest.mark.parametrize(
    ("channels", "steps", "kept"),
    [(1, 40, 40), (1, 1000, 64), (9, 64, 64), (20, 500, 32), (200, 500, 8)],
)
def test_windows_are_compared_at_few_steps(channels: int, steps: int, kept: int) -> None:
    assert answer_steps(channels, steps) == kept


def _loaded(source: Path, folder: Path) -> tuple[Signals, AnomalyData]:
    found = _read(source)
    found.save(folder / "stored.npz")
    data = TASK.load(folder / "stored.npz", max_train=None, device=torch.device("cpu"))
    assert isinstance(data, AnomalyData)
    return found, data


def test_a_window_is_compared_with_itself_normalised_and_averaged(tmp_path: Path) -> None:
    _, data = _loaded(save_beats(tmp_path / "a.npz"), tmp_path)
    x = data.test.inputs[3].double()
    mean, std = (torch.tensor(one)[:, None].double() for one in (data.mean, data.std))
    expected = ((x - mean) / std).flatten()  # 40 steps are kept
    assert torch.allclose(data.test.targets[3, :-1].double(), expected, atol=1e-5)
    other = data.normalised((0.0, 0.0), (2.0, 2.0))
    assert torch.allclose(other.test.targets[3, :-1].double(), x.flatten() / 2.0, atol=1e-6)
    assert torch.equal(other.test.targets[:, -1], data.test.targets[:, -1])


def test_models_that_give_more_than_a_window_do_not_fit(tmp_path: Path) -> None:
    _, data = _loaded(save_beats(tmp_path / "a.npz"), tmp_path)
    data.require_model((1, 2, 40), 80)
    for outputs in (79, 81):
        with pytest.raises(InvalidData, match=f"the model gives {outputs} numbers"):
            data.require_model((1, 2, 40), outputs)


def test_noise_on_a_window_is_not_to_be_given_back(tmp_path: Path) -> None:
    _, data = _loaded(save_beats(tmp_path / "a.npz"), tmp_path)
    changed, mirrored = data.augmented(
        data.train.inputs, torch.Generator().manual_seed(0), shift=2, flip=True
    )
    assert not mirrored.any()
    noise = (changed - data.train.inputs).std((0, 2)) / torch.tensor(data.std)
    assert noise.tolist() == pytest.approx([0.1, 0.1], rel=0.1)


def test_a_bundles_score_is_the_tasks(tmp_path: Path) -> None:
    found, data = _loaded(save_beats(tmp_path / "a.npz"), tmp_path)
    said = json.loads(json.dumps(TASK.preprocessing(found.facts(), data, 20)))
    (tmp_path / "preprocessing.json").write_text(json.dumps(said))
    prepare = Preprocessing.load(tmp_path / "preprocessing.json")
    outputs = np.random.default_rng(0).normal(size=data.test.targets[:, :-1].shape)
    judged = TASK.judge(outputs, data.test.targets.numpy())
    assert isinstance(judged, Scores)
    own = [
        prepare.score(window, one)
        for window, one in zip(data.test.inputs.numpy(), outputs, strict=True)
    ]
    assert judged.scores == pytest.approx(np.array(own), rel=1e-5)
    assert prepare(data.test.inputs[0].numpy()).shape == (1, 2, 20)
