"""lm-evaluation-harness on one task, in a process of its own: from text to every request's log-likelihood.

Usage: python evaluate_task.py MODEL ROWS.jsonl[.gz] TASK LIMIT THREADS BATCH_SIZE
"""
import json
import os
import pathlib
import resource
import sys
import time

path, rows, name, limit, threads, batch_size = sys.argv[1:]
os.environ["OMP_NUM_THREADS"] = threads
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scripts" / "oracles"))

import lm_eval
import torch
import transformers
from harness_tasks import by_question, harness_task, open_model, read_rows

torch.set_num_threads(int(threads))
lm = open_model(path, batch_size=int(batch_size))
questions = by_question(harness_task(name, read_rows(rows, int(limit))))
flat = [instance for question in questions for instance in question]
# The first pass of a process allocates, and is no faster in a long evaluation.
lm.loglikelihood(flat[: 2 * int(batch_size)], disable_tqdm=True)
started = time.perf_counter()
scores = lm.loglikelihood(flat, disable_tqdm=True)
seconds = time.perf_counter() - started
print(
    json.dumps(
        {
            "requestsPerSecond": len(flat) / seconds,
            "requests": len(flat),
            "logLikelihoods": [float(value) for value, _ in scores],
            "peakResidentBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "engine": f"lm_eval {lm_eval.__version__}, torch {torch.__version__}, transformers {transformers.__version__}, "
            f"batches of {batch_size}",
        }
    )
)
