"""Opens a folder in DeciLM's layout with vLLM on the processor and prints what it computes, as one JSON object.

Usage: read_with_vllm.py DIR < {"ids": [...], "new_tokens": 8}

`logprobs` has, for every place of `ids` but the last, the log-probabilities of the next token by its id, in base64 of
little-endian float32.
"""

import base64
import json
import os
import sys

os.environ.update(
    VLLM_CPU_KVCACHE_SPACE="1",
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_LOGGING_LEVEL="ERROR",
    VLLM_NO_USAGE_STATS="1",
)
# The answer alone goes to the standard output.
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import numpy
import vllm

request = json.load(sys.stdin)
ids = request["ids"]
model = vllm.LLM(
    sys.argv[1],
    trust_remote_code=True,
    dtype="float32",
    enforce_eager=True,
    max_model_len=512,
    max_num_seqs=1,
    max_logprobs=-1,
    skip_tokenizer_init=True,
)


def generate(**options):
    parameters = vllm.SamplingParams(temperature=0, ignore_eos=True, detokenize=False, **options)
    return model.generate({"prompt_token_ids": ids}, parameters, use_tqdm=False)[0]


def shapes(model):
    """Key/value heads and MLP widths by layer; weights themselves are packed away."""
    return {
        "class": type(model).__name__,
        "layers": [
            [
                hasattr(layer, "self_attn") and layer.self_attn.total_num_kv_heads,
                hasattr(layer, "mlp") and layer.mlp.down_proj.input_size,
            ]
            for layer in model.model.layers
        ],
    }


seen = model.apply_model(shapes)[0]
greedy = generate(max_tokens=request["new_tokens"]).outputs[0].token_ids
rows = generate(max_tokens=1, prompt_logprobs=-1).prompt_logprobs[1:]
logprobs = numpy.empty((len(rows), len(rows[0])), dtype="<f4")
for place, row in enumerate(rows):
    for token, value in row.items():
        logprobs[place, token] = value.logprob
json.dump(
    {
        "version": vllm.__version__,
        **seen,
        "logprobs": base64.b64encode(logprobs.tobytes()).decode(),
        "greedy": list(greedy),
    },
    answer,
)
