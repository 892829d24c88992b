import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lookup_tables import files
from lookup_tables.blocks.convolution import ConvBlock
from lookup_tables.calibrate import EVERY_FORM, Calibration
from lookup_tables.errors import InvalidTable, MissingBlocks
from lookup_tables.target import Deployment
from tests.lookup_tables.tables import TARGET, small_table


def test_a_written_table_reads_back_equal(tmp_path: Path) -> None:
    table = small_table()
    files.write(table, tmp_path / "table.jsonl")
    again = files.read(tmp_path / "table.jsonl")
    assert again == table
    assert again.version == table.version


def test_the_version_changes_with_any_entry() -> None:
    table = small_table()
    changed = files.parse(files.dump(table).replace('"p10_ms": 0.01', '"p10_ms": 0.011'))
    assert changed.version != table.version


def _edited(row: int, **values: object) -> str:
    lines = files.dump(small_table()).splitlines()
    lines[row - 1] = json.dumps({**json.loads(lines[row - 1]), **values})
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (_edited(3, p10_ms=float("nan")), "row 3: p10_ms"),
        (_edited(2, p10_ms=-1), "row 2: p10_ms"),
        (_edited(4, p10_ms=True), "row 4: p10_ms"),
        (_edited(5, latency=1.0), "row 5: latency: unknown field"),
        (_edited(2, block={"kind": "conv"}), "row 2: block"),
        (_edited(3, spread=float("inf")), "row 3: spread: Infinity"),
        (_edited(1, format_version=9), "row 1: format"),
        (_edited(1, provenance="none"), "row 1: provenance"),
        (_edited(1, provenance={"x": float("nan")}), "row 1: x: NaN"),
        (_edited(1, calibration={"ratio": "1"}), "row 1: calibration"),
        (_edited(1, target={**TARGET.as_dict(), "threads": "4"}), "row 1: target.threads"),
        (files.dump(small_table()) + "not json", "row 6: not JSON"),
        ("", "empty"),
    ],
)
def test_a_bad_file_is_refused_by_row_and_field(text: str, named: str) -> None:
    with pytest.raises(InvalidTable, match=named):
        files.parse(text)


def test_every_problem_is_listed_at_once() -> None:
    lines = _edited(3, p10_ms=0).splitlines()
    lines[4] = "[]"
    with pytest.raises(InvalidTable) as caught:
        files.parse("\n".join(lines))
    assert len(caught.value.problems) == 2


def test_a_block_that_occurs_twice_names_both_rows() -> None:
    lines = files.dump(small_table()).splitlines()
    with pytest.raises(InvalidTable, match=r"row 6: .* already stands in row 2"):
        files.parse("\n".join([*lines, lines[1]]))


def test_a_missing_block_is_named() -> None:
    stranger = ConvBlock(3, 99, 8, 8)
    with pytest.raises(MissingBlocks, match=stranger.key):
        small_table().latency_ms([stranger])


def test_a_deployment_is_named_by_its_precision_and_its_runtime_unless_that_is_plain() -> None:
    for name, runtime, precision, form in (
        ("fp32", "onnxruntime", "fp32", "fp32"),
        ("int8", "onnxruntime", "int8", "int8"),
        ("openvino:bf16", "openvino", "bf16", "fp32"),
        ("openvino:int8", "openvino", "int8", "int8"),
    ):
        found = Deployment.parse(name)
        assert (found.runtime, found.precision, found.form) == (runtime, precision, form)
        assert found.name == name
    assert Deployment.parse("onnxruntime:int8").name == "int8"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"block": {"mid_channels": [1]}}, r"row 3: block\.mid_channels: \[1\] is not a count"),
        ({"block": {"in_channels": "3"}}, r"row 3: block\.in_channels: '3' is not a count"),
        ({"block": {"in_channels": 3.5}}, r"row 3: block\.in_channels: 3\.5 is not a count"),
        ({"block": {"terms": -1}}, r"row 3: block\.terms: -1 is not a count"),
        ({"block": {"kind": ["conv"]}}, r"row 3: block\.kind: \['conv'\] is not a text"),
        ({"spread": "abc"}, "row 3: spread: 'abc' is not a share"),
        ({"n": "many"}, "row 3: n: 'many' is not a count"),
        ({"n": -5}, "row 3: n: -5 is not a count"),
        ({"stable": "no"}, "row 3: stable: 'no' is not true or false"),
        ({"measured_at": 3}, "row 3: measured_at: 3 is not a time"),
    ],
)
def test_every_field_of_an_entry_is_checked(change: dict[str, Any], named: str) -> None:
    lines = files.dump(small_table()).splitlines()
    row = json.loads(lines[2])
    row["block"] |= change.pop("block", {})
    lines[2] = json.dumps(row | change)
    with pytest.raises(InvalidTable, match=named) as caught:
        files.parse("\n".join(lines))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("errors", [[], [0.1] * 4])
