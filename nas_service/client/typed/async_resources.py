"""Made of the OpenAPI document by `nas_service.client.generate`; not edited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal

from . import models
from .requests import Content, ServerEvent, path
from .sending import AsyncSender


class AsyncArtifacts:
    """What `/v1/artifacts` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(
        self, *, owner: str | None = None, limit: int = 50
    ) -> AsyncIterator[models.ArtifactOut]:
        """Artifacts, newest first.

        `GET /v1/artifacts`
        """
        return self._sender.pages(
            "/v1/artifacts", models.ArtifactOut, query={"owner": owner, "limit": limit}
        )

    async def delete(self, artifact_id: str) -> None:
        """Delete an artifact; its bytes go with the next garbage collection.

        `DELETE /v1/artifacts/{artifact_id}`
        """
        await self._sender.nothing("DELETE", path("/v1/artifacts/{}", artifact_id))

    async def get(self, artifact_id: str) -> models.ArtifactWithMeasurements:
        """One artifact with its lineage and measurements.

        `GET /v1/artifacts/{artifact_id}`
        """
        return await self._sender.value(
            "GET", path("/v1/artifacts/{}", artifact_id), models.ArtifactWithMeasurements
        )

    async def content(self, artifact_id: str) -> bytes:
        """The file.

        `GET /v1/artifacts/{artifact_id}/content`
        """
        return await self._sender.bytes_of("GET", path("/v1/artifacts/{}/content", artifact_id))

    async def collect_garbage(self, *, idempotency_key: str | None = None) -> models.Collected:
        """Remove the bytes that nothing speaks of. What was stored within the last minute
        stays, and while jobs wait or run what was stored since an hour before the oldest of
        them: bytes are written first and spoken of later.

        `POST /v1/artifacts:collect-garbage`
        """
        return await self._sender.value(
            "POST",
            "/v1/artifacts:collect-garbage",
            models.Collected,
            idempotency_key=idempotency_key,
        )


