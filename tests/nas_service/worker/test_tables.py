"""Tables that a search makes or has made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lookup_tables.measuring.timing import Timing
from lookup_tables.target import Deployment, Device, Target
from nas_service.settings import Settings
from nas_service.space.base import ImageShape
from nas_service.space.mbconv import MbconvSpace
from nas_service.storage import devices
from nas_service.storage.reopening import covering
from nas_service.storage.revisions import migrate
from nas_service.worker.context import Context
from nas_service.worker.tasks.drift import profiled_anew
from nas_service.worker.tasks.profile_files import file_key
from nas_service.worker.tasks.profile_timings import steady
from nas_service.worker.tasks.tables import add_rooflines


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    settings = Settings(var_dir=tmp_path)
    migrate(settings.url)
    made = Context.of(settings)
    yield made
    made.database.close()


def test_a_device_on_paper_is_priced_in_every_recipe(context: Context) -> None:
    device = Device("paper", peak_macs_per_s=1e10, bandwidth_bytes_per_s=1e10)
    with context.database.session() as session:
        stored = devices.add_device(session, device)
    space = MbconvSpace(ImageShape(16, 1, 4))
    names = ("fp32", "int8+qat", "fp32+width=0.75", "openvino:int8")
    deployments = tuple(map(Deployment.parse, names))
    add_rooflines(context, stored, space, deployments)
    with context.database.session() as session:
        chosen, problem = covering(session, context.blobs, stored.id, space, deployments)
        targets = devices.targets_of(session, stored.id)
    assert [one.name for one in chosen] == ["fp32", "int8+qat", "fp32+width=0.75"]
    assert problem is None
    assert sorted(one.value.precision for one in targets) == ["fp32", "int8"]
    add_rooflines(context, stored, space, deployments)  # what is priced is priced once
    with context.database.session() as session:
        assert covering(session, context.blobs, stored.id, space, deployments)[0] == chosen


def test_tables_are_made_again_as_they_were_made(context: Context) -> None:
    small = {"size": 32, "channels": 3, "n_classes": 10}
    ten = {"n_networks": 8, "n_unstable_left_out": 2}
    other = {"size": 32, "channels": 1, "n_classes": 100}
    asked = [
        ("onnxruntime", "fp32", {"space": "mbconv", "image": small}),
        ("onnxruntime", "int8", {"space": "mbconv", "image": small}),
        ("openvino", "int8", {"space": "mbconv", "image": other}),
        ("litert", "fp32", {"space": "mbconv", "image": small, "transfer": ten}),
    ]
    tables: list[Any] = []
    with context.database.session() as session:
        device = devices.add_device(session, Device("board"))
        for runtime, precision, provenance in asked:
            target = devices.add_target(
                session, device.id, Target("board", runtime, "1", precision)
            )
            tables.append(SimpleNamespace(target_id=target.id, provenance=provenance))
    made = [one.model_dump(exclude_none=True) for one in profiled_anew(context, tables)]
    assert made == [
        {"space": "mbconv", "sample": {"image": small}, "precisions": ["fp32", "int8"]},
        {"space": "mbconv", "sample": {"image": other}, "precisions": ["openvino:int8"]},
        {
            "space": "mbconv",
            "sample": {"image": small},
            "networks": 10,
            "precisions": ["litert:fp32"],
        },
    ]


def test_the_file_of_a_target_is_that_of_its_runtime() -> None:
    keys = {
        ("onnxruntime", "fp32"): "fp32",
        ("openvino", "bf16"): "fp32",
        ("openvino", "int8"): "int8",
        ("litert", "fp32"): "litert:fp32",
        ("executorch", "int8"): "executorch:int8",
    }
    for (runtime, precision), key in keys.items():
        assert file_key(Target("d", runtime, "1", precision)) == key


def test_networks_that_were_not_steady_count_for_nothing_where_others_are_enough() -> None:
    def timing(stable: bool) -> Timing:
        return Timing(1.0, 1.0, 1.0, 1.0, 0.0, 9, stable, "2026-01-01T00:00:00")

    some = {i: timing(i not in {1, 4}) for i in range(8)}
    assert list(steady(some)) == [0, 2, 3, 5, 6, 7]
    del some[7]
    assert list(steady(some)) == [0, 1, 2, 3, 4, 5, 6]  # five of seven are few
    assert list(steady({i: some[i] for i in range(3)})) == [0, 1, 2]
