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

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "fixtures" / "config_attributes.json"
# transformers has none of these.
OTHERS = {"baichuan"}


def families():
    """The model types of which there are fixtures."""
    configs = (ROOT / "tests" / "fixtures" / "families").glob("*/config.json")
    found = [json.loads(path.read_text(encoding="utf-8")) for path in configs]
    # Models of more than text are read as what their text model is.
    return sorted({config["model_type"] for config in found if "text_config" not in config} - OTHERS)


def attributes(config_class):
    every = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    own = [f for f in dataclasses.fields(config_class) if f.name not in every or f.name == "tie_word_embeddings"]
    # JSON has no infinities, and what is limited by them is no limit.
    return {f.name: None if f.default is dataclasses.MISSING else f.default for f in own if "inf" not in repr(f.default)}


def main():
    found = {name: attributes(type(AutoConfig.for_model(name))) for name in families()}
    content = {"transformers": transformers.__version__, "attributes": found}
    OUT.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
