"""What a cost holds for: a device, and a target on it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

PRECISIONS = ("fp32", "int8", "bf16", "fp16")


PLAIN_RUNTIME = "onnxruntime"
"""The runtime whose name may be left out."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A runtime and a precision: what a file is made for, on whatever device.

    `recipe` is what the network went through before, as `qat` or `width=0.75+qat`; empty where
    that is fine-tuning alone.
    """

    runtime: str
    precision: str
    recipe: str = ""

    @property
    def name(self) -> str:
        """`int8` on ONNX Runtime, `openvino:int8` elsewhere, `int8+qat` after a recipe."""
        return "+".join([self.table, self.recipe] if self.recipe else [self.table])

    def __str__(self) -> str:
        return self.name

    @property
    def table(self) -> str:
        """The name without the recipe: tables hold for whatever runs."""
        if self.runtime == PLAIN_RUNTIME:
            return self.precision
        return f"{self.runtime}:{self.precision}"

    @classmethod
    def parse(cls, name: str) -> Deployment:
        """The inverse of `name`; `onnxruntime:int8` is taken too."""
        table, _, recipe = name.partition("+")
        runtime, colon, precision = table.rpartition(":")
        return cls(runtime if colon else PLAIN_RUNTIME, precision, recipe)

    @property
    def graph(self) -> str:
        """The name of the network that it is made from: `int8`, or `width=0.75+qat.int8`."""
        return f"{self.recipe}.{self.form}" if self.recipe else self.form

    @property
    def form(self) -> str:
        """`int8` where the network is quantised, else `fp32`: the graph that it is made from."""
        return "int8" if self.precision == "int8" else "fp32"


@dataclass(frozen=True, slots=True)
class Device:
    """Hardware facts. Anything that could not be read is None, never a guess.

    The peaks, in fp32, are what a data sheet tells; a roofline needs them, nothing else does.
    `unsupported_operators` are those of ONNX that none of its runtimes has.
    """

    name: str
    kind: str = "cpu"
    model: str | None = None
    n_cores: int | None = None
    memory_bytes: int | None = None
    instruction_sets: tuple[str, ...] = ()
    operating_points: tuple[str, ...] = ()
    peak_macs_per_s: float | None = None
    bandwidth_bytes_per_s: float | None = None
    unsupported_operators: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The device as plain JSON values."""
        return {**asdict(self), "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True)
class Target:
    """A device with everything that changes what running a network on it costs."""

    device: str
    runtime: str
    runtime_version: str
    precision: str
    threads: int = 1
    batch: int = 1
    operating_point: str = ""

    @property
    def key(self) -> str:
        """The target as one line of text; equal targets have equal keys."""
        point = f"@{self.operating_point}" if self.operating_point else ""
        return (
            f"{self.device}{point}/{self.runtime}-{self.runtime_version}/"
            f"{self.precision}/t{self.threads}/b{self.batch}"
        )

    @property
    def deployment(self) -> Deployment:
        """Its runtime and precision."""
        return Deployment(self.runtime, self.precision)

    def as_dict(self) -> dict[str, Any]:
        """The target as plain JSON values."""
        return asdict(self)


_INTERESTING_FLAGS = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)


def this_device(name: str) -> Device:
    """Describe the machine this runs on, as far as the operating system tells."""
    info = _cpu_info(Path("/proc/cpuinfo"))
    flags = (info.get("flags") or info.get("Features") or "").split()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Device(
        name=name,
        kind="cpu",
        model=_model_name(info),
        n_cores=cores,
        memory_bytes=_memory_bytes(),
        instruction_sets=tuple(flag for flag in _INTERESTING_FLAGS if flag in flags),
        labels={"machine": platform.machine(), "system": platform.system().lower()},
    )


def _model_name(info: Mapping[str, str]) -> str | None:
    name = info.get("model name") or info.get("Model") or platform.processor() or None
    if name and info.get("cpu family") and info.get("model"):
        return f"{name} (family {info['cpu family']}, model {info['model']})"
    return name


def _cpu_info(path: Path) -> dict[str, str]:
    """The first processor's lines of a Linux cpuinfo file, or nothing."""
    if not path.exists():
        return {}
    facts: dict[str, str] = {}
    for line in path.read_text(errors="replace").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    return facts


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
