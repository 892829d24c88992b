from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from lookup_tables import importers
from lookup_tables.blocks.convolution import ConvReluBlock
from lookup_tables.blocks.mbconv import MbConvBlock
from lookup_tables.errors import InvalidTable, LookupTableError
from lookup_tables.target import Target

TARGET = Target("desk", "openvino", "1", "fp32")
MBCONV = "MBConv-input:100x100x16-output:50x50x24-expand:3-kernel:5-stride:2-idskip:0-se:1"


def test_a_key_of_once_for_all_becomes_its_block(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    path.write_text(
        f"{MBCONV}: {{mean: 0.73, count: 5}}\n"
        "expanded_conv-input:7x7x96-output:7x7x96-expand:576-kernel:3-stride:1-idskip:1: 0.2\n"
        "first_conv-input:224x224x3-output:112x112x16: {mean: 0.3}\n"
    )
    table = importers.ofa_table(path, TARGET)
    blocks = [
        MbConvBlock(16, 24, 100, 100, 5, 2, mid_channels=48, se_channels=12),
        MbConvBlock(96, 96, 7, 7, 3, 1, mid_channels=576, residual=1),
        ConvReluBlock(3, 16, 224, 224, 3, 2),
    ]
    assert table.latency_ms(blocks).tolist() == [0.73, 0.2, 0.3]
    assert table.provenance["imported"]["layout"] == "ofa"


def test_every_problem_of_a_table_is_named_and_nothing_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(
        "key,latency_ms\n"
        f"{MBCONV},1.0\n"
        f"{MBCONV},1.1\n"
        f"{MBCONV.replace('stride:2', 'stride:1')},1.0\n"
        "Mystery-input:1x1x1-output:1x1x1,1.0\n"
        "MBConv-output:1x1x1,1.0\n"
        f"{MBCONV.replace('kernel:5', 'kernel:3')},nan\n"
        f"{MBCONV.replace('stride:2', 'stride:0')},1.0\n"
        "Conv-input:8x8x3-output:0x0x8,1.0\n"
        "MBConv-input:8x8x3-output:8x8-expand:1-kernel:3-stride:1,1.0\n"
    )
    with pytest.raises(InvalidTable) as refused:
        importers.ofa_table(path, TARGET)
    said = refused.value.problems
    assert len(said) == 8
    assert [line.split(":")[0] for line in said] == [f"row {n}" for n in range(3, 11)]
    assert "stride 1 does not lead" in said[1]


def test_the_public_table_of_an_i7_is_read_whole(bench_data: Path) -> None:
    path = bench_data / "ofa_i7_8700k_block_lut.parquet"
    rows = pyarrow.parquet.read_table(path).to_pylist()
    table = importers.ofa_table(path, TARGET)
    assert len(table.entries) == len(rows)
    assert table.entries[7].p10_ms == rows[7]["latency_mean_ms"]


def test_the_public_table_of_fbnet_gives_the_published_sample(bench_data: Path) -> None:
    """HW-NAS-Bench's notebook prints the latency of the network of all-zero operators."""
    for device, published_ms in (("pixel3", 7.788973), ("fpga", 10.739520)):
        table = importers.fbnet_table(bench_data / "hwnasbench_fbnet_lut.parquet", device)
        first = np.full((1, 22), table.operators.index("k3_e1"))
        assert table.latency_ms(first)[0] == pytest.approx(published_ms, abs=1e-4)
    with pytest.raises(InvalidTable, match="no table of device 'toaster'"):
        importers.fbnet_table(bench_data / "hwnasbench_fbnet_lut.parquet", "toaster")


def test_whole_networks_are_read_in_any_unit(tmp_path: Path) -> None:
    path = tmp_path / "networks.csv"
    path.write_text("model,latency_us,p90_ms\na,1500,2.0\nb,900,\n")
    found = importers.network_latencies(path)
    assert [(one.name, one.p50_ms, one.p90_ms) for one in found] == [
        ("a", 1.5, 2.0),
        ("b", 0.9, None),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model,latency_ms\na,-1\n", "row 2: a"),
        ("model,latency_ms\na,1\na,2\n", "row 3: a occurs twice"),
        ("model,latency_ms\n,1\n", "row 2: name: missing"),
        ("model,latency_ms\n", "no rows"),
        ("model,speed\na,1\n", "no positive p50_ms"),
        ("name,p50_ms,p90_ms\na,1,-3\n", "row 2: a: p90_ms: '-3' is not positive"),
        ("name,p50_ms,p90_ms\na,1,abc\n", "row 2: a: p90_ms: 'abc' is not positive, or no number"),
        ("name,p50_ms,p90_ms\na,2,1\n", "row 2: a: p50, p90 and p99 do not rise"),
        ("name,p50_ms,p99_ms\na,1,inf\n", "row 2: a: p99_ms: 'inf'"),
        ("name,p50_ms,n\na,1,xx\n", "row 2: a: n: 'xx' is not a count"),
        ("name,p50_ms,n\na,1,-5\n", "row 2: a: n: '-5' is not a count"),
        ("name,p50_ms\na,1\n\n\nb,zero\n", "row 5: b: p50_ms: 'zero'"),
    ],
)
def test_networks_without_a_latency_are_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "networks.csv"
    path.write_text(text)
    with pytest.raises(InvalidTable, match=says):
        importers.network_latencies(path)


