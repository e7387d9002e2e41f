#!/usr/bin/env python3
"""Make the tiny ONNX models under tests/fixtures/onnx/, with the exporters that people use.

Usage, from the repository root; the two exporters need different versions of transformers:

    python3 -m venv .venv-optimum && .venv-optimum/bin/pip install -r scripts/oracles/requirements-optimum.txt
    .venv-optimum/bin/python scripts/oracles/make_onnx_models.py optimum
    python3 -m venv .venv-builder && .venv-builder/bin/pip install -r scripts/oracles/requirements-builder.txt
    .venv-builder/bin/python scripts/oracles/make_onnx_models.py builder

The first writes each model twice: as a Hugging Face folder (NAME) and as optimum exports it (NAME-optimum). The second
exports the same folders with the builder of onnxruntime-genai (NAME-builder). Lopper has to read the same weights, bit for
bit, from all of them. Weights are random, with a seed made from the name; vectors that are all alike (the norms of
qwen2-tied) are stored once by the exporter of PyTorch, under the name of one of them.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen3Config

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "onnx"
WORDS = ["<unk>", "<s>", "</s>", "the", "a", "of", "and", "in", "to", "is", "was", "it", "on", "as", "for", "with", "by",
         "at", "from", "an", "be", "that", "this", "are", "not", "or", "he", "she", "they", "his", "her", "which", "one",
         "had", "were", "but", "have", ",", ".", "-"]


def models():
    sizes = dict(vocab_size=len(WORDS), hidden_size=8, intermediate_size=12, max_position_embeddings=64,
                 bos_token_id=1, eos_token_id=2)
    return {
        # name: config, dtype, whether norms are random
        "llama-untied": (LlamaConfig(**sizes, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
                                     rms_norm_eps=1e-5, rope_theta=500_000.0, tie_word_embeddings=False), torch.float32, True),
        "qwen2-tied": (Qwen2Config(**sizes, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                                   rms_norm_eps=1e-6, rope_theta=1_000_000.0, tie_word_embeddings=True), torch.float16, False),
        "qwen3-tied": (Qwen3Config(**sizes, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16,
                                   rms_norm_eps=1e-6, rope_theta=10_000.0, tie_word_embeddings=True), torch.float32, True),
    }


def write_source(name, config, dtype, random_norms):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = AutoModelForCausalLM.from_config(config)
    random = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    with torch.no_grad():
        for key, weight in model.named_parameters():
            value = torch.randn(weight.shape, generator=random)
            if key.endswith("norm.weight"):
                value = 1 + 0.2 * value if random_norms else torch.ones_like(value)
            elif key.endswith(".bias"):
                value *= 0.3
            else:
                value *= 1.5 / math.sqrt(weight.shape[-1])
            weight.copy_(value)
    model.to(dtype).save_pretrained(folder)
    write_tokenizer(folder)
    for file in folder.iterdir():
        file.chmod(0o644)


def write_tokenizer(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>",
                            eos_token="</s>").save_pretrained(folder)


def export_with_optimum(name):
    import onnx
    from optimum.exporters.onnx import main_export

    folder = OUT / f"{name}-optimum"
    shutil.rmtree(folder, ignore_errors=True)
    half = name == "qwen2-tied"
    with tempfile.TemporaryDirectory() as temporary:
        main_export(OUT / name, output=temporary, task="text-generation-with-past", library_name="transformers",
                    do_validation=False, dtype="fp16" if half else "fp32")
        folder.mkdir()
        for file in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(Path(temporary) / file, folder / file)
        if half:
            # The layout of transformers.js, the weights in a file of their own as in models above 2 GB.
            (folder / "onnx").mkdir()
            model = onnx.load(Path(temporary) / "model.onnx")
            onnx.save_model(model, folder / "onnx" / "model_fp16.onnx", save_as_external_data=True,
                            location="model_fp16.onnx_data", size_threshold=0)
        else:
            shutil.copyfile(Path(temporary) / "model.onnx", folder / "model.onnx")


def export_with_builder(name, precision):
    import onnxruntime_genai

    folder = OUT / f"{name}-builder"
    shutil.rmtree(folder, ignore_errors=True)
    builder = Path(onnxruntime_genai.__file__).parent / "models" / "builder.py"
    # CUDA graphs have GroupQueryAttention in float16; those for CPUs have it in float32 only.
    device = "cpu" if precision == "fp32" else "cuda"
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run([sys.executable, builder, "-i", OUT / name, "-o", folder, "-p", precision, "-e", device, "-c", cache],
                       check=True, cwd=builder.parent)
    # transformers 5 makes a tokenizer of its own for some families.
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(OUT / name / file, folder / file)
    kept = ("model.onnx", "model.onnx.data", "genai_config.json", "tokenizer.json", "tokenizer_config.json")
    for file in folder.iterdir():
        if file.name not in kept:
            file.unlink()


def main():
    torch.set_num_threads(1)
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "optimum":
        for name, (config, dtype, random_norms) in models().items():
            write_source(name, config, dtype, random_norms)
        for name in ("llama-untied", "qwen2-tied"):
            export_with_optimum(name)
    elif what == "builder":
        for name, (_, dtype, _) in models().items():
            export_with_builder(name, "fp16" if dtype == torch.float16 else "fp32")
    else:
        sys.exit(__doc__)
    total = sum(file.stat().st_size for file in OUT.rglob("*") if file.is_file())
    print(json.dumps({"bytes": total}))


if __name__ == "__main__":
    main()
