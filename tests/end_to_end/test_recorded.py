"""A model of several inputs and outputs, with samples of its own: by command line, to a bundle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from nas_service.client import ApiError, Client
from tests.agent_process import add_agent
from tests.bundles import list_anew
from tests.recorded_models import CLASSES, HIDDEN, sentences, tagger, tagger_program
from tests.service import Service

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("recorded") / "var")
    made.start()
    made.client.add_device("this-machine", this_machine=True)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tagger")
    tagger(made / "tagger.onnx")
    sentences(made / "short.npz", 40, 12, seed=1)
    sentences(made / "long.npz", 24, 30, seed=2)
    sentences(made / "test.npz", 32, 18, seed=3)
    return made


def _cli(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas_service.cli", *arguments, "--server", service.url]
    return subprocess.run(  # our interpreter
        command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}, check=False
    )


def test_an_exported_program_goes_the_same_way(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    done = _cli(
        service,
        *("compress", str(tagger_program(tmp_path / "tagger.pt2"))),
        *("--samples", str(folder / "short.npz"), "--test", str(folder / "test.npz")),
        *("--metric", "same_decision:scores", "--max-loss", "0.1"),
        *("--target", "onnxruntime:int8", "--json"),
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert any("an exported program" in note for note in told["made_ready"])
    (row,) = told["rows"]
    assert row["parity"]["output"] in {"scores", "next_state"}
    assert row["compressed"]["accuracy"] >= 0.9
    assert row["compressed"]["size_bytes"] < row["original"]["size_bytes"]
    refused = _cli(
        service,
        *("compress", str(tmp_path / "tagger.pt2"), "--samples", str(folder / "short.npz")),
        *("--target", "executorch:fp32"),
    )
    assert refused.returncode == 1
    assert "executorch reads an exported torch program" in refused.stderr


def test_words_and_states_go_through_int8_and_come_back_the_same(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    done = _cli(
        service,
        *("compress", str(folder / "tagger.onnx")),
        *("--samples", str(folder / "short.npz"), "--samples", str(folder / "long.npz")),
        *("--test", str(folder / "test.npz"), "--metric", "same_decision:scores"),
        *("--max-loss", "0.05", "--keep-float", "carry"),
        *("--target", "onnxruntime:int8", "--target", "onnxruntime:fp16"),
        *("--out", str(tmp_path / "out"), "--json"),
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["request"]["metric"] == "same_decision:scores"
    assert any("samples are of 3 sizes" in note for note in told["made_ready"])
    for row in told["rows"]:
        assert row["parity"]["ok"], row
        assert row["parity"]["output"] in {"scores", "next_state"}
        assert row["original"]["accuracy"] == 1.0
        assert row["compressed"]["accuracy"] >= 0.95
        assert row["original"]["latency_ms"] > 0
        assert row["compressed"]["latency_ms"] > 0
        assert row["compressed"]["peak_memory_bytes"] > 0
        assert row["compressed"]["size_bytes"] < row["original"]["size_bytes"]
    whole = next(row for row in told["rows"] if row["precision"] == "int8")["shares"]
    assert "carry" in whole["text"]  # it stayed in float, as was asked for
    _fetched_bundle_checks_itself(service, told, tmp_path)
    page = httpx.get(f"{service.url}/models/{told['id']}").text
    assert "same decision:scores" in page
    assert "carry" in page
    assert "/datasets/" not in page.partition("<h1>")[2]


def test_a_device_with_an_agent_measures_and_answers_by_name(
    service: Service, folder: Path, tmp_path: Path
) -> None:
    """Token numbers and open sizes: the agent times the test sample that it is sent."""
    agent = add_agent(service, tmp_path, "board")
    agent.start()
    try:
        service.wait_until(lambda: service.client.get("/v1/devices/board")["agent"], 60)
        done = _cli(
            service,
            *("compress", str(folder / "tagger.onnx"), "--device", "board"),
            *("--samples", str(folder / "short.npz"), "--test", str(folder / "test.npz")),
            *("--metric", "same_decision:scores", "--max-loss", "0.1"),
            *("--target", "onnxruntime:int8", "--json"),
        )
    finally:
        agent.kill()
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["compressed"]["target"].startswith("board/onnxruntime-")
    assert row["compressed"]["latency_ms"] > 0
    assert row["original"]["latency_ms"] > 0
    assert row["parity"]["ok"]
    assert row["parity_on_device"]["ok"], row
    assert row["parity_on_device"]["output"] in {"scores", "next_state"}
    assert row["compressed"]["peak_memory_bytes"] is None  # allocated here, not there


def test_an_agent_of_an_earlier_version_is_told_of_before_anything_runs(
    service: Service, folder: Path
) -> None:
    service.client.add_device("old-board", kind="board", model="unknown board")
    token = service.client.make_token("old-board")["token"]
    with Client(service.url, token=token) as agent:
        said = {"instance": "earlier-version", "runtimes": {"onnxruntime": "1.20.0"}}
        agent.post("/v1/agent:hello", said)
    done = _cli(
        service,
        *("compress", str(folder / "tagger.onnx"), "--device", "old-board"),
        *("--samples", str(folder / "short.npz")),
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "the agent of device 'old-board' is of an earlier version" in line


def _fetched_bundle_checks_itself(service: Service, told: dict[str, Any], folder: Path) -> None:
    """Files that are kept answer as they did; a broken one, put in their place, does not."""
    (bundle,) = [one for one in told["artifacts"] if one["name"] == "bundle.zip"]
    service.client.download(bundle["id"], folder / "bundle.zip")
    with zipfile.ZipFile(folder / "bundle.zip") as archive:
        archive.extractall(folder / "bundle")
    report = json.loads((folder / "bundle" / "report.json").read_text())
    kept = [row["precision"] for row in told["rows"] if row.get("kept")]
    assert [one["precision"] for one in report["files"]] == kept
    model, broken = folder / "bundle" / "model" / "mine.onnx", folder / "bundle" / "broken.onnx"
    tagger(model)
    tagger(broken, seed=9)
    mine = {
        "folder": "model",
        "file": "mine.onnx",
        "parity": "parity.npz",
        "runtime": "onnxruntime",
        "precision": "fp32",
        "measured_latency_ms": 1.0,
        "published": True,
    }
    report["files"] = [{**one, "published": True} for one in report["files"]] + [mine]
    (folder / "bundle" / "report.json").write_text(json.dumps(report))
    checked = _verified(folder / "bundle")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count(" ok ") == len(kept) + 1
    broken.replace(model)
    checked = _verified(folder / "bundle")
    assert checked.returncode == 1
    assert checked.stdout.count("FAILED") == 1


def _verified(bundle: Path) -> subprocess.CompletedProcess[str]:
    list_anew(bundle)
    return subprocess.run(  # our interpreter
        [sys.executable, "verify.py"], cwd=bundle, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--samples", "{f}/short.npz", "--metric", "perplexity"), "no output metric"),
        (("--samples", "{f}/short.npz", "--metric", "accuracy"), "give targets beside the inputs"),
        (("--samples", "{f}/short.npz", "--metric", "cosine:logits"), "no output 'logits'"),
        (("--samples", "{f}/short.npz", "--keep-float", "hiden"), "no layer 'hiden'"),
        (("--samples", "{f}/short.npz", "--target", "tvm:fp32"), "models of one input"),
        (("--samples", "{f}/nothing.npz"), "there is no file"),
        (("--samples", "{f}/strange.npz"), "state is missing; weather is none of its inputs"),
        (("--samples", "{f}/beyond.npz"), "does not run on the samples"),
        (("--samples", "{f}/few.npz"), "need 8 at least"),
        (("--samples", "{f}/short.npz", "--test", "{f}/one.npz"), "4 at least tell what varies"),
        (("--samples", "{f}/short.npz", "--test", "{f}/same.npz"), "all 12 samples are the same"),
        (("--samples", "{f}/same.npz"), "all 12 samples are the same"),
        (("--samples", "{f}/short.npz", "--dataset", "x"), "one of --dataset and --samples"),
        ((), "one of --dataset and --samples"),
    ],
)
def test_what_does_not_fit_is_one_line_that_says_what(
    arguments: tuple[str, ...], words: str, service: Service, folder: Path
) -> None:
    state, gain = np.zeros((9, HIDDEN)), np.array(1.0)
    np.savez(folder / "strange.npz", words=np.ones((9, 4), np.int64), gain=gain, weather=state)
    beyond = np.arange(1000, 1036).reshape(9, 4)
    np.savez(folder / "beyond.npz", words=beyond, state=state, gain=gain)
    same = {"words": np.ones((12, 4), np.int64), "state": np.zeros((12, HIDDEN)), "gain": gain}
    np.savez(folder / "same.npz", **same)
    np.savez(folder / "few.npz", words=np.ones((7, 4), np.int64), state=state[:7], gain=gain)
    sentences(folder / "one.npz", 1, 9, seed=4)
    given = [one.format(f=folder) for one in arguments]
    done = _cli(service, "compress", str(folder / "tagger.onnx"), *given)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("nas: ")
    assert words in last
    assert "Traceback" not in done.stderr


def test_inspect_says_what_it_reads_and_gives(folder: Path) -> None:
    done = _cli_without_server("inspect", str(folder / "tagger.onnx"))
    assert "reads words int64 (1, ?)" in done.stdout
    assert "reads gain float32 ()" in done.stdout
    assert f"reads state float32 (1, {HIDDEN})" in done.stdout
    assert f"gives scores float32 (1, ?, {CLASSES})" in done.stdout
    assert "3 layers; `nas compress` takes it with --samples" in done.stdout


def _cli_without_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas_service.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # our interpreter


def test_samples_are_refused_where_they_do_not_belong(service: Service, folder: Path) -> None:
    nas = service.client
    model = nas.upload_model(folder / "tagger.onnx")["id"]
    samples = nas.upload_samples(folder / "short.npz")["id"]
    with pytest.raises(ApiError, match="is no uploaded samples"):
        nas.compress(model=model, samples=[model])
    with pytest.raises(ApiError, match="is no uploaded model"):
        nas.compress(model=samples, samples=[samples])
    with pytest.raises(ApiError, match="samples go with model"):
        nas.compress(winner="x", samples=[samples])
    nas.add_device("without-agent", kind="board")
    with pytest.raises(ApiError, match="has no agent to measure on it"):
        nas.compress(model=model, samples=[samples], device="without-agent")
