#!/usr/bin/env python3
"""Make the importance matrices under tests/fixtures/gguf/imatrix/.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_gguf_imatrix.py

They are laid out as llama.cpp's tools/imatrix writes them, for two models of tests/fixtures/gguf: NAME.gguf with the gguf
package, and NAME.dat, the form before that. Each matrix of a layer has an entry. The square of input i of matrix m is
1000 · layer + 100 · m + i + the number of the tensor in its layer / 100; the sum of an input is its negative; what expert m
has seen is 10 + m.
"""

import struct
import sys
from pathlib import Path

import gguf
import numpy as np

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "gguf"
OUT = FIXTURES / "imatrix"
MODELS = {"llama-mixed": FIXTURES / "models" / "llama-mixed.gguf", "olmoe": FIXTURES / "families" / "olmoe.gguf"}
CHUNKS, CHUNK_SIZE, TEXT = 3, 512, "calibration.txt"


def entries(path):
    matrices = sorted((t for t in gguf.GGUFReader(path).tensors if t.name.startswith("blk.") and len(t.shape) > 1),
                      key=lambda tensor: tensor.name)
    for number, tensor in enumerate(matrices):
        inputs, stacked = int(tensor.shape[0]), int(tensor.shape[2]) if len(tensor.shape) > 2 else 1
        layer = int(tensor.name.split(".")[1])
        squares = 1000 * layer + 100 * np.arange(stacked)[:, None] + np.arange(inputs)[None, :] + number / 100
        yield tensor.name, squares.astype(np.float32), (10 + np.arange(stacked)).astype(np.float32)


def write_gguf(path, matrix):
    writer = gguf.GGUFWriter(path, "imatrix")
    writer.kv_data[0].clear()
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", [TEXT])
    writer.add_uint32("imatrix.chunk_count", CHUNKS)
    writer.add_uint32("imatrix.chunk_size", CHUNK_SIZE)
    for name, squares, counts in matrix:
        writer.add_tensor(f"{name}.in_sum2", squares)
        writer.add_tensor(f"{name}.counts", counts[:, None])
        writer.add_tensor(f"{name}.in_sum", -squares)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_dat(path, matrix):
    with open(path, "wb") as file:
        file.write(struct.pack("<i", len(matrix)))
        for name, squares, _ in matrix:
            file.write(struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", CHUNKS, squares.size))
            file.write(squares.tobytes())
        file.write(struct.pack("<ii", CHUNKS, len(TEXT)) + TEXT.encode())


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for name, model in MODELS.items():
        matrix = list(entries(model))
        write_gguf(OUT / f"{name}.gguf", matrix)
        write_dat(OUT / f"{name}.dat", matrix)
        print(name, len(matrix), [(entry, squares.shape) for entry, squares, _ in matrix][:8])


if __name__ == "__main__":
    sys.exit(main())
