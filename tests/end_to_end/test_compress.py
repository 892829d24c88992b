"""Compressions through the whole service: reference networks and uploads, by client and CLI."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from nas_service.client import ApiError
from nas_service.compilation import toolchains
from nas_service.networks.export import export, export_program
from nas_service.networks.reference import reference
from nas_service.settings import Settings
from tests.agent_process import add_agent
from tests.browser import chromium
from tests.service import Service
from tests.tools import lacks

pytestmark = pytest.mark.slow

SIZE, CLASSES = 16, 4


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16x16 images of four classes, by which quarter is bright."""
    generator = np.random.default_rng(0)
    labels = np.arange(480) % CLASSES
    images = generator.integers(0, 110, (480, SIZE, SIZE, 1))
    for image, label in zip(images, labels, strict=True):
        row, column = 8 * (label // 2), 8 * (label % 2)
        image[row : row + 8, column : column + 8] += 90
    path = tmp_path_factory.mktemp("data") / "quarters.npz"
    np.savez(path, x=images.astype(np.uint8), y=labels)
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, arrays: Path) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("service") / "var")
    made.start()
    made.client.add_device("this-machine", this_machine=True)
    made.client.wait(made.client.upload_dataset("quarters", arrays)["job"]["id"], timeout_s=240)
    yield made
    made.stop()


