"""The typed client against the service: values, pages, events, errors, waiting and awaiting."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from nas_service.client.typed import ApiError, AsyncClient, Client, JobFailed, models
from tests.prepared import copied
from tests.service import Service
from tests.toy_search import save_toy_arrays


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(copied(prepared, tmp_path_factory.mktemp("typed") / "var"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def nas(service: Service) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def _ended(nas: Client) -> models.SearchOut:
    return next(nas.searches.all(state="succeeded"))


def test_an_upload_becomes_a_data_set_that_is_read_as_a_value(nas: Client, tmp_path: Path) -> None:
    save_toy_arrays(tmp_path / "toy.npz")
    data = nas.datasets.upload(tmp_path / "toy.npz", filename="toy.npz", name="typed-toy")
    told: list[float] = []
    job = nas.wait(data, timeout_s=240, on_progress=lambda one: told.append(one.progress))
    assert (job.state, told[-1]) == ("succeeded", 1.0)
    found = nas.datasets.get("typed-toy")
    assert found.facts is not None
    with np.load(tmp_path / "toy.npz") as arrays:
        assert found.facts.n_train is not None
        assert 0 < found.facts.n_train <= len(arrays["x"])


def test_a_front_and_its_candidates_are_values(nas: Client) -> None:
    search = _ended(nas)
    front = nas.searches.front(search.id).front
    assert front
    for point in front:
        assert point.predicted_latency_ms is not None
        assert point.predicted_latency_ms > 0
    plain = {one["index"] for one in _front_as_json(nas.url, search.id)}
    assert {point.index for point in front} == plain


def _front_as_json(url: str, search_id: str) -> list[dict[str, object]]:
    from nas_service.client import Client as PlainClient

    with PlainClient(url) as plain:
        found: list[dict[str, object]] = plain.front(search_id)["front"]
    return found


def test_a_list_goes_on_over_its_pages(nas: Client) -> None:
    everything = [one.id for one in nas.jobs.all(limit=200)]
    assert len(everything) > 2
    assert [one.id for one in nas.jobs.all(limit=1)] == everything
    assert [one.id for one in islice(nas.jobs.all(limit=2), 3)] == everything[:3]


def test_a_fault_of_a_body_is_told_with_its_place(nas: Client) -> None:
    dataset, device = next(nas.datasets.all()), next(nas.devices.all())
    asked = models.SearchIn(dataset=dataset.name, space="mbconv", device=device.name, n_queries=-1)
    with pytest.raises(ApiError) as caught:
        nas.searches.create(asked)
    assert caught.value.status == 422
    (fault,) = caught.value.problem.errors or []
    assert fault.pointer == "#/n_queries"


def test_what_is_not_there_is_an_error_whatever_its_name(nas: Client) -> None:
    for name in ("nowhere", "a/b", "../jobs", "ä?x=1"):
        with pytest.raises(ApiError) as caught:
            nas.devices.get(name)
        assert caught.value.status == 404, name


def test_a_job_that_fails_says_why(nas: Client) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, x_train=np.zeros((4, 8, 8, 1), np.uint8))
    with pytest.raises((JobFailed, ApiError), match="y_train"):
        nas.wait(nas.datasets.upload(buffer.getvalue(), filename="a.npz", name="bad"))


def test_a_search_that_has_ended_tells_its_events(nas: Client) -> None:
    search = _ended(nas)
    assert [event.kind for event in nas.searches.events(search.id)] == ["progress", "front", "end"]


def test_the_same_key_takes_a_search_on_once(nas: Client) -> None:
    dataset, device = next(nas.datasets.all()), next(nas.devices.all())
    asked = models.SearchIn(dataset=dataset.name, space="mbconv", device=device.name, n_queries=7)
    first, second = (nas.searches.create(asked, idempotency_key="once") for _ in range(2))
    assert first.id == second.id
    nas.searches.cancel(first.id)
    with pytest.raises(JobFailed, match="cancelled"):
        nas.wait(first, timeout_s=120)


def test_a_search_and_a_job_can_be_waited_for(nas: Client) -> None:
    search = _ended(nas)
    assert nas.wait(search).id == nas.wait(nas.jobs.get(search.id)).id == search.id
    with pytest.raises(TypeError, match="not int"):
        nas.wait(3)  # type: ignore[arg-type]  # what callers without a checker do
    with pytest.raises(TypeError, match="a Path, not str"):
        nas.models.upload("model.onnx", filename="model.onnx")  # type: ignore[arg-type]


def test_jobs_are_listed_newest_first_with_results_of_their_own(nas: Client) -> None:
    found = list(nas.jobs.all())
    assert [one.created_at for one in found] == sorted(
        (one.created_at for one in found), reverse=True
    )
    for one in found:
        if one.result is not None:
            nas_path = one.result.removeprefix("/v1/").split("/")
            kept = {"searches": nas.searches, "datasets": nas.datasets, "devices": nas.devices}
            assert kept[nas_path[0]].get(nas_path[1])  # type: ignore[attr-defined]


def test_a_change_sends_only_what_was_given(nas: Client) -> None:
    device = next(nas.devices.all())
    changed = nas.devices.update(device.name, models.DeviceChanges(labels={"room": "12"}))
    assert changed.facts.labels is not None
    assert changed.facts.labels["room"] == "12"
    assert changed.name == device.name


def test_everything_can_be_awaited(service: Service, tmp_path: Path) -> None:
    save_toy_arrays(tmp_path / "toy.npz")

    async def run() -> tuple[list[str], list[str], str]:
        async with AsyncClient(service.url) as nas:
            search = await anext(nas.searches.all(state="succeeded"))
            data, front = await asyncio.gather(
                nas.datasets.upload(tmp_path / "toy.npz", filename="toy.npz", name="awaited"),
                nas.searches.front(search.id),
            )
            job = await nas.wait(data, timeout_s=240)
            told = [event.kind async for event in nas.searches.events(search.id)]
            names = [one.name async for one in nas.datasets.all(limit=1)]
            assert front.front
            with pytest.raises(ApiError, match="nowhere"):
                await nas.devices.get("nowhere")
            (winner, *_) = await nas.searches.winners(search.id)
            name, artifact = next(iter(winner.artifacts.items()))
            await nas.download(artifact, tmp_path / name)
            assert (tmp_path / name).read_bytes() == await nas.artifacts.content(artifact)
            return told, names, job.state

    told, names, state = asyncio.run(run())
    assert (told, state) == (["progress", "front", "end"], "succeeded")
    assert "awaited" in names
