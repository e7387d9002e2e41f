#!/usr/bin/env python3
"""Make tests/fixtures/gguf/k_quants.json: float32 values and the blocks that llama.cpp's own quantiser makes of them.

Usage, from the repository root, NODE_LLAMA_CPP being the folder in which `npm install node-llama-cpp@3.22.1` was run:

    NODE_LLAMA_CPP=... .venv/bin/python scripts/oracles/make_gguf_k_quants.py

    {"what": ..., "versions": {...}, "values": BASE64, "types": {"Q4_K": BASE64, ...}}

`ggml_quantize_chunk` of the package's libggml-base is called without an importance matrix; what it makes is read back with
the gguf package, which has to find numbers. Super-blocks are random ones of many scales, of weights that lie on a coarse
grid, with outliers, and awkward ones: zeros of both signs, one value throughout, one sign, parts of zeros, ties, scales that
are subnormal in float16 or nothing in it.
"""

import base64
import ctypes
import json
import os
import sys
from pathlib import Path

import gguf
import numpy
from gguf import GGMLQuantizationType as T

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "gguf" / "k_quants.json"
PACKAGE = Path(os.environ.get("NODE_LLAMA_CPP", "")) / "node_modules"
TYPES = (T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K)


def superblocks():
    random = numpy.random.default_rng(20261201)
    normal = lambda: random.normal(size=256)
    blocks = [normal() * 2.0 ** random.integers(-18, 6) for _ in range(16)]
    blocks += [normal() * numpy.repeat(2.0 ** random.integers(-10, 1, 8), 32) for _ in range(4)]
    blocks += [0.02 * normal() + numpy.where(random.random(256) < 0.01, normal(), 0) for _ in range(4)]
    blocks += [numpy.round(normal() * 3) * 0.013 for _ in range(2)]
    ramp = (numpy.arange(256) - 127.5) / 16
    blocks += [
        numpy.zeros(256), numpy.full(256, -0.0), numpy.full(256, 1.0), numpy.full(256, -1.0),
        numpy.abs(normal()), -numpy.abs(normal()), numpy.r_[numpy.zeros(128), normal()[:128]],
        numpy.tile([3, -3], 128), numpy.tile([-3, 3], 128), ramp, numpy.tile(ramp[96:160], 4),
        normal() * 2.0**-22, normal() * 2.0**-26, normal() * 2.0**-30, normal() * 2.0**-60,
        numpy.r_[30000, normal()[1:]], numpy.repeat(normal()[:8], 32), numpy.repeat(normal()[:16], 16),
    ]
    return numpy.stack(blocks).astype("<f4")


def main():
    folder = PACKAGE / "@node-llama-cpp" / "linux-x64" / "bins" / "linux-x64"
    if not folder.is_dir():
        sys.exit("NODE_LLAMA_CPP does not name a folder with node-llama-cpp for Linux")
    version = json.loads((PACKAGE / "node-llama-cpp" / "package.json").read_text())["version"]
    library = ctypes.CDLL(str(folder / "libggml-base.so"))
    quantise = library.ggml_quantize_chunk
    quantise.restype = ctypes.c_size_t
    pointer = ctypes.c_void_p
    quantise.argtypes = [ctypes.c_int, pointer, pointer, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, pointer]
    values = superblocks()
    packed = lambda data: base64.b64encode(data).decode()
    types = {}
    for kind in TYPES:
        size, width = gguf.GGML_QUANT_SIZES[kind]
        out = numpy.zeros((len(values), 256 // size * width), numpy.uint8)
        count = quantise(kind.value, values.ctypes.data, out.ctypes.data, 0, len(values), 256, None)
        assert count == out.nbytes
        assert numpy.isfinite(gguf.quants.dequantize(out, kind)).all()
        types[kind.name] = packed(out.tobytes())
    OUT.write_text(json.dumps({
        "what": "Values and the blocks that ggml_quantize_chunk makes of them: base64 of little-endian float32, and of bytes.",
        "versions": {"node-llama-cpp": version, "gguf": "0.19.0"},
        "values": packed(values.tobytes()),
        "types": types,
    }, indent=1) + "\n")
    print(f"{len(values)} super-blocks, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