def _cli(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas_service.cli", *arguments, "--server", service.url]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)


def test_a_reference_network_is_trained_compressed_and_measured(
    service: Service, tmp_path: Path
) -> None:
    told = toolchains.status(toolchains.toolchain("openvino"), Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    done = _cli(
        service,
        *("compress", "reference:resnet8", "--dataset", "quarters", "--epochs", "4"),
        *("--recipe", "magnitude:sparsity=0.5,finetune:epochs=2"),
        *("--target", "onnxruntime:int8", "--target", "openvino:int8"),
        *("--target", "tensorrt:fp32", "--out", str(tmp_path / "out"), "--json"),
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    names = [one["name"] for one in found["passes"]]
    assert names == ["original", "magnitude", "finetune"]
    assert found["passes"][0]["sparsity"] < 0.01
    assert found["passes"][2]["sparsity"] == pytest.approx(0.5, abs=0.02)
    assert found["passes"][2]["accuracy"] > 0.9
    rows = {(row["runtime"], row["precision"]): row for row in found["rows"]}
    assert "lacks trtexec" in rows["tensorrt", "fp32"]["reason"]  # and the others were made
    for runtime in ("onnxruntime", "openvino"):
        row = rows[runtime, "int8"]
        assert row["parity"]["ok"], row
        assert row["compressed"]["size_bytes"] < 0.7 * row["original"]["size_bytes"]
        assert row["compressed"]["accuracy"] > 0.85
        assert row["compressed"]["latency_ms"] > 0
        if row["published"]:  # no slower than the interval of the difference, and smaller
            error = math.hypot(
                *(row[one]["latency"]["error"] for one in ("compressed", "original"))
            )
            slowdown = math.log(row["compressed"]["latency_ms"] / row["original"]["latency_ms"])
            assert slowdown <= 1.96 * error
        assert row["published"] == (row["reason"] == ""), row
    assert rows["onnxruntime", "int8"]["compressed"]["peak_memory_bytes"] > 0
    saved = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"report.json", "preprocessing.json"} <= saved
    kept = [row["kept"] for row in found["rows"] if "kept" in row]
    assert set(kept) <= {"published", "not measured steadily"}
    assert len(saved) == 2 + len(kept)


def test_a_model_of_ones_own_is_compressed_without_any_training(
    service: Service, tmp_path: Path
) -> None:
    network = reference("resnet8", channels=1, size=SIZE, classes=CLASSES, seed=0).eval()
    path = tmp_path / "own.onnx"
    export(network, path, (1, 1, SIZE, SIZE))
    nas = service.client
    made = nas.compress(
        dataset="quarters",
        model=nas.upload_model(path)["id"],
        targets=[{"runtime": "onnxruntime", "precision": p} for p in ("fp32", "int8", "fp16")],
        max_loss=1.0,
    )
    nas.wait(made["job"]["id"], timeout_s=560)
    rows = {row["precision"]: row for row in nas.compression(made["id"])["rows"]}
    assert rows["fp32"]["parity"]["max_abs"] < 1e-4
    # nothing was asked of it in fp32: the file is the original's
    assert "the same file as the original's" in rows["fp32"]["reason"]
    assert not rows["fp32"]["published"]
    assert rows["int8"]["shares"]["n_layers_in_precision"] > 0
    assert rows["int8"]["compressed"]["size_bytes"] < 0.5 * rows["int8"]["original"]["size_bytes"]
    assert rows["fp16"]["compressed"]["size_bytes"] < 0.7 * rows["fp16"]["original"]["size_bytes"]


def test_a_model_is_sent_from_the_page_to_be_compressed_and_to_be_a_space(
    service: Service, tmp_path: Path
) -> None:
    network = reference("resnet8", channels=1, size=SIZE, classes=CLASSES, seed=0).eval()
    graph, program = tmp_path / "own.onnx", tmp_path / "own.pt2"
    export(network, graph, (1, 1, SIZE, SIZE))
    export_program(network, program, (1, 1, SIZE, SIZE))
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(60_000)

        def sent(file: Path, button: str, dataset: str = "quarters") -> None:
            page.goto(f"{service.url}/models")
            page.get_by_label("A model").set_input_files(file)
            page.get_by_label("Judged on").select_option(dataset)
            page.get_by_label("Device").select_option("this-machine")
            page.get_by_role("button", name=button).click()

        sent(graph, "Compress it", dataset="")
        expect(page.locator("#own-model-state")).to_contain_text("dataset")
        sent(program, "Compress it")
        said = "onnxruntime reads an ONNX graph"
        expect(page.locator("#own-model-state")).to_contain_text(said, timeout=60_000)
        page.get_by_label("Mean of").fill("0.5,half")
        page.get_by_role("button", name="Make it a search space").click()
        expect(page.locator("#own-model-state")).to_have_text("half is not a number")
        page.get_by_label("Mean of").fill("0.5")
        page.get_by_label("Standard deviation").fill("0.25")
        page.get_by_role("button", name="Make it a search space").click()
        page.wait_for_url("**/jobs/*")
        service.client.wait(page.url.rpartition("/")[2], timeout_s=300)
        page.goto(f"{service.url}/searches/new?dataset=quarters")
        options = page.locator("select[name=space] option").all_inner_texts()
        assert any(one.startswith("elastic-") for one in options), options
        sent(graph, "Compress it")
        page.wait_for_url("**/models/cmp_*")
        compression = page.url.rpartition("/")[2]
        service.client.wait(service.client.compression(compression)["job"]["id"], timeout_s=560)
        (row,) = service.client.compression(compression)["rows"]
        assert (row["runtime"], row["precision"]) == ("onnxruntime", "int8")
        assert row["compressed"]["size_bytes"] < row["original"]["size_bytes"]


def test_an_exported_program_cannot_take_passes_on_layers(service: Service, tmp_path: Path) -> None:
    network = reference("resnet8", channels=1, size=SIZE, classes=CLASSES, seed=0)
    path = tmp_path / "own.pt2"
    export_program(network, path, (1, 1, SIZE, SIZE))
    nas = service.client
    model = nas.upload_model(path)["id"]
    with pytest.raises(ApiError, match="pass magnitude works on a torch module's layers"):
        nas.compress(dataset="quarters", model=model, recipe=["magnitude"])
    with pytest.raises(ApiError, match="pass static_int8 works on ONNX graphs"):
        nas.compress(dataset="quarters", model=model, recipe=["static_int8"])
    with pytest.raises(ApiError, match=r"targets\[0\]: onnxruntime reads an ONNX graph"):
        nas.compress(dataset="quarters", model=model)
    done = _cli(
        service, "compress", str(path), "--dataset", "quarters", "--target", "openvino:fp32"
    )
    assert done.returncode != 0
    assert "--target openvino:fp32: openvino reads an ONNX graph" in done.stderr


@pytest.mark.parametrize(
    ("channels", "classes", "content", "named"),
    [
        (3, CLASSES, None, "the model takes 3 channels, the data set's images have 1"),
        (1, 2, None, "the model tells 2 classes apart, the data set has 4"),
        (1, CLASSES, b"no graph at all", "the model is not taken"),
    ],
)
def test_an_upload_that_does_not_fit_is_named(
    channels: int,
    classes: int,
    content: bytes | None,
    named: str,
    service: Service,
    tmp_path: Path,
) -> None:
    path = tmp_path / "own.onnx"
    if content is None:
        network = reference("resnet8", channels=channels, size=SIZE, classes=classes)
        export(network, path, (1, channels, SIZE, SIZE))
    else:
        path.write_bytes(content)
    done = _cli(service, "compress", str(path), "--dataset", "quarters")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("nas: ")
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_recipe_is_one_line(service: Service) -> None:
    done = _cli(
        service, "compress", "reference:vit", "--dataset", "quarters", "--recipe", "qat,channels"
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "channels cannot follow qat" in line


def test_a_device_elsewhere_measures_what_was_compiled_here(
    service: Service, tmp_path: Path
) -> None:
    nas = service.client
    agent = add_agent(service, tmp_path, "board")
    agent.start()
    request: dict[str, Any] = {
        "dataset": "quarters",
        "device": "board",
        "reference": {"name": "resnet8", "width": 0.25, "epochs": 3},
        "targets": [
            {"runtime": "onnxruntime", "precision": "int8"},
            {"runtime": "aot-inductor", "precision": "fp32"},
        ],
    }
    try:
        service.wait_until(lambda: nas.get("/v1/devices/board")["agent"], 60)
        started = nas.compress(**request)
        nas.wait(started["job"]["id"], timeout_s=560)
        found = nas.get(f"/v1/compressions/{started['id']}")
        rows = {row["runtime"]: row for row in found["rows"]}
        row = rows["onnxruntime"]
        assert row["compressed"]["target"].startswith("board/onnxruntime-")
        assert row["compressed"]["latency_ms"] > 0
        assert row["original"]["latency_ms"] > 0
        assert row["compressed"]["accuracy"] > 0.85
        assert row["parity"]["ok"]
        assert row["parity_on_device"]["ok"], row
        # allocated here, not there: unknown
        assert row["compressed"]["peak_memory_bytes"] is None
        why = rows["aot-inductor"]["reason"]
        assert "compiles for the machine of the service itself, not for" in why
        assert "task" in agent.log()
    finally:
        agent.kill()
    nas.add_device("shelf", kind="board")
    with pytest.raises(ApiError, match="'shelf' has no agent to measure on it"):
        nas.compress(**{**request, "device": "shelf"})


def test_a_compression_that_is_killed_in_either_step_ends_the_same(service: Service) -> None:
    nas = service.client
    request: dict[str, Any] = {
        "dataset": "quarters",
        "reference": {"name": "resnet8", "width": 0.25, "epochs": 2},
        "recipe": [{"magnitude": {"sparsity": 0.5}}, {"finetune": {"epochs": 1}}],
        "targets": [
            {"runtime": "onnxruntime", "precision": "fp32"},
            {"runtime": "onnxruntime", "precision": "int8"},
        ],
        "seed": 5,
    }
    whole = nas.compress(**request)
    nas.wait(whole["job"]["id"], timeout_s=500)
    killed = nas.compress(**request)

    def started(step: str) -> bool:
        job = f"{killed['job']['id']}-{step}"
        if job not in {one["id"] for one in nas.every("/v1/jobs")}:
            return False
        return any(one["event"] == "started" for one in nas.get(f"/v1/jobs/{job}/events"))

    for step in ("compress", "measure"):
        service.wait_until(partial(started, step), 120, every_s=0.02)
        time.sleep(1.0)  # in the middle of it
        service.kill()
        service.start()
    nas.wait(killed["job"]["id"], timeout_s=500)

    def result(compression: str) -> tuple[list[Any], dict[str, str]]:
        found = nas.compression(compression)
        rows = [
            (row["runtime"], row["precision"], row["compressed"]["accuracy"], row["parity"])
            for row in found["rows"]
        ]
        files = {
            one["name"]: one["sha256"]
            for one in found["artifacts"]
            if one["name"].endswith((".onnx", ".npz")) and one["kind"] != "compiled"
        }
        return rows, files

    assert result(killed["id"]) == result(whole["id"])
    names = [one["name"] for one in nas.compression(killed["id"])["artifacts"]]
    assert len(names) == len(set(names))