def test_a_calibration_tells_errors_that_a_bound_can_rest_on(errors: list[float]) -> None:
    calibration = Calibration(1.0, 0.0, 0.0, 0.0, "p50", tuple(errors))
    text = files.dump(replace(small_table(), calibration=calibration))
    with pytest.raises(InvalidTable, match=r"calibration\.relative_errors: . numbers; at least 5"):
        files.parse(text)


@pytest.mark.parametrize(
    ("provenance", "problem"),
    [
        ({"steadiness": "calm"}, "provenance.steadiness: not an object"),
        ({"steadiness": {"state_share": "most"}}, "provenance.steadiness.state_share: 'most'"),
        ({"references": {"processor": {"levels_ms": 3}}}, "provenance.references.processor"),
        ({"references": {"processor": 7}}, "provenance.references.processor"),
        ({"image": 32}, "provenance.image: not an object"),
        ({"budget_s": "long"}, "provenance.budget_s"),
    ],
)
def test_what_is_read_of_a_provenance_again_is_checked_by_field(
    provenance: dict[str, object], problem: str
) -> None:
    with pytest.raises(InvalidTable, match=re.escape(problem)):
        files.parse(files.dump(replace(small_table(), provenance=provenance)))


@pytest.mark.parametrize("form", EVERY_FORM)
def test_a_table_with_any_form_of_calibration_reads_back_equal(form: str) -> None:
    errors = (0.01, -0.02, 0.03, -0.01, 0.02)
    calibration = Calibration(
        0.9,
        0.0,
        0.0,
        0.001,
        "p50",
        errors,
        form=form,
        per_variant_ms={"conv-k3-t1": 0.001} if form in {"variants", "junctions"} else {},
        per_junction_ms={"read by conv": 0.002} if form == "junctions" else {},
        errors_of_forms={form: 0.02},
    )
    table = replace(small_table(), calibration=calibration)
    assert files.parse(files.dump(table)) == table


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (_edited(2, p10_ms=0.01, p50_ms=0.02, p90_ms=0.03, p99_ms=0.015, n=9), "row 2: p90_ms"),
        (_edited(3, p10_ms=0.01, p50_ms=0.02, n=0), "row 3: n: 0 measurements"),
        (_edited(4, measured_at="2999-01-01T00:00:00"), "row 4: measured_at: .* in the future"),
        (_edited(4, measured_at="yesterday"), "row 4: measured_at: 'yesterday' is not a time"),
        ("\n".join(files.dump(small_table()).splitlines()[:-1]), "n_entries: .* cut off"),
    ],
)
def test_what_cannot_have_been_measured_is_refused(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(InvalidTable, match=named):
        files.read(tmp_path / "t.jsonl")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ratio": -1.0}, "calibration.ratio"),
        ({"ratio": 0.0}, "less than nothing"),
        ({"per_block_ms": -1.0}, "less than nothing"),
        ({"constant_ms": -1e9}, "calibration.constant_ms"),
        ({"per_junction_ms": {"read by conv": -0.1}}, "a junction costs less than nothing"),
    ],
)
def test_a_calibration_that_would_move_prices_anywhere_is_refused(
    change: dict[str, Any], named: str, tmp_path: Path
) -> None:
    good = Calibration(1.0, 0.0, 0.0, 0.0, "p50", (0.01, -0.02, 0.03, -0.01, 0.02))
    files.write(replace(small_table(), calibration=good), tmp_path / "good.jsonl")
    assert files.read(tmp_path / "good.jsonl").calibration == good
    table = replace(small_table(), calibration=replace(good, **change))
    files.write(table, tmp_path / "t.jsonl")
    with pytest.raises(InvalidTable, match=named):
        files.read(tmp_path / "t.jsonl")


def test_a_text_may_hold_line_breaks_of_unicode_and_a_mark_of_its_order(tmp_path: Path) -> None:
    table = small_table()
    odd = replace(table, provenance={"note": "one\u2028two"})
    (tmp_path / "t.jsonl").write_text("\ufeff" + files.dump(odd).replace("\\u2028", "\u2028"))
    assert files.read(tmp_path / "t.jsonl") == odd


def test_a_field_that_is_there_twice_is_refused() -> None:
    lines = files.dump(small_table()).splitlines()
    lines[2] = lines[2].replace('"p10_ms"', '"p10_ms": 99.0, "p10_ms"', 1)
    with pytest.raises(InvalidTable, match="row 3: 'p10_ms' is there twice"):
        files.parse("\n".join(lines))


def test_nothing_is_left_where_a_table_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.write(small_table(), tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
