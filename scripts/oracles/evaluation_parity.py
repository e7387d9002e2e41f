#!/usr/bin/env python3
"""Score questions of the zero-shot tasks by lm-evaluation-harness on PyTorch in float32, and write every score.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/evaluation_parity.py MODEL OUT.json TASK=ROWS.jsonl ... [--threads 1]

MODEL is a folder in Hugging Face layout, ROWS.jsonl holds the questions of a task in a form of packages/evaluation/tasks.
`deno task bench parity` runs this and puts what `lopper evaluate` finds beside it.

    {"versions": {...}, "bos": ..., "tasks": {NAME: {"scores": [[[log-likelihood, greedy]]], "metrics": {METRIC: {"value": ...}}}}}
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import lm_eval
import torch
import transformers

from harness_tasks import evaluate, harness_task, open_model, read_rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    lm = open_model(args.model)
    tasks = {}
    for name, rows in (task.split("=", 1) for task in args.tasks):
        print(f"{args.model.name}, {name}", file=sys.stderr, flush=True)
        scores, metrics = evaluate(lm, harness_task(name, read_rows(rows)))
        tasks[name] = {"scores": [[[float(ll), bool(greedy)] for ll, greedy in found] for found in scores], "metrics": metrics}
    args.out.write_text(json.dumps({
        "versions": {"python": platform.python_version(), "lm_eval": lm_eval.__version__, "torch": torch.__version__,
                     "transformers": transformers.__version__},
        "bos": bool(getattr(lm.tokenizer, "add_bos_token", False)),
        "tasks": tasks,
    }) + "\n")


if __name__ == "__main__":
    main()
