#!/usr/bin/env python3
"""Make tests/fixtures/evaluation/cases.json: what lm-evaluation-harness makes of questions.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_evaluation_cases.py

The questions are invented here, in the forms of the data sets, awkward on purpose.

    {"what": ..., "versions": {...},
     "tasks": {NAME: {"rows": [...], "requests": [[[context, continuation]]], "tokens": [[[ids, scored]]],
                      "scores": [[[log-likelihood, greedy]]], "metrics": {METRIC: {"value": ..., "stderr": ...}}}},
     "pairs": {TOKENIZER: {"pairs": [[context, continuation]], "tokens": [[ids, scored]]}}}

Tokens, scores and metrics are those of the embedded model in float32; `pairs` are requests that no task here makes, with
the tokenizers of tests/fixtures/tokenizers.
"""

import json
import platform
from pathlib import Path

import lm_eval
import torch
import transformers

from harness_tasks import by_question, evaluate, harness_task, open_model, token_requests

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "fixtures" / "evaluation" / "cases.json"
DEMO = ROOT / "packages" / "demo-model" / "data" / "model"
TOKENIZERS = ["byte-bpe-plain", "byte-bpe-bos", "bpe-byte-fallback", "bpe-metaspace"]

SCIENCE = [
    {"id": "1", "question": {"stem": "Which of these floats on water? ", "choices": [
        {"text": "a stone", "label": "A"}, {"text": "a cork", "label": "B"}, {"text": "an anchor", "label": "C"}]}, "answerKey": "B"},
    {"id": "2", "question": {"stem": "The old captain looked at the", "choices": [
        {"text": "sea", "label": "1"}, {"text": "sea and the sky", "label": "2"}, {"text": "sea 🌊 of 𝕏", "label": "3"},
        {"text": "sea", "label": "4"}, {"text": " the", "label": "5"}]}, "answerKey": "3"},
    {"id": "3", "question": {"stem": "What do plants need?\n", "choices": [
        {"text": "light", "label": "A"}, {"text": "Light", "label": "B"}, {"text": "salt\u00a0", "label": "C"}, {"text": "a", "label": "D"}]},
     "answerKey": "A"},
]
ROWS = {
    "piqa": [
        {"goal": "How do I keep tea warm?", "sol1": "Put the pot under a thick cloth.", "sol2": "Put the pot under a thick net.", "label": 0},
        {"goal": "pots, ", "sol1": " wash them in the sea ", "sol2": "wash them\nin the sea", "label": 1},
        {"goal": "Dry a coat\n", "sol1": "Hang it up", "sol2": "Hang it up by the fire, and turn it now and then.", "label": 1},
        {"goal": "", "sol1": "é", "sol2": "日本", "label": 0},
    ],
    "winogrande": [
        {"sentence": "The cup did not fit into the box because _ was too large.", "option1": "the cup", "option2": "the box", "answer": "1"},
        {"sentence": "Mary took _'s hat and left Anne without one. ", "option1": "Anne", "option2": "Mary", "answer": "1"},
        {"sentence": "He gave the dog the bone, for  _  was hungry , and _ was his.", "option1": "dog", "option2": "bone", "answer": "2"},
    ],
    "hellaswag": [
        {"activity_label": "Sailing", "ctx_a": "A man stands at the helm.", "ctx_b": "the MAN", "endings": [
            "turns the wheel.", "eats the wheel.", "[substeps] sings  to   the wheel.", "turns [a] the [b] wheel [title] Now. [c"], "label": "0"},
        {"activity_label": "Baking Bread", "ctx_a": "[header] How to bake [title] Take flour. [step] Mix it.", "ctx_b": "", "endings": [
            "[title] Bake it.", " Bake it. ", "Bake [x\ny] it.", "bake it [title] well. [title] Eat."], "label": "3"},
        {"activity_label": " ßharp", "ctx_a": "She goes", "ctx_b": "élan and ßo ON", "endings": ["on.", "off.", "home.", "ǆ."], "label": "2"},
    ],
    "arc_easy": SCIENCE,
    "arc_challenge": SCIENCE[::-1],
    "openbookqa": SCIENCE,
    "boolq": [
        {"question": "is the sea salt", "passage": "Sea -- The sea is salt. It is deep.", "idx": 0, "label": True},
        {"question": "can a stone swim ", "passage": "Stone -- A stone sinks\nin water. ", "idx": 1, "label": False},
    ],
    "lambada_openai": [
        {"text": "The ship went down with all hands, and nobody ever found the ship"},
        {"text": "He looked  twice, and  then\n\nhe said \"no\""},
        {"text": "It was the best of times, it was the worst of times"},
    ],
}
PAIRS = [
    ["", "tree"], ["", " the tree"], ["", "<|im_start|>tree"], ["the tree ", "apple"], ["the tree\n\n", " apple"], ["the tree \u3000", "x"],
    ["the\u001ftree\u001f", "apple"], ["the tree\ufeff", "apple"], ["<s>the", " tree"], ["<|im_start|>the", " tree"], ["the", "tree"], ["tre", "es and"],
    ["the tree", " " * 5 + "apple"], ["日本", "語 and"],
]


def main():
    lm = open_model(DEMO)
    tasks = {}
    for name, rows in ROWS.items():
        task = harness_task(name, rows)
        pairs = [[list(instance.args) for instance in question] for question in by_question(task)]
        scores, metrics = evaluate(lm, task)
        tasks[name] = {
            "rows": rows, "requests": pairs,
            "tokens": [[[context + rest, len(rest)] for context, rest in token_requests(lm, question)] for question in pairs],
            "scores": [[[round(float(ll), 5), bool(greedy)] for ll, greedy in found] for found in scores],
            "metrics": metrics,
        }
    pairs = {}
    for name in TOKENIZERS:
        other = open_model(DEMO, ROOT / "tests" / "fixtures" / "tokenizers" / name)
        usable = [pair for pair in PAIRS if pair[0] or other.prefix_token_id is not None]
        found = []
        for pair in usable:
            (context, rest), = token_requests(other, [pair])
            found.append([context + rest, len(rest)])
        pairs[name] = {"pairs": usable, "tokens": found}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({
        "what": "Questions invented by scripts/oracles/make_evaluation_cases.py, and what lm-evaluation-harness makes of them.",
        "versions": {"python": platform.python_version(), "lm_eval": lm_eval.__version__, "torch": torch.__version__,
                     "transformers": transformers.__version__},
        "tasks": tasks, "pairs": pairs,
    }, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
