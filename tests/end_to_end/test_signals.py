"""Recordings in CSV files become a data set, are searched, and a bundle runs on new windows."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from playwright.sync_api import expect

from tests.browser import chromium
from tests.bundles import unpack
from tests.contracts.test_signals import save_beats
from tests.service import Service
from tests.toy_search import toy_search

WINDOW = 32


def _recording(seed: int, fast: bool, n: int = 192) -> Any:
    """Two channels at 50 Hz: a wave of two or five periods a window, and noise."""
    generator = np.random.default_rng(seed)
    phase = 2 * np.pi * (5 if fast else 2) * np.arange(n) / WINDOW
    wave = np.sin(phase + generator.uniform(0, 6)) + generator.normal(0, 0.2, n)
    return np.stack([wave, generator.normal(0, 1, n)])


def _write(folder: Path, n: int = 40) -> Path:
    folder.mkdir()
    for number in range(n):
        label = ("slow", "fast")[number % 2]
        signal = _recording(number, label == "fast")
        rows = [f"{step / 50},{a:.5f},{b:.5f},{label}" for step, (a, b) in enumerate(signal.T)]
        text = "\n".join(["time,ax,ay,activity", *rows])
        (folder / f"subject{number:02d}.csv").write_text(text)
    return folder


@pytest.mark.slow
def test_recordings_are_searched_and_the_bundle_runs_on_new_ones(tmp_path: Path) -> None:
    service = Service(tmp_path / "var")
    service.start()
    nas = service.client
    try:
        with zipfile.ZipFile(tmp_path / "walks.zip", "w") as archive:
            for file in sorted(_write(tmp_path / "walks").iterdir()):
                archive.write(file, f"walks/{file.name}")
        added = nas.upload_dataset(
            "walks", tmp_path / "walks.zip", task="signal_classification", window=WINDOW
        )
        nas.wait(added["job"]["id"], timeout_s=120)
        facts = nas.get("/v1/datasets/walks")["facts"]
        assert (facts["n_train"], facts["n_validation"], facts["n_test"]) == (144, 48, 48)
        assert facts["rate_hz"] == 50.0
        nas.add_device("here", this_machine=True)
        asked = toy_search(dataset="walks", max_latency_ms=5.0, measuring_budget=2)
        del asked["space"]  # the usual one of the task
        asked["rules"] = [{"always": {"stage*.layer*.kernel": [3, 5]}}, {"never": {"width": 1.0}}]
        asked["training"] = {"epochs": 6, "finetune_epochs": 3, "batch": 16}
        search = nas.submit_search(**asked)["id"]
        nas.wait(search, timeout_s=500)
        assert nas.search(search)["spec"]["space"] == "temporal"
        _keeps_the_rules(service, search)
        (winner,) = nas.winners(search)
        row = {one["precision"]: one for one in winner["results"]}["fp32"]
        assert row["published"], row
        assert row["certificate"]["verdict"] == "certified"
        assert row["measured_accuracy"] > 0.9
        _run_bundle(service, search, tmp_path / "bundle", row)
        _look(service, search)
    finally:
        service.stop()


@pytest.mark.slow
def test_anomalies_are_searched_for_and_the_bundle_scores_new_windows(tmp_path: Path) -> None:
    service = Service(tmp_path / "var")
    service.start()
    nas = service.client
    try:
        beats = save_beats(tmp_path / "beats.npz", 400)
        added = nas.upload_dataset("beats", beats, task="signal_anomalies", normal="normal")
        nas.wait(added["job"]["id"], timeout_s=120)
        nas.add_device("here", this_machine=True)
        asked = toy_search(
            dataset="beats", max_latency_ms=5.0, measuring_budget=2, precisions=("fp32", "int8")
        )
        del asked["space"]  # the usual one of the task
        asked["training"] = {"epochs": 40, "finetune_epochs": 20, "batch": 16}
        search = nas.submit_search(**asked)["id"]
        nas.wait(search, timeout_s=500)
        (winner,) = nas.winners(search)
        row = {one["precision"]: one for one in winner["results"]}["fp32"]
        assert row["published"], row
        assert set(row["architecture"]["decisions"]) >= {"steps", "width", "code"}
        assert row["certificate"]["verdict"] == "certified"
        assert row["measured_accuracy"] > 0.6  # of the way from an AUC of .5 to 1
        assert row["anomalies"]["n_anomalous"] == 40
        int8 = {one["precision"]: one for one in winner["results"]}["int8"]
        assert int8["parity_agreement"] >= 0.9, int8
        assert int8["measured_accuracy"] > 0.6
        folder = tmp_path / "bundle"
        unpack(service.client, search, folder)
        done = subprocess.run(
            [sys.executable, str(folder / "verify.py"), str(beats)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told = re.search(rf"{row['file']} .* ([01]\.\d+) AUC", done.stdout)
        assert told is not None, done.stdout
        assert float(told[1]) > 0.8
    finally:
        service.stop()


def _keeps_the_rules(service: Service, search: str) -> None:
    """Whatever was asked about and whatever may be taken; the predictor began with others, too."""
    nas = service.client
    asked = [
        one["architecture"]["decisions"] for one in nas.every(f"/v1/searches/{search}/evaluations")
    ]
    found = nas.get(f"/v1/searches/{search}/candidates", limit=1000)["items"]
    taken = [one["architecture"] for one in found if one["keeps_limits"] or one["on_front"]]
    assert asked
    assert taken
    for decisions in (*asked, *taken):
        kernels = {value for name, value in decisions.items() if name.endswith(".kernel")}
        assert kernels <= {3, 5}
        assert decisions["width"] < 1.0
    told = {one["text"]: one for one in service.client.search(search)["facts"]["rules_check"]}
    assert told["never width = 1.0"]["removed_share"] == pytest.approx(0.25, abs=0.03)


def _run_bundle(service: Service, search: str, folder: Path, row: dict[str, Any]) -> None:
    """With what is in the bundle alone, on recordings that nobody has seen."""
    unpack(service.client, search, folder)
    spec = importlib.util.spec_from_file_location("own", folder / "preprocess_signal.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["own"] = module
    spec.loader.exec_module(module)
    (model,) = folder.rglob(row["file"])
    prepare = module.Preprocessing.load(model.parent / "preprocessing.json")
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    windows = np.stack([_recording(2000 + n, n % 2 == 0)[:, :WINDOW] for n in range(20)])
    np.savez(folder / "own.npz", x=windows, y=np.where(np.arange(20) % 2, "slow", "fast"))
    done = subprocess.run(
        [sys.executable, str(folder / "verify.py"), str(folder / "own.npz")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.search(rf"{row['file']} .* (\d+) of 20", done.stdout)
    assert told is not None, done.stdout
    assert int(told[1]) >= 17
    names = ("fast", "slow")
    right = 0
    for number in range(40):
        window = _recording(1000 + number, number % 2 == 0)[:, :WINDOW]
        (logits,) = session.run(None, {session.get_inputs()[0].name: prepare(window)})
        right += names[int(logits.argmax())] == names[number % 2]
    assert right >= 34


def _look(service: Service, search: str) -> None:
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{service.url}/datasets/walks")
        expect(page.locator("#facts")).to_contain_text("2 channels of 32 steps at 50 Hz")
        expect(page.locator("#facts")).to_contain_text("signal classification")
        page.goto(f"{service.url}/searches/{search}")
        expect(page.locator("#winners")).to_contain_text("certified")
        expect(page.locator("#facts")).to_contain_text("never width = 1.0")
        expect(page.locator("#best-file")).to_contain_text("winner 0")
        page.goto(f"{service.url}/searches/{search}/candidates/0")
        expect(page.locator("#blocks")).to_contain_text("temporal_separable")
