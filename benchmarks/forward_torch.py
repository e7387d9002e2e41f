"""One PyTorch variant of the forward benchmark, in a process of its own: the same ids, model and measure as forward.ts.

Usage: python forward_torch.py MODEL THREADS IDS.json REPEATS
"""
import json
import os
import resource
import sys
import time

path, threads, ids_file, repeats = sys.argv[1:]
threads, repeats = int(threads), int(repeats)
os.environ["OMP_NUM_THREADS"] = str(threads)

import torch
import transformers

torch.set_num_threads(threads)
model = transformers.AutoModelForCausalLM.from_pretrained(
    path, dtype=torch.float32, attn_implementation="sdpa"
).eval()
ids = torch.tensor(json.load(open(ids_file)))
length = ids.shape[1]
per_batch = max(1, 2048 // length)


@torch.inference_mode()
def forward_pass():
    total = 0.0
    for start in range(0, len(ids), per_batch):
        batch = ids[start : start + per_batch]
        logits = model(input_ids=batch, use_cache=False).logits[:, :-1]
        total += torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum"
        ).item()
    return total / (len(ids) * (length - 1))


nll = forward_pass()
started = time.perf_counter()
for _ in range(repeats):
    forward_pass()
seconds = (time.perf_counter() - started) / repeats
print(
    json.dumps(
        {
            "tokensPerSecond": ids.numel() / seconds,
            "nll": nll,
            "peakResidentBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "engine": f"torch {torch.__version__}, transformers {transformers.__version__}, sdpa",
        }
    )
)
