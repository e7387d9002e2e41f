#!/usr/bin/env python3
"""What transformers computes of the tiny models without some of their blocks: tests/fixtures/missing_blocks/.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_missing_blocks.py            # write everything
    .venv/bin/python scripts/oracles/make_missing_blocks.py --check    # only compare with what is committed

One file for each model type, named after it, of the first of its folders in tests/fixtures/families by name:

    {"fixture": ..., "versions": {...}, "cases": [
        {"missing": [{"layer": 0, "block": "attention"}, ...], "input_ids": [[...]], "logits": <base64>, "shape": [...]}]}

`logits` as in make_tiny_families.py. The modules of a missing block are still there and run, but what they return is
replaced by zeros, so that the layer of transformers' own adds nothing for them. Zeros stay zeros behind the norms that
some families have there, since none of those has a bias.
"""

import argparse
import json
import sys

import safetensors
import torch
import transformers
from make_tiny_families import DEFAULT_OUT, TOLERANCE, decode, encode, generator, load, make_input
from torch import nn

OUT = DEFAULT_OUT.parent / "missing_blocks"
TIME = 9
# What transformers calls the modules whose sum is what a block adds, the last of them where they follow one another.
MODULES = {
    "attention": ("self_attn", "attn", "attention"),
    "mlp": ("mlp", "block_sparse_moe", "shared_mlp", "feed_forward", "fc2"),
}
LAYERS = ("layers", "h")


def decoder_layers(model):
    """The layers of the text model: parts for images have some, too."""
    lists = [(name, module) for name, module in model.named_modules()
             if isinstance(module, nn.ModuleList) and name.split(".")[-1] in LAYERS and "vision" not in name]
    assert len(lists) == 1, [name for name, _ in lists]
    return lists[0][1]


def zeros(_module, _inputs, output):
    """A forward hook. Some modules also return weights of attention or of experts, which nobody adds."""
    return (torch.zeros_like(output[0]), *output[1:]) if isinstance(output, tuple) else torch.zeros_like(output)


def without(model, missing):
    layers = decoder_layers(model)
    for gone in missing:
        modules = [module for name, module in layers[gone["layer"]].named_children() if name in MODULES[gone["block"]]]
        assert modules, (model.config.model_type, gone)
        for module in modules:
            module.register_forward_hook(zeros)
    return model


def first_fixtures():
    """Folders by model type."""
    found = {}
    for folder in sorted(DEFAULT_OUT.iterdir()):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found.setdefault(config["model_type"], folder)
    return found


def cases_of(model_type, folder):
    """Of the first layer one block is gone, and of the last the other one; and the other way around."""
    config = load(folder).config.get_text_config()
    last = config.num_hidden_layers - 1
    assert last > 0
    for first, other in [("attention", "mlp"), ("mlp", "attention")]:
        missing = [{"layer": 0, "block": first}, {"layer": last, "block": other}]
        random = generator(f"{model_type} without {first}")
        input_ids = make_input(1, TIME, config.vocab_size, random)
        model = without(load(folder), missing)
        case = encode(model, input_ids)
        for gone in missing:
            rest = [one for one in missing if one is not gone]
            far = (decode(encode(without(load(folder), rest), input_ids)) - decode(case)).abs().max().item()
            assert far > 100 * TOLERANCE, (folder.name, gone, far)
        yield {"missing": missing, **case}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare with what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__,
                "safetensors": safetensors.__version__}
    OUT.mkdir(exist_ok=True)
    for model_type, folder in first_fixtures().items():
        cases = list(cases_of(model_type, folder))
        file = OUT / f"{model_type}.json"
        if arguments.check:
            committed = json.loads(file.read_text(encoding="utf-8"))["cases"]
            gap = max((decode(a) - decode(b)).abs().max().item() for a, b in zip(committed, cases, strict=True))
            assert gap < 1e-5, (model_type, gap)
            print(f"{model_type:20}{gap:10.1e}")
            continue
        lines = ",\n".join(f"  {json.dumps(case)}" for case in cases)
        head = f'"fixture": {json.dumps(folder.name)},\n"versions": {json.dumps(versions)}'
        file.write_text(f'{{\n{head},\n"cases": [\n{lines}\n]\n}}\n', encoding="utf-8")
        print(model_type)


if __name__ == "__main__":
    sys.exit(main())
