"""`nas datasets inspect`: what an import of any task would read, without a service."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nas_service import cli
from tests.contracts.test_signals import save_beats


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["nas", "datasets", "inspect", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def test_the_report_of_any_task_is_shown_before_anything_is_sent(tmp_path: Path, run: Any) -> None:
    beats = str(save_beats(tmp_path / "beats.npz"))
    code, out, _ = run(beats, "--task", "signal_anomalies", "--json")
    assert code == 0
    report = json.loads(out)
    assert set(report["counts"]) == {"train", "validation", "test"}
    assert report["counts"]["train"].get("anomalous", 0) == 0
    assert report["questions"] == []
    code, out, _ = run(beats, "--task", "signal_classification")
    assert code == 0
    assert "layout: arrays" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--task", "signals"], "no learning task 'signals'"),
        (["--task", "signal_anomalies", "--background", "white"], "background: signals are read"),
        (["--task", "imitation", "--teacher", "m.pt2"], "teacher: a model is asked by an import"),
    ],
)
def test_what_cannot_be_looked_at_is_one_line(
    tmp_path: Path, run: Any, options: list[str], said: str
) -> None:
    code, _, err = run(str(save_beats(tmp_path / "beats.npz")), *options)
    assert code == 1
    assert said in err.strip().splitlines()[-1]


def test_what_is_not_there_is_one_line(tmp_path: Path, run: Any) -> None:
    code, _, err = run(str(tmp_path / "none"))
    assert code == 1
    assert "there is no file or folder" in err
    code, _, err = run("--server-path", "/data/a", "--task", "detection")
    assert code == 1
    assert "--task: on the server only pictures and their classes are looked at" in err
