#!/usr/bin/env python3
"""Make the tiny GGUF models under tests/fixtures/gguf/families/, with llama.cpp's own converter.

Usage, from the repository root:

    LLAMA_CPP=FOLDER .venv/bin/python scripts/oracles/make_gguf_families.py [NAME ...]

$LLAMA_CPP names llama.cpp's source (the sdist of llama_cpp_python has it under vendor/, node-llama-cpp as a bundle of git
in its folder llama/, which knows the families that came last). For each family NAME.gguf is
what its `conversion` package makes of a random model in float16 (no tokenizer: vocabularies are not what is tested), and
NAME.json the config.json with the logits that transformers computes in float32 of the checkpoint that was converted:

    {"what": ..., "versions": {...}, "tolerance": 1e-4, "tolerance_why": ..., "config": {...},
     "cases": [{"input_ids": [[...]], "logits": <base64>, "shape": [batch, time, vocabulary]}]}
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

SOURCE = Path(os.environ["LLAMA_CPP"])
sys.path[:0] = [str(SOURCE), str(SOURCE / "gguf-py")]

import baichuan  # noqa: E402, F401
import gguf  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class  # noqa: E402
from make_tiny_families import TOLERANCE, encode, generator, is_correction, make_input  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "gguf" / "families"
TOLERANCE_WHY = (
    "Largest absolute difference of a logit. Weights are the same, but for gains 1 + w of norms, which the file has in "
    "float32; another float32 implementation adds the same products in another order."
)
VOCABULARY = 64
SIZES = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=1)
SWAPPED = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head",
           "max_position_embeddings": "n_positions"}


@dataclass
class Family:
    name: str
    model_type: str
    changes: dict  # of SIZES; what is None is left out
    cases: tuple = ((2, 9), (1, 20))


def full(theta):
    return {"rope_type": "default", "rope_theta": theta}


def yarn(theta, factor, original=16, **more):
    return {"rope_type": "yarn", "rope_theta": theta, "factor": factor, "beta_fast": 32.0, "beta_slow": 1.0,
            "original_max_position_embeddings": original, **more}


FAMILIES = [
    Family("gemma", "gemma", dict(head_dim=16)),
    Family("gemma2", "gemma2", dict(head_dim=16, sliding_window=8, query_pre_attn_scalar=16, attn_logit_softcapping=5.0,
                                    final_logit_softcapping=7.0, num_hidden_layers=3)),
    Family("gemma3", "gemma3_text", dict(head_dim=16, sliding_window=8, query_pre_attn_scalar=16, num_hidden_layers=6,
                                         intermediate_size=32)),
    Family("arcee", "arcee", dict(head_dim=8)),
    Family("olmo", "olmo", dict()),
    Family("olmo2", "olmo2", dict()),
    Family("olmo3", "olmo3", dict(sliding_window=8, num_hidden_layers=4)),
    Family("seed_oss", "seed_oss", dict(head_dim=16, attention_bias=True, attention_out_bias=False)),
    Family("starcoder2", "starcoder2", dict(use_bias=True, sliding_window=None)),
    Family("phi3", "phi3", dict(pad_token_id=0, original_max_position_embeddings=64, sliding_window=None)),
    Family("phi", "phi", dict(num_key_value_heads=4, intermediate_size=128, partial_rotary_factor=0.5)),
    Family("granite", "granite", dict(attention_multiplier=0.3, embedding_multiplier=3.0, residual_multiplier=0.5,
                                      logits_scaling=2.0)),
    Family("smollm3", "smollm3", dict(num_hidden_layers=4, no_rope_layers=[1, 1, 1, 0], pad_token_id=0)),
    Family("stablelm", "stablelm", dict(use_parallel_residual=False, use_qkv_bias=True, partial_rotary_factor=0.25)),
    Family("stablelm-parallel", "stablelm", dict(use_parallel_residual=True, qk_layernorm=True,
                                                 partial_rotary_factor=0.25)),
    Family("nemotron", "nemotron", dict(head_dim=8, partial_rotary_factor=0.5)),
    Family("cohere2", "cohere2", dict(sliding_window=8, num_hidden_layers=4, intermediate_size=32, pad_token_id=0)),
    Family("cohere", "cohere", dict(pad_token_id=0)),
    Family("glm4", "glm4", dict(head_dim=8, partial_rotary_factor=0.5, attention_bias=True, pad_token_id=0)),
    Family("exaone4", "exaone4", dict(sliding_window=None, layer_types=["full_attention"] * 2)),
    Family("gpt2", "gpt2", dict()),
    Family("gpt_neox", "gpt_neox", dict(num_key_value_heads=None, rotary_pct=0.25)),
    Family("mistral3", "ministral3", dict(head_dim=8, rope_parameters=dict(
        yarn(1000.0, factor=4.0, mscale=1.0, mscale_all_dim=1.0), llama_4_scaling_beta=0.1))),
    Family("mixtral", "mixtral", dict(num_local_experts=4, num_experts_per_tok=2)),
    # Where its band ends at whole pairs without being told to, as llama.cpp has it end in every case.
    Family("gpt_oss", "gpt_oss", dict(head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=8,
                                      intermediate_size=16, max_position_embeddings=512, rope_parameters=dict(
                                          yarn(5.0, factor=4.0, original=128), truncate=False))),
    Family("baichuan", "baichuan", dict(hidden_size=16, num_attention_heads=2, num_key_value_heads=None, intermediate_size=16,
                                        num_hidden_layers=32, model_max_length=64), ((1, 9), (1, 20))),
    Family("baichuan-alibi", "baichuan", dict(
        hidden_size=12, num_attention_heads=3, num_key_value_heads=None, intermediate_size=8, num_hidden_layers=40,
        model_max_length=64, max_position_embeddings=None), ((1, 9), (1, 20))),
    Family("exaone4-windows", "exaone4", dict(hidden_size=16, num_attention_heads=2, num_key_value_heads=1, sliding_window=8,
                                              intermediate_size=16, num_hidden_layers=64), ((1, 7), (1, 20))),
    Family("exaone4-llama3", "exaone4", dict(sliding_window=None, layer_types=["full_attention"] * 2, rope_parameters=dict(
        rope_type="llama3", rope_theta=500000.0, factor=16.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=8192))),
    Family("llama-yarn", "llama", dict(head_dim=16, rope_parameters=yarn(1000.0, factor=4.0))),
    Family("phi3-long", "phi3", dict(pad_token_id=0, original_max_position_embeddings=8, sliding_window=None,
                                     rope_parameters=dict(
                                         rope_type="longrope", rope_theta=10000.0, original_max_position_embeddings=8,
                                         short_factor=[1.0, 1.1, 1.3, 2.0], long_factor=[1.5, 2.0, 7.5, 20.0]))),
    Family("qwen2_moe", "qwen2_moe", dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
                                          shared_expert_intermediate_size=24)),
    Family("qwen3_moe", "qwen3_moe", dict(norm_topk_prob=True, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, head_dim=8)),
    Family("olmoe", "olmoe", dict(num_key_value_heads=4, num_experts=4, num_experts_per_tok=2, intermediate_size=16)),
    Family("granitemoe", "granitemoe", dict(num_local_experts=4, num_experts_per_tok=2, attention_multiplier=0.3,
                                            embedding_multiplier=3.0, residual_multiplier=0.5, logits_scaling=2.0)),
    Family("granitemoeshared", "granitemoeshared", dict(
        num_local_experts=4, num_experts_per_tok=2, intermediate_size=16, shared_intermediate_size=24, attention_multiplier=0.3,
        embedding_multiplier=3.0, residual_multiplier=0.5, logits_scaling=2.0)),
    Family("ernie4_5", "ernie4_5", dict(head_dim=16, use_bias=False)),
    # The converter takes the width of an MLP, divided by KV heads, for that of the MLP that all tokens go through.
    Family("ernie4_5_moe", "ernie4_5_moe", dict(head_dim=8, intermediate_size=32, num_hidden_layers=3, moe_intermediate_size=8,
                                                moe_k=2, moe_num_experts=4, moe_num_shared_experts=2,
                                                moe_layer_start_index=1, moe_layer_end_index=2)),
    Family("dots1", "dots1", dict(head_dim=8, num_key_value_heads=4, num_hidden_layers=3, first_k_dense_replace=2, n_routed_experts=4, n_shared_experts=2,
                                  num_experts_per_tok=2, moe_intermediate_size=8, norm_topk_prob=True,
                                  routed_scaling_factor=2.5, sliding_window=None, layer_types=["full_attention"] * 3)),
    Family("glm4_moe", "glm4_moe", dict(head_dim=8, attention_bias=True, use_qk_norm=True, first_k_dense_replace=1,
                                        num_nextn_predict_layers=0, n_routed_experts=4, n_shared_experts=2,
                                        num_experts_per_tok=2, moe_intermediate_size=8, norm_topk_prob=False,
                                        routed_scaling_factor=1.5)),
    Family("solar_open", "solar_open", dict(head_dim=8, n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2,
                                            intermediate_size=16, moe_intermediate_size=8, routed_scaling_factor=1.5,
                                            # The converter takes a half where it is not said.
                                            rope_parameters=dict(full(10000.0), partial_rotary_factor=1.0))),
    Family("exaone_moe", "exaone_moe", dict(head_dim=8, num_hidden_layers=4, sliding_window=8, sliding_window_pattern=4,
                                            intermediate_size=32, num_experts=4, num_shared_experts=2, num_experts_per_tok=2,
                                            moe_intermediate_size=8, first_k_dense_replace=1, num_nextn_predict_layers=0)),
    # The converter wants of a stretched base that it is that of the published models.
    Family("hunyuan_v1_dense", "hunyuan_v1_dense", dict(head_dim=8)),
    Family("hunyuan_v1_moe", "hunyuan_v1_moe", dict(head_dim=8, intermediate_size=16, num_experts=4, moe_topk=[2, 2],
                                                  moe_intermediate_size=[16, 16], num_shared_expert=[1, 1])),
    Family("minimax_m2", "minimax_m2", dict(head_dim=8, rotary_dim=4, intermediate_size=16, num_local_experts=4,
                                            num_experts_per_tok=2)),
]


def config_of(family):
    values = {**SIZES, **family.changes}
    if family.model_type == "gpt2":
        values = {SWAPPED.get(key, key): value for key, value in values.items() if key != "intermediate_size"}
        values |= {"n_ctx": values["n_positions"]}
    kept = {key: value for key, value in values.items() if value is not None or key == "sliding_window"}
    return AutoConfig.for_model(family.model_type, **kept)


def fill(network, random):
    with torch.no_grad():
        corrections = [(name, value) for name, value in network.named_buffers() if is_correction(name)]
        for name, weight in sorted([*network.named_parameters(), *corrections]):
            if weight.ndim == 1:
                gain = name.endswith("weight")
                value = (1 if gain else 0) * 0.7 + 0.4 * torch.rand(weight.shape, generator=random)
                # The converter adds 1 to some in float16, and nothing is to be lost then.
                value = (512 * value).round() / 512
            else:
                value = 1.2 / weight.shape[-1]**0.5 * torch.randn(weight.shape, generator=random)
            weight.copy_(value.half())


def convert(folder, path):
    """What llama.cpp's converter makes of a folder, without a tokenizer."""
    hparams = ModelBase.load_hparams(folder, False)
    # What the converter looks for, and transformers no longer writes.
    hparams.setdefault("rotary_pct", (hparams.get("rope_parameters") or {}).get("partial_rotary_factor", 1))
    if hparams.get("max_position_embeddings") is None and "model_max_length" in hparams:
        hparams["max_position_embeddings"] = hparams["model_max_length"]
    # The only one of these, whose configs have no word for it that the converter knows.
    if hparams["model_type"] in ("dots1", "exaone_moe"):
        hparams["scoring_func"] = "sigmoid"
    known = get_model_class(get_model_architecture(hparams, ModelType.TEXT))

    # That of Mistral 3 hands everything to another class, vocabulary included.
    known = getattr(known, "Ministral3Model", known)

    class WithoutVocabulary(known):
        model_arch = known.model_arch

        def set_vocab(self):
            pass

        def modify_tensors(self, data_torch, name, bid):
            # Baichuan's calls itself without end for all but the packed matrix (llama_cpp_python 0.3.36).
            if hparams["model_type"] == "baichuan" and "W_pack" not in name:
                return [(self.map_tensor_name(name), data_torch)]
            return super().modify_tensors(data_torch, name, bid)

    with torch.inference_mode():
        WithoutVocabulary(folder, gguf.LlamaFileType.MOSTLY_F16, path, hparams=hparams).write()


