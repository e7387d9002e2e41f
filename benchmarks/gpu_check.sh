#!/usr/bin/env bash
# What to run on a machine with a GPU: no machine of the project's own has one.
# Stops at the first thing that fails; a backend that does not open fails with the reason.
#
# Usage: benchmarks/gpu_check.sh [BACKEND [MODEL]]     BACKEND is cuda (the default) or webgpu
# REPEATS in the environment changes the length of the benchmark; DENO names another deno.
#
# For cuda, copy libonnxruntime_providers_{shared,cuda}.so first into the folder that the refusal names, e.g. from
#   pip download --no-deps onnxruntime-gpu==1.30.0 && unzip onnxruntime_gpu-*.whl 'onnxruntime/capi/*.so'
# and have the CUDA 13 libraries and cuDNN 9 on LD_LIBRARY_PATH, e.g. from
#   pip install nvidia-cublas nvidia-cuda-runtime nvidia-curand nvidia-cufft nvidia-cuda-nvrtc nvidia-cudnn-cu13
set -euo pipefail
cd "$(dirname "$0")/.."
backend=${1:-cuda}
model=${2:-packages/demo-model/data/model}
repeats=${REPEATS:-3}
ids=$(mktemp)
trap 'rm -f "$ids"' EXIT
python3 -c "import json; print(json.dumps([[(s * 7919 + i * 104729) % 4096 for i in range(1024)] for s in range(8)]))" >"$ids"
deno=${DENO:-deno}

case $backend in cuda | webgpu) ;; *) echo "BACKEND is $backend; it needs to be cuda or webgpu" >&2; exit 2 ;; esac
[ "$backend" = webgpu ] || nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true

say() { printf '\n== %s\n' "$*"; }
say "$backend opens and continues a text; the line after it is what the CPU says"
for engine in "$backend" cpu; do
  $deno task --quiet generate demo "It was a dark and" --backend "$engine" --temperature 0 --max-tokens 12
done
say "conformance suite"
$deno test -A --filter "$backend:" packages/backends/gpu_backend_test.ts
say "resident graph and block by block, against the CPU"
$deno test -A --filter "on $backend" tests/resident_graph_test.ts
say "forward benchmark: cpu, $backend fed block by block, $backend with resident weights"
$deno run -A benchmarks/forward.ts "$model" cpu "$(nproc)" "$ids" "$repeats"
$deno run -A benchmarks/forward.ts "$model" "$backend" 1 "$ids" "$repeats"
$deno run -A benchmarks/forward_resident.ts "$model" "$backend" "$ids" "$repeats"
