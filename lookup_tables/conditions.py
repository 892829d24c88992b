"""What state a machine is in while it measures: clock, governor, temperature, energy.

Everything is read from where Linux shows it, below a root that tests replace. What cannot be read
is None, never a guess.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

Meter = Callable[[], float]
"""Joules used so far, from an arbitrary start; never falls."""

METER_VARIABLE = "NAS_METER"
"""Names a meter of one's own as `module:function`; the function returns a `Meter`."""


def conditions(root: Path = Path("/")) -> dict[str, Any]:
    """Clock in MHz, governor, hottest sensor in Celsius, load: plain JSON values."""
    policies = sorted(root.glob("sys/devices/system/cpu/cpufreq/policy*"))
    clocks = [_number(one / "scaling_cur_freq") for one in policies]
    ceilings = [_number(one / "scaling_max_freq") for one in policies]
    governors = sorted({text for one in policies if (text := _text(one / "scaling_governor"))})
    zones = [_number(one) for one in root.glob("sys/class/thermal/thermal_zone*/temp")]
    load = _text(root / "proc/loadavg")
    return {
        "clock_mhz": _highest(clocks, 1e-3),
        "clock_limit_mhz": _highest(ceilings, 1e-3),
        "governor": ",".join(governors) or None,
        "temperature_c": _highest(zones, 1e-3),
        "load": float(load.split()[0]) if load else None,
        "at": round(time.time(), 3),
    }


def operating_point(root: Path = Path("/")) -> str:
    """The frequency mode that is active, as part of a target; empty where nothing tells."""
    found = conditions(root)
    if found["governor"] is None or found["clock_limit_mhz"] is None:
        return ""
    return f"{found['governor']}-{found['clock_limit_mhz']:.0f}mhz"


@lru_cache(maxsize=1)
def meter_of_this_machine() -> Meter | None:
    """The meter that `NAS_METER` names, or one that this machine offers; None without any."""
    named = os.environ.get(METER_VARIABLE)
    if named:
        module, _, function = named.partition(":")
        made: Meter = getattr(importlib.import_module(module), function)()
        return made
    return find_meter(Path("/"))


def find_meter(root: Path) -> Meter | None:
    """Powercap's packages (RAPL), energy counters of hwmon, or Jetson's power rails."""
    packages = [
        one
        for one in sorted(root.glob("sys/class/powercap/intel-rapl:*"))
        if one.name.count(":") == 1 and _number(one / "energy_uj") is not None
    ]
    if packages:
        return _Sum([_Counter(one / "energy_uj", one / "max_energy_range_uj") for one in packages])
    counters = [
        one
        for one in sorted(root.glob("sys/class/hwmon/hwmon*/energy*_input"))
        if _number(one) is not None
    ]
    if counters:
        return _Sum([_Counter(one, None) for one in counters])
    rails = _rails(root)
    return _Integral(rails) if rails else None


def _rails(root: Path) -> list[tuple[Path, Path]]:
    """Voltage (mV) and current (mA) of the rail that feeds a whole Jetson board."""
    for folder in sorted(root.glob("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*")):
        for label in sorted(folder.glob("in*_label")):
            if _text(label) in {"VDD_IN", "POM_5V_IN", "SYS5V"}:
                number = label.name.removeprefix("in").removesuffix("_label")
                return [(folder / f"in{number}_input", folder / f"curr{number}_input")]
    return []


class _Counter:
    """A counter in microjoules that may start again from zero."""

    def __init__(self, path: Path, highest: Path | None) -> None:
        self._path = path
        self._range = (_number(highest) if highest else None) or 2.0**32
        self._last = _number(path) or 0.0
        self._before = 0.0

    def __call__(self) -> float:
        now = _number(self._path)
        if now is None:
            return self._before + self._last * 1e-6
        if now < self._last:
            self._before += self._range * 1e-6
        self._last = now
        return self._before + now * 1e-6


class _Sum:
    """Several counters together."""

    def __init__(self, parts: list[_Counter]) -> None:
        self._parts = parts

    def __call__(self) -> float:
        return sum(part() for part in self._parts)


class _Integral:
    """Power of rails, read every few milliseconds and added up in a thread that ends with it."""

    def __init__(self, rails: list[tuple[Path, Path]], every_s: float = 0.005) -> None:
        self._rails = rails
        self._joules = 0.0
        self._at = time.monotonic()
        self._lock = threading.Lock()
        ended = threading.Event()
        weakref.finalize(self, ended.set)
        threading.Thread(
            target=_keep_adding,
            args=(weakref.ref(self), ended, every_s),
            name="power-meter",
            daemon=True,
        ).start()

    def __call__(self) -> float:
        watts = sum((_number(v) or 0.0) * (_number(a) or 0.0) * 1e-6 for v, a in self._rails)
        with self._lock:
            now = time.monotonic()
            self._joules += watts * (now - self._at)
            self._at = now
            return self._joules


def _keep_adding(
    meter: Callable[[], _Integral | None], ended: threading.Event, every_s: float
) -> None:
    while not ended.wait(every_s):
        there = meter()
        if there is None:
            return
        there()
        del there  # or it would never go


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def _number(path: Path) -> float | None:
    text = _text(path)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _highest(values: list[float | None], unit: float) -> float | None:
    known = [value for value in values if value is not None]
    return round(max(known) * unit, 1) if known else None
