"""What comes back with a kit, held to the state that the anchors beside it tell."""

from pathlib import Path

import pytest

from lookup_tables.importers import NetworkLatency, network_latencies
from lookup_tables.measuring.timing import REFERENCE, UNKNOWN_STATE, Protocol
from lookup_tables.target import Target
from nas_service.cli.devices import _logs
from nas_service.errors import InvalidSpec
from nas_service.worker.tasks.kit import FilledKit

TARGET = Target("mcu", "onnxruntime", "1", "fp32")


def _rows(anchors: list[tuple[float, float]]) -> list[NetworkLatency]:
    return [
        NetworkLatency(f"fit/fp32/{i}", 1.0, n=50, anchor_before_ms=before, anchor_after_ms=after)
        for i, (before, after) in enumerate(anchors)
    ]


def test_models_timed_in_another_state_are_unstable_with_the_reason() -> None:
    kit = FilledKit.of(_rows([(0.10, 0.101), (0.10, 0.18), (0.102, 0.10), (0.18, 0.18)]))
    timings = list(kit.timings.values())
    assert [one.stable for one in timings] == [True, False, True, False]
    assert timings[1].reason == "the anchor beside it says that the device was in another state"
    assert {one.state for one in timings} == {REFERENCE}
    assert kit.references["kit"].levels_ms["graph"] == pytest.approx(0.1, rel=0.02)
    assert kit.steadiness is not None
    assert kit.steadiness.state_share == 0.5


def test_without_anchors_nobody_knows_the_state() -> None:
    kit = FilledKit.of([NetworkLatency("fit/fp32/0", 1.0)])
    assert kit.timings["fit/fp32/0"].stable
    assert kit.timings["fit/fp32/0"].state == UNKNOWN_STATE
    assert kit.references == {}
    assert kit.steadiness is None


def test_a_model_without_a_row_is_named() -> None:
    kit = FilledKit.of(_rows([(0.1, 0.1)]))
    models = {name: Path(name) for name in ("fit/fp32/0", "fit/fp32/1")}
    with pytest.raises(InvalidSpec, match="1 models have no row, as fit/fp32/1"):
        kit.measure(models, TARGET, protocol=Protocol())


def test_logs_of_the_tool_become_rows_with_their_anchors(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "fit" / "fp32"
    folder.mkdir(parents=True)
    for name, ms in (("0", 1.5), ("0.before", 0.1), ("0.after", 0.11), ("1", 2.5)):
        text = f"P50 Latency: {ms / 1e3} s\nP90 Latency: {ms / 1e3} s\nTotal iterations: 50\n"
        (folder / f"{name}.txt").write_text(text)
    results = tmp_path / "results.csv"
    results.write_text(_logs(tmp_path / "logs"))
    first, second = network_latencies(results)
    assert (first.name, first.p50_ms) == ("fit/fp32/0", pytest.approx(1.5))
    assert first.anchor_before_ms == pytest.approx(0.1)
    assert first.anchor_after_ms == pytest.approx(0.11)
    assert second.anchor_before_ms is None
