#!/usr/bin/env python3
"""Write tests/fixtures/config_attributes.json: what the configuration class of each family knows.

    .venv/bin/python scripts/oracles/make_config_attributes.py

By model_type: the attributes that the class has beside those of every configuration, with their defaults, and keys that
it reads without having an attribute for them. A test changes each of them, and asks that what Lopper makes of the config
changes with it, or that the key is refused by its name.
"""

import dataclasses
import json
from pathlib import Path

import transformers
from transformers import AutoConfig, PreTrainedConfig

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "config_attributes.json"
FAMILIES = """
    llama mistral qwen2 qwen3 olmo2 arcee cohere2 exaone4 gemma gemma2 gemma3_text granite ministral3 nemotron olmo olmo3
    opt phi seed_oss smollm3 stablelm
    glm4 gpt2 gpt_neox phi3 starcoder2
    gpt_oss granitemoe granitemoehybrid mixtral olmoe qwen2_moe qwen3_moe
""".split()


def attributes(config_class):
    every = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    own = [f for f in dataclasses.fields(config_class) if f.name not in every or f.name == "tie_word_embeddings"]
    # JSON has no infinities, and what is limited by them is no limit.
    return {f.name: None if f.default is dataclasses.MISSING else f.default for f in own if "inf" not in repr(f.default)}


def main():
    found = {name: attributes(type(AutoConfig.for_model(name))) for name in FAMILIES}
    content = {"transformers": transformers.__version__, "attributes": found}
    OUT.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
