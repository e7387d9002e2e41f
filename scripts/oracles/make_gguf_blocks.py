#!/usr/bin/env python3
"""Make tests/fixtures/gguf/blocks.json: random quantised blocks with the float32 bits they stand for.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_gguf_blocks.py

For each tensor type that Lopper reads, a few blocks whose integer parts are random bytes, so that every bit
pattern of quants and sub-block scales is as likely as any other, and whose half-precision scales are finite:
random ones of both signs, and the awkward ones (zero, minus zero, the smallest subnormal, the largest). Values
come from `gguf.quants.dequantize`. F32 blocks hold any bits but NaN, denormals among them.
"""

import base64
import json
import platform
import zlib
from pathlib import Path

import gguf
import numpy
from gguf import GGMLQuantizationType as T

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "gguf" / "blocks.json"
AWKWARD = [0.0, -0.0, 2.0**-24, -(2.0**-15), 65504.0, 1.0]

# Where the half-precision scales of a block lie, in bytes.
SCALES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.IQ4_NL: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
    T.MXFP4: [],
}


def blocks(kind, random):
    size, width = gguf.GGML_QUANT_SIZES[kind]
    if kind == T.F32:
        values = random.integers(0, 2**32, 64, dtype=numpy.uint32)
        values[:8] = [0, 1 << 31, 1, (1 << 31) + 1, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x3F800000]
        values[(values & 0x7F800000) == 0x7F800000] ^= 0x40000000
        return values.view(numpy.uint8).reshape(1, -1)
    if kind in (T.F16, T.BF16):
        exponent = 0x7C00 if kind == T.F16 else 0x7F80
        values = random.integers(0, 2**16, 64, dtype=numpy.uint16)
        values[:6] = [0, 1 << 15, 1, (1 << 15) + 1, exponent - 1, exponent >> 1]
        values[(values & exponent) == exponent] ^= 0x4000
        return values.view(numpy.uint8).reshape(1, -1)
    count = 8 if size == 32 else 3
    data = random.integers(0, 256, (count, width), dtype=numpy.uint8)
    for index in range(count):
        if kind == T.MXFP4:
            # An exponent: of the smallest values, of one, or any of which the largest value is finite.
            data[index, 0] = [0, 1, 2, 127, 251][index] if index < 5 else random.integers(100, 140)
        for place, offset in enumerate(SCALES[kind]):
            scale = numpy.float16(random.normal() * 2.0 ** random.integers(-12, 1))
            # one block of a few in which the scales are awkward, the last ones random
            if index < count - 2:
                scale = numpy.float16(AWKWARD[(index + place) % len(AWKWARD)])
            data[index, offset:offset + 2] = numpy.frombuffer(scale.tobytes(), numpy.uint8)
    return data


def main():
    types = {}
    for kind in [T.F32, T.F16, T.BF16, *SCALES]:
        random = numpy.random.default_rng(zlib.crc32(kind.name.encode()))
        data = blocks(kind, random)
        values = gguf.quants.dequantize(data, kind).astype("<f4")
        assert numpy.isfinite(values).all()
        types[kind.name] = {
            "blocks": base64.b64encode(data.tobytes()).decode(),
            "values": base64.b64encode(values.tobytes()).decode(),
        }
    versions = {"python": platform.python_version(), "numpy": numpy.__version__, "gguf": "0.19.0"}
    what = "Blocks of each GGUF tensor type and their values: base64 of bytes, and of little-endian float32."
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"what": what, "versions": versions, "types": types}, indent=1) + "\n")
    print(f"{len(types)} types, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
