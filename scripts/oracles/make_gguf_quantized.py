#!/usr/bin/env python3
"""Make tests/fixtures/gguf/quantized.json: float32 values and the Q8_0 and Q4_0 blocks that the gguf package makes of them.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_gguf_quantized.py

    {"what": ..., "versions": {...}, "values": BASE64, "Q8_0": BASE64, "Q4_0": BASE64}

`gguf.quants.quantize` gives the bits of llama.cpp's reference quantiser. Blocks are random ones of many scales, and awkward
ones: zeros (of negative ones gguf gives the scale another sign than llama.cpp does), ties between a value and its negative,
values half-way between two steps, subnormal scales.
"""

import base64
import json
import platform
from pathlib import Path

import gguf
import numpy
from gguf import GGMLQuantizationType as T

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "gguf" / "quantized.json"


def main():
    random = numpy.random.default_rng(20261125)
    blocks = [random.normal(size=32) * 2.0 ** random.integers(-20, 8) for _ in range(48)]
    blocks += [random.uniform(-1, 1, 32) for _ in range(16)]
    half_steps = numpy.arange(32) - 15.5
    blocks += [
        numpy.zeros(32),
        numpy.r_[127, half_steps[1:]], numpy.r_[-127, half_steps[1:]],
        numpy.r_[8, half_steps[1:] / 4], numpy.r_[-8, half_steps[1:] / 4],
        numpy.r_[numpy.tile([3, -3], 16)], numpy.r_[numpy.tile([-3, 3], 16)],
        numpy.full(32, 1.0), numpy.full(32, -1.0), random.normal(size=32) * 2.0**-30,
        numpy.r_[60000, random.normal(size=31)],
    ]
    values = numpy.stack(blocks).astype("<f4")
    packed = lambda array: base64.b64encode(array.tobytes()).decode()
    OUT.write_text(json.dumps({
        "what": "Values and the blocks that gguf.quants.quantize makes of them: base64 of little-endian float32, and of bytes.",
        "versions": {"python": platform.python_version(), "numpy": numpy.__version__, "gguf": "0.19.0"},
        "values": packed(values),
        **{kind.name: packed(gguf.quants.quantize(values, kind)) for kind in (T.Q8_0, T.Q4_0)},
    }, indent=1) + "\n")
    print(f"{len(blocks)} blocks, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