def version_of_source():
    """Of a clone the commit."""
    if not (SOURCE / ".git").exists():
        return {"llama_cpp_python": "0.3.36"}
    found = subprocess.run(["git", "-C", SOURCE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    return {"llama.cpp": found.stdout.strip()}


def main():
    transformers.logging.set_verbosity_error()
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:]
    for family in FAMILIES:
        if wanted and family.name not in wanted:
            continue
        network = AutoModelForCausalLM.from_config(config_of(family), attn_implementation="eager").eval()
        fill(network, generator(f"{family.name} converted weights"))
        path = OUT / f"{family.name}.gguf"
        with tempfile.TemporaryDirectory(prefix=f"{family.name}-") as folder:
            network.half().save_pretrained(folder)
            config = json.loads(Path(folder, "config.json").read_text())
            # Gemma 3's converter counts its tokens.
            tokens = {"model": {"type": "BPE", "vocab": {str(i): i for i in range(VOCABULARY)}, "merges": []},
                      "added_tokens": []}
            Path(folder, "tokenizer.json").write_text(json.dumps(tokens))
            convert(Path(folder), path)
            # Not the same object: its rotary frequencies were rounded, too.
            network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        random = generator(f"{family.name} converted input")
        cases = [encode(network, make_input(*size, VOCABULARY, random)) for size in family.cases]
        expected = {
            "what": f"{family.name}, converted by llama.cpp",
            "versions": {"python": platform.python_version(), "torch": torch.__version__,
                         "transformers": transformers.__version__, **version_of_source(),
                         "safetensors": version("safetensors")},
            "tolerance": TOLERANCE, "tolerance_why": TOLERANCE_WHY, "config": config, "cases": cases,
        }
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items()]
        path.with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(f"{family.name:20} {path.stat().st_size:8} bytes, {path.with_suffix('.json').stat().st_size} bytes")


if __name__ == "__main__":
    main()
