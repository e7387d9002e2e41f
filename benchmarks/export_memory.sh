#!/bin/sh
# Peak resident memory of exporting a model to every format, unverified and verified, into results/export-memory.json.
# Fails above 2 GB.
#
# Usage: export_memory.sh MODEL [FORMAT…]
#        MODEL: make_random_llama.ts writes one of 1.1 B parameters in bf16
#        FORMAT: all of them unless said, each with its options in one argument, e.g. "onnx --quantize q8"
set -eu
model=$(realpath "$1")
shift
if [ $# -eq 0 ]; then
  set -- safetensors "safetensors --dtype fp16" onnx "onnx --dtype fp16" "onnx --quantize q8" \
    "onnx --quantize q4" gguf "gguf --dtype fp32" "gguf --quantize q8_0" "gguf --quantize q4_0"
fi
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
limit=2
run() { # NAME VERIFY FORMAT…
  name=$1 verify=$2
  shift 2
  rm -rf out
  python3 "$here/memory.py" "$here/results/export-memory.json" "$name" "$limit" \
    deno run --allow-read --allow-write --allow-ffi --allow-env --allow-sys --quiet \
    "$here/../apps/cli/main.ts" export "$model" --to "$@" --out out --verify "$verify"
}
for format in "$@"; do
  # shellcheck disable=SC2086
  run "$format" none $format
  # shellcheck disable=SC2086
  run "$format, verified" logits $format
done