class AsyncAuditEvents:
    """What `/v1/audit-events` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.AuditEvent]:
        """Who changed what, newest first; each was stored with the change itself.

        `GET /v1/audit-events`
        """
        return self._sender.pages("/v1/audit-events", models.AuditEvent, query={"limit": limit})


class AsyncCompressions:
    """What `/v1/compressions` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.JobOut]:
        """Jobs of compressions, newest first; `subject` is the compression.

        `GET /v1/compressions`
        """
        return self._sender.pages("/v1/compressions", models.JobOut, query={"limit": limit})

    async def create(
        self, body: models.CompressionIn, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Compress a model, compile it for each target, compare and measure.

        `POST /v1/compressions`
        """
        return await self._sender.value(
            "POST", "/v1/compressions", models.Accepted, body=body, idempotency_key=idempotency_key
        )

    async def delete(self, compression_id: str) -> models.Removed:
        """Remove a compressed model with its files; what was uploaded for it stays.

        `DELETE /v1/compressions/{compression_id}`
        """
        return await self._sender.value(
            "DELETE", path("/v1/compressions/{}", compression_id), models.Removed
        )

    async def get(self, compression_id: str) -> models.CompressionOut:
        """One compression with its rows and files.

        `GET /v1/compressions/{compression_id}`
        """
        return await self._sender.value(
            "GET", path("/v1/compressions/{}", compression_id), models.CompressionOut
        )

    async def measure(
        self, compression_id: str, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Measure again the files of a compression that are kept as not measured steadily.

        `POST /v1/compressions/{compression_id}:measure`
        """
        return await self._sender.value(
            "POST",
            path("/v1/compressions/{}:measure", compression_id),
            models.Accepted,
            idempotency_key=idempotency_key,
        )


class AsyncDatasets:
    """What `/v1/datasets` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.DatasetOut]:
        """Data sets, newest first.

        `GET /v1/datasets`
        """
        return self._sender.pages("/v1/datasets", models.DatasetOut, query={"limit": limit})

    async def create(
        self, body: models.DatasetIn, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Import a built-in data set, or one below the folders that NAS_DATA_ROOTS names.

        `POST /v1/datasets`
        """
        return await self._sender.value(
            "POST", "/v1/datasets", models.Accepted, body=body, idempotency_key=idempotency_key
        )

    async def delete(self, name: str, *, force: bool = False) -> models.Removed:
        """Remove a data set; searches and supernets on it depend on it.

        `DELETE /v1/datasets/{name}`
        """
        return await self._sender.value(
            "DELETE", path("/v1/datasets/{}", name), models.Removed, query={"force": force}
        )

    async def get(self, name: str) -> models.DatasetOut:
        """One data set, by name or id; it has a digest once it is imported.

        `GET /v1/datasets/{name}`
        """
        return await self._sender.value("GET", path("/v1/datasets/{}", name), models.DatasetOut)

    async def preview(self, name: str) -> bytes:
        """Some of its samples as a picture (PNG): of images a row a class.

        `GET /v1/datasets/{name}/preview`
        """
        return await self._sender.bytes_of("GET", path("/v1/datasets/{}/preview", name))

    async def inspect(
        self, body: models.SourceIn, *, idempotency_key: str | None = None
    ) -> models.Report:
        """What an import would understand of a path on the server: the report, with its
        questions.

        `POST /v1/datasets:inspect`
        """
        return await self._sender.value(
            "POST",
            "/v1/datasets:inspect",
            models.Report,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def inspect_upload(
        self,
        content: Content,
        *,
        filename: str,
        image_size: int | None = None,
        layout: Literal["folders", "table", "parquet", "arrays"] | None = None,
        split: str | None = None,
        classes: Literal["leaf", "top", "groups", "path", "flat"] | None = None,
        background: str | None = None,
        value_range: str | None = None,
        allow_unreadable: str | None = None,
        image_column: str | None = None,
        label_column: str | None = None,
        group_column: str | None = None,
        teacher: str | None = None,
        time_column: str | None = None,
        window: int | None = None,
        hop: int | None = None,
        normal: str | None = None,
        idempotency_key: str | None = None,
    ) -> models.Report:
        """The same for a file that is sent; nothing of it is kept.

        `POST /v1/datasets:inspect-upload`
        """
        return await self._sender.value(
            "POST",
            "/v1/datasets:inspect-upload",
            models.Report,
            query={
                "image_size": image_size,
                "layout": layout,
                "split": split,
                "classes": classes,
                "background": background,
                "value_range": value_range,
                "allow_unreadable": allow_unreadable,
                "image_column": image_column,
                "label_column": label_column,
                "group_column": group_column,
                "teacher": teacher,
                "time_column": time_column,
                "window": window,
                "hop": hop,
                "normal": normal,
                "filename": filename,
            },
            content=content,
            idempotency_key=idempotency_key,
        )

    async def upload(
        self,
        content: Content,
        *,
        filename: str,
        name: str,
        image_size: int | None = None,
        layout: Literal["folders", "table", "parquet", "arrays"] | None = None,
        split: str | None = None,
        classes: Literal["leaf", "top", "groups", "path", "flat"] | None = None,
        background: str | None = None,
        value_range: str | None = None,
        allow_unreadable: str | None = None,
        image_column: str | None = None,
        label_column: str | None = None,
        group_column: str | None = None,
        teacher: str | None = None,
        time_column: str | None = None,
        window: int | None = None,
        hop: int | None = None,
        normal: str | None = None,
        task: str = "image_classification",
        idempotency_key: str | None = None,
    ) -> models.Accepted:
        """Import an uploaded file: an archive of folders or tables, an .npz, a .parquet, a
        .csv.

        `POST /v1/datasets:upload`
        """
        return await self._sender.value(
            "POST",
            "/v1/datasets:upload",
            models.Accepted,
            query={
                "image_size": image_size,
                "layout": layout,
                "split": split,
                "classes": classes,
                "background": background,
                "value_range": value_range,
                "allow_unreadable": allow_unreadable,
                "image_column": image_column,
                "label_column": label_column,
                "group_column": group_column,
                "teacher": teacher,
                "time_column": time_column,
                "window": window,
                "hop": hop,
                "normal": normal,
                "filename": filename,
                "name": name,
                "task": task,
            },
            content=content,
            idempotency_key=idempotency_key,
        )


class AsyncDevices:
    """What `/v1/devices` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.DeviceOut]:
        """Devices, newest first.

        `GET /v1/devices`
        """
        return self._sender.pages("/v1/devices", models.DeviceOut, query={"limit": limit})

    async def create(
        self, body: models.DeviceIn, *, idempotency_key: str | None = None
    ) -> models.DeviceOut:
        """Register a device; this machine comes with ONNX Runtime targets in fp32 and int8.

        `POST /v1/devices`
        """
        return await self._sender.value(
            "POST", "/v1/devices", models.DeviceOut, body=body, idempotency_key=idempotency_key
        )

    async def delete(self, name: str, *, force: bool = False) -> models.Removed:
        """Remove a device with its targets, tables, certificates and agent; searches depend on
        it.

        `DELETE /v1/devices/{name}`
        """
        return await self._sender.value(
            "DELETE", path("/v1/devices/{}", name), models.Removed, query={"force": force}
        )

    async def get(self, name: str) -> models.DeviceWithAgent:
        """One device, by name or id, with what its agent last said.

        `GET /v1/devices/{name}`
        """
        return await self._sender.value("GET", path("/v1/devices/{}", name), models.DeviceWithAgent)

    async def update(self, name: str, body: models.DeviceChanges) -> models.DeviceOut:
        """Change a device's labels: all of them, those of its machine stay.

        `PATCH /v1/devices/{name}`
        """
        return await self._sender.value(
            "PATCH", path("/v1/devices/{}", name), models.DeviceOut, body=body
        )

    async def targets(self, name: str) -> list[models.TargetOut]:
        """A device's targets.

        `GET /v1/devices/{name}/targets`
        """
        return await self._sender.value(
            "GET", path("/v1/devices/{}/targets", name), list[models.TargetOut]
        )

    async def check_drift(
        self, name: str, body: models.DriftIn, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Measure a few networks again; a device that has moved is profiled anew.

        `POST /v1/devices/{name}:check-drift`
        """
        return await self._sender.value(
            "POST",
            path("/v1/devices/{}:check-drift", name),
            models.Accepted,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def import_kit(
        self, name: str, body: models.KitResultsIn, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Make tables of a filled kit, of all of it or, with what is missing named, of
        nothing.

        `POST /v1/devices/{name}:import-kit`
        """
        return await self._sender.value(
            "POST",
            path("/v1/devices/{}:import-kit", name),
            models.Accepted,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def make_kit(
        self, name: str, body: models.ProfileIn, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Pack what an offline device is to measure; the kit becomes an artifact of the
        device.

        `POST /v1/devices/{name}:make-kit`
        """
        return await self._sender.value(
            "POST",
            path("/v1/devices/{}:make-kit", name),
            models.Accepted,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def profile(
        self, name: str, body: models.ProfileIn, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Measure blocks and networks of a space on a device and make lookup tables of them.

        `POST /v1/devices/{name}:profile`
        """
        return await self._sender.value(
            "POST",
            path("/v1/devices/{}:profile", name),
            models.Accepted,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def token(self, name: str, *, idempotency_key: str | None = None) -> models.TokenOut:
        """Make a token for the device's agent; the token before it ends.

        `POST /v1/devices/{name}:token`
        """
        return await self._sender.value(
            "POST",
            path("/v1/devices/{}:token", name),
            models.TokenOut,
            idempotency_key=idempotency_key,
        )


class AsyncJobs:
    """What `/v1/jobs` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(
        self,
        *,
        subject: str | None = None,
        kind: str | None = None,
        state: Literal["queued", "running", "succeeded", "failed", "cancelled"] | None = None,
        parent: str | None = None,
        limit: int = 50,
    ) -> AsyncIterator[models.JobOut]:
        """Jobs, newest first: those of a subject, a kind, a state, a parent where they are
        named.

        `GET /v1/jobs`
        """
        return self._sender.pages(
            "/v1/jobs",
            models.JobOut,
            query={
                "subject": subject,
                "kind": kind,
                "state": state,
                "parent": parent,
                "limit": limit,
            },
        )

    async def get(self, job_id: str) -> models.JobOut:
        """One job.

        `GET /v1/jobs/{job_id}`
        """
        return await self._sender.value("GET", path("/v1/jobs/{}", job_id), models.JobOut)

    async def events(self, job_id: str) -> list[models.JobEvent]:
        """What the job's steps did, oldest first.

        `GET /v1/jobs/{job_id}/events`
        """
        return await self._sender.value(
            "GET", path("/v1/jobs/{}/events", job_id), list[models.JobEvent]
        )

    async def cancel(self, job_id: str, *, idempotency_key: str | None = None) -> models.JobOut:
        """Ask a job to end.

        `POST /v1/jobs/{job_id}:cancel`
        """
        return await self._sender.value(
            "POST",
            path("/v1/jobs/{}:cancel", job_id),
            models.JobOut,
            idempotency_key=idempotency_key,
        )

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> models.Accepted:
        """Do the work of a job that has ended once more, in a new one, from the beginning.

        `POST /v1/jobs/{job_id}:retry`
        """
        return await self._sender.value(
            "POST",
            path("/v1/jobs/{}:retry", job_id),
            models.Accepted,
            idempotency_key=idempotency_key,
        )


class AsyncLookupTables:
    """What `/v1/lookup-tables` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(
        self, *, target_id: str | None = None, limit: int = 50
    ) -> AsyncIterator[models.TableOut]:
        """Lookup tables, newest first.

        `GET /v1/lookup-tables`
        """
        return self._sender.pages(
            "/v1/lookup-tables", models.TableOut, query={"target_id": target_id, "limit": limit}
        )

    async def create(
        self, content: Content, *, idempotency_key: str | None = None
    ) -> models.TableOut:
        """Add a table in the documented file format; all of it or, with every problem named,
        none.

        `POST /v1/lookup-tables`
        """
        return await self._sender.value(
            "POST",
            "/v1/lookup-tables",
            models.TableOut,
            content=content,
            idempotency_key=idempotency_key,
        )

    async def delete(self, table_id: str, *, force: bool = False) -> models.Removed:
        """Remove a table; searches that it priced depend on it. `:retire` only takes it out of
        use.

        `DELETE /v1/lookup-tables/{table_id}`
        """
        return await self._sender.value(
            "DELETE", path("/v1/lookup-tables/{}", table_id), models.Removed, query={"force": force}
        )

    async def get(self, table_id: str) -> models.TableOut:
        """What is known of a table, by id or version.

        `GET /v1/lookup-tables/{table_id}`
        """
        return await self._sender.value(
            "GET", path("/v1/lookup-tables/{}", table_id), models.TableOut
        )

    async def content(self, table_id: str) -> bytes:
        """The table file.

        `GET /v1/lookup-tables/{table_id}/content`
        """
        return await self._sender.bytes_of("GET", path("/v1/lookup-tables/{}/content", table_id))

    async def retire(self, table_id: str, *, idempotency_key: str | None = None) -> models.TableOut:
        """Take a table out of use: the one before it prices the searches that follow.

        `POST /v1/lookup-tables/{table_id}:retire`
        """
        return await self._sender.value(
            "POST",
            path("/v1/lookup-tables/{}:retire", table_id),
            models.TableOut,
            idempotency_key=idempotency_key,
        )

    async def use(self, table_id: str, *, idempotency_key: str | None = None) -> models.TableOut:
        """Make a table the current one of its target.

        `POST /v1/lookup-tables/{table_id}:use`
        """
        return await self._sender.value(
            "POST",
            path("/v1/lookup-tables/{}:use", table_id),
            models.TableOut,
            idempotency_key=idempotency_key,
        )


class AsyncMe:
    """What `/v1/me` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self) -> models.WhoOut:
        """Who this request is from.

        `GET /v1/me`
        """
        return await self._sender.value("GET", "/v1/me", models.WhoOut)


class AsyncMembers:
    """What `/v1/members` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.Member]:
        """The people of the project, newest first.

        `GET /v1/members`
        """
        return self._sender.pages("/v1/members", models.Member, query={"limit": limit})

    async def delete(self, user_id: str) -> None:
        """Take somebody out of the project, and end their logins in it.

        `DELETE /v1/members/{user_id}`
        """
        await self._sender.nothing("DELETE", path("/v1/members/{}", user_id))

    async def put(self, user_id: str, body: models.MemberIn) -> models.Member:
        """Make somebody who has logged in once a member, or change what they are.

        `PUT /v1/members/{user_id}`
        """
        return await self._sender.value(
            "PUT", path("/v1/members/{}", user_id), models.Member, body=body
        )


class AsyncModels:
    """What `/v1/models` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def upload(
        self, content: Content, *, filename: str, idempotency_key: str | None = None
    ) -> models.ArtifactOut:
        """Store an ONNX file or an exported torch program (.pt2); it is checked before it is
        used.

        `POST /v1/models:upload`
        """
        return await self._sender.value(
            "POST",
            "/v1/models:upload",
            models.ArtifactOut,
            query={"filename": filename},
            content=content,
            idempotency_key=idempotency_key,
        )


class AsyncPlugins:
    """What `/v1/plugins` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def get(self) -> dict[str, list[str]]:
        """Names of the plug-ins by group; none is imported for this.

        `GET /v1/plugins`
        """
        return await self._sender.value("GET", "/v1/plugins", dict[str, list[str]])


class AsyncPredictors:
    """What `/v1/predictors` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.PredictorOut]:
        """Accuracy predictors, newest first.

        `GET /v1/predictors`
        """
        return self._sender.pages("/v1/predictors", models.PredictorOut, query={"limit": limit})

    async def get(self, predictor_id: str) -> models.PredictorOut:
        """One accuracy predictor with its quality on held-out subnets.

        `GET /v1/predictors/{predictor_id}`
        """
        return await self._sender.value(
            "GET", path("/v1/predictors/{}", predictor_id), models.PredictorOut
        )


class AsyncPrices:
    """What `/v1/prices` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def create(
        self, body: models.PriceIn, *, idempotency_key: str | None = None
    ) -> list[models.Price]:
        """Estimate what an architecture costs on every target of a device that has a table for
        it.

        `POST /v1/prices`
        """
        return await self._sender.value(
            "POST", "/v1/prices", list[models.Price], body=body, idempotency_key=idempotency_key
        )


class AsyncProjects:
    """What `/v1/projects` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.Project]:
        """The projects that who asks can be in: all of them for an operator.

        `GET /v1/projects`
        """
        return self._sender.pages("/v1/projects", models.Project, query={"limit": limit})

    async def create(
        self, body: models.ProjectIn, *, idempotency_key: str | None = None
    ) -> models.ProjectMade:
        """Make a project, and a token of its own admin.

        `POST /v1/projects`
        """
        return await self._sender.value(
            "POST", "/v1/projects", models.ProjectMade, body=body, idempotency_key=idempotency_key
        )


class AsyncSamples:
    """What `/v1/samples` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def upload(
        self, content: Content, *, filename: str, idempotency_key: str | None = None
    ) -> models.ArtifactOut:
        """Store samples of a model's inputs (.npz, arrays by names of inputs); see
        `compressions`.

        `POST /v1/samples:upload`
        """
        return await self._sender.value(
            "POST",
            "/v1/samples:upload",
            models.ArtifactOut,
            query={"filename": filename},
            content=content,
            idempotency_key=idempotency_key,
        )


class AsyncSchedules:
    """What `/v1/schedules` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.Schedule]:
        """Schedules, newest first.

        `GET /v1/schedules`
        """
        return self._sender.pages("/v1/schedules", models.Schedule, query={"limit": limit})

    async def create(
        self, body: models.ScheduleIn, *, idempotency_key: str | None = None
    ) -> models.Schedule:
        """Open a search again by the clock.

        `POST /v1/schedules`
        """
        return await self._sender.value(
            "POST", "/v1/schedules", models.Schedule, body=body, idempotency_key=idempotency_key
        )

    async def delete(self, schedule_id: str) -> None:
        """End a schedule.

        `DELETE /v1/schedules/{schedule_id}`
        """
        await self._sender.nothing("DELETE", path("/v1/schedules/{}", schedule_id))

    async def get(self, schedule_id: str) -> models.Schedule:
        """One schedule.

        `GET /v1/schedules/{schedule_id}`
        """
        return await self._sender.value(
            "GET", path("/v1/schedules/{}", schedule_id), models.Schedule
        )

    async def update(self, schedule_id: str, body: models.ScheduleChanges) -> models.Schedule:
        """Have a search opened again at other times.

        `PATCH /v1/schedules/{schedule_id}`
        """
        return await self._sender.value(
            "PATCH", path("/v1/schedules/{}", schedule_id), models.Schedule, body=body
        )


class AsyncSearchSpaces:
    """What `/v1/search-spaces` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def all(self) -> list[str]:
        """Names of the spaces that are installed, then of those made of models, newest first.

        `GET /v1/search-spaces`
        """
        return await self._sender.value("GET", "/v1/search-spaces", list[str])

    async def create(
        self, body: models.OwnSpaceIn, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Make a search space of a definition or a model of one's own; its name follows from
        them.

        `POST /v1/search-spaces`
        """
        return await self._sender.value(
            "POST", "/v1/search-spaces", models.Accepted, body=body, idempotency_key=idempotency_key
        )

    async def get(
        self,
        name: str,
        *,
        dataset: str | None = None,
        size: int = 32,
        channels: int = 3,
        n_classes: int = 10,
    ) -> models.SpaceOut:
        """A space's decisions for samples of a data set, or for images of the given shape.

        `GET /v1/search-spaces/{name}`
        """
        return await self._sender.value(
            "GET",
            path("/v1/search-spaces/{}", name),
            models.SpaceOut,
            query={"dataset": dataset, "size": size, "channels": channels, "n_classes": n_classes},
        )


class AsyncSearches:
    """What `/v1/searches` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(
        self,
        *,
        state: Literal[
            "queued",
            "profiling",
            "training",
            "searching",
            "certifying",
            "compressing",
            "succeeded",
            "failed",
            "cancelled",
        ]
        | None = None,
        device: str | None = None,
        dataset: str | None = None,
        limit: int = 50,
    ) -> AsyncIterator[models.SearchOut]:
        """Searches, newest first: those of a state, a device, a data set where they are named.

        `GET /v1/searches`
        """
        return self._sender.pages(
            "/v1/searches",
            models.SearchOut,
            query={"state": state, "device": device, "dataset": dataset, "limit": limit},
        )

    async def create(
        self, body: models.SearchIn, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Start a search.

        `POST /v1/searches`
        """
        return await self._sender.value(
            "POST", "/v1/searches", models.Accepted, body=body, idempotency_key=idempotency_key
        )

    async def delete(self, search_id: str) -> models.Removed:
        """Remove a search with its fronts, winners, files and certificates.

        `DELETE /v1/searches/{search_id}`
        """
        return await self._sender.value(
            "DELETE", path("/v1/searches/{}", search_id), models.Removed
        )

    async def get(self, search_id: str) -> models.SearchOut:
        """One search.

        `GET /v1/searches/{search_id}`
        """
        return await self._sender.value("GET", path("/v1/searches/{}", search_id), models.SearchOut)

    async def advice(
        self, search_id: str, *, cost: str = "latency_ms", where: Sequence[str] = ()
    ) -> models.AdviceOut:
        """The front's knee, the best candidate within a budget, and what more of a cost buys.

        `GET /v1/searches/{search_id}/advice`
        """
        return await self._sender.value(
            "GET",
            path("/v1/searches/{}/advice", search_id),
            models.AdviceOut,
            query={"cost": cost, "where": where},
        )

    async def again(self, search_id: str) -> list[models.SearchOut]:
        """Searches that opened this one again, newest first, each with its diff of fronts.

        `GET /v1/searches/{search_id}/again`
        """
        return await self._sender.value(
            "GET", path("/v1/searches/{}/again", search_id), list[models.SearchOut]
        )

    async def candidates(
        self,
        search_id: str,
        *,
        where: Sequence[str] = (),
        sort: str = "index",
        front: bool = False,
        cursor: int | None = None,
        limit: int = 100,
    ) -> models.CandidatesOut:
        """All candidates of the newest front, dominated ones among them.

        `GET /v1/searches/{search_id}/candidates`
        """
        return await self._sender.value(
            "GET",
            path("/v1/searches/{}/candidates", search_id),
            models.CandidatesOut,
            query={"where": where, "sort": sort, "front": front, "cursor": cursor, "limit": limit},
        )

    async def candidate(self, search_id: str, index: int) -> models.CandidateOut:
        """One candidate, by its number in the search.

        `GET /v1/searches/{search_id}/candidates/{index}`
        """
        return await self._sender.value(
            "GET", path("/v1/searches/{}/candidates/{}", search_id, index), models.CandidateOut
        )

    async def candidate_blocks(self, search_id: str, index: int) -> models.BlocksOut:
        """A candidate's blocks, and what each takes on the targets of the search's device.

        `GET /v1/searches/{search_id}/candidates/{index}/blocks`
        """
        return await self._sender.value(
            "GET", path("/v1/searches/{}/candidates/{}/blocks", search_id, index), models.BlocksOut
        )

    async def candidate_devices(self, search_id: str, index: int) -> list[models.DeviceCost]:
        """A candidate's expected latency on every device that has tables of all of its blocks.

        `GET /v1/searches/{search_id}/candidates/{index}/devices`
        """
        return await self._sender.value(
            "GET",
            path("/v1/searches/{}/candidates/{}/devices", search_id, index),
            list[models.DeviceCost],
        )

    def certificates(
        self, search_id: str, *, limit: int = 50
    ) -> AsyncIterator[models.CertificateOut]:
        """Certificates of the search's files, newest first; stale ones say why.

        `GET /v1/searches/{search_id}/certificates`
        """
        return self._sender.pages(
            path("/v1/searches/{}/certificates", search_id),
            models.CertificateOut,
            query={"limit": limit},
        )

    async def cloud(
        self,
        search_id: str,
        *,
        x: str = "latency_ms",
        y: str = "score",
        colour: str | None = None,
        where: Sequence[str] = (),
        most: int = 2500,
    ) -> models.CloudOut:
        """Candidates as points, thinned evenly over the plane; ask for a part of it to see
        more.

        `GET /v1/searches/{search_id}/cloud`
        """
        return await self._sender.value(
            "GET",
            path("/v1/searches/{}/cloud", search_id),
            models.CloudOut,
            query={"x": x, "y": y, "colour": colour, "where": where, "most": most},
        )

    async def differences(self, search_id: str, other_id: str) -> models.FrontDiff:
        """What is on the front of `other_id` and not of `search_id`, and the other way round.
        Gains are null where they are of other data, metrics, devices, objectives or limits.

        `GET /v1/searches/{search_id}/differences/{other_id}`
        """
        return await self._sender.value(
            "GET", path("/v1/searches/{}/differences/{}", search_id, other_id), models.FrontDiff
        )

    def evaluations(self, search_id: str, *, limit: int = 100) -> AsyncIterator[models.Evaluated]:
        """The queries of a search, in order: what was evaluated on validation data.

        `GET /v1/searches/{search_id}/evaluations`
        """
        return self._sender.pages(
            path("/v1/searches/{}/evaluations", search_id), models.Evaluated, query={"limit": limit}
        )

    def events(self, search_id: str, *, most_s: float = 3600.0) -> AsyncIterator[ServerEvent]:
        """What changes about a search, until it ends or whoever asked may not see it any more.

        `GET /v1/searches/{search_id}/events`
        """
        return self._sender.events(
            path("/v1/searches/{}/events", search_id), query={"most_s": most_s}
        )

    async def front(self, search_id: str, *, revision: int | None = None) -> models.FrontOut:
        """The latest front: predicted and measured points. Stored text, never computed per
        poll.

        `GET /v1/searches/{search_id}/front`
        """
        return await self._sender.value(
            "GET",
            path("/v1/searches/{}/front", search_id),
            models.FrontOut,
            query={"revision": revision},
        )

    async def history(self, search_id: str) -> list[models.FrontMoment]:
        """The fronts of a search, oldest first: its hypervolume over queries.

        `GET /v1/searches/{search_id}/history`
        """
        return await self._sender.value(
            "GET", path("/v1/searches/{}/history", search_id), list[models.FrontMoment]
        )

    async def importance(self, search_id: str, *, of: str = "score") -> models.ImportanceOut:
        """Which decisions matter to a quantity, as predicted for this search's candidates.

        `GET /v1/searches/{search_id}/importance`
        """
        return await self._sender.value(
            "GET",
            path("/v1/searches/{}/importance", search_id),
            models.ImportanceOut,
            query={"of": of},
        )

    async def lineage(self, search_id: str) -> list[models.Trail]:
        """Each winner's deployments from front point to certificate: which stages are done, by
        what.

        `GET /v1/searches/{search_id}/lineage`
        """
        return await self._sender.value(
            "GET", path("/v1/searches/{}/lineage", search_id), list[models.Trail]
        )

    async def progress(self, search_id: str) -> models.Progress:
        """How far a search is, with an estimate of the seconds left.

        `GET /v1/searches/{search_id}/progress`
        """
        return await self._sender.value(
            "GET", path("/v1/searches/{}/progress", search_id), models.Progress
        )

    def trials(self, search_id: str, *, limit: int = 50) -> AsyncIterator[models.TrialOut]:
        """What trainers were given, newest first.

        `GET /v1/searches/{search_id}/trials`
        """
        return self._sender.pages(
            path("/v1/searches/{}/trials", search_id), models.TrialOut, query={"limit": limit}
        )

    async def trial(self, search_id: str, trial_id: str) -> models.TrialOut:
        """One trial.

        `GET /v1/searches/{search_id}/trials/{trial_id}`
        """
        return await self._sender.value(
            "GET", path("/v1/searches/{}/trials/{}", search_id, trial_id), models.TrialOut
        )

    async def complete_trial(
        self,
        search_id: str,
        trial_id: str,
        body: models.CompleteIn,
        *,
        idempotency_key: str | None = None,
    ) -> models.TrialOut:
        """Report the metric's value; or a problem, upon which it is offered to others.

        `POST /v1/searches/{search_id}/trials/{trial_id}:complete`
        """
        return await self._sender.value(
            "POST",
            path("/v1/searches/{}/trials/{}:complete", search_id, trial_id),
            models.TrialOut,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def keep_trial(
        self,
        search_id: str,
        trial_id: str,
        body: models.KeepIn,
        *,
        idempotency_key: str | None = None,
    ) -> models.Kept:
        """Prolong a lease; `cancelled` says to stop.

        `POST /v1/searches/{search_id}/trials/{trial_id}:keep`
        """
        return await self._sender.value(
            "POST",
            path("/v1/searches/{}/trials/{}:keep", search_id, trial_id),
            models.Kept,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def suggest_trial(
        self, search_id: str, body: models.SuggestIn, *, idempotency_key: str | None = None
    ) -> models.Suggested | None:
        """Lease an architecture to train; waits for one as long as asked.

        `POST /v1/searches/{search_id}/trials:suggest`
        """
        return await self._sender.value_or_none(
            "POST",
            path("/v1/searches/{}/trials:suggest", search_id),
            models.Suggested,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def winners(self, search_id: str) -> list[models.WinnerOut]:
        """The search's winners: estimates, measurements, verdicts.

        `GET /v1/searches/{search_id}/winners`
        """
        return await self._sender.value(
            "GET", path("/v1/searches/{}/winners", search_id), list[models.WinnerOut]
        )

    async def cancel(self, search_id: str, *, idempotency_key: str | None = None) -> models.JobOut:
        """Ask a search, and all that it waits for, to end.

        `POST /v1/searches/{search_id}:cancel`
        """
        return await self._sender.value(
            "POST",
            path("/v1/searches/{}:cancel", search_id),
            models.JobOut,
            idempotency_key=idempotency_key,
        )

    async def clone(
        self,
        search_id: str,
        body: models.SearchChanges | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> models.Accepted:
        """Start the same search with some things changed; from the beginning. Of `training`
        what is named is changed; `limits` are replaced as a whole.

        `POST /v1/searches/{search_id}:clone`
        """
        return await self._sender.value(
            "POST",
            path("/v1/searches/{}:clone", search_id),
            models.Accepted,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def extend(
        self, search_id: str, body: models.ExtendIn, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Go on with a search that has ended, in a new one: it knows all that this one was
        told. Its page and `GET /v1/searches/{id}/again` say what entered the front and what
        left.

        `POST /v1/searches/{search_id}:extend`
        """
        return await self._sender.value(
            "POST",
            path("/v1/searches/{}:extend", search_id),
            models.Accepted,
            body=body,
            idempotency_key=idempotency_key,
        )

    async def measure(
        self, search_id: str, *, idempotency_key: str | None = None
    ) -> models.Accepted:
        """Measure winners again of which a file is undecided, or was never measured.

        `POST /v1/searches/{search_id}:measure`
        """
        return await self._sender.value(
            "POST",
            path("/v1/searches/{}:measure", search_id),
            models.Accepted,
            idempotency_key=idempotency_key,
        )


class AsyncSigningKeys:
    """What `/v1/signing-keys` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def all(self) -> models.ListingSigningKey:
        """Public keys (Ed25519, PEM) of all machines that sign bundles, newest first.

        `GET /v1/signing-keys`
        """
        return await self._sender.value("GET", "/v1/signing-keys", models.ListingSigningKey)

    async def delete(self, key_id: str) -> None:
        """Trust a key no more, as one that was lost: bundles that it signed are no longer
        verified.

        `DELETE /v1/signing-keys/{key_id}`
        """
        await self._sender.nothing("DELETE", path("/v1/signing-keys/{}", key_id))


class AsyncSupernets:
    """What `/v1/supernets` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.SupernetOut]:
        """Supernets, newest first.

        `GET /v1/supernets`
        """
        return self._sender.pages("/v1/supernets", models.SupernetOut, query={"limit": limit})

    async def delete(self, supernet_id: str) -> models.Removed:
        """Remove a supernet with its predictors; the next search trains another one.

        `DELETE /v1/supernets/{supernet_id}`
        """
        return await self._sender.value(
            "DELETE", path("/v1/supernets/{}", supernet_id), models.Removed
        )

    async def get(self, supernet_id: str) -> models.SupernetOut:
        """One supernet.

        `GET /v1/supernets/{supernet_id}`
        """
        return await self._sender.value(
            "GET", path("/v1/supernets/{}", supernet_id), models.SupernetOut
        )


class AsyncTargets:
    """What `/v1/targets` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.TargetOut]:
        """Targets, newest first.

        `GET /v1/targets`
        """
        return self._sender.pages("/v1/targets", models.TargetOut, query={"limit": limit})

    async def get(self, target_id: str) -> models.TargetOut:
        """One target.

        `GET /v1/targets/{target_id}`
        """
        return await self._sender.value("GET", path("/v1/targets/{}", target_id), models.TargetOut)


class AsyncTokens:
    """What `/v1/tokens` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.Token]:
        """The project's tokens, newest first; of their secrets nothing is kept that could be
        shown.

        `GET /v1/tokens`
        """
        return self._sender.pages("/v1/tokens", models.Token, query={"limit": limit})

    async def create(
        self, body: models.TokenIn, *, idempotency_key: str | None = None
    ) -> models.TokenMade:
        """Make a token for a program or a person; agents get theirs at their device.

        `POST /v1/tokens`
        """
        return await self._sender.value(
            "POST", "/v1/tokens", models.TokenMade, body=body, idempotency_key=idempotency_key
        )

    async def delete(self, token_id: str) -> models.Token:
        """End a token, and the logins that were made with it.

        `DELETE /v1/tokens/{token_id}`
        """
        return await self._sender.value("DELETE", path("/v1/tokens/{}", token_id), models.Token)


class AsyncUsers:
    """What `/v1/users` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.User]:
        """Everybody who has logged in once, newest first.

        `GET /v1/users`
        """
        return self._sender.pages("/v1/users", models.User, query={"limit": limit})


class AsyncWebhooks:
    """What `/v1/webhooks` can do."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    def all(self, *, limit: int = 50) -> AsyncIterator[models.WebhookOut]:
        """Addresses, newest first.

        `GET /v1/webhooks`
        """
        return self._sender.pages("/v1/webhooks", models.WebhookOut, query={"limit": limit})

    async def create(
        self, body: models.WebhookIn, *, idempotency_key: str | None = None
    ) -> models.WebhookMade:
        """Register an address; what is sent there is signed with a secret that is shown this
        once.

        `POST /v1/webhooks`
        """
        return await self._sender.value(
            "POST", "/v1/webhooks", models.WebhookMade, body=body, idempotency_key=idempotency_key
        )

    async def delete(self, webhook_id: str) -> None:
        """Forget an address.

        `DELETE /v1/webhooks/{webhook_id}`
        """
        await self._sender.nothing("DELETE", path("/v1/webhooks/{}", webhook_id))

    async def get(self, webhook_id: str) -> models.WebhookOut:
        """One address.

        `GET /v1/webhooks/{webhook_id}`
        """
        return await self._sender.value(
            "GET", path("/v1/webhooks/{}", webhook_id), models.WebhookOut
        )

    async def update(self, webhook_id: str, body: models.WebhookChanges) -> models.WebhookOut:
        """Change what an address is told of; another address is another webhook with its own
        secret.

        `PATCH /v1/webhooks/{webhook_id}`
        """
        return await self._sender.value(
            "PATCH", path("/v1/webhooks/{}", webhook_id), models.WebhookOut, body=body
        )

    def deliveries(self, webhook_id: str, *, limit: int = 50) -> AsyncIterator[models.DeliveryOut]:
        """What was sent to an address, or waits to be.

        `GET /v1/webhooks/{webhook_id}/deliveries`
        """
        return self._sender.pages(
            path("/v1/webhooks/{}/deliveries", webhook_id),
            models.DeliveryOut,
            query={"limit": limit},
        )


class AsyncResources:
    """Every resource of the API by its name."""

    def __init__(self, sender: AsyncSender) -> None:
        self.artifacts = AsyncArtifacts(sender)
        """See `AsyncArtifacts`."""
        self.audit_events = AsyncAuditEvents(sender)
        """See `AsyncAuditEvents`."""
        self.compressions = AsyncCompressions(sender)
        """See `AsyncCompressions`."""
        self.datasets = AsyncDatasets(sender)
        """See `AsyncDatasets`."""
        self.devices = AsyncDevices(sender)
        """See `AsyncDevices`."""
        self.jobs = AsyncJobs(sender)
        """See `AsyncJobs`."""
        self.lookup_tables = AsyncLookupTables(sender)
        """See `AsyncLookupTables`."""
        self.me = AsyncMe(sender)
        """See `AsyncMe`."""
        self.members = AsyncMembers(sender)
        """See `AsyncMembers`."""
        self.models = AsyncModels(sender)
        """See `AsyncModels`."""
        self.plugins = AsyncPlugins(sender)
        """See `AsyncPlugins`."""
        self.predictors = AsyncPredictors(sender)
        """See `AsyncPredictors`."""
        self.prices = AsyncPrices(sender)
        """See `AsyncPrices`."""
        self.projects = AsyncProjects(sender)
        """See `AsyncProjects`."""
        self.samples = AsyncSamples(sender)
        """See `AsyncSamples`."""
        self.schedules = AsyncSchedules(sender)
        """See `AsyncSchedules`."""
        self.search_spaces = AsyncSearchSpaces(sender)
        """See `AsyncSearchSpaces`."""
        self.searches = AsyncSearches(sender)
        """See `AsyncSearches`."""
        self.signing_keys = AsyncSigningKeys(sender)
        """See `AsyncSigningKeys`."""
        self.supernets = AsyncSupernets(sender)
        """See `AsyncSupernets`."""
        self.targets = AsyncTargets(sender)
        """See `AsyncTargets`."""
        self.tokens = AsyncTokens(sender)
        """See `AsyncTokens`."""
        self.users = AsyncUsers(sender)
        """See `AsyncUsers`."""
        self.webhooks = AsyncWebhooks(sender)
        """See `AsyncWebhooks`."""
