"""The REST API in process, on a migrated database; no worker runs, so jobs stay queued."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from lookup_tables import files
from lookup_tables.calibrate import Calibration
from lookup_tables.table import LookupTable
from nas_service.api import tables
from nas_service.api.app import create_app
from nas_service.api.uploads import plain_name
from nas_service.cli.databases import prepare
from nas_service.compilation.process import Limits
from nas_service.dashboard.pages import mount
from nas_service.errors import NotFound
from nas_service.settings import Settings
from nas_service.space.base import ImageShape, describe
from nas_service.space.mbconv import MbconvSpace
from nas_service.storage import datasets, front_revisions, jobs
from nas_service.storage.remote_blobs import blobs_of
from nas_service.storage.session import Database, now
from tests.nas_service.search.problems import table_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    roots = tmp_path / "allowed"
    roots.mkdir()
    made = Settings(var_dir=tmp_path / "var", data_roots=str(roots), max_upload_bytes=10_000)
    prepare(made)
    return made


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings)
    mount(app)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
def ready(api: TestClient, settings: Settings) -> TestClient:
    """An API that knows a device and an imported data set."""
    api.post("/v1/devices", json={"name": "here", "this_machine": True})
    database = Database(settings.url)
    with database.session() as session:
        stored = datasets.add_dataset(session, "toy", {"builtin": "digits"})
        facts = {"size": 16, "channels": 1, "classes": list("abcd"), "n_train": 10}
        datasets.set_imported(session, stored.id, digest="d" * 64, sha256="a" * 64, facts=facts)
    database.close()
    return api


SEARCH = {"dataset": "toy", "space": "mbconv", "device": "here"}


def _problem(response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    document = response.json()
    assert {"type", "title", "status", "detail", "instance"} <= set(document)
    assert document["status"] == status
    return document


def test_this_machine_comes_with_two_targets(api: TestClient) -> None:
    made = api.post("/v1/devices", json={"name": "here", "this_machine": True})
    assert made.status_code == 201
    assert made.json()["facts"]["n_cores"] >= 1
    targets = api.get(made.headers["Location"] + "/targets").json()
    assert sorted(target["precision"] for target in targets) == ["fp32", "int8"]
    assert {(t["facts"]["threads"], t["facts"]["batch"]) for t in targets} == {(1, 1)}


def test_a_taken_name_is_a_conflict(ready: TestClient) -> None:
    assert _problem(ready.post("/v1/devices", json={"name": "here"}), 409)["field"] == "name"


def test_an_unknown_field_is_refused_by_name(api: TestClient) -> None:
    document = _problem(api.post("/v1/devices", json={"name": "a", "speed": 3}), 422)
    assert document["field"] == "speed"


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"space": "resnet"}, 422, "no search space 'resnet'; known: mbconv, nasbench201"),
        ({"device": "phone"}, 404, "no device 'phone'; known: here"),
        ({"dataset": "imagenet"}, 404, "no data set 'imagenet'; known: toy"),
        ({"sampler": "magic"}, 422, "no sampler 'magic'"),
        ({"max_latency_ms": -1}, 422, "max_latency_ms"),
        ({"training": {"epochs": 0}}, 422, "training.epochs"),
        ({"space": "nasbench201"}, 422, "shares no weights"),
        ({"precisions": ["fp32", "fp32"]}, 422, "the same one twice"),
        ({"precisions": ["int3"]}, 422, "precisions"),
        ({"precisions": ["fp32+qat"]}, 422, "qat trains for int8"),
        ({"precisions": ["int8+width=0.2"]}, 422, "width has to be 0.75 to 0.95"),
        ({"precisions": ["int8+"]}, 422, "precisions: no 'int8+'"),
        (
            {"precisions": ["litert:int8+width=0.75"]},
            422,
            "tables of litert do not price narrower networks",
        ),
        (
            {"precisions": ["int8+qat"], "evaluator": "standalone"},
            422,
            "learned on subnets of a supernet",
        ),
        ({"objectives": ["latency_ms", "joules"]}, 422, "no cost source gives 'joules'"),
        (
            {"objectives": ["latency_ms@phone"]},
            422,
            "known: energy_mj, latency_ms, peak_memory_bytes",
        ),
        ({"objectives": ["macs", "macs"]}, 422, "objectives: the same one twice"),
        ({"limits": {"latency_ms": 1}}, 422, "max_latency_ms"),
        ({"limits": {"macs": -1}}, 422, "limits.macs"),
        ({"also_devices": ["phone"]}, 404, "no device 'phone'"),
        ({"patience": 0}, 422, "patience"),
        ({"cheap_fidelity": 1.0}, 422, "cheap_fidelity"),
        ({"objectives": ["latency_ms", "size_bytes", "macs", "a", "b"]}, 422, "objectives"),
    ],
)
def test_a_search_that_cannot_be_is_refused_by_name(
    ready: TestClient, change: dict, status: int, named: str
) -> None:
    response = ready.post("/v1/searches", json={**SEARCH, **change})
    assert named in _problem(response, status)["detail"]
    assert ready.get("/v1/searches").json()["items"] == []


@pytest.mark.parametrize(
    ("precision", "named"),
    [
        ("litert:int8", "blocks are not measured on litert; tables of it are made of whole"),
        ("int8+qat", "precisions: no 'int8+qat'"),
        ("tvm:int8", "precisions: no 'tvm:int8'; known: fp32, int8, openvino:fp32"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_by_name(
    ready: TestClient, precision: str, named: str
) -> None:
    wanted = {"space": "mbconv", "dataset": "toy", "precisions": [precision]}
    response = ready.post("/v1/devices/here:profile", json=wanted)
    assert named in _problem(response, 422)["detail"]


def test_a_search_is_taken_on_with_its_location(ready: TestClient) -> None:
    response = ready.post("/v1/searches", json=SEARCH)
    assert response.status_code == 202
    job = ready.get(response.headers["Location"]).json()
    assert (job["state"], job["result"]) == ("queued", None)  # there is none before it succeeds
    search = ready.get(response.json()["href"]).json()
    assert search["state"] == "queued"
    assert search["spec"]["n_queries"] == 40
    progress = ready.get(response.json()["href"] + "/progress").json()
    assert progress["progress"] == 0.0
    assert progress["eta_s"] is None


def test_a_repeated_request_with_the_same_key_makes_nothing_new(ready: TestClient) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = ready.post("/v1/searches", json=SEARCH, headers=headers).json()["id"]
    assert ready.post("/v1/searches", json=SEARCH, headers=headers).json()["id"] == first
    assert len(ready.get("/v1/searches").json()["items"]) == 1
    other = ready.post("/v1/searches", json={**SEARCH, "seed": 4}, headers=headers)
    assert "another request" in _problem(other, 422)["detail"]


def test_a_key_knows_a_request_by_what_it_says(ready: TestClient) -> None:
    """In whatever order, and whatever defaults a later version adds to it."""
    headers = {"Idempotency-Key": "k2", "Content-Type": "application/json"}
    spec = {**SEARCH, "training": {"epochs": 3, "batch": 16}}
    again = {**dict(reversed(SEARCH.items())), "training": {"batch": 16, "epochs": 3}}
    first = ready.post("/v1/searches", content=json.dumps(spec), headers=headers).json()["id"]
    same = ready.post("/v1/searches", content=json.dumps(again, indent=3), headers=headers)
    assert same.json()["id"] == first


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"name": "a",', "at character 14"),
        (b"{'name': 1}", "at character 2"),
        (b"", "body"),
        (b"[1, 2]", "body"),
        (b"\xff\xfe", "body"),
    ],
)
def test_a_body_that_is_no_json_is_told_where(api: TestClient, body: bytes, named: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = api.post("/v1/devices", content=body, headers=headers)
    assert answer.status_code in {400, 422}
    assert answer.json().get("field", "body") == "body"
    assert named in answer.json()["detail"]


def test_a_cancelled_search_cannot_be_missed(ready: TestClient) -> None:
    search = ready.post("/v1/searches", json=SEARCH).json()["id"]
    assert ready.post(f"/v1/searches/{search}:cancel").status_code == 202
    _problem(ready.post("/v1/searches/none:cancel"), 404)


def test_the_front_is_sent_again_only_when_it_changed(
    ready: TestClient, settings: Settings
) -> None:
    search = ready.post("/v1/searches", json=SEARCH).json()["id"]
    path = f"/v1/searches/{search}/front"
    empty = ready.get(path)
    assert empty.json()["front"] == []
    tag = empty.headers["ETag"]
    assert ready.get(path, headers={"If-None-Match": tag}).status_code == 304
    database = Database(settings.url)
    with database.session() as session:
        front_revisions.add_front(session, search, {"front": [{"x": 1}], "dominated": []})
    database.close()
    changed = ready.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["revision"] == 1
    assert changed.headers["ETag"] != tag
    _problem(ready.get(path, params={"revision": 7}), 404)


def test_lists_come_in_pages(api: TestClient) -> None:
    for name in ("a", "b", "c"):
        api.post("/v1/devices", json={"name": name})
    first = api.get("/v1/devices", params={"limit": 2}).json()
    second = api.get("/v1/devices", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [d["name"] for d in first["items"] + second["items"]] == ["c", "b", "a"]
    assert second["next_cursor"] is None
    _problem(api.get("/v1/devices", params={"cursor": "%%%"}), 422)


def test_paths_outside_the_data_roots_are_refused(api: TestClient, settings: Settings) -> None:
    for path in ("/etc", str(settings.roots[0] / ".." / "..")):
        response = api.post("/v1/datasets", json={"name": "d", "path": path})
        assert _problem(response, 422)["field"] == "path"
    missing = api.post("/v1/datasets", json={"name": "d", "path": f"{settings.data_roots}/no"})
    assert "does not exist" in _problem(missing, 422)["detail"]


def test_an_upload_over_the_limit_leaves_nothing_behind(
    api: TestClient, settings: Settings
) -> None:
    query = {"name": "big", "filename": "big.npz"}
    response = api.post("/v1/datasets:upload", params=query, content=b"x" * 20_000)
    assert "larger than 10,000 bytes" in _problem(response, 422)["detail"]
    assert api.get("/v1/datasets").json()["items"] == []
    assert [p for p in settings.var_dir.rglob("*") if p.is_file() and "sqlite" not in p.name] == []


def test_an_upload_on_a_full_disk_is_unavailable(tmp_path: Path) -> None:
    full = Settings(var_dir=tmp_path / "full", min_free_bytes=1 << 60)
    prepare(full)
    with TestClient(create_app(full), base_url="http://127.0.0.1:8000") as api:
        query = {"name": "d", "filename": "d.npz"}
        response = api.post("/v1/datasets:upload", params=query, content=b"x" * 100)
        assert "disk full" in _problem(response, 503)["detail"]
        assert response.headers["Retry-After"]
        assert api.get("/v1/datasets").json()["items"] == []


@pytest.mark.parametrize(
    ("sent", "ending", "name"),
    [
        ("digits.npz", ".npz", "digits.npz"),
        ("C:\\data\\day 1.CSV", ".csv", "day 1.csv"),
        ("../../etc/x.tar.gz", ".tar.gz", "x.tar.gz"),
        ("..npz", ".npz", "upload.npz"),
        ("a\x00\nb?.zip", ".zip", "a__b_.zip"),
        ("\N{SNOWMAN}" * 300 + ".zip", ".zip", "_" * 60 + ".zip"),
    ],
)
def test_a_file_that_was_sent_keeps_its_name_where_that_suits_any_folder(
    sent: str, ending: str, name: str
) -> None:
    assert plain_name(sent, ending) == name


def test_what_is_wrong_with_a_file_that_was_sent_is_said_under_its_own_name(
    api: TestClient, settings: Settings
) -> None:
    query = {"filename": "my data.npz"}
    response = api.post("/v1/datasets:inspect-upload", params=query, content=b"no archive")
    assert _problem(response, 422)["detail"].startswith("my data.npz: not a readable .npz")
    assert not [p for p in settings.var_dir.rglob("*") if p.is_file() and "sqlite" not in p.name]


def test_a_file_of_another_kind_is_refused(api: TestClient) -> None:
    query = {"name": "d", "filename": "d.rar"}
    response = api.post("/v1/datasets:upload", params=query, content=b"x")
    assert _problem(response, 422)["field"] == "filename"


@pytest.mark.parametrize(
    ("limits", "why"),
    [(Limits(time_s=0.0), "over its limit of 0 s"), (Limits(memory_bytes=1), "GiB of memory")],
)
def test_a_table_that_takes_too_much_to_read_ends_a_process_of_its_own(
    limits: Limits, why: str, ready: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "READING", limits)
    problem = _problem(ready.post("/v1/lookup-tables", content=files.dump(_table())), 422)
    assert "reading the table was ended: over its limit of" in problem["detail"]
    assert why in problem["detail"]
    assert ready.get("/v1/lookup-tables").json()["items"] == []


def _table() -> LookupTable:
    made = table_of(MbconvSpace(ImageShape(16, 1, 4)), "fp32")
    return LookupTable(replace(made.target, device="here"), made.entries)


def test_a_table_is_accepted_whole_and_prices_architectures(ready: TestClient) -> None:
    added = ready.post("/v1/lookup-tables", content=files.dump(_table()))
    assert added.status_code == 201
    content = ready.get(added.headers["Location"] + "/content")
    assert content.text == files.dump(_table())
    space = MbconvSpace(ImageShape(16, 1, 4))
    asked = {"device": "here", **describe(space, space.smallest())}
    [price] = ready.post("/v1/prices", json=asked).json()
    expected = _table().latency_ms([node.block for node in space.wire(space.smallest())]).sum()
    assert price["estimated_latency_ms"] == pytest.approx(expected, abs=1e-5)
    assert price["table_version"] == added.json()["version"]


def test_a_device_lacks_operators_that_onnx_has(api: TestClient) -> None:
    named = {"name": "npu", "kind": "npu", "unsupported_operators": ["Sigmoid", "HardSwish"]}
    facts = api.post("/v1/devices", json=named).json()["facts"]
    assert facts["unsupported_operators"] == ["Sigmoid", "HardSwish"]
    wrong = api.post("/v1/devices", json={"name": "b", "unsupported_operators": ["Sigmoidd"]})
    assert wrong.status_code == 422
    assert "ONNX has no operator 'Sigmoidd'" in wrong.json()["detail"]
    assert wrong.json()["field"].startswith("unsupported_operators")
    assert api.get("/v1/devices/b").status_code == 404


def test_a_table_in_other_units_than_the_devices_others_is_refused(ready: TestClient) -> None:
    table = replace(_table(), calibration=Calibration(1.0, 0.0, 0.0, 0.0, "p50", (0.0,) * 5))
    assert ready.post("/v1/lookup-tables", content=files.dump(table)).status_code == 201
    micro = replace(
        table, entries=tuple(replace(one, p10_ms=1e3 * one.p10_ms) for one in table.entries)
    )
    answer = ready.post("/v1/lookup-tables", content=files.dump(micro))
    assert answer.status_code == 422
    assert "1e+03 times those of table" in answer.json()["detail"]
    assert len(ready.get("/v1/lookup-tables").json()["items"]) == 1
    utf16 = ready.post("/v1/lookup-tables", content=files.dump(table).encode("utf-16"))
    assert utf16.status_code == 422
    assert "UTF-8" in utf16.json()["detail"]


def test_a_table_with_nan_or_a_missing_block_names_it(ready: TestClient) -> None:
    lines = files.dump(_table()).splitlines()
    broken = json.dumps({**json.loads(lines[3]), "p10_ms": float("nan")})
    response = ready.post("/v1/lookup-tables", content="\n".join([*lines[:3], broken, *lines[4:]]))
    assert "row 4: p10_ms" in _problem(response, 422)["problems"][0]
    assert ready.get("/v1/lookup-tables").json()["items"] == []
    fewer = [*lines[:3], *lines[4:]]
    cut_off = ready.post("/v1/lookup-tables", content="\n".join(fewer))
    assert "it was cut off" in _problem(cut_off, 422)["problems"][0]
    fewer[0] = json.dumps({**json.loads(fewer[0]), "n_entries": len(fewer) - 1})
    ready.post("/v1/lookup-tables", content="\n".join(fewer))
    space = MbconvSpace(ImageShape(16, 1, 4))
    asked = {"device": "here", **describe(space, space.smallest())}
    document = _problem(ready.post("/v1/prices", json=asked), 422)
    assert document["missing_blocks"] == [_table().entries[2].block.key]


def test_an_architecture_with_a_wrong_value_is_named(ready: TestClient) -> None:
    space = MbconvSpace(ImageShape(16, 1, 4))
    asked = {"device": "here", **describe(space, np.asarray(space.smallest()))}
    asked["decisions"] = {**asked["decisions"], "width": 3}
    assert _problem(ready.post("/v1/prices", json=asked), 422)["field"] == "width"


def test_readiness_tells_what_is_lacking(api: TestClient) -> None:
    assert api.get("/healthz").json()["status"] == "ok"
    response = api.get("/readyz")
    assert response.status_code == 200  # the API answers; work waits for a worker
    assert response.json()["ready"] is True
    assert response.json()["workers"] == dict.fromkeys(
        ("control", "cpu", "gpu", "device", "agent"), 0
    )


def test_unknown_paths_and_methods_are_problems(api: TestClient) -> None:
    _problem(api.get("/v1/nothing"), 404)
    response = api.delete("/v1/devices")
    _problem(response, 405)
    assert "GET" in response.headers["Allow"]


def test_the_first_page_shows_what_runs_before_what_waits_and_how_much_more(
    api: TestClient, settings: Settings
) -> None:
    database = Database(settings.url)
    with database.session() as session:
        for number in range(55):
            jobs.add_job(session, f"job-{number:02}", "dataset", subject="s", params={})
        for number in (53, 54):
            assert jobs.start(session, f"job-{number}")
    database.close()
    page = api.get("/").text
    shown = re.findall(r'href="/jobs/(job-\d\d)"', page)
    assert shown == ["job-53", "job-54", *(f"job-{number:02}" for number in range(48))]
    assert "and 5 more:" in page


def test_pages_hold_no_inline_script_and_say_so(api: TestClient) -> None:
    for path, status in (("/searches", 200), ("/searches/sea_1", 404)):
        page = api.get(path)
        assert page.status_code == status
        assert page.headers["Content-Type"].startswith("text/html")
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert "<script>" not in page.text
    hostile = api.get("/searches/%3Cscript%3Ealert(1)")
    assert "<script>alert" not in hostile.text


def test_what_jobs_may_have_written_is_no_garbage_while_they_are_open(
    ready: TestClient, settings: Settings
) -> None:
    store = blobs_of(settings)
    old, new = store.put_bytes(b"from before"), store.put_bytes(b"of the search")
    with store.local(old) as place:
        os.utime(place, (0, 0))
    ready.post("/v1/searches", json=SEARCH)
    told = ready.post("/v1/artifacts:collect-garbage").json()
    assert told["n_removed"] == 1
    assert datetime.fromisoformat(told["before"]) < now() - timedelta(hours=1)
    with pytest.raises(NotFound):
        store.size_bytes(old)
    assert store.size_bytes(new) == len(b"of the search")
