#!/bin/sh
# Trains, compiles and measures on the GPU of this machine, in at most eight minutes; the table goes
# to the screen and to gpu.json (or to the file that is given).
#     sh benchmarks/gpu_check.sh [FILE.json]
# The Python that has the project installed is .venv/bin/python, or $PYTHON.
set -eu
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-.venv/bin/python}"
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv
exec timeout 480 "$PYTHON" -m nas_service.cli bench gpu --out "${1:-gpu.json}"
