"""A Python client of the REST API.

from nas_service.client import Client
with Client("http://127.0.0.1:8000") as nas:
search = nas.submit_search(dataset="digits", space="mbconv", device="this-machine")
nas.wait(search["job"]["id"])
print(nas.front(search["id"])["front"])
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a fifth of a second that commands without a service need not wait
    import httpx

Json = dict[str, Any]
FINAL = ("succeeded", "failed", "cancelled")


class ApiError(Exception):
    """The service refused, or a job failed; `problem` is its problem document."""

    def __init__(self, problem: Json) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or "unknown error"))
        self.problem = problem

    @property
    def away(self) -> bool:
        """Whether the service cannot answer now, as while it starts again."""
        return self.problem.get("status") == 503


class Unreachable(ApiError):
    """No service answers at the address."""

    @property
    def away(self) -> bool:
        """It is."""
        return True


class Client:
    """Calls the REST API; every method returns what it answers, decoded."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        """Talk to a service; the token is the one in `NAS_TOKEN` unless given."""
        import httpx

        self.url = url.rstrip("/")
        token = token or os.environ.get("NAS_TOKEN")
        if token and not (token.isascii() and token.isprintable()):
            raise ApiError({"detail": "the token has characters that no token has"})
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(
                base_url=self.url, timeout=timeout_s, trust_env=False, headers=headers
            )
        except httpx.InvalidURL as error:
            raise ApiError({"detail": f"{url!r} is no address of a service: {error}"}) from error
        self._fronts: dict[str, tuple[str, Json]] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def ready(self) -> bool:
        """Whether the service answers and every queue has a worker."""
        import httpx

        try:
            answer = self._http.get("/readyz")
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and all(answer.json()["workers"].values())

    def wait_until_it_answers(self, timeout_s: float = 20.0) -> None:
        """Wait for a service that is being started; raises `Unreachable` where none comes."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                self._send("GET", "/healthz")
            except Unreachable:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)
            else:
                return

    def get(self, path: str, **query: Any) -> Any:
        """Any GET, for what has no method here."""
        given = {k: v for k, v in query.items() if v is not None}
        return self._call("GET", path, **({"params": given} if given else {}))  # or lose path's own

    def post(self, path: str, body: Json | None = None) -> Json:
        """Any POST, for what has no method here."""
        return self._post(path, body)

    def put(self, path: str, body: Json) -> Json:
        """Any PUT, for what has no method here."""
        return self._object(self._send("PUT", path, json=body).json())

    def delete(self, path: str) -> Json | None:
        """Any DELETE, for what has no method here; None where the answer says nothing."""
        response = self._send("DELETE", path)
        return self._object(response.json()) if response.content else None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Any call; None where the answer says nothing.

        Raises:
            ApiError: the service refused, or what it answers is not JSON.
        """
        response = self._send(method, path, **({} if body is None else {"json": body}))
        return self._json(response) if response.content else None

    def every(self, path: str, **query: Any) -> Iterator[Json]:
        """All items of a list, page by page."""
        cursor = None
        while True:
            page = self.get(path, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def add_device(self, name: str, **facts: Any) -> Json:
        """Register a device; `this_machine=True` has the service describe its own machine."""
        return self._post("/v1/devices", {"name": name, **facts})

    def make_token(self, device: str) -> Json:
        """Make a token for a device's agent."""
        return self._post(f"/v1/devices/{device}:token", None)

    def profile(self, device: str, **request: Any) -> Json:
        """Start profiling; the answer has the job."""
        return self._post(f"/v1/devices/{device}:profile", request)

    def add_dataset(self, name: str, **source: Any) -> Json:
        """Import a built-in data set, or one at a path on the server."""
        given = {key: value for key, value in source.items() if value is not None}
        return self._post("/v1/datasets", {"name": name, **given})

    def inspect_dataset(self, path: str, **answers: Any) -> Json:
        """What an import would understand of a path on the server."""
        return self._post("/v1/datasets:inspect", {"path": path, **answers})

    def upload_dataset(self, name: str, file: Path, **answers: Any) -> Json:
        """Upload an archive, .npz or .parquet and import it; `answers` as in `add_dataset`."""
        query: Json = {"name": name, "filename": file.name}
        query |= {key: value for key, value in answers.items() if value is not None}
        headers = {"Content-Length": str(file.stat().st_size)}
        return self._object(
            self._call(
                "POST",
                "/v1/datasets:upload",
                params=query,
                content=_chunks(file),
                headers=headers,
                timeout=None,
            )
        )

    def upload_model(self, file: Path) -> Json:
        """Upload an ONNX file or an exported torch program; the artifact's id names it."""
        return self._upload(file, "/v1/models:upload")

    def upload_samples(self, file: Path) -> Json:
        """Upload samples of a model's inputs (.npz); the artifact's id names them."""
        return self._upload(file, "/v1/samples:upload")

    def _upload(self, file: Path, to: str) -> Json:
        return self._object(
            self._call(
                "POST",
                to,
                params={"filename": file.name},
                content=_chunks(file),
                headers={"Content-Length": str(file.stat().st_size)},
                timeout=None,
            )
        )

    def compress(self, *, idempotency_key: str | None = None, **request: Any) -> Json:
        """Compress a model and measure it; see `POST /v1/compressions`."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._object(self._call("POST", "/v1/compressions", json=request, headers=headers))

    def compression(self, compression_id: str) -> Json:
        """A compression with its rows."""
        return self._object(self._call("GET", f"/v1/compressions/{compression_id}"))

    def upload_table(self, file: Path) -> Json:
        """Upload a lookup table file."""
        content = file.read_bytes()
        return self._object(self._call("POST", "/v1/lookup-tables", content=content))

    def price(self, **request: Any) -> list[Json]:
        """Estimate what an architecture costs on a device."""
        found: list[Json] = self._call("POST", "/v1/prices", json=request)
        return found

    def submit_search(self, *, idempotency_key: str | None = None, **spec: Any) -> Json:
        """Start a search; the answer has its id and its job."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        return self._object(self._call("POST", "/v1/searches", json=spec, headers=headers))

    def search(self, search_id: str) -> Json:
        """One search."""
        return self._object(self.get(f"/v1/searches/{search_id}"))

    def cancel_search(self, search_id: str) -> Json:
        """Ask a search to end."""
        return self._post(f"/v1/searches/{search_id}:cancel", None)

    def front(self, search_id: str) -> Json:
        """The latest front; an unchanged one is not sent again."""
        tag, known = self._fronts.get(search_id, ("", {}))
        headers = {"If-None-Match": tag} if tag else {}
        response = self._send("GET", f"/v1/searches/{search_id}/front", headers=headers)
        if response.status_code == 304:
            return known
        body = self._object(response.json())
        self._fronts[search_id] = (response.headers.get("etag", ""), body)
        return body

    def winners(self, search_id: str) -> list[Json]:
        """A search's winners with their estimates and measurements."""
        found: list[Json] = self.get(f"/v1/searches/{search_id}/winners")
        return found

    def lineage(self, search_id: str) -> list[Json]:
        """Each winner's deployments from front point to certificate."""
        found: list[Json] = self.get(f"/v1/searches/{search_id}/lineage")
        return found

    def job(self, job_id: str) -> Json:
        """One job."""
        return self._object(self.get(f"/v1/jobs/{job_id}"))

    def wait(
        self,
        job_id: str,
        *,
        on_progress: Callable[[Json], None] | None = None,
        poll_s: float = 0.5,
        timeout_s: float | None = None,
        patience_s: float = 0.0,
    ) -> Json:
        """Wait until a job has ended; one that did not succeed raises `ApiError`.

        A service that does not answer, as it does while it starts again, is asked again for
        `patience_s`.
        """
        started = heard = time.monotonic()
        job: Json | None = None
        while True:
            try:
                job = self.job(job_id)
                heard = time.monotonic()
            except ApiError as error:
                lost_s = time.monotonic() - heard
                if not error.away or lost_s > patience_s:
                    raise
                if on_progress is not None and job is not None:
                    message = "the service does not answer; asking it again"
                    on_progress({**job, "message": message, "eta_s": None})
                time.sleep(max(poll_s, 1.0))
                continue
            if on_progress is not None:
                on_progress(job)
            if job["state"] == "succeeded":
                return job
            if job["state"] in FINAL:
                raise ApiError(job["problem"] or {"detail": f"job {job_id} was {job['state']}"})
            if timeout_s is not None and time.monotonic() - started > timeout_s:
                raise ApiError({"detail": f"job {job_id} has not ended in {timeout_s:g} s"})
            time.sleep(poll_s)

    def download(self, artifact_id: str, path: Path) -> None:
        """Save an artifact's file, whole or not at all."""
        partial = path.with_name(path.name + ".partial")
        import httpx

        try:
            with self._http.stream("GET", f"/v1/artifacts/{artifact_id}/content") as response:
                if response.status_code >= 400:
                    response.read()
                    self._refuse(response)
                with partial.open("wb") as stream:
                    for chunk in response.iter_bytes():
                        stream.write(chunk)
            partial.replace(path)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def fetch(self, path: str) -> bytes:
        """The bytes of any GET."""
        return self._send("GET", path).content

    def suggest(
        self, search_id: str, *, trainer: str = "", lease_s: float = 600.0, wait_s: float = 20.0
    ) -> Json | None:
        """Lease an architecture to train for a search; None where there is none now.

        Raises:
            ApiError: the search has ended (its problem's status is 409), or has no trainers.
        """
        asked = {"trainer": trainer, "lease_s": lease_s, "wait_s": wait_s}
        path = f"/v1/searches/{search_id}/trials:suggest"
        response = self._send("POST", path, json=asked)
        return self._object(response.json()) if response.content else None

    def complete(
        self, trial: Json, *, value: float | None = None, problem: str | None = None
    ) -> Json:
        """Report a trial: the metric's value on validation data, or why there is none."""
        said: Json = {"lease": trial["lease"]}
        said |= {"problem": problem} if problem is not None else {"value": value}
        return self._post(_of_trial(trial, "complete"), said)

    def keep(self, trial: Json, fraction: float, *, lease_s: float = 600.0) -> bool:
        """Prolong a trial's lease; False says to stop training it."""
        said = {"lease": trial["lease"], "fraction": fraction, "lease_s": lease_s}
        return not self._post(_of_trial(trial, "keep"), said)["cancelled"]

    def delete_artifact(self, artifact_id: str) -> None:
        """Delete an artifact."""
        self._send("DELETE", f"/v1/artifacts/{artifact_id}")

    def collect_garbage(self) -> Json:
        """Remove bytes that nothing speaks of."""
        return self._post("/v1/artifacts:collect-garbage", None)

    def _post(self, path: str, body: Json | None) -> Json:
        return self._object(self._call("POST", path, json=body))

    def _call(self, method: str, path: str, **options: Any) -> Any:
        return self._json(self._send(method, path, **options))

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            detail = f"what answers at {self.url} is not this service: it did not send JSON"
            raise ApiError({"detail": detail}) from error

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        import httpx

        try:
            response = self._http.request(method, path, **options)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        if response.status_code >= 400:
            self._refuse(response)
        return response

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            {"detail": f"no service answers at {self.url} ({error}); start one with: nas serve"}
        )

    def _refuse(self, response: httpx.Response) -> None:
        try:
            problem = response.json()
        except ValueError:
            problem = {"status": response.status_code, "detail": response.text[:500]}
        raise ApiError(problem)

    @staticmethod
    def _object(value: Any) -> Json:
        assert isinstance(value, dict)
        return value


def _of_trial(trial: Json, verb: str) -> str:
    return f"/v1/searches/{trial['search_id']}/trials/{trial['id']}:{verb}"


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            yield chunk
