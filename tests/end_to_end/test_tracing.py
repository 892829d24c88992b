"""A request, its job and the job's steps are one trace, as a collector receives it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nas_service.cli.databases import prepare
from nas_service.settings import Settings
from tests.service import Service

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra otel is missing")
pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="the extra otel is missing")


class Collector:
    """Keeps spans that are sent to it over OTLP, HTTP and protobuf."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.processes: set[str] = set()
        self.url = ""

    def take(self, content: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        for group in ExportTraceServiceRequest.FromString(content).resource_spans:
            facts = {one.key: one.value.string_value for one in group.resource.attributes}
            assert facts["service.name"] == "nas-service"
            self.processes.add(facts["nas.process"])
            self.spans += [span for scope in group.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[Any]:
        return [one for one in self.spans if one.name == name]


@contextmanager
def collector() -> Iterator[Collector]:
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                content = gzip.decompress(content)
            kept.take(content)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        kept.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


def test_a_request_its_job_and_its_steps_are_one_trace(tmp_path: Path) -> None:
    with collector() as kept:
        (tmp_path / "empty").mkdir()
        service = Service(
            tmp_path / "var",
            NAS_DATA_ROOTS=str(tmp_path),
            OTEL_EXPORTER_OTLP_ENDPOINT=kept.url,
            OTEL_BSP_SCHEDULE_DELAY="200",
        )
        service.start()
        try:
            job = service.client.add_dataset("digits", builtin="digits")["job"]["id"]
            service.client.wait(job, timeout_s=120)
            bad = service.client.add_dataset("none", path=str(tmp_path / "empty"))["job"]["id"]
            service.wait_until(lambda: service.client.job(bad)["state"] == "failed", 60)
            service.wait_until(lambda: len(kept.named("dataset")) == 2, 30)
            time.sleep(0.5)  # two more rounds of sending
        finally:
            service.stop()
    assert kept.processes == {"api", "worker"}
    requests = kept.named("POST /v1/datasets")
    jobs, steps = kept.named("dataset"), kept.named("step import")
    assert len(requests) == len(jobs) == len(steps) == 2
    for request, one, step in zip(requests, jobs, steps, strict=True):
        assert request.trace_id == one.trace_id == step.trace_id
        assert not request.parent_span_id
        assert one.parent_span_id == request.span_id
        assert step.parent_span_id == one.span_id
        assert one.start_time_unix_nano >= request.start_time_unix_nano
    told = [{a.key: a.value.string_value for a in one.attributes} for one in jobs]
    assert [one["nas.job"] for one in told] == [job, bad]
    assert [one.status.code for one in jobs] == [0, 2]  # unset, error
    assert [one.status.code for one in steps] == [0, 2]


def test_an_endpoint_without_the_packages_is_a_line_of_what_to_do(tmp_path: Path) -> None:
    prepare(Settings(var_dir=tmp_path / "var"))
    code = (
        "import sys; sys.modules['opentelemetry.sdk.resources'] = None\n"
        "sys.argv = ['nas', 'worker']\n"
        "from nas_service import cli; cli.main()"
    )
    env = {
        **os.environ,
        "NAS_VAR_DIR": str(tmp_path / "var"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install nas-service[otel]" in done.stderr
    assert "Traceback" not in done.stderr
