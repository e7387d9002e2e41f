"""The zero-shot tasks of lm-evaluation-harness on local rows: prompts, answers and metrics are the harness's own code.

Rows are those of ../shared/datasets or in the forms of their publishers (packages/evaluation/tasks); they are turned into
the columns that the hub has, which the harness's configurations read.
"""

import gzip
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import lm_eval  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402
from lm_eval.tasks._yaml_loader import load_yaml  # noqa: E402

CONFIGS = Path(lm_eval.__file__).parent / "tasks"
YAML = {
    "piqa": "piqa/piqa.yaml",
    "winogrande": "winogrande/default.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "boolq": "super_glue/boolq/default.yaml",
    "openbookqa": "openbookqa/openbookqa.yaml",
    "lambada_openai": "lambada/lambada_openai.yaml",
}
# HellaSwag's are the rows with their markup, so that the harness's own clean-up runs.
SHARED_FILES = {
    "piqa": "piqa/valid.jsonl.gz",
    "winogrande": "winogrande/dev.jsonl.gz",
    "hellaswag": "hellaswag/hellaswag_val_raw_sample.jsonl.gz",
    "arc_easy": "arc/ARC-Easy-Test.jsonl.gz",
    "arc_challenge": "arc/ARC-Challenge-Test.jsonl.gz",
    "boolq": "boolq/val.jsonl.gz",
    "openbookqa": "openbookqa/test.jsonl.gz",
    "lambada_openai": "lambada/lambada_test.jsonl.gz",
}


def read_rows(path, limit=None):
    read = gzip.open if str(path).endswith(".gz") else open
    with read(path, "rt", encoding="utf-8", newline="\n") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return rows[:limit]


def columns(row):
    """A row as the hub has it."""
    row = dict(row)
    if isinstance(row.get("question"), dict):
        question = row.pop("question")
        row["question"] = row["question_stem"] = question["stem"]
        row["choices"] = {"text": [c["text"] for c in question["choices"]],
                          "label": [c["label"] for c in question["choices"]]}
    if isinstance(row.get("label"), bool):
        row["label"] = int(row["label"])
    return row


def harness_task(name, rows):
    config = load_yaml(CONFIGS / YAML[name])
    split = config.get("test_split") or config["validation_split"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(columns(row)) + "\n" for row in rows), encoding="utf-8")
        for key in ("tag", "group", "dataset_name"):
            config.pop(key, None)
        config |= {"training_split": None, "dataset_path": "json",
                   "dataset_kwargs": {"data_files": {split: str(path)}, "cache_dir": folder}}
        if config.get("test_split"):
            config["validation_split"] = None
        task = ConfigurableTask(config=config)
        task.build_all_requests(limit=None, rank=0, world_size=1)
        return task


def by_question(task):
    """The harness's requests in the order of questions and answers: lists of (context, continuation)."""
    questions = {}
    for instance in task.instances:
        questions.setdefault(instance.doc_id, []).append((instance.idx, instance))
    return [[i for _, i in sorted(found, key=lambda pair: pair[0])] for _, found in sorted(questions.items())]


def open_model(model, tokenizer=None, batch_size=8):
    """A folder in Hugging Face layout as the harness runs it on the CPU in float32."""
    import torch
    from lm_eval.models.huggingface import HFLM
    return HFLM(pretrained=str(model), tokenizer=str(tokenizer or model), device="cpu", dtype=torch.float32,
                batch_size=batch_size, backend="causal")


def token_requests(lm, pairs):
    """What the harness makes of (context, continuation) before it runs the model: ids of both."""
    class Captured(Exception):
        pass

    class Request:
        def __init__(self, args):
            self.args = args

    def capture(requests, **_):
        raise Captured(requests)
    original, lm._loglikelihood_tokens = lm._loglikelihood_tokens, capture
    try:
        lm.loglikelihood([Request(pair) for pair in pairs], disable_tqdm=True)
    except Captured as captured:
        return [(list(context), list(continuation)) for _, context, continuation in captured.args[0]]
    finally:
        lm._loglikelihood_tokens = original


def evaluate(lm, task):
    """Scores of every request of a task by question, and what the harness reports of them."""
    from lm_eval.api.metrics import mean_stderr
    questions = by_question(task)
    flat = [instance for question in questions for instance in question]
    results = iter(lm.loglikelihood(flat, disable_tqdm=True))
    scores = [[next(results) for _ in question] for question in questions]
    docs = list(task.eval_docs)
    values = {}
    for doc, found in zip(docs, scores, strict=True):
        answer = found if task.OUTPUT_TYPE == "multiple_choice" else found[0]
        for metric, value in task.process_results(doc, answer if isinstance(answer, list) else [answer]).items():
            values.setdefault(metric, []).append(value)
    metrics = {name: {"value": float(task.aggregation()[name](found)),
                      **({"stderr": float(mean_stderr(found))} if name != "perplexity" and len(found) > 1 else {})}
               for name, found in values.items()}
    return scores, metrics
