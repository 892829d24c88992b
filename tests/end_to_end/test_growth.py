"""A package from outside adds one plug-in of each kind; a search uses all of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from nas_service.client import Client
from tests.browser import chromium
from tests.service import Service

ROOT = Path(__file__).parents[2]
GROWTH = ROOT / "tests" / "growth"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip installs it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("growth")
    source = shutil.copytree(GROWTH, folder / "source")  # a build leaves files beside it
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, *offline, "--target", str(folder / "site"), str(source)], check=True)
    return folder / "site"


def _with(installed: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(installed), str(ROOT)))}


@pytest.mark.slow
def test_what_is_added_keeps_the_contracts(installed: Path) -> None:
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    done = subprocess.run(
        [*run, str(GROWTH / "contracts.py")],
        env=_with(installed),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def _windows(path: Path) -> Path:
    """The slope of a noisy ramp of 32 steps, in the first of two channels."""
    generator = np.random.default_rng(0)
    slope = generator.uniform(-1.0, 1.0, 300)
    x = generator.normal(0.0, 0.2, (300, 2, 32))
    x[:, 0] += slope[:, None] * np.linspace(-1.0, 1.0, 32)
    np.savez(path, x=x.astype(np.float32), y=slope.astype(np.float32))
    return path


@dataclass(frozen=True)
class World:
    """A service of the package, on which a search with all of it has ended."""

    service: Service
    search: str
    site: Path

    @property
    def nas(self) -> Client:
        return self.service.client

    @property
    def winner(self) -> dict[str, Any]:
        (winner,) = self.nas.winners(self.search)
        return winner


@pytest.fixture(scope="module")
def world(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", _with(installed)["PYTHONPATH"])
        service = Service(folder / "var")
        service.start()
        nas = service.client
        try:
            nas.add_device("here", this_machine=True)
            added = nas.upload_dataset(
                "slopes", _windows(folder / "slopes.npz"), task="window_regression"
            )
            nas.wait(added["job"]["id"], timeout_s=120)
            search = nas.submit_search(
                dataset="slopes",
                space="windows",
                device="here",
                metric="mae",
                sampler="halton",
                predictor="nearest",
                evaluator="brief",
                precisions=["fp32", "onnx-reference:fp32"],
                objectives=["latency_ms", "footprint_bytes"],
                limits={"footprint_bytes": 1e6},
                max_latency_ms=1000.0,
                n_queries=8,
                batch=4,
                n_winners=1,
                measuring_budget=2,
                profile_budget_s=20,
                training={"epochs": 3, "finetune_epochs": 1, "batch": 16, "learning_rate": 0.05},
            )["id"]
            nas.wait(search, timeout_s=500)
            yield World(service, search, installed)
        finally:
            service.stop()


@pytest.mark.slow
def test_a_search_uses_one_of_each(world: World) -> None:
    assert world.nas.get("/v1/datasets/slopes")["facts"]["task"] == "window_regression"
    rows = {row["precision"]: row for row in world.winner["results"]}
    assert set(rows) == {"fp32", "onnx-reference:fp32"}
    for row in rows.values():
        assert row["metric"] == "mae"
        assert row["measured_metric"].endswith(" K")
        assert 0.0 < float(row["measured_metric"].split()[0]) < 0.6  # guessing the mean is .5
        assert row["regression"]["largest_error"] > 0
        assert row["measured_latency_ms"] > 0
        assert "footprint_bytes" in row["estimates"]
        assert row["certificates"]["footprint_bytes"]["quantity"] == "footprint_bytes"
    plain, other = rows["fp32"], rows["onnx-reference:fp32"]
    held = plain["certificates"]["footprint_bytes"]
    assert (held["verdict"], held["measured"]) == (
        "certified",
        plain["measured_size_bytes"] + plain["measured_peak_memory_bytes"],
    )
    assert other["file"].endswith(".ref")
    assert other["measured_latency_ms"] > plain["measured_latency_ms"]  # numpy against kernels


@pytest.mark.slow
def test_the_page_shows_what_was_added(world: World) -> None:
    (plain,) = (row for row in world.winner["results"] if row["precision"] == "fp32")
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{world.service.url}/searches/{world.search}")
        winners = page.locator("#winners")
        expect(winners).to_contain_text(plain["measured_metric"], timeout=20_000)
        expect(winners).to_contain_text("onnx-reference:fp32")
        expect(page.locator("body")).to_contain_text("footprint")
        expect(page.locator("body")).to_contain_text("mean error")
        page.screenshot(path=os.environ.get("NAS_SCREENSHOT") or None, full_page=True)
    assert problems == []


@pytest.mark.slow
def test_what_was_added_is_listed_carried_and_bundled(world: World, tmp_path: Path) -> None:
    _shown(world.nas, world.search, world.site, world.service.url, tmp_path)


@pytest.mark.slow
def test_a_factorys_network_becomes_a_space(world: World) -> None:
    made = world.nas.post("/v1/search-spaces", {"dataset": "slopes", "factory": "ramps"})
    world.nas.wait(made["job"]["id"], timeout_s=120)
    space = world.nas.get(f"/v1/search-spaces/{made['id']}", dataset="slopes")
    assert [(one["name"], one["values"]) for one in space["decisions"]] == [
        ("width.stem", [0.25, 0.5, 0.75, 1.0]),
        ("depth.inner", [0, 1]),
        ("swap.inner", ["separable", "own"]),
        ("size.input", [32]),
    ]


@pytest.mark.slow
def test_the_pass_runs_on_the_winner(world: World) -> None:
    _compressed(world.nas, world.winner["id"])


def _shown(nas: Client, search: str, installed: Path, url: str, folder: Path) -> None:
    """Command line, toolchains, agent and bundle know what was added."""
    run = [sys.executable, "-m", "nas_service.cli"]
    env = {**_with(installed), "COLUMNS": "400"}
    shown = subprocess.run(
        [*run, "front", search, "--server", url],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "mae measured" in shown
    assert "footprint_bytes" in shown
    listed = subprocess.run(
        [*run, "toolchains"], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert "onnx-reference" in listed
    (folder / "agent.pyz").write_bytes(nas.fetch("/agent.pyz"))
    with zipfile.ZipFile(folder / "agent.pyz") as agent:
        carried = json.loads(agent.read("lookup_tables/runtimes/carried.json"))
        assert carried["onnx-reference"] == "growth_example.runtime:OnnxReference"
        assert "growth_example/runtime.py" in agent.namelist()
    files = {one["name"]: one["id"] for one in nas.every(f"/v1/artifacts?owner={search}")}
    (folder / "bundle.zip").write_bytes(nas.fetch(f"/v1/artifacts/{files['bundle.zip']}/content"))
    with zipfile.ZipFile(folder / "bundle.zip") as bundle:
        names = bundle.namelist()
        assert json.loads(bundle.read("task.json")) == {"unit": "K", "steps": 32}
    assert any(name.endswith(".ref") for name in names)
    assert "class_names.json" not in names


def _compressed(nas: Client, winner: str) -> None:
    """The pass runs on the search's winner, and the runtime takes what comes of it."""
    targets = [{"runtime": "onnx-reference", "precision": "fp32"}]
    job = nas.compress(
        winner=winner, dataset="slopes", device="here", recipe=["clip_weights"], targets=targets
    )
    nas.wait(job["job"]["id"], timeout_s=300)
    (row,) = nas.compression(job["id"])["rows"]
    assert row["parity"]["ok"], row
    assert row["compressed"]["latency_ms"] > 0
    assert row["compressed"]["accuracy"] == pytest.approx(row["original"]["accuracy"], abs=0.1)
