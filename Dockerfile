# The service as an image: API, dashboard and worker; which one runs is the command's choice.
#   docker build -t nas-service .
#   docker run --rm -v nas:/var/lib/nas nas-service nas tokens add --local --operator me
#   docker run -p 127.0.0.1:8000:8000 -v nas:/var/lib/nas nas-service
# BASE is any Debian-like image with Python 3.11 or newer. PIP_ARGS is handed to pip: use it to
# take torch from an index with builds for the CPU alone, which are a tenth of the size.
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

FROM ${BASE}
RUN /usr/sbin/useradd --system --uid 10001 --create-home --home-dir /var/lib/nas nas
COPY --from=build /opt/nas /opt/nas
ENV PATH=/opt/nas/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NAS_VAR_DIR=/var/lib/nas \
    NAS_HOST=0.0.0.0
USER nas
WORKDIR /var/lib/nas
VOLUME /var/lib/nas
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["nas", "serve"]
