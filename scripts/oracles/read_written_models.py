#!/usr/bin/env python3
"""Read folders that Lopper wrote with transformers, and compare them with what is expected.

Usage: .venv/bin/python scripts/oracles/read_written_models.py tokenizers|models FOLDER FIXTURES

FOLDER holds folders in Hugging Face layout, called as the tokenizers or the models of FIXTURES, which is
tests/fixtures/gguf: they have to give the same ids or logits. Prints one JSON object a folder:

    {"name": ..., "texts": ..., "different": [...]}
    {"name": ..., "layers": ..., "difference": ..., "tolerance": ...}
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from make_tiny_families import difference
from transformers import AutoModelForCausalLM, AutoTokenizer


def read_tokenizer(folder, texts, expected):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    different = []
    for text, ids in zip(texts, expected["ids"], strict=True):
        plain = tokenizer(text, add_special_tokens=False)["input_ids"]
        if plain != ids or tokenizer(text)["input_ids"] != expected["before"] + ids + expected["after"]:
            different.append(text)
    return {"texts": len(texts), "different": different}


def read_model(folder, expected):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    return {"layers": model.config.num_hidden_layers,
            "difference": difference(model.eval(), expected["cases"]), "tolerance": expected["tolerance"]}


def main(kind, folders, fixtures):
    transformers.logging.set_verbosity_error()
    tokenizers = json.loads((fixtures / "tokenizers" / "expected.json").read_text())
    for folder in sorted(folders.iterdir()):
        if kind == "tokenizers":
            result = read_tokenizer(folder, tokenizers["texts"], tokenizers["ids"][folder.name])
        else:
            result = read_model(folder, json.loads((fixtures / "models" / f"{folder.name}.json").read_text()))
        print(json.dumps({"name": folder.name, **result}))


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
