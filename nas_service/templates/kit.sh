#!/bin/sh
# Times every model of this folder; a model that has a log already is left alone.
set -eu
tool=${1:?usage: measure.sh PATH_OF_onnxruntime_perf_test}
cd "$(dirname "$0")"
find models -name '*.onnx' | sort | while read -r model; do
  name=${model#models/}
  log="logs/${name%.onnx}.txt"
  [ -s "$log" ] && continue
  mkdir -p "$(dirname "$log")"
  echo "$model"
  "$tool" -e cpu -x 1 -y 1 -m times -r 50 -I "$model" > "$log.partial" 2>&1
  mv "$log.partial" "$log"
done
