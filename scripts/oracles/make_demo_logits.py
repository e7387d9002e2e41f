"""Expected logits and greedy continuations of the embedded model, by transformers in float32.

Usage: python scripts/oracles/make_demo_logits.py
Writes tests/fixtures/demo_logits.json: for two sequences the logits of the last positions (base64 of little-endian float32,
[positions, vocabulary]), and for two prompts the ids that greedy decoding appends.
"""
import base64
import json
import pathlib

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "packages/demo-model/data/model"
OUT = ROOT / "tests/fixtures/demo_logits.json"
LENGTH, POSITIONS, NEW_TOKENS = 96, 3, 40
PROMPTS = ["The old man looked at the sea and", "It is a truth universally acknowledged, that"]

torch.set_num_threads(1)
tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
model = transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
held_out = tokenizer((ROOT / "packages/demo-model/data/held_out.txt").read_text(encoding="utf8")).input_ids

cases = []
with torch.no_grad():
    for start in (0, 1000):
        ids = held_out[start:start + LENGTH]
        logits = model(input_ids=torch.tensor([ids])).logits[0, -POSITIONS:]
        encoded = base64.b64encode(logits.contiguous().numpy().astype("<f4").tobytes()).decode()
        cases.append({"input_ids": ids, "positions": POSITIONS, "logits": encoded})
    greedy = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt).input_ids
        out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=NEW_TOKENS, use_cache=True)
        greedy.append({"prompt": prompt, "input_ids": ids, "new_ids": out[0, len(ids):].tolist()})

OUT.write_text(json.dumps({
    "what": "logits and greedy continuations of the embedded model by transformers, float32",
    "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    "tolerance": 1e-4,
    "cases": cases,
    "greedy": greedy,
}, indent=1) + "\n")
print(OUT, OUT.stat().st_size, "bytes")
