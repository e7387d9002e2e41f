#!/usr/bin/env python3
"""Write tests/fixtures/rope/frequencies.json: what transformers makes of rotary settings.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_rope_frequencies.py

Each case has the settings as a config.json has them, the length of a text, and for that text the frequency of each
rotated pair (radians per token, float32) and the factor of cosines and sines, as transformers' rotary functions return
them.
"""

import json
from pathlib import Path

import torch
import transformers
from transformers import LlamaConfig, Phi3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "rope" / "frequencies.json"
HIDDEN, HEADS = 192, 2  # heads of 96, as Phi-3 has them

LONG = {
    "rope_type": "longrope",
    "short_factor": [1 + i / 40 for i in range(48)],
    "long_factor": [1 + i * i / 50 for i in range(48)],
}
CASES = [
    # what it is, settings, original_max_position_embeddings of the config, its longest text, length of the text
    ("a base", {"rope_type": "default", "rope_theta": 1e6}, None, 4096, 100),
    ("linear", {"rope_type": "linear", "factor": 4.0}, None, 4096, 100),
    ("Llama 3", {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
                 "high_freq_factor": 4.0, "original_max_position_embeddings": 512}, None, 4096, 100),
    ("YaRN", {"rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096}, None, 131072, 100),
    ("YaRN as GPT-OSS has it", {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "beta_fast": 32.0,
                                "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 4096},
     None, 131072, 100),
    ("YaRN with magnitudes", {"rope_type": "yarn", "factor": 40.0, "mscale": 1.0, "mscale_all_dim": 0.707,
                              "beta_fast": 16, "beta_slow": 2, "original_max_position_embeddings": 2048},
     None, 81920, 100),
    ("YaRN with a factor of its own", {"rope_type": "yarn", "factor": 4.0, "attention_factor": 1.25,
                                       "original_max_position_embeddings": 1024}, None, 4096, 100),
    ("LongRoPE, a short text", LONG, 4096, 131072, 4096),
    ("LongRoPE, a long text", LONG, 4096, 131072, 4097),
    ("LongRoPE with a factor", {**LONG, "factor": 8.0, "original_max_position_embeddings": 64}, None, 128, 10),
    ("LongRoPE with an attention factor", {**LONG, "attention_factor": 1.5, "original_max_position_embeddings": 64},
     None, 128, 65),
]


def config_of(settings, original, longest):
    common = dict(hidden_size=HIDDEN, num_attention_heads=HEADS, max_position_embeddings=longest,
                  rope_parameters={"rope_theta": 10000.0, **settings})
    if original is None:
        return LlamaConfig(**common)
    return Phi3Config(**common, num_key_value_heads=HEADS, original_max_position_embeddings=original, pad_token_id=0)


def case(what, settings, original, longest, length):
    config = config_of(settings, original, longest)
    kind = settings["rope_type"]
    if kind == "default":
        pairs = torch.arange(0, HIDDEN // HEADS, 2, dtype=torch.int64).float() / (HIDDEN // HEADS)
        frequencies, factor = 1.0 / settings["rope_theta"] ** pairs, 1.0
    else:
        frequencies, factor = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"), seq_len=length)
    return {
        "what": what,
        "config": {"max_position_embeddings": longest, "rope_parameters": {"rope_theta": 10000.0, **settings},
                   **({"original_max_position_embeddings": original} if original else {})},
        "length": length,
        "frequencies": frequencies.double().tolist(),
        "factor": factor,
    }


def main():
    content = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "head_dim": HIDDEN // HEADS,
        "cases": [case(*one) for one in CASES],
    }
    lines = json.dumps(content).replace('{"what"', '\n  {"what"').replace(']}]}', ']}]\n}')
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(lines.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
