"""Latency of whole networks on many devices, in three spaces, with features of the networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import nb201
from nas_service.errors import InvalidSpec
from nas_service.space.base import FloatArray, IntArray
from nas_service.space.expression import EDGES

SPACES = ("nasbench201", "fbnet", "ofa")


@dataclass(frozen=True)
class Networks:
    """Networks of a space: sets of features, and what each column says they cost.

    `columns` are named `FILE/.../COLUMN`; `hardware` says which are of the same hardware; `targets`
    are the columns that a transfer is tried on.
    """

    space: str
    features: Mapping[str, FloatArray]
    columns: Mapping[str, FloatArray]
    hardware: Mapping[str, str]
    targets: tuple[str, ...]


def networks(folder: Path, space: str) -> list[Networks]:
    """The networks of a space; those measured on part of the space come as a set of their own."""
    if space == "nasbench201":
        return _nasbench201(folder)
    return [_fbnet(folder) if space == "fbnet" else _ofa(folder)]


def is_gpu(column: str) -> bool:
    """Whether a column is of a desktop or server GPU, by its name."""
    return any(part in column for part in ("1080", "2080", "titan", "v100", "3090", "a100"))


def _hardware(folder: Path, columns: Mapping[str, FloatArray]) -> dict[str, str]:
    """By the list of devices where a column is in it, else by its name without a batch size."""
    listed: dict[str, str] = {}
    if (folder / "devices.parquet").is_file():
        table = nb201.read(folder, "devices.parquet")
        for device, hardware in zip(table["device"], table["hardware"], strict=True):
            listed[str(device)] = str(hardware)
    found = {}
    for name in columns:
        parts = name.split("/")
        device = "/".join(parts[1:3]) if parts[0] == "pi5" else parts[-1]
        device = re.sub(r"_(latency|energy)_\w+$", "", device)
        plain = re.sub(r"_\d+$", "", device) if device not in listed else device
        found[name] = listed.get(device, plain)
    return found


def _nasbench201(folder: Path) -> list[Networks]:
    table = nb201.read(folder, "nasbench201.parquet")
    there = np.flatnonzero(table["connected"])
    every = _cells(folder, table, there)
    wide = [name for name in every.columns if name.startswith("help/") or "edgegpu" in name]
    found = [Networks(**{**vars(every), "targets": tuple(wide)})]
    path = folder / "hwnb360_nb201_latency_energy.parquet"
    if path.is_file():
        some = np.unique(nb201.read(folder, path.name)["arch_index"])
        part = _cells(folder, table, some[table["connected"][some]])
        own = tuple(name for name in part.columns if name.startswith("pi5/"))
        found.append(Networks(**{**vars(part), "targets": own}))
    return found


def _cells(folder: Path, table: Mapping[str, np.ndarray[Any, Any]], rows: IntArray) -> Networks:
    cells = np.column_stack([table[edge][rows] for edge in nb201.EDGES]).astype(np.int64)
    used = _used(cells)
    kinds = np.arange(1, 5)
    features = {
        "operators": (cells[:, :, None] == kinds).sum(axis=1).astype(np.float64),
        "used operators": ((cells * used)[:, :, None] == kinds).sum(axis=1).astype(np.float64),
    }
    columns = nb201.devices(folder, table["arch_index"][rows].astype(np.int64))
    return Networks("nasbench201", features, columns, _hardware(folder, columns), ())


def _used(cells: IntArray) -> IntArray:
    """1 for each operator whose output is used, which is what a converter keeps: `(n, 6)`.

    An operator on an empty input is kept: constants are folded, convolutions of them are not.
    """
    present = cells != 0
    needed = np.zeros((len(cells), 4), dtype=np.bool_)
    needed[:, 3] = True
    for edge, (source, target) in reversed(list(enumerate(EDGES))):
        needed[:, source] |= needed[:, target] & present[:, edge]
    kept = [present[:, edge] & needed[:, target] for edge, (_, target) in enumerate(EDGES)]
    return np.column_stack(kept).astype(np.int64)


def _wide(folder: Path, name: str, prefix: str) -> dict[str, FloatArray]:
    """The device columns of a file, equal ones once."""
    kept: dict[str, FloatArray] = {}
    for column, values in nb201.read(folder, name).items():
        if values.dtype.kind != "f" or not (np.isfinite(values) & (values > 0)).all():
            continue
        cost = values.astype(np.float64)
        if not any(np.allclose(cost, other, rtol=1e-5, atol=0) for other in kept.values()):
            kept[f"{prefix}/{column}"] = cost
    if not kept:
        raise InvalidSpec(f"{folder / name} has no latency columns")
    return kept


def _fbnet(folder: Path) -> Networks:
    table = nb201.read(folder, "fbnet_archs.parquet")
    layers = [name for name in table if name.startswith("op_")]
    codes = np.column_stack([table[name] for name in layers]).astype(np.int64)
    one_hot = codes[:, :, None] == np.arange(codes.max() + 1)
    features = {
        "operators": one_hot.sum(axis=1).astype(np.float64),
        "operators by layer": one_hot.reshape(len(codes), -1).astype(np.float64),
        "work": np.column_stack([table["flops"], table["params"]]).astype(np.float64),
    }
    columns = _wide(folder, "help_fbnet_latency.parquet", "help")
    hardware = _hardware(folder, columns)
    return Networks("fbnet", features, columns, hardware, tuple(columns))


def _ofa(folder: Path) -> Networks:
    table = nb201.read(folder, "ofa_archs.parquet")
    area = (table["resolution"].astype(np.float64) / 224.0) ** 2
    parts = []
    for stage in range(5):
        depth = table[f"depth_{stage}"].astype(np.int64)
        kernel = np.column_stack([table[f"ks_{4 * stage + j:02}"] for j in range(4)])
        expand = np.column_stack([table[f"expand_{4 * stage + j:02}"] for j in range(4)])
        active = np.arange(4) < depth[:, None]
        parts += [
            depth.astype(np.float64),
            (expand * active).sum(axis=1).astype(np.float64),
            (expand * kernel**2 * active).sum(axis=1).astype(np.float64),
        ]
    plain = np.column_stack(parts)
    features = {
        "stages": np.column_stack([plain, area]),
        "stages by area": np.column_stack([plain[:, ::3], plain * area[:, None], area]),
    }
    columns = _wide(folder, "help_ofa_latency.parquet", "help")
    hardware = _hardware(folder, columns)
    return Networks("ofa", features, columns, hardware, tuple(columns))
