"""Opens a model folder with transformers and prints what it computes, as one JSON object.

Usage: read_with_transformers.py DIR [FILE.gguf] < {"ids": [...], "new_tokens": 8, "pad": 3}

`ids` are continued greedily, with and without a key/value cache, and once more behind `pad` masked tokens. With `save`,
a folder, the model is saved there again; with `trust` false, no code of the folder is run.
"""

import base64
import json
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM

folder = sys.argv[1]
request = json.load(sys.stdin)
# Two wait for each other where the machine is busy.
torch.set_num_threads(1)

model, info = AutoModelForCausalLM.from_pretrained(
    folder,
    gguf_file=sys.argv[2] if len(sys.argv) > 2 else None,
    trust_remote_code=request.get("trust", True),
    dtype=torch.float32,
    output_loading_info=True,
)
model.eval()
ids = torch.tensor([request["ids"]])
padded = torch.cat([torch.zeros((1, request["pad"]), dtype=torch.long), ids], dim=1)
mask = torch.ones_like(padded)
mask[:, : request["pad"]] = 0
# A prompt that ends the text would end the generation before it begins.
options = {
    "max_new_tokens": request["new_tokens"],
    "do_sample": False,
    "eos_token_id": None,
    "pad_token_id": 0,
}
with torch.no_grad():
    logits = model(ids).logits
    greedy = model.generate(ids, attention_mask=torch.ones_like(ids), **options)
    uncached = model.generate(ids, attention_mask=torch.ones_like(ids), use_cache=False, **options)
    behind = model.generate(padded, attention_mask=mask, **options)

if "save" in request:
    model.save_pretrained(request["save"])

new = request["new_tokens"]
print(
    json.dumps(
        {
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
            "class": type(model).__name__,
            "loading": {key: sorted(map(str, value)) for key, value in info.items()},
            "parameters": sum(p.numel() for p in model.parameters()),
            "layers": [
                [
                    layer.self_attn is not None and layer.self_attn.q_proj.out_features,
                    layer.mlp is not None and layer.mlp.gate_proj.out_features,
                ]
                for layer in model.model.layers
            ],
            "logits": base64.b64encode(logits.numpy().astype("<f4").tobytes()).decode(),
            "greedy": greedy[0, -new:].tolist(),
            "uncached": uncached[0, -new:].tolist(),
            "behind_padding": behind[0, -new:].tolist(),
        }
    )
)
