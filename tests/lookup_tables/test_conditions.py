"""What a machine shows of itself, read from folders laid out as Linux does."""

import gc
import threading
from pathlib import Path

import pytest

from lookup_tables.conditions import conditions, find_meter, operating_point
from lookup_tables.measuring.anchors import processor_anchors
from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.protocol import measure
from lookup_tables.measuring.timing import Protocol


def _write(root: Path, **values: str) -> None:
    for name, text in values.items():
        place = root / name.replace("__", "/").replace("COLON", ":")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + "\n")


def test_what_linux_shows_is_read_and_what_it_hides_is_unknown(tmp_path: Path) -> None:
    policy = "sys__devices__system__cpu__cpufreq__policy0__"
    _write(
        tmp_path,
        **{
            f"{policy}scaling_cur_freq": "1799000",
            f"{policy}scaling_max_freq": "2400000",
            f"{policy}scaling_governor": "performance",
            "sys__class__thermal__thermal_zone0__temp": "41500",
            "sys__class__thermal__thermal_zone1__temp": "52250",
            "proc__loadavg": "0.25 0.1 0.0 1/100 5",
        },
    )
    found = conditions(tmp_path)
    assert found["clock_mhz"] == 1799.0
    assert found["governor"] == "performance"
    assert found["temperature_c"] == pytest.approx(52.2, abs=0.1)
    assert found["load"] == 0.25
    assert operating_point(tmp_path) == "performance-2400mhz"

    nothing = conditions(tmp_path / "empty")
    assert {nothing[k] for k in ("clock_mhz", "governor", "temperature_c", "load")} == {None}
    assert operating_point(tmp_path / "empty") == ""
    assert find_meter(tmp_path / "empty") is None


def test_packages_are_added_up_and_their_counters_may_start_again(tmp_path: Path) -> None:
    for number, start in enumerate(("1000000", "9000000")):
        folder = f"sys__class__powercap__intel-raplCOLON{number}__"
        _write(
            tmp_path, **{f"{folder}energy_uj": start, f"{folder}max_energy_range_uj": "10000000"}
        )
    # a part of package 0 must not count twice
    _write(tmp_path, sys__class__powercap__intel_raplCOLON0COLON0__energy_uj="5")
    _write(tmp_path, **{"sys__class__powercap__intel-raplCOLON0COLON0__energy_uj": "77"})
    meter = find_meter(tmp_path)
    assert meter is not None
    before = meter()
    _write(tmp_path, **{"sys__class__powercap__intel-raplCOLON0__energy_uj": "3000000"})
    _write(tmp_path, **{"sys__class__powercap__intel-raplCOLON1__energy_uj": "500000"})
    # 2 J of the first; the second went 1 J to its end and half a joule on
    assert meter() - before == pytest.approx(2.0 + 1.5)


def test_a_jetson_rail_is_integrated(tmp_path: Path) -> None:
    folder = "sys__bus__i2c__drivers__ina3221__1-0040__hwmon__hwmon3__"
    _write(
        tmp_path,
        **{
            f"{folder}in1_label": "VDD_IN",
            f"{folder}in1_input": "5000",
            f"{folder}curr1_input": "2000",
        },
    )
    meter = find_meter(tmp_path)
    assert meter is not None
    import time

    before, at = meter(), time.monotonic()
    time.sleep(0.2)
    joules, spent = meter() - before, time.monotonic() - at
    assert joules == pytest.approx(10.0 * spent, rel=0.1)  # 5 V times 2 A are 10 W


def test_a_meter_that_nobody_has_any_more_stops_reading(tmp_path: Path) -> None:
    folder = "sys__bus__i2c__drivers__ina3221__1-0040__hwmon__hwmon3__"
    rail = {"in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "2000"}
    _write(tmp_path, **{f"{folder}{name}": text for name, text in rail.items()})

    def reading() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "power-meter"]

    before = reading()
    meter = find_meter(tmp_path)
    (thread,) = set(reading()) - set(before)
    del meter
    gc.collect()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_energy_of_a_run_is_the_meters_over_the_runs() -> None:
    used = 0.0

    def run() -> None:
        nonlocal used
        used += 0.003

    protocol = Protocol(turns=4, warmups=3, repeats=5)
    machine = Machine(processor_anchors())
    found = measure({"a": run}, protocol, machine, meter=lambda: used).timings
    assert found["a"].energy_mj == pytest.approx(3.0)
    assert measure({"a": run}, protocol, machine).timings["a"].energy_mj is None
