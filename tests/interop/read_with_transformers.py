"""Opens model folders with transformers and prints what it computes, as one JSON object each.

Usage: read_with_transformers.py DIR [FILE.gguf] < {"ids": [...], "new_tokens": 8, "pad": 3}
       read_with_transformers.py < [{"folder": DIR, "ids": [...], ...}, ...]

`ids` are continued greedily, with and without a key/value cache, and once more behind `pad` masked tokens. With `save`,
a folder, the model is saved there again; with `trust` false, no code of the folder is run; `experts` says how those of mixtures are computed; with `images`, it is a model
of images and text, of which the text model is looked at.
"""

import base64
import json
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

# Two wait for each other where the machine is busy.
torch.set_num_threads(1)


def first(module, *names):
    """What a module has under the first of these names that it knows."""
    return getattr(module, next(name for name in names if hasattr(module, name)))


def width(block, *outputs):
    """Channels that the output projection of a block reads; false where there is no block."""
    projection = block and first(block, *outputs)
    if projection is None:
        return False
    # GPT-2 has matrices whose inputs are first.
    return projection.in_features if hasattr(projection, "in_features") else projection.weight.shape[0]


def layer_widths(layer):
    """Query channels and MLP channels of a layer; false for a block that is not there.

    Of a mixture, those of an expert, the number of experts, and to how many of them a token goes.
    """
    attention = first(layer, "self_attn", "attention", "attn")
    names = ("fc2", "mlp", "block_sparse_moe", "shared_mlp")
    name = next((name for name in names if getattr(layer, name, None) is not None), None)
    mlp = layer if name == "fc2" else name and getattr(layer, name)
    if getattr(layer, "has_experts", True) and getattr(layer, "block_sparse_moe", None) is not None:
        mlp = layer.block_sparse_moe
    queries = width(attention, "o_proj", "dense", "out_proj", "c_proj")
    if hasattr(mlp, "experts"):
        count, channels = mlp.experts.num_experts, first(mlp.experts, "intermediate_dim", "intermediate_size")
        return [queries, channels, count, first(mlp, "gate", "router").top_k]
    return [queries, width(mlp, "down_proj", "fc2", "dense_4h_to_h", "c_proj", "output_linear")]


def read(folder, request, gguf_file=None):
    kind = AutoModelForImageTextToText if request.get("images") else AutoModelForCausalLM
    model, info = kind.from_pretrained(
        folder,
        gguf_file=gguf_file,
        trust_remote_code=request.get("trust", True),
        dtype=torch.float32,
        output_loading_info=True,
        **({"experts_implementation": request["experts"]} if "experts" in request else {}),
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
    body = getattr(model.base_model, "decoder", model.base_model)
    of_text = dict(model.named_parameters())
    named = dict(model.named_parameters(remove_duplicate=False))
    # What routers are corrected by is no parameter there, and lies in the file like one.
    of_text.update({name: tensor for name, tensor in model.state_dict().items() if name not in named})
    if request.get("images"):
        body = first(body, "language_model", "text_model")
        of_text = {name: p for name, p in of_text.items() if "language_model." in name or "text_model." in name or
                   name.startswith("lm_head")}
    return {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "class": type(model).__name__,
        "loading": {key: sorted(map(str, value)) for key, value in info.items()},
        "parameters": sum(p.numel() for p in of_text.values()),
        "layers": [layer_widths(layer) for layer in first(body, "layers", "h")],
        "logits": base64.b64encode(logits.numpy().astype("<f4").tobytes()).decode(),
        "greedy": greedy[0, -new:].tolist(),
        "uncached": uncached[0, -new:].tolist(),
        "behind_padding": behind[0, -new:].tolist(),
    }


request = json.load(sys.stdin)
if isinstance(request, list):
    print(json.dumps([read(one["folder"], one) for one in request]))
else:
    print(json.dumps(read(sys.argv[1], request, *sys.argv[2:3])))