def test_a_layer_that_no_network_has_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fbnet.csv"
    path.write_text("device,layer,op,delta_ms\nd,-1,base,1\nd,1e12,k3,0.1\n")
    with pytest.raises(InvalidTable, match="row 3: layer is no whole number from -1 to 9999"):
        importers.fbnet_table(path, "d")


def test_what_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Of a key or a column that is there twice the last alone would count."""
    table = tmp_path / "twice.yaml"
    table.write_text(f"{MBCONV}: {{mean: 1.0}}\n{MBCONV}: {{mean: 9.0}}\n")
    with pytest.raises(InvalidTable, match=r"twice\.yaml: not YAML: .*line 2"):
        importers.ofa_table(table, TARGET)
    rows = tmp_path / "twice.csv"
    rows.write_text(f"key,mean,mean\n{MBCONV},1.0,9.0\n")
    with pytest.raises(InvalidTable, match=r"twice\.csv: column 'mean' is there twice"):
        importers.ofa_table(rows, TARGET)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "networks.csv"
    path.write_bytes("model,latency_ms\na,1\n".encode("utf-16"))
    with pytest.raises(InvalidTable, match="UTF-8"):
        importers.network_latencies(path)


def test_what_onnxruntime_perf_test_prints() -> None:
    """The lines of a report in the tool's issue tracker (microsoft/onnxruntime issue 17313)."""
    old = (
        "Total iterations: 1000\nAverage time cost: 58.8053 ms\n"
        "P50 Latency is 0.0587108 sec\nP90 Latency is 0.0599845 sec\nP99 Latency is 0.0619517 sec\n"
    )
    found = importers.perf_test(old, "net")
    assert (found.p50_ms, found.p90_ms, found.n) == (
        pytest.approx(58.7108),
        pytest.approx(59.9845),
        1000,
    )
    new = importers.perf_test("Total inference requests: 7\nP50 Latency: 0.002 s\n", "net")
    assert (new.p50_ms, new.n, new.statistic) == (2.0, 7, "p50")
    mean = importers.perf_test("Average inference time cost: 3.5 ms\n", "net")
    assert (mean.p50_ms, mean.statistic) == (3.5, "mean")
    with pytest.raises(InvalidTable, match="net: no line"):
        importers.perf_test("Segmentation fault", "net")


