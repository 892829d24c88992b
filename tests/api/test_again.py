"""Searches from searches, lists that are narrowed and not sent twice, and what can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from nas_service.api import streams
from nas_service.api.search_requests import MAX_OUTSIDE
from nas_service.cli.study import write_study
from nas_service.storage import front_revisions, jobs, searches
from tests.api.served import Served, served
from tests.prepared import copied


@pytest.fixture(scope="module")
def service(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = copied(prepared, tmp_path_factory.mktemp("again") / "var")
    with served(folder, require_token=False) as made:
        yield made


@pytest.fixture
def api(service: Served) -> TestClient:
    return service.client


def test_a_clone_is_the_same_question_but_for_what_is_changed(
    service: Served, api: TestClient
) -> None:
    first = service.ids["search_id"]
    asked = api.get(f"/v1/searches/{first}").json()["spec"]
    changes = {"seed": 77, "max_latency_ms": 2.5, "training": {"epochs": 3}}
    assert asked["training"]["batch"] != 32  # the default
    answer = api.post(f"/v1/searches/{first}:clone", json=changes)
    assert answer.status_code == 202, answer.text
    made = api.get(answer.json()["href"]).json()
    spec = made["spec"]
    assert (spec["seed"], spec["max_latency_ms"], spec["training"]["epochs"]) == (77, 2.5, 3)
    assert spec["training"] == {**asked["training"], "epochs": 3}
    changed = {"seed", "max_latency_ms", "training"}
    assert {k: v for k, v in spec.items() if k not in changed} == {
        k: v for k, v in asked.items() if k not in changed
    }
    assert made["reopens"] is None
    plain = api.post(f"/v1/searches/{first}:clone")
    assert api.get(plain.json()["href"]).json()["spec"] == asked
    wrong = api.post(f"/v1/searches/{first}:clone", json={"sede": 1})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "#/sede"
    assert api.post(f"/v1/searches/{first}:clone", json={"space": "none"}).status_code == 422


def test_a_clone_is_as_urgent_unless_it_is_said(service: Served, api: TestClient) -> None:
    first = service.ids["search_id"]
    urgent = api.post(f"/v1/searches/{first}:clone", json={"seed": 78, "priority": "high"}).json()
    assert urgent["job"]["priority"] == "high"
    plain = api.post(f"/v1/searches/{urgent['id']}:clone", json={"seed": 79}).json()
    assert plain["job"]["priority"] == "high"
    less = api.post(f"/v1/searches/{urgent['id']}:clone", json={"priority": "low"}).json()
    assert less["job"]["priority"] == "low"
    assert api.get(urgent["href"]).json()["spec"] == api.get(less["href"]).json()["spec"]


def test_a_job_that_has_ended_is_run_again_as_it_was(service: Served, api: TestClient) -> None:
    first = service.ids["search_id"]
    drift = api.post("/v1/devices/here:check-drift", json={"seed": 5, "profile_budget_s": 9.0})
    job = drift.json()["job"]["id"]
    waiting = api.post(f"/v1/jobs/{job}:retry")
    assert waiting.status_code == 409
    assert "when it has ended" in waiting.json()["detail"]
    api.post(f"/v1/jobs/{job}:cancel")
    made = api.post(f"/v1/jobs/{job}:retry")
    assert made.status_code == 202, made.text
    assert made.headers["Location"] == f"/v1/jobs/{made.json()['job']['id']}"
    with service.database().session() as session:
        before, after = jobs.get_job(session, job), jobs.get_job(session, made.json()["job"]["id"])
    assert after.id != before.id
    assert (after.kind, after.subject, after.params) == ("drift", before.subject, before.params)
    again = api.post(f"/v1/jobs/{first}:retry").json()
    told = [api.get(f"/v1/searches/{one}").json()["spec"] for one in (first, again["id"])]
    assert told[0] == told[1]
    assert again["id"] != first


def test_what_cannot_be_run_again_says_what_to_do(service: Served, api: TestClient) -> None:
    listed = api.get("/v1/jobs?kind=dataset").json()["items"][0]["id"]
    said = api.post(f"/v1/jobs/{listed}:retry")
    assert (said.status_code, "nothing to do again" in said.json()["detail"]) == (409, True)
    below = api.get(f"/v1/jobs?parent={service.ids['search_id']}").json()["items"][0]["id"]
    said = api.post(f"/v1/jobs/{below}:retry")
    assert (said.status_code, "run that again" in said.json()["detail"]) == (409, True)
    assert api.post("/v1/jobs/job_none:retry").status_code == 404


def test_a_candidate_is_priced_on_every_device_that_has_tables(
    service: Served, api: TestClient
) -> None:
    """As `POST /v1/prices` prices the same decisions, and by hand: its slowest block."""
    search = service.ids["search_id"]
    at = f"/v1/searches/{search}/candidates/0"
    found = api.get(f"{at}/devices").json()
    one, blocks = api.get(at).json(), api.get(f"{at}/blocks").json()
    assert {each["device"] for each in found} == {"here"}  # the phone has no tables
    asked = {"space": "mbconv", "device": "here", "decisions": one["architecture"]}
    asked |= {"image": {"size": 8, "channels": 1, "n_classes": 2}, "probability": 0.95}
    prices = {p["precision"]: p for p in api.post("/v1/prices", json=asked).json()}
    for each in found:
        price = prices[each["precision"]]
        assert each["latency_ms"] == pytest.approx(price["estimated_latency_ms"], abs=1e-5)
        assert each["latency_upper_ms"] == pytest.approx(price["latency_upper_ms"], abs=2e-5)
        (cost,) = (c for c in blocks["costs"] if c["precision"] == each["precision"])
        assert each["slowest_block"] == cost["latency_ms"].index(max(cost["latency_ms"]))


def test_an_extension_goes_on_from_what_was_told(service: Served, api: TestClient) -> None:
    first = service.ids["search_id"]
    answer = api.post(f"/v1/searches/{first}:extend", json={"n_queries": 3})
    assert answer.status_code == 202, answer.text
    made = api.get(answer.json()["href"]).json()
    assert made["reopens"] == first
    assert made["spec"]["n_queries"] == 3
    assert made["facts"]["opened_because"].startswith("3 more queries")
    again = api.post(f"/v1/searches/{first}:extend", json={"n_queries": 3}).json()
    assert again["id"] != made["id"]  # as often as it is asked for
    waiting = api.post(f"/v1/searches/{made['id']}:extend", json={"n_queries": 3})
    assert waiting.status_code == 409
    assert api.post(f"/v1/searches/{first}:extend", json={"n_queries": 0}).status_code == 422


def test_lists_are_narrowed(service: Served, api: TestClient) -> None:
    first = service.ids["search_id"]
    done = api.get("/v1/searches?state=succeeded&device=here&dataset=toy").json()["items"]
    assert [one["id"] for one in done] == [first]
    assert api.get("/v1/searches?device=phone").json()["items"] == []
    assert api.get("/v1/searches?device=nobody").status_code == 404
    assert api.get("/v1/searches?state=lost").status_code == 422
    kinds = {one["kind"] for one in api.get("/v1/jobs?kind=profile").json()["items"]}
    assert kinds == {"profile"}
    below = api.get(f"/v1/jobs?parent={first}").json()["items"]
    assert {one["id"] for one in below} >= {f"{first}-profile", f"{first}-certify"}


def test_a_search_is_an_optuna_study(service: Served, api: TestClient, tmp_path: Path) -> None:
    import optuna

    first = service.ids["search_id"]
    search = api.get(f"/v1/searches/{first}").json()
    queries = api.get(f"/v1/searches/{first}/evaluations").json()["items"]
    assert write_study(tmp_path / "study.db", search, queries) == len(queries)
    study = optuna.load_study(study_name=first, storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert study.best_value == max(one["accuracy"] for one in queries)
    assert [trial.value for trial in study.trials] == [one["accuracy"] for one in queries]
    for trial, one in zip(study.trials, queries, strict=True):
        assert trial.params == one["architecture"]["decisions"] | {"precision": one["precision"]}
    assert study.user_attrs["device"] == "here"


@pytest.mark.parametrize(
    "path",
    ["/v1/devices", "/v1/datasets/toy", "/v1/searches/{search_id}/winners", "/v1/lookup-tables"],
)
def test_what_is_known_is_not_sent_again(service: Served, api: TestClient, path: str) -> None:
    first = api.get(service.fill(path))
    tag = first.headers["ETag"]
    again = api.get(service.fill(path), headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    other = api.get(service.fill(path), headers={"If-None-Match": '"x"'})
    assert (other.status_code, other.json()) == (200, first.json())


def test_a_list_has_another_tag_when_something_came(api: TestClient) -> None:
    tag = api.get("/v1/devices").headers["ETag"]
    assert api.post("/v1/devices", json={"name": "new", "kind": "board"}).status_code == 201
    assert api.get("/v1/devices", headers={"If-None-Match": tag}).status_code == 200


def test_labels_events_and_times_are_changed(service: Served, api: TestClient) -> None:
    labels = {"room": "2", "machine": "mine"}
    changed = api.patch("/v1/devices/phone", json={"labels": labels}).json()
    assert changed["facts"]["labels"] == labels
    here = api.patch("/v1/devices/here", json={"labels": {"room": "2"}}).json()
    assert {"room", "machine", "system"} == set(here["facts"]["labels"])
    assert api.patch("/v1/devices/here", json={"name": "other"}).status_code == 422
    hook, times = service.ids["webhook_id"], service.ids["schedule_id"]
    told = api.patch(f"/v1/webhooks/{hook}", json={"events": ["search.failed"]}).json()
    assert told["events"] == ["search.failed"]
    assert api.patch(f"/v1/webhooks/{hook}", json={"events": []}).status_code == 422
    before = api.get(f"/v1/schedules/{times}").json()
    after = api.patch(f"/v1/schedules/{times}", json={"cron": "30 4 1 1 *"}).json()
    assert after["cron"] == "30 4 1 1 *"
    assert after["next_at"] != before["next_at"]
    assert api.patch(f"/v1/schedules/{times}", json={"cron": "often"}).status_code == 422


def test_a_search_of_the_same_id_has_its_own_history(service: Served, api: TestClient) -> None:
    """Ids of searches that are opened again are made of why: one that was removed comes back."""
    database = service.database()

    def made(hypervolume: float) -> None:
        with database.session() as session:
            known = searches.get_search(session, service.ids["search_id"])
            searches.add_search(
                session,
                known.value,
                device_id=known.device_id,
                dataset_id=known.dataset_id,
                data_digest=None,
                search_id="sea_again_same",
            )
            front = {"hypervolume": hypervolume, "n_evaluations": 8, "front": []}
            front_revisions.add_front(session, "sea_again_same", front)

    for hypervolume in (0.25, 0.5):
        made(hypervolume)
        told = api.get("/v1/searches/sea_again_same/history").json()
        assert [one["hypervolume"] for one in told] == [hypervolume]
        assert api.delete("/v1/searches/sea_again_same").status_code == 200
    database.close()


def test_a_caller_has_so_many_streams(
    service: Served, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/searches/{service.ids['search_id']}/events"
    assert api.get(path).text.endswith('"succeeded"}\n\n')
    assert not streams._open  # counted down when it ended
    monkeypatch.setattr(streams, "MOST_A_CALLER", 0)
    refused = api.get(path)
    assert refused.status_code == 503
    assert "streams are open for this machine" in refused.json()["detail"]


def test_few_searches_wait_for_trainers_at_once(service: Served, api: TestClient) -> None:
    """Each has a place in a worker: however they are started."""
    first = service.ids["search_id"]
    changes = {"evaluator": "outside"}
    made = [
        api.post(f"/v1/searches/{first}:clone", json={**changes, "seed": seed})
        for seed in range(MAX_OUTSIDE + 1)
    ]
    assert [one.status_code for one in made] == [*[202] * MAX_OUTSIDE, 409]
    ended = made[0].json()["id"]
    database = service.database()
    with database.session() as session:
        searches.set_state(session, ended, "failed")
    assert api.post(f"/v1/searches/{first}:clone", json=changes).status_code == 202
    more = api.post(f"/v1/searches/{ended}:extend", json={"n_queries": 3})
    assert more.status_code == 409
    assert "wait for trainers already" in more.json()["detail"]
    database.close()
