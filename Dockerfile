# The service as images, one for each part of it; without a target, one that can be any of them.
#   docker build -t nas-service .
#   docker build --target api -t nas-api .         the API and the dashboard, without torch
#   docker build --target worker -t nas-worker .   jobs of every queue
#   docker build --target agent -t nas-agent .     measures on a device; numpy and ONNX Runtime alone
#   docker run --rm -v nas:/var/lib/nas nas-service nas tokens add --local --operator me
#   docker run -p 127.0.0.1:8000:8000 -v nas:/var/lib/nas nas-service
# BASE is any Debian-like image with Python 3.11 or newer. PIP_ARGS is handed to pip: use it to take
# torch from an index with builds for the CPU alone, which are a tenth of the size. A worker with a GPU
# (nas-worker-gpu) is built without it.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG PIP_ARGS=""
WORKDIR /build
RUN python3 -m venv /opt/nas
COPY constraints.txt ./
# hadolint ignore=SC2086
RUN /opt/nas/bin/python -m pip install --no-cache-dir ${PIP_ARGS} -c constraints.txt torch
COPY pyproject.toml README.md ./
COPY lookup_tables ./lookup_tables
COPY predictors ./predictors
COPY nas_service ./nas_service
# hadolint ignore=SC2086
RUN /opt/nas/bin/python -m pip install --no-cache-dir ${PIP_ARGS} -c constraints.txt ".[postgresql,s3]"

# what only torch needs goes with it
FROM build AS build-api
RUN /opt/nas/bin/python -m pip freeze \
    | sed -nE 's/^(torch|triton|nvidia[^=]*|cuda[^=]*)(==| @ ).*/\1/p' \
    | xargs /opt/nas/bin/python -m pip uninstall --yes --quiet

FROM ${BASE} AS build-agent
ARG PIP_ARGS=""
WORKDIR /build
RUN python3 -m venv /opt/nas
COPY constraints.txt ./
# hadolint ignore=SC2086
RUN /opt/nas/bin/python -m pip install --no-cache-dir ${PIP_ARGS} -c constraints.txt numpy onnxruntime
COPY lookup_tables /opt/nas/agent/lookup_tables

FROM ${BASE} AS anything
RUN /usr/sbin/useradd --system --uid 10001 --create-home --home-dir /var/lib/nas nas
ENV PATH=/opt/nas/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NAS_VAR_DIR=/var/lib/nas \
    NAS_HOST=0.0.0.0
USER nas
WORKDIR /var/lib/nas
VOLUME /var/lib/nas

FROM anything AS agent
COPY --from=build-agent /opt/nas /opt/nas
ENV PYTHONPATH=/opt/nas/agent
# as the first process of a container it would not hear SIGTERM
STOPSIGNAL SIGINT
ENTRYPOINT ["python", "-m", "lookup_tables.agent", "--folder", "/var/lib/nas"]

FROM anything AS worker
COPY --from=build /opt/nas /opt/nas
CMD ["nas", "worker"]

FROM anything AS api
COPY --from=build-api /opt/nas /opt/nas
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["nas", "serve", "--api-only"]

FROM worker AS service
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["nas", "serve"]
