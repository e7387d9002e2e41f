#!/usr/bin/env python3
"""Measure the perplexity of WikiText-2 as pruning papers do, by PyTorch, and write it as JSON.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_wikitext_perplexity.py MODEL WIKI_TEST_RAW OUT [--seq-len 2048] [--windows N]

MODEL is a folder in Hugging Face layout or a GGUF file, WIKI_TEST_RAW the raw test split (wiki.test.raw, .gz or not). Rows
are the lines of the split, blank ones empty; they are joined with a blank line, tokenised once and cut into windows
without overlap, the tail dropped. A GGUF file's text is tokenised by llama.cpp, its weights are dequantised to float32.

    {"what": ..., "versions": {...}, "text_sha256": ..., "tokens": ..., "tokens_sha256": ..., "seq_len": ...,
     "windows": ..., "all_windows": ..., "perplexity": ..., "window_nll": [...]}
"""

import argparse
import gzip
import hashlib
import json
import math
import platform
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def joined(path):
    read = gzip.open if path.suffix == ".gz" else open
    with read(path, "rt", encoding="utf-8", newline="") as file:
        lines = file.read().split("\n")[:-1]
    return "\n\n".join(line + "\n" if line.strip() else "" for line in lines)


def load(path, text):
    if path.suffix != ".gguf":
        ids = AutoTokenizer.from_pretrained(path)(text, verbose=False).input_ids
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32), ids
    import llama_cpp
    tokenizer = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    ids = tokenizer.tokenize(text.encode(), add_bos=True, special=True)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return model, ids


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seq-len", type=int, default=2048)
    parser.add_argument("--windows", type=int)
    args = parser.parse_args()
    text = joined(args.text)
    model, ids = load(args.model, text)
    model.eval()
    count = len(ids) // args.seq_len
    losses = []
    for i in range(min(count, args.windows or count)):
        window = torch.tensor([ids[i * args.seq_len:(i + 1) * args.seq_len]])
        with torch.no_grad():
            logits = model(window).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits, window[0, 1:]).item())
        print(f"{i + 1}/{count} {math.exp(sum(losses) / len(losses)):.4f}", file=sys.stderr, flush=True)
        # After every window: a run takes minutes, or hours on a busy machine.
        args.out.write_text(json.dumps({
            "what": f"Perplexity of WikiText-2 (raw, test) under {args.model.name}, float32.",
            "versions": {"python": platform.python_version(), "torch": torch.__version__,
                         "transformers": transformers.__version__},
            "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "tokens": len(ids),
            "tokens_sha256": hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest(),
            "seq_len": args.seq_len, "windows": len(losses), "all_windows": count,
            "perplexity": math.exp(sum(losses) / len(losses)), "window_nll": losses,
        }, indent=1) + "\n")


if __name__ == "__main__":
    main()
