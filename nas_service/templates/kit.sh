#!/bin/sh
# Times every model of this folder, the anchor before and after each; one that has a log is left alone.
set -eu
tool=${1:?usage: measure.sh PATH_OF_onnxruntime_perf_test}
cd "$(dirname "$0")"
run() {
  "$tool" -e cpu -x 1 -y 1 -m times -r 50 -I "$1" > "$2.partial" 2>&1
  mv "$2.partial" "$2"
}
find models -name '*.onnx' | sort | while read -r model; do
  name=${model#models/}
  log="logs/${name%.onnx}"
  [ -s "$log.txt" ] && continue
  mkdir -p "$(dirname "$log")"
  echo "$model"
  run anchor.onnx "$log.before.txt"
  run "$model" "$log.now"
  run anchor.onnx "$log.after.txt"
  mv "$log.now" "$log.txt"
done