def test_what_benchmark_model_prints() -> None:
    text = (
        "count=10 first=20000 curr=15000 min=14000 max=20000 avg=15500 std=900\n"
        "count=50 first=12000 curr=12500 min=11900 max=13000 avg=12340 std=56 p5=12000 "
        "median=12300 p95=12900\n"
        "Inference timings in us: Init: 1523, First inference: 15234, Warmup (avg): 15500, "
        "Inference (avg): 12340\n"
    )
    found = importers.benchmark_model(text, "net")
    assert (found.p50_ms, found.n, found.statistic) == (12.3, 50, "p50")
    assert found.p90_ms is None
    last = importers.benchmark_model("Inference (avg): 12340\n", "net")
    assert (last.p50_ms, last.statistic) == (12.34, "mean")
    with pytest.raises(InvalidTable, match="net"):
        importers.benchmark_model("ERROR: failed to open\n", "net")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key,latency_ms\nMBConv-x,1,5\n", "row 2: it has more cells"),
        ("key,latency_us\nMBConv-x,1.5\n", "key and one of mean, latency_mean_ms, latency_ms"),
        ("name,latency_ms\nMBConv-x,1.5\n", "key and one of mean"),
        ("key,latency_ms\nMBConv-x,1_5\n", "is not a positive number"),
        ("key,latency_ms\nMBConv-x,true\n", "is not a positive number"),
        ('key;latency_ms\nMBConv-x;"1,5"\n', "is not a positive number"),
    ],
)
def test_numbers_and_columns_that_are_not_plain_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    key = "expanded_conv-input:8x8x8-output:8x8x8-expand:2-kernel:3-stride:1-idskip:1"
    (tmp_path / "t.csv").write_text(text.replace("MBConv-x", key))
    with pytest.raises(InvalidTable, match=message):
        importers.ofa_table(tmp_path / "t.csv", TARGET)


def test_semicolons_and_capitals_are_read(tmp_path: Path) -> None:
    key = "expanded_conv-input:8x8x8-output:8x8x8-expand:2-kernel:3-stride:1-idskip:1"
    (tmp_path / "t.csv").write_text(f"Key;Latency_ms\n{key};1.5\n")
    (entry,) = importers.ofa_table(tmp_path / "t.csv", TARGET).entries
    assert entry.p10_ms == 1.5


@pytest.mark.parametrize(
    "key",
    [
        "Conv-input:8x8x8-output:4x4x8-kernel:7-stride:2",
        "expanded_conv-input:8x8x8-output:8x8x8-expand:2-kernel:3-stride:1-ses:1",
        "Conv-input:10x10x8-output:100x100x8",
        "Conv-input:224x224x8-output:100x50x8",
        "final_expand_layer-input:7x7x8-output:1x1x8",
    ],
)
def test_keys_of_blocks_that_are_not_what_they_say_are_refused(key: str) -> None:
    with pytest.raises(LookupTableError):
        importers.ofa_block(key)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (importers.benchmark_model, "count=50 avg=nan"),
        (importers.benchmark_model, "count=50 avg=1.2.3"),
        (importers.benchmark_model, "count=50 avg=-5"),
        (importers.perf_test, "P50 Latency: 1.2.3 s"),
        (importers.perf_test, "P50 Latency: 0 s"),
    ],
)
def test_what_a_tool_printed_is_a_positive_number(read: Any, text: str) -> None:
    with pytest.raises(InvalidTable, match="is not positive, or no number"):
        read(text, "a")


@pytest.mark.parametrize(("more", "taken"), [("-se:0-hs:0", True), ("-se:1-hs:1", False)])
def test_blocks_of_h_swish_are_refused_and_those_without_are_read(more: str, taken: bool) -> None:
    key = f"expanded_conv-input:8x8x8-output:8x8x8-expand:2-kernel:3-stride:1-idskip:1{more}"
    if taken:
        assert importers.ofa_block(key).sizes["kernel"] == 3
        return
    with pytest.raises(LookupTableError, match="h-swish is not known"):
        importers.ofa_block(key)


def test_rows_may_end_in_a_separator(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("name,p50_ms\na,1.5,\n")
    (found,) = importers.network_latencies(tmp_path / "n.csv")
    assert found.p50_ms == 1.5
