"""Opens a folder with mlx-lm, and a configuration in DeciLM's layout with transformers as vLLM does, too; prints JSON.

Usage: read_with_mlx.py DIR < {"ids": [...], "new_tokens": 8}
"""

import base64
import json
import pathlib
import sys

import mlx.core as mx
import mlx_lm
import numpy
from mlx.utils import tree_flatten
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load_model
from transformers import AutoConfig

folder = sys.argv[1]
request = json.load(sys.stdin)
model, _ = load_model(pathlib.Path(folder))
model.set_dtype(mx.float32)
logits = numpy.array(model(mx.array([request["ids"]])))

cache = make_prompt_cache(model)
ids, greedy = request["ids"], []
for _ in range(request["new_tokens"]):
    ids = [int(mx.argmax(model(mx.array([ids]), cache=cache)[0, -1]))]
    greedy += ids

config = json.loads((pathlib.Path(folder) / "config.json").read_text())
deci = None
if config["model_type"] == "nemotron-nas":
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    json.loads(config.to_json_string())
    # the attributes that vLLM asks for (models/nemotron_nas.py)
    deci = {
        "layers": [
            [
                config.num_attention_heads // block.attention.n_heads_in_group
                if not block.attention.no_op
                else False,
                block.ffn.ffn_mult if not block.ffn.no_op else False,
            ]
            for block in config.block_configs
        ],
        "rope": config.rope_parameters["rope_theta"],
    }
print(
    json.dumps(
        {
            "version": mlx_lm.__version__,
            "layers": [
                [
                    layer.self_attn is not None and layer.self_attn.n_kv_heads,
                    layer.mlp is not None and layer.mlp.gate_proj.weight.shape[0],
                ]
                for layer in model.layers
            ],
            "parameters": sum(value.size for _, value in tree_flatten(model.parameters())),
            "logits": base64.b64encode(logits.astype("<f4").tobytes()).decode(),
            "greedy": greedy,
            "deci": deci,
        }
    )
)
