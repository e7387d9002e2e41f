#!/usr/bin/env python3
"""Make the tiny language-model fixtures under tests/fixtures/families/.

Usage, from the repository root:

    python3 -m venv /tmp/oracles && /tmp/oracles/bin/pip install -r scripts/oracles/requirements.txt
    /tmp/oracles/bin/python scripts/oracles/make_tiny_families.py            # write everything, then check it
    /tmp/oracles/bin/python scripts/oracles/make_tiny_families.py --only gemma phi     # only these
    /tmp/oracles/bin/python scripts/oracles/make_tiny_families.py --check    # only check what is committed
    /tmp/oracles/bin/python scripts/oracles/make_tiny_families.py --out DIR  # somewhere else

Each folder holds a model in the layout of the Hugging Face hub (config.json and
model.safetensors, or shards with an index) and expected.json with the logits that
transformers computes for it:

    {"what": ..., "versions": {...}, "tolerance": 1e-4, "tolerance_why": ..., "float64_gap": ...,
     "cases": [{"input_ids": [[...]], "logits": <base64>, "shape": [batch, time, vocabulary]}]}

`logits` is the base64 of little-endian float32, batch by time by vocabulary, computed in
float32 from the stored (perhaps rounded) weights, with eager attention, no attention mask but
the causal one, and no key/value cache. `mistral-sliding` has one more case under the key
`beyond_window`, longer than its attention window.

The weights are random, with a seed made from the folder's name, and scaled so that the logits
have a standard deviation of 1 to 3 and so that attention is far from uniform: a reader with a
wrong rotary frequency, a dropped bias or a swapped head is far outside the tolerance. A second
run on the same machine with the same versions writes the same bytes.

The two pruned layouts (`llama-missing-blocks`, `qwen2-heterogeneous`) are not models that
transformers can describe. Their config.json is the dense model's config with the key "lopper",
whose list `layers` gives the shape of each layer that is really in the file. They are computed with
transformers' own modules, and checked against an unpatched dense model whose missing parts are
zeros, which must agree.
"""

import argparse
import base64
import json
import math
import platform
import shutil
import sys
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy
import safetensors
import torch
import transformers
from baichuan import BaichuanConfig
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, GPT2Config, LlamaConfig,
                          MistralConfig, Mxfp4Config, Olmo2Config, Qwen2Config, Qwen3Config)
from transformers.integrations.mxfp4 import convert_moe_packed_tensors
from transformers.models.auto.modeling_auto import (MODEL_FOR_CAUSAL_LM_MAPPING,
                                                    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING)

DEFAULT_OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "families"
TOLERANCE = 1e-4
TOLERANCE_WHY = (
    "Largest absolute difference of a logit. Another float32 implementation adds the same products in another "
    "order; float64_gap is how far float32 rounding alone moves these logits (transformers in float32 against "
    "float64), more than ten times less than the tolerance. Each of the mistakes that make_tiny_families.py tries (a "
    "wrong rotary base, a dropped bias, a norm without its weight) moves some logit by more than 1e-2."
)

# How weights are called in files where transformers 5 has another name for them in memory.
STORED_NAMES = {"gpt_neox": {"lm_head.": "embed_out."}}


@dataclass
class Family:
    name: str
    what: str
    config: object
    cases: list[tuple[int, int]]  # (batch, time)
    stored: torch.dtype = torch.float32
    shards: int = 1
    beyond_window: tuple[int, int] | None = None
    legacy_config: bool = False
    window_not_used: int | None = None  # a sliding_window in config.json that use_sliding_window turns off
    layers: list[dict] | None = None  # the "lopper" layer list of a pruned layout
    keys: dict = field(default_factory=dict)  # of config.json, as others than transformers 5 write them
    mxfp4: bool = False  # matrices of experts are stored in MXFP4
    earlier_names: bool = False  # of tensors, as transformers writes them where it has others in memory
    mistakes: dict[str, dict] = field(default_factory=dict)  # settings that a reader might miss, by what that is


def attention(query_heads, kv_heads):
    return {"query_heads": query_heads, "kv_heads": kv_heads}


def mlp(intermediate_size):
    return {"intermediate_size": intermediate_size}


def rope(theta=10000.0, rope_type="default", **more):
    return {"rope_type": rope_type, "rope_theta": theta, **more}


def tiny(model_type, **own):
    """A config of any family, with sizes of which no two are the same."""
    sizes = dict(vocab_size=80, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=128, bos_token_id=0, eos_token_id=1, pad_token_id=None)
    return AutoConfig.for_model(model_type, **{**sizes, **own})


def within(model_type, vision, text, **own):
    """A config of a model of images and text."""
    tower = dict(hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2, image_size=8,
                 patch_size=4)
    more = {"pixtral": dict(head_dim=4), "internvl_vision": dict(image_size=[8, 8], patch_size=[4, 4])}
    tower = AutoConfig.for_model(vision, **{**tower, **more.get(vision, {})})
    return AutoConfig.for_model(model_type, text_config=text.to_dict(), vision_config=tower.to_dict(), **own)


def wrappers():
    """Models of images and text, whose texts are those of a family. The parts for images are never run."""
    yarn = rope(1000.0, "yarn", factor=4.0, original_max_position_embeddings=64, beta_fast=32.0, beta_slow=1.0,
                mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1)
    return [
        Family(
            "gemma3", "Gemma 3 with images, under the names of tensors that transformers writes; a window of 6.",
            within("gemma3", "siglip_vision_model", tiny(
                "gemma3_text", intermediate_size=40, head_dim=10, query_pre_attn_scalar=14, sliding_window=6,
                layer_types=["sliding_attention", "full_attention"],
                rope_parameters={"full_attention": rope(50000.0), "sliding_attention": rope(700.0)}),
                mm_tokens_per_image=1), [(2, 12), (1, 19)], earlier_names=True,
        ),
        Family(
            "mistral3", "Mistral 3 with images around a Ministral 3, under the names that transformers has in memory.",
            within("mistral3", "pixtral", tiny("ministral3", head_dim=12, rope_parameters=yarn),
                   tie_word_embeddings=False), [(2, 12), (1, 19)], stored=torch.bfloat16,
        ),
        Family(
            "llava", "LLaVA around a Llama, under the names of tensors that transformers writes.",
            within("llava", "clip_vision_model", tiny("llama", rope_parameters=rope())), [(2, 12), (1, 19)],
            stored=torch.float16, earlier_names=True,
        ),
        Family(
            "llava_next", "LLaVA-NeXT around a Mistral, tied, with a tensor that is in none of its parts.",
            within("llava_next", "clip_vision_model", tiny("mistral", intermediate_size=40, sliding_window=None,
                                                           rope_parameters=rope(), tie_word_embeddings=True),
                   tie_word_embeddings=True, image_grid_pinpoints=[[8, 16]]), [(2, 9)], stored=torch.bfloat16,
            earlier_names=True,
        ),
        Family(
            "internvl", "InternVL around a Qwen2, tied as nobody says it.",
            within("internvl", "internvl_vision", tiny("qwen2", intermediate_size=40, use_sliding_window=False,
                                                       rope_parameters=rope(), tie_word_embeddings=True)),
            [(2, 9)], stored=torch.bfloat16, earlier_names=True,
        ),
        Family(
            "smolvlm", "SmolVLM around a Llama, whose tensors have names of their own.",
            within("smolvlm", "smolvlm_vision", tiny("llama", intermediate_size=40, rope_parameters=rope()), scale_factor=1),
            [(2, 9)], stored=torch.bfloat16,
        ),
    ]


def dense_granite_4(**own):
    """Granite 4 without Mamba and experts. What is called intermediate_size is that of experts."""
    return tiny("granitemoehybrid", num_local_experts=0, intermediate_size=60, shared_intermediate_size=44,
                layer_types=["full_attention"] * 2, mamba_n_heads=4, embedding_multiplier=6.0, residual_multiplier=0.35,
                attention_multiplier=0.2, logits_scaling=1.5, **own)


def mixtures():
    """Mixtures of experts, of fewer inner channels than the families of MLPs have."""

    def experts(model_type, **own):
        return tiny(model_type, **{"intermediate_size": 20, "num_experts_per_tok": 2, **own})

    fewer = {"an expert less for each token": dict(num_experts_per_tok=1)}
    every = {**fewer, "weights as they are": dict(norm_topk_prob=False), "factor": dict(routed_scaling_factor=1.0)}
    return [
        Family(
            "mixtral", "Mixtral: each token goes to 2 of 5 experts, a tensor for each matrix of each expert.",
            experts("mixtral", num_local_experts=5), [(2, 12), (1, 19)], mistakes=fewer,
        ),
        Family(
            "qwen3_moe", "Qwen3-MoE: 3 of 7 experts, whose weights are divided by their sum, heads of 12, bfloat16.",
            experts("qwen3_moe", num_experts=7, num_experts_per_tok=3, moe_intermediate_size=20, head_dim=12,
                    norm_topk_prob=True), [(2, 12), (1, 19)], stored=torch.bfloat16,
            mistakes={**fewer, "weights as they are": dict(norm_topk_prob=False)},
        ),
        Family(
            "qwen2_moe", "Qwen2-MoE: 2 of 6 experts and a shared one with a gate of its own, biases on q, k and v.",
            experts("qwen2_moe", num_experts=6, moe_intermediate_size=20, shared_expert_intermediate_size=28,
                    norm_topk_prob=False), [(2, 12), (1, 19)],
            mistakes={**fewer, "weights divided by their sum": dict(norm_topk_prob=True)},
        ),
        Family(
            "qwen3_moe-mixed", "Qwen3-MoE with MLPs in layers 1 and 2 of 4, one KV head of 3.",
            experts("qwen3_moe", num_hidden_layers=4, num_attention_heads=3, num_key_value_heads=1, num_experts=5,
                    intermediate_size=28, moe_intermediate_size=10, head_dim=8, mlp_only_layers=[1, 2]),
            [(2, 9), (1, 15)], mistakes=fewer,
        ),
        Family(
            "qwen2_moe-steps", "Qwen2-MoE with a mixture in every other layer, from the second one on, tied, bfloat16.",
            experts("qwen2_moe", num_hidden_layers=3, num_experts=5, intermediate_size=28, moe_intermediate_size=12,
                    shared_expert_intermediate_size=14, norm_topk_prob=True, decoder_sparse_step=2, tie_word_embeddings=True),
            [(2, 9), (1, 15)], stored=torch.bfloat16, mistakes=fewer,
        ),
        Family(
            "glm4_moe",
            "GLM-4.5: 3 of 12 experts, within the best 2 of 3 groups, corrected for the choice, beside two for all tokens; an "
            "MLP in the first layer; norms of q and k, half of heads of 12 rotated.",
            experts("glm4_moe", num_hidden_layers=3, intermediate_size=28, head_dim=12, n_routed_experts=12, n_group=3,
                    topk_group=2, num_experts_per_tok=3, n_shared_experts=2, moe_intermediate_size=10, use_qk_norm=True,
                    routed_scaling_factor=1.8), [(2, 12), (1, 19)],
            mistakes={**every, "groups": dict(n_group=1, topk_group=1)},
        ),
        Family(
            "glm4_moe-plain",
            "GLM-4.5 without groups, biases on q, k and v, weights as sigmoids are; bfloat16 but for router and correction.",
            experts("glm4_moe", n_routed_experts=5, moe_intermediate_size=12, intermediate_size=28, norm_topk_prob=False,
                    num_key_value_heads=1, attention_bias=True, routed_scaling_factor=0.7), [(2, 9), (1, 15)],
            stored=torch.bfloat16, mistakes={**fewer, "factor": dict(routed_scaling_factor=1.0)},
        ),
        Family(
            "dots1",
            "dots.llm1: 2 of 8 experts, within the better of 2 groups, a window of 6 in the last of 3 layers; MLPs in two.",
            experts("dots1", num_hidden_layers=3, intermediate_size=28, n_routed_experts=8, n_group=2, topk_group=1,
                    n_shared_experts=1, moe_intermediate_size=12, norm_topk_prob=True, routed_scaling_factor=2.5,
                    first_k_dense_replace=2, sliding_window=6, max_window_layers=2), [(2, 12), (1, 19)],
            mistakes={**every, "groups": dict(n_group=1, topk_group=1), "window": dict(sliding_window=7)},
        ),
        Family(
            "ernie4_5", "ERNIE 4.5: neighbouring channels of heads of 12 rotated together, biases everywhere, tied.",
            tiny("ernie4_5", head_dim=12, use_bias=True, rope_parameters=rope(500000.0)), [(2, 12), (1, 19)],
        ),
        Family(
            "ernie4_5_moe",
            "ERNIE 4.5 with 3 of 7 experts by a corrected softmax, beside two for all tokens; MLPs in the first and last layer.",
            experts("ernie4_5_moe", num_hidden_layers=4, intermediate_size=28, moe_num_experts=7, moe_k=3, head_dim=10,
                    moe_intermediate_size=12, moe_layer_end_index=2, num_experts_per_tok=3), [(2, 12), (1, 19)],
            mistakes={"an expert less for each token": dict(moe_k=2)},
        ),
        Family(
            "granitemoeshared", "Granite-MoE with an MLP of 14 channels that all tokens go through beside 2 of 5 experts.",
            experts("granitemoeshared", num_local_experts=5, shared_intermediate_size=14, num_key_value_heads=1,
                    embedding_multiplier=6.0, residual_multiplier=0.35, attention_multiplier=0.2, logits_scaling=1.5),
            [(2, 9), (1, 15)], mistakes=fewer,
        ),
        Family(
            "solar_open", "Solar Open: 2 of 12 experts, within the best 2 of 3 groups, corrected, beside one for all tokens.",
            experts("solar_open", head_dim=12, n_routed_experts=12, n_group=3, topk_group=2, moe_intermediate_size=10,
                    routed_scaling_factor=1.4), [(2, 9), (1, 15)],
            mistakes={**every, "groups": dict(n_group=1, topk_group=1)},
        ),
        Family(
            "minimax_m2", "MiniMax-M2: 3 of 7 experts by corrected sigmoids, norms of q and k over all heads, half of each rotated.",
            experts("minimax_m2", head_dim=12, num_local_experts=7, num_experts_per_tok=3, intermediate_size=12,
                    rope_parameters=rope(20000.0, partial_rotary_factor=0.5)), [(2, 12), (1, 19)], mistakes=fewer,
        ),
        Family(
            "exaone_moe",
            "K-EXAONE: 2 of 6 experts, corrected, beside one for all tokens; an MLP in the first of 4 layers, windows of 6 in "
            "all but the last, which rotates nothing.",
            experts("exaone_moe", num_hidden_layers=4, intermediate_size=28, head_dim=8, num_experts=6, sliding_window=6,
                    moe_intermediate_size=8), [(2, 9), (1, 17)],
            mistakes={**fewer, "weights as they are": dict(norm_topk_prob=False), "window": dict(sliding_window=7)},
        ),
        Family(
            "hunyuan_v1_moe", "Hunyuan with 2 of 5 experts beside an MLP as wide as one, lists by layer; norms of q and k behind "
            "the rotation.",
            experts("hunyuan_v1_moe", num_experts=5, intermediate_size=12, head_dim=10,
                    rope_parameters=rope(20000.0)), [(2, 12), (1, 19)], mistakes={"an expert less for each token": dict(moe_topk=1)},
            keys={"moe_topk": [2, 2], "num_shared_expert": [1, 1], "moe_intermediate_size": [12, 12]},
        ),
        Family(
            "olmoe", "OLMoE: 3 of 8 experts, norms of q and k over all heads, weights as the softmax has them.",
            experts("olmoe", num_experts=8, num_experts_per_tok=3), [(2, 12), (1, 19)],
            mistakes={**fewer, "weights divided by their sum": dict(norm_topk_prob=True)},
        ),
        Family(
            "granitemoe", "Granite-MoE: multipliers, a softmax over the 2 of 5 experts that are chosen, which are one tensor.",
            experts("granitemoe", num_local_experts=5, attention_bias=True, tie_word_embeddings=True,
                    embedding_multiplier=6.0, residual_multiplier=0.35, attention_multiplier=0.2, logits_scaling=1.5),
            [(2, 12), (1, 19)], mistakes=fewer,
        ),
        Family(
            "gpt_oss", "gpt-oss: sinks, a window of 8 in the first layer, biases, 2 of 5 experts with rows of gate and up in "
            "turns and a gate limited to 1.5, YaRN.",
            experts("gpt_oss", num_local_experts=5, head_dim=12, sliding_window=8, swiglu_limit=1.5,
                    layer_types=["sliding_attention", "full_attention"],
                    rope_parameters=rope(rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
                                         original_max_position_embeddings=32)),
            [(2, 12), (1, 19)], mistakes={**fewer, "limit of the gate": dict(swiglu_limit=7.0)},
        ),
        Family(
            "gpt_oss-mxfp4", "gpt-oss as it is published: matrices of its 4 experts in MXFP4, the rest bfloat16.",
            experts("gpt_oss", intermediate_size=64, num_local_experts=4, head_dim=12, sliding_window=8,
                    layer_types=["sliding_attention", "full_attention"], rope_parameters=rope(9000.0)),
            [(2, 12), (1, 19)], stored=torch.bfloat16, mxfp4=True, mistakes=fewer,
            keys={"quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": [
                "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]}},
        ),
    ]


def more_families():
    """Families of which one or two fixtures say all."""
    return [
        Family(
            "gemma", "Gemma: norms with gain 1 + w, embedding times √hidden, one KV head, 3 query heads of 16.",
            tiny("gemma", num_attention_heads=3, num_key_value_heads=1, head_dim=16), [(2, 12), (1, 21)],
        ),
        Family(
            "gemma-bias", "Gemma with biases on q, k, v and o, and the activation that its first configs call gelu.",
            tiny("gemma", head_dim=12, attention_bias=True), [(2, 9), (1, 17)],
            stored=torch.bfloat16, keys={"hidden_act": "gelu"},
        ),
        Family("arcee", "Arcee: MLPs without a gate, relu².", tiny("arcee"), [(2, 12), (1, 19)]),
        Family(
            "arcee-bias", "Arcee with biases everywhere and one KV head, stored as bfloat16.",
            tiny("arcee", num_key_value_heads=1, attention_bias=True, mlp_bias=True), [(2, 9)], stored=torch.bfloat16,
        ),
        Family(
            "seed_oss", "Seed-OSS: biases on q, k and v, none on o, 4 query heads of 20, stored as bfloat16.",
            tiny("seed_oss", head_dim=20), [(2, 11), (1, 23)],
            stored=torch.bfloat16,
        ),
        Family(
            "seed_oss-bias", "Seed-OSS with biases on o and in the MLP, and none on q, k and v, one KV head of 3.",
            tiny("seed_oss", head_dim=12, num_attention_heads=3, num_key_value_heads=1, attention_bias=False,
                 attention_out_bias=True, mlp_bias=True),
            [(2, 9)],
        ),
        Family("olmo", "OLMo: layer norms without weights.", tiny("olmo"), [(2, 12), (1, 19)]),
        Family(
            "olmo-bias",
            "OLMo with biases on q, k, v and o, one KV head, tied, q, k and v clipped, stored as bfloat16.",
            tiny("olmo", num_key_value_heads=1, attention_bias=True, tie_word_embeddings=True, clip_qkv=1.5), [(2, 9)],
            stored=torch.bfloat16, mistakes={"clip_qkv": {"clip_qkv": None}},
        ),
        Family(
            "granite", "Granite: multipliers of embedding, branches, scores and logits, tied, biases on q, k, v and o.",
            tiny("granite", attention_bias=True, tie_word_embeddings=True, embedding_multiplier=6.0,
                 residual_multiplier=0.35, attention_multiplier=0.2, logits_scaling=1.5),
            [(2, 12), (1, 21)],
            mistakes={name: {name: 1.0} for name in (
                "embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")},
        ),
        Family(
            "granite-mqa", "Granite with multipliers of 1, one KV head, biases in the MLP, stored as bfloat16.",
            tiny("granite", num_key_value_heads=1, mlp_bias=True, attention_multiplier=0.3), [(2, 9)],
            stored=torch.bfloat16,
        ),
        Family(
            "granitemoehybrid", "Granite 4 of attention and MLPs alone: multipliers, gate and up in one matrix, tied.",
            dense_granite_4(position_embedding_type="rope", tie_word_embeddings=True), [(2, 12), (1, 21)],
            mistakes={"rotation": {"position_embedding_type": None}, "residual_multiplier": {"residual_multiplier": 1.0}},
        ),
        Family(
            "granitemoehybrid-nope", "Granite 4 of attention and MLPs alone that rotates nothing, one KV head, biases.",
            dense_granite_4(position_embedding_type=None, num_key_value_heads=1, attention_bias=True), [(2, 9)],
            stored=torch.bfloat16, mistakes={"rotation": {"position_embedding_type": "rope"}},
        ),
        Family(
            "phi", "Phi: attention and a plain MLP read one norm, half of each head is rotated, biases everywhere.",
            tiny("phi"), [(2, 12), (1, 19)],
        ),
        Family(
            "phi-qk-norm", "Phi with norms of q and k, 0.4 of heads of 20 rotated, one KV head.",
            tiny("phi", hidden_size=40, num_attention_heads=2, num_key_value_heads=1, qk_layernorm=True,
                 partial_rotary_factor=0.4),
            [(2, 11), (1, 17)],
        ),
        Family(
            "ministral3", "Ministral 3: YaRN, heads of 12 channels; no longer than the length that queries grow from.",
            tiny("ministral3", head_dim=12, rope_parameters=rope(
                1000.0, "yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0, mscale=1.0,
                mscale_all_dim=1.0, llama_4_scaling_beta=0.1)),
            [(2, 12), (1, 31)],
        ),
        Family(
            "ministral3-long", "Ministral 3 beyond the length of 8 from which its queries grow, heads of 16, a window of 20.",
            tiny("ministral3", head_dim=16, sliding_window=20, rope_parameters=rope(
                1000.0, "yarn", factor=4.0, original_max_position_embeddings=8, beta_fast=32.0, beta_slow=1.0, mscale=1.0,
                mscale_all_dim=1.0, llama_4_scaling_beta=0.4)),
            [(2, 31), (1, 8)], mistakes={"growth of queries": {"rope_parameters": rope(
                1000.0, "yarn", factor=4.0, original_max_position_embeddings=8, beta_fast=32.0, beta_slow=1.0, mscale=1.0,
                mscale_all_dim=1.0, llama_4_scaling_beta=0.0)}},
        ),
        Family(
            "ministral3-window", "Ministral 3 with a window of 6 and one KV head, stored as bfloat16.",
            tiny("ministral3", num_key_value_heads=1, head_dim=8, sliding_window=6, tie_word_embeddings=False,
                 rope_parameters=rope(1000.0, "yarn", factor=2.0, original_max_position_embeddings=32,
                                      llama_4_scaling_beta=0.1)),
            [(2, 9)], stored=torch.bfloat16,
        ),
        Family(
            "nemotron", "Nemotron: layer norms with gain 1 + w, plain MLPs with relu², half of each head is rotated.",
            tiny("nemotron"), [(2, 12), (1, 19)],
        ),
        Family(
            "nemotron-bias", "Nemotron with biases everywhere, one KV head of 10, stored as bfloat16.",
            tiny("nemotron", num_key_value_heads=1, head_dim=10, attention_bias=True, mlp_bias=True,
                 partial_rotary_factor=0.4),
            [(2, 9)], stored=torch.bfloat16,
        ),
        Family(
            "opt", "OPT: learned positions from the third row on, plain MLPs with relu, biases, tied.",
            tiny("opt", ffn_dim=56, max_position_embeddings=40, word_embed_proj_dim=32), [(2, 12), (1, 19)],
        ),
        Family(
            "opt-bare", "OPT without biases, whose norms have no weights, untied, with gelu.",
            tiny("opt", ffn_dim=56, max_position_embeddings=40, word_embed_proj_dim=32, enable_bias=False,
                 layer_norm_elementwise_affine=False, tie_word_embeddings=False, activation_function="gelu"),
            [(2, 9), (1, 17)], mistakes={"activation": {"activation_function": "relu"}},
        ),
        Family(
            "gemma2",
            "Gemma 2: norms before and behind blocks, scores capped at 5 and logits at 4, a scale of its own, a window of 6 "
            "in the first layer and not in the second.",
            tiny("gemma2", head_dim=12, query_pre_attn_scalar=20, attn_logit_softcapping=5.0, final_logit_softcapping=4.0,
                 sliding_window=6),
            [(2, 14), (1, 21)],
            mistakes={"cap of scores": {"attn_logit_softcapping": None}, "cap of logits": {"final_logit_softcapping": None},
                      "scale": {"query_pre_attn_scalar": 12}, "window": {"sliding_window": 7},
                      "layers": {"layer_types": ["full_attention", "sliding_attention"]}},
        ),
        Family(
            "gemma2-bias", "Gemma 2 without caps, biases on q, k, v and o, one KV head, untied, stored as bfloat16.",
            tiny("gemma2", num_key_value_heads=1, head_dim=10, attn_logit_softcapping=None, final_logit_softcapping=None,
                 query_pre_attn_scalar=10, attention_bias=True, tie_word_embeddings=False, sliding_window=5),
            [(2, 9)], stored=torch.bfloat16, mistakes={"window": {"sliding_window": 4}},
        ),
        Family(
            "gemma3_text",
            "Gemma 3: norms of q and k, a window of 6 and a rotary base of its own in the first two of three layers; the "
            "rotation of the third is scaled.",
            tiny("gemma3_text", num_hidden_layers=3, intermediate_size=40, head_dim=10, query_pre_attn_scalar=14,
                 sliding_window=6, sliding_window_pattern=3, final_logit_softcapping=None, attn_logit_softcapping=None,
                 rope_parameters={"full_attention": rope(50000.0, "linear", factor=4.0),
                                  "sliding_attention": rope(700.0)}),
            [(2, 14), (1, 23)],
            mistakes={"window": {"sliding_window": 7}, "scale": {"query_pre_attn_scalar": 10}, "base of windows": {
                "rope_parameters": {"full_attention": rope(50000.0, "linear", factor=4.0),
                                    "sliding_attention": rope(50000.0)}}},
        ),
        Family(
            "gemma3_text-legacy",
            "Gemma 3 as configs on the hub had it at first: a pattern in place of a list, the bases under keys of their "
            "own, a scaling that is of full layers alone; one KV head.",
            tiny("gemma3_text", num_hidden_layers=3, intermediate_size=40, head_dim=10, query_pre_attn_scalar=10,
                 num_key_value_heads=1, sliding_window=5, sliding_window_pattern=3,
                 rope_parameters={"full_attention": rope(50000.0, "linear", factor=2.0),
                                  "sliding_attention": rope(900.0)}),
            [(2, 11)], stored=torch.bfloat16,
            keys={"rope_parameters": None, "layer_types": None, "sliding_window_pattern": 3, "rope_theta": 50000.0,
                  "rope_local_base_freq": 900.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        ),
        Family(
            "olmo3",
            "OLMo 3: norms behind blocks, norms of q and k over all heads, a window of 5 in three of four layers, the rotation "
            "of the fourth is scaled.",
            tiny("olmo3", num_hidden_layers=4, intermediate_size=24, sliding_window=5, layer_types=None,
                 rope_parameters={"full_attention": rope(500000.0, "yarn", factor=4.0, attention_factor=1.2,
                                                         original_max_position_embeddings=32),
                                  "sliding_attention": rope(500000.0)}),
            [(2, 14), (1, 23)],
            mistakes={"window": {"sliding_window": 6}, "scaling": {"rope_parameters": {
                "full_attention": rope(500000.0), "sliding_attention": rope(500000.0)}}},
        ),
        Family(
            "olmo3-bias", "OLMo 3 with biases on q, k, v and o, one KV head, one window before a layer without.",
            tiny("olmo3", num_key_value_heads=1, attention_bias=True, sliding_window=4,
                 layer_types=["sliding_attention", "full_attention"],
                 rope_parameters={"full_attention": rope(90000.0), "sliding_attention": rope(4000.0)}),
            [(2, 9)], stored=torch.bfloat16,
        ),
        Family(
            "smollm3", "SmolLM3: no rotation in the first of two layers.",
            tiny("smollm3", no_rope_layers=[0, 1], rope_parameters=rope(9000.0)),
            [(2, 12), (1, 17)],
            mistakes={"rotation": {"no_rope_layers": [1, 1]}},
        ),
        Family(
            "smollm3-windows",
            "SmolLM3 with every third layer without rotation but with a window of 5, biases everywhere, one KV head, untied.",
            tiny("smollm3", num_hidden_layers=4, intermediate_size=24, num_key_value_heads=1, no_rope_layer_interval=3,
                 use_sliding_window=True, sliding_window=5, attention_bias=True, mlp_bias=True, tie_word_embeddings=False),
            [(2, 13)], stored=torch.bfloat16,
            mistakes={"window": {"sliding_window": 6}},
        ),
        Family(
            "hunyuan_v1_dense", "Hunyuan: norms of q and k behind the rotation, whose base is stretched; heads of 16.",
            tiny("hunyuan_v1_dense", head_dim=16, rope_parameters=rope(700.0, "dynamic", alpha=40.0, factor=1.0)), [(2, 12), (1, 19)],
        ),
        Family(
            "stablelm", "StableLM: layer norms, a quarter of heads of 16 is rotated, biases on q, k and v.",
            tiny("stablelm", num_attention_heads=2, use_qkv_bias=True, rope_parameters=rope(100.0, partial_rotary_factor=0.25)),
            [(2, 12), (1, 21)],
        ),
        Family(
            "stablelm-parallel", "StableLM whose blocks are side by side, half of each head is rotated, one KV head.",
            tiny("stablelm", num_key_value_heads=1, use_parallel_residual=True,
                 rope_parameters=rope(partial_rotary_factor=0.5)),
            [(2, 9)], stored=torch.bfloat16,
        ),
        Family(
            "stablelm-qk-norm", "StableLM 2 12B: a norm without bias for each head of q and k, parallel, 4 heads, two KV heads.",
            tiny("stablelm", qk_layernorm=True, use_parallel_residual=True, rope_parameters=rope(partial_rotary_factor=0.5)),
            [(2, 12), (1, 21)],
        ),
        Family(
            "stablelm-qk-norm-sequential", "StableLM with norms of the heads of q and k, biases on q, k and v, 6 heads, stored "
            "as float16.",
            tiny("stablelm", hidden_size=48, num_attention_heads=6, num_key_value_heads=3, qk_layernorm=True,
                 use_qkv_bias=True, rope_parameters=rope(partial_rotary_factor=0.75)),
            [(2, 9)], stored=torch.float16,
        ),
        Family(
            "cohere2",
            "Command R7B: blocks side by side, neighbours are rotated together, in the layers with a window of 5 alone.",
            tiny("cohere2", num_hidden_layers=3, intermediate_size=40, sliding_window=5, logit_scale=0.8,
                 layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
            [(2, 12), (1, 21)],
            mistakes={"window": {"sliding_window": 6}, "logit_scale": {"logit_scale": 1.0}},
        ),
        Family(
            "cohere2-bias", "Command R7B with biases on q, k, v and o, one KV head, and the pattern of first configs.",
            tiny("cohere2", num_hidden_layers=2, num_key_value_heads=1, attention_bias=True, sliding_window=4,
                 sliding_window_pattern=2, logit_scale=1.0, tie_word_embeddings=False),
            [(2, 9)], stored=torch.bfloat16, keys={"layer_types": None, "sliding_window_pattern": 2},
        ),
        Family(
            "exaone4",
            "EXAONE 4: norms behind blocks, norms of q and k per head, a window of 5 in two of three layers, no rotation in "
            "the third.",
            tiny("exaone4", num_hidden_layers=3, intermediate_size=40, sliding_window=5, sliding_window_pattern=3),
            [(2, 12), (1, 21)],
            mistakes={"window": {"sliding_window": 6}},
        ),
        Family(
            "exaone4-full", "EXAONE 4 without windows, one KV head, tied, stored as bfloat16.",
            tiny("exaone4", num_key_value_heads=1, sliding_window=None, tie_word_embeddings=True,
                 layer_types=["full_attention"] * 2),
            [(2, 9)], stored=torch.bfloat16,
        ),
    ]


def packed_families():
    """Families whose checkpoints hold several weights in a tensor, or matrices the other way around; and one that is
    like them otherwise."""
    return [
        Family(
            "phi3", "Phi-3: q, k and v in one matrix, gate and up in another, 4 query heads of 12, two KV heads.",
            tiny("phi3", head_dim=12), [(2, 12), (1, 21)],
        ),
        Family(
            "phi3-mqa", "Phi-3 with one KV head, 3 query heads of 16 and tied embeddings, stored as bfloat16.",
            tiny("phi3", num_attention_heads=3, num_key_value_heads=1, head_dim=16, tie_word_embeddings=True),
            [(2, 11), (1, 17)], stored=torch.bfloat16,
        ),
        Family(
            "phi3-partial", "Phi-4-mini: three quarters of each head rotated, tied, stored as bfloat16.",
            tiny("phi3", num_attention_heads=2, tie_word_embeddings=True,
                 rope_parameters=rope(partial_rotary_factor=0.75)),
            [(2, 12), (1, 19)], stored=torch.bfloat16,
            mistakes={"rotated share": {"rope_parameters": rope(partial_rotary_factor=1.0)}},
        ),
        Family(
            "gpt_neox", "GPT-NeoX: q, k and v of a head together, a quarter of heads of 16 rotated, layers in parallel.",
            tiny("gpt_neox", hidden_size=48, num_attention_heads=3, num_key_value_heads=None), [(2, 12), (1, 21)],
            mistakes={"parallel": {"use_parallel_residual": False}},
        ),
        Family(
            "gpt_neox-sequential",
            "GPT-NeoX whose layers are not parallel, without biases of attention, half of each head rotated, with the "
            "keys of transformers 4, stored as float16.",
            tiny("gpt_neox", num_key_value_heads=None, use_parallel_residual=False, attention_bias=False,
                 rope_parameters=rope(3000.0, partial_rotary_factor=0.5)),
            [(2, 11), (1, 17)], stored=torch.float16,
            keys={"rope_parameters": None, "rotary_pct": 0.5, "rotary_emb_base": 3000.0},
        ),
        Family(
            "gpt2", "GPT-2: learned positions, matrices [in, out], q, k and v in one, 3 heads of 12, tied.",
            GPT2Config(vocab_size=80, n_embd=36, n_inner=56, n_layer=2, n_head=3, n_positions=40, bos_token_id=0,
                       eos_token_id=1),
            [(2, 12), (1, 23)], mistakes={"scale of scores": {"scale_attn_weights": False}},
        ),
        Family(
            "baichuan", "Baichuan 2, 7B kind: q, k and v in one matrix, rotation, rows of the head at length 1.",
            BaichuanConfig(vocab_size=80, hidden_size=36, intermediate_size=56, num_hidden_layers=2, num_attention_heads=3,
                           max_position_embeddings=64, model_max_length=64, z_loss_weight=0.0, bos_token_id=1,
                           eos_token_id=2, pad_token_id=0),
            [(2, 12), (1, 23)], mistakes={"norm of the head": {"z_loss_weight": None}},
        ),
        Family(
            "baichuan-alibi", "Baichuan 1, 13B kind: scores biased by distance, 6 heads, no positions.",
            BaichuanConfig(vocab_size=80, hidden_size=36, intermediate_size=40, num_hidden_layers=2, num_attention_heads=6,
                           model_max_length=64, bos_token_id=1, eos_token_id=2, pad_token_id=0),
            [(2, 12), (1, 23)], stored=torch.bfloat16,
            mistakes={"rotation for bias": {"max_position_embeddings": 64}},
        ),
        Family(
            "phi3-long",
            "Phi-3 with three quarters of each head rotated, and LongRoPE: 8 original positions, of which one of the "
            "cases has fewer, the other more; stored as bfloat16.",
            tiny("phi3", hidden_size=48, num_attention_heads=3, num_key_value_heads=3, original_max_position_embeddings=8,
                 rope_parameters=rope(rope_type="longrope", partial_rotary_factor=0.75,
                                      short_factor=[1.0, 1.1, 1.3, 1.2, 1.5, 2.0],
                                      long_factor=[1.5, 2.0, 4.0, 7.5, 12.0, 20.0])),
            [(2, 7), (1, 30)], stored=torch.bfloat16,
            mistakes={"attention_factor": {"rope_parameters": rope(
                rope_type="longrope", partial_rotary_factor=0.75, attention_factor=1.0,
                original_max_position_embeddings=8, short_factor=[1.0, 1.1, 1.3, 1.2, 1.5, 2.0],
                long_factor=[1.5, 2.0, 4.0, 7.5, 12.0, 20.0])}},
        ),
        Family(
            "glm4", "GLM-4: norms before and behind blocks, neighbours of half of each head rotated, gate and up in one matrix.",
            tiny("glm4", head_dim=16), [(2, 12), (1, 21)], stored=torch.bfloat16,
        ),
        Family(
            "glm4-mqa", "GLM-4 with one KV head, without biases, 3 query heads of 12, a third of them rotated.",
            tiny("glm4", num_attention_heads=3, num_key_value_heads=1, head_dim=12, attention_bias=False,
                 rope_parameters=rope(partial_rotary_factor=1 / 3)),
            [(2, 11), (1, 17)], stored=torch.float16,
        ),
        Family(
            "starcoder2", "StarCoder 2: layer norms, plain MLPs with gelu, biases everywhere, two KV heads.",
            tiny("starcoder2"), [(2, 12), (1, 19)],
        ),
    ]


def first_families():
    """The fixtures of the first families. Sizes are as small as they can be while every axis has its own length."""

    def llama(**kw):
        base = dict(vocab_size=80, hidden_size=32, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=128, rope_parameters=rope())
        return LlamaConfig(**{**base, **kw})

    def mistral(**kw):
        base = dict(vocab_size=88, hidden_size=32, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=256, rope_parameters=rope())
        return MistralConfig(**{**base, **kw})

    def qwen2(**kw):
        base = dict(vocab_size=96, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=6,
                    num_key_value_heads=2, rms_norm_eps=1e-6, max_position_embeddings=256, use_sliding_window=False,
                    rope_parameters=rope(1000000.0), bos_token_id=0, eos_token_id=1)
        return Qwen2Config(**{**base, **kw})

    def qwen3(**kw):
        base = dict(vocab_size=72, hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=2, head_dim=32, rms_norm_eps=1e-6, max_position_embeddings=256,
                    use_sliding_window=False, rope_parameters=rope(1000000.0), bos_token_id=0, eos_token_id=1)
        return Qwen3Config(**{**base, **kw})

    def olmo2(**kw):
        base = dict(vocab_size=72, hidden_size=64, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=2, rms_norm_eps=1e-6, max_position_embeddings=128, rope_parameters=rope(500000.0),
                    bos_token_id=0, eos_token_id=1, pad_token_id=None)
        return Olmo2Config(**{**base, **kw})

    return [
        Family(
            "llama-mha", "Llama, as many key/value heads as query heads, untied, stored as float16.",
            llama(num_key_value_heads=4, num_hidden_layers=3), [(2, 12), (1, 9)], stored=torch.float16,
        ),
        Family(
            "llama-mqa", "Llama with one key/value head and tied embeddings, stored as float32.",
            llama(num_key_value_heads=1, tie_word_embeddings=True), [(3, 10), (1, 23)],
        ),
        Family(
            "llama-odd-head",
            "Llama with 3 query heads of 24 (72, not the hidden size 48), one key/value head, biases on all attention "
            "and MLP projections, and a large rms_norm_eps that a reader cannot get wrong unnoticed.",
            llama(hidden_size=48, intermediate_size=56, num_attention_heads=3, num_key_value_heads=1, head_dim=24,
                  attention_bias=True, mlp_bias=True, rms_norm_eps=0.02),
            [(2, 11), (1, 17)],
        ),
        Family(
            "llama-rope-linear", "Llama with linear rotary scaling by 4.",
            llama(rope_parameters=rope(rope_type="linear", factor=4.0)), [(1, 33), (2, 9)],
        ),
        Family(
            "llama-rope-llama3",
            "Llama with llama3 rotary scaling whose wavelengths fall in all three bands (kept, blended, divided), "
            "stored as bfloat16. 36 original positions: with high_freq_factor 4 the kept band is empty below 26.",
            llama(vocab_size=64, hidden_size=64, intermediate_size=88, num_attention_heads=2, num_key_value_heads=1,
                  max_position_embeddings=288,
                  rope_parameters=rope(500000.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                       original_max_position_embeddings=36)),
            [(1, 40), (2, 13)], stored=torch.bfloat16,
        ),
        Family(
            "llama-rope-yarn", "Llama with YaRN by 4, from 36 original positions.",
            llama(vocab_size=64, hidden_size=64, intermediate_size=88, num_attention_heads=2, num_key_value_heads=1,
                  max_position_embeddings=144,
                  rope_parameters=rope(500000.0, "yarn", factor=4.0, original_max_position_embeddings=36)),
            [(1, 40), (2, 13)], stored=torch.bfloat16,
        ),
        Family(
            "llama-sharded", "Llama with grouped heads in three shards with an index.",
            llama(), [(2, 14)], shards=3,
        ),
        Family(
            "llama-legacy-config",
            "Llama whose config.json is written as transformers 4 did: rope_theta and rope_scaling (with the old key "
            "`type`) at the top level, torch_dtype for dtype, no head_dim.",
            llama(rope_parameters=rope(20000.0, "linear", factor=2.0)), [(1, 29), (2, 9)],
            stored=torch.float16, legacy_config=True,
        ),
        Family(
            "mistral", "Mistral with grouped heads and no sliding window.",
            mistral(sliding_window=None), [(2, 13), (1, 26)],
        ),
        Family(
            "mistral-sliding",
            "Mistral with a sliding window of 8. `cases` fit in the window; `beyond_window` does not, and from "
            "position 8 on its logits are those of a model that sees the token itself and the 7 before it.",
            mistral(sliding_window=8), [(2, 8), (3, 5)], beyond_window=(1, 20),
        ),
        Family(
            "qwen2", "Qwen2: biases on q, k and v, grouped heads, tied embeddings.",
            qwen2(tie_word_embeddings=True), [(2, 15), (1, 31)],
        ),
        Family(
            "qwen2-untied-bf16",
            "Qwen2 with an untied head, stored as bfloat16. As in files on the hub, config.json names a sliding window "
            "(here 8, shorter than the cases) and turns it off with use_sliding_window, and has no layer_types.",
            qwen2(num_key_value_heads=3, num_hidden_layers=3), [(1, 18), (3, 9)], stored=torch.bfloat16,
            window_not_used=8,
        ),
        Family(
            "qwen3", "Qwen3: norms on q and k, 4 heads of 32 (128, not the hidden size 40), grouped, untied.",
            qwen3(), [(2, 16), (1, 9)],
        ),
        Family(
            "qwen3-tied-mqa",
            "Qwen3 with one key/value head, tied embeddings, and 3 query heads that do not divide the hidden size 40.",
            qwen3(num_attention_heads=3, num_key_value_heads=1, head_dim=24, tie_word_embeddings=True),
            [(1, 21), (2, 10)],
        ),
        Family(
            "olmo2",
            "OLMo 2: the norms of blocks behind them, norms of q and k over all their heads, grouped heads, untied, stored "
            "as bfloat16.",
            olmo2(), [(2, 14), (1, 25)], stored=torch.bfloat16,
        ),
        Family(
            "llama-missing-blocks",
            "Pruned Llama: layer 1 has no attention, layer 2 no MLP, layer 3 neither; the tensors of a missing block, "
            "its norm among them, are not in the file.",
            llama(num_hidden_layers=4, intermediate_size=64), [(2, 12), (1, 19)],
            layers=[
                {"attention": attention(4, 2), "mlp": mlp(64)},
                {"attention": None, "mlp": mlp(64)},
                {"attention": attention(4, 2), "mlp": None},
                {"attention": None, "mlp": None},
            ],
        ),
        Family(
            "qwen2-heterogeneous",
            "Pruned Qwen2: 3, 1 and 2 key/value heads (two query heads for each), 72, 40, 56 and 24 MLP channels, "
            "layer 2 without attention.",
            qwen2(num_hidden_layers=4, num_key_value_heads=3, intermediate_size=72, vocab_size=64), [(2, 12), (1, 27)],
            layers=[
                {"attention": attention(6, 3), "mlp": mlp(72)},
                {"attention": attention(2, 1), "mlp": mlp(40)},
                {"attention": None, "mlp": mlp(56)},
                {"attention": attention(4, 2), "mlp": mlp(24)},
            ],
        ),
    ]


def families():
    return first_families() + more_families() + packed_families() + mixtures() + wrappers()


def generator(text):
    return torch.Generator().manual_seed(zlib.crc32(text.encode()))


def auto_class(config):
    return AutoModelForCausalLM if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING else AutoModelForImageTextToText


def build(config, layers=None, attention_kind="eager"):
    """A float32 model of this config, with its layers cut to `layers` if given (weights not set yet)."""
    model = auto_class(config).from_config(
        config, dtype=torch.float32, attn_implementation=attention_kind, experts_implementation="eager").eval()
    for index, shape in enumerate(layers or []):
        cut(model.model.layers[index], shape)
    return model


def cut(layer, shape):
    """Give a decoder layer the widths of `shape`, and a forward that skips the blocks it lacks."""

    def narrower(linear, inputs, outputs):
        return nn.Linear(inputs or linear.in_features, outputs or linear.out_features, bias=linear.bias is not None)

    if shape["attention"] is None:
        layer.self_attn = layer.input_layernorm = None
    else:
        block = layer.self_attn
        query = shape["attention"]["query_heads"] * block.head_dim
        key_value = shape["attention"]["kv_heads"] * block.head_dim
        # transformers takes the head counts from the widths; only the ratio is an attribute of its own
        block.num_key_value_groups = shape["attention"]["query_heads"] // shape["attention"]["kv_heads"]
        block.q_proj = narrower(block.q_proj, None, query)
        block.k_proj = narrower(block.k_proj, None, key_value)
        block.v_proj = narrower(block.v_proj, None, key_value)
        block.o_proj = narrower(block.o_proj, query, None)
    if shape["mlp"] is None:
        layer.mlp = layer.post_attention_layernorm = None
    else:
        block, width = layer.mlp, shape["mlp"]["intermediate_size"]
        block.gate_proj = narrower(block.gate_proj, None, width)
        block.up_proj = narrower(block.up_proj, None, width)
        block.down_proj = narrower(block.down_proj, width, None)

    def forward(hidden, **arguments):
        if layer.self_attn is not None:
            hidden = hidden + layer.self_attn(hidden_states=layer.input_layernorm(hidden), **arguments)[0]
        if layer.mlp is not None:
            hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        return hidden

    layer.forward = forward


def usual_gain(config):
    """What a norm's weight is that leaves its gain at 1."""
    return 0 if config.model_type.startswith(("gemma", "nemotron")) else 1


def is_correction(name):
    """Whether it is added to the scores of experts, for the choice alone."""
    return name.endswith("e_score_correction_bias")


def fill(model, stored, random):
    """Random weights, rounded to the dtype they will be stored in."""
    hidden = model.config.get_text_config().hidden_size
    tied = model.config.tie_word_embeddings
    with torch.no_grad():
        corrections = [(name, value) for name, value in model.named_buffers() if is_correction(name)]
        for name, weight in sorted([*model.named_parameters(), *corrections]):
            # matrices of GPT-2, and those of gpt-oss's experts, are [in, out]
            turned = model.config.model_type == "gpt2" or model.config.model_type == "gpt_oss" and "experts" in name
            inputs = weight.shape[-2 if turned else -1] if weight.dim() > 1 else None
            if weight.dim() == 1 and name.endswith("weight"):
                value = torch.rand(weight.shape, generator=random) + (usual_gain(model.config) - 0.5)
            else:
                if name.endswith((".bias", "_bias")):
                    scale = 0.4
                elif name.endswith("sinks"):
                    scale = 1.0
                elif name.endswith("wpe.weight"):
                    scale = 0.5
                elif name.endswith(("embed_tokens.weight", "embed_in.weight", "wte.weight")):
                    scale = 2 / math.sqrt(hidden) if tied else 1.0
                elif name in ("lm_head.weight", "embed_out.weight"):
                    scale = 2 / math.sqrt(hidden)
                elif name.endswith(("q_proj.weight", "k_proj.weight", "qkv_proj.weight", "query_key_value.weight",
                                    "c_attn.weight", "W_pack.weight")):
                    scale = 1.5 / math.sqrt(inputs)
                else:
                    scale = 1 / math.sqrt(inputs or weight.numel())
                value = scale * torch.randn(weight.shape, generator=random)
            weight.copy_(value.to(stored))


def fill_by_blocks(model, random):
    """Random blocks of MXFP4 for the matrices of experts, which then have their values; the tensors of blocks and
    scales, by the names of the matrices."""
    packed = {}
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
                continue
            experts, inputs, outputs = weight.shape
            shape = (experts, outputs, inputs // 32)
            # Codes alone have a standard deviation of 3.
            middle = 127 + round(math.log2(1 / (3 * math.sqrt(inputs))))
            blocks = torch.randint(256, (*shape, 16), generator=random).to(torch.uint8)
            scales = torch.randint(middle - 1, middle + 2, shape, generator=random).to(torch.uint8)
            weight.copy_(convert_moe_packed_tensors(blocks, scales))
            packed[name] = {f"{name}_blocks": blocks, f"{name}_scales": scales}
    return packed


def logits_of(model, input_ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor(input_ids), use_cache=False).logits


def make_input(batch, time, vocabulary, random):
    """Random ids, the first and the last of the vocabulary and one repetition among them."""
    ids = torch.randint(vocabulary, (batch, time), generator=random)
    ids[0, 1], ids[-1, 2], ids[0, 4] = 0, vocabulary - 1, ids[0, 3]
    return ids.tolist()


def encode(model, input_ids):
    logits = logits_of(model, input_ids)
    data = logits.numpy().astype("<f4").tobytes()
    return {"input_ids": input_ids, "logits": base64.b64encode(data).decode(), "shape": list(logits.shape)}


def decode(case):
    data = numpy.frombuffer(base64.b64decode(case["logits"]), "<f4")
    return torch.from_numpy(data.reshape(case["shape"]).copy())


def config_json(family):
    """config.json as transformers writes it, or as transformers 4 did, with the "lopper" key if pruned."""
    config = family.config
    mapping = (MODEL_FOR_CAUSAL_LM_MAPPING if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
               else MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING)
    config.architectures = [mapping[type(config)].__name__]
    config.dtype = family.stored
    content = json.loads(config.to_json_string())
    if family.legacy_config:
        scaling = dict(content.pop("rope_parameters"))
        content["rope_theta"] = scaling.pop("rope_theta")
        content["rope_scaling"] = {"type": scaling.pop("rope_type"), **scaling}
        content["torch_dtype"] = content.pop("dtype")
        content["transformers_version"] = "4.38.2"
        del content["head_dim"]
    if family.window_not_used is not None:
        content.update(use_sliding_window=False, sliding_window=family.window_not_used, max_window_layers=0)
        del content["layer_types"]
    content.update(family.keys)
    if family.layers is not None:
        content["lopper"] = {"schema": 1, "layers": family.layers}
    return dict(sorted(content.items()))


def write_json(path, content, indent=2):
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def save(weights, path):
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors makes it readable by its owner only


def stored_weights(model, earlier_names):
    """The weights of a model as files have them: those of experts are others there than in memory."""
    if not hasattr(model.config, "num_experts_per_tok") and not earlier_names:
        return model.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def write_weights(folder, model, family, packed):
    stored, shards = family.stored, family.shards
    exact = tuple(getattr(model, "_keep_in_fp32_modules_strict", None) or ["none"])
    found = stored_weights(model, family.earlier_names)
    weights = {name: value.to(torch.float32 if name.endswith(exact) else stored).contiguous()
               for name, value in found.items() if name not in packed}
    for tensors in packed.values():
        weights.update(tensors)
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    for name, stored_name in STORED_NAMES.get(model.config.model_type, {}).items():
        weights = {key.replace(name, stored_name): value for key, value in weights.items()}
    if shards == 1:
        save(weights, folder / "model.safetensors")
        return
    total = sum(value.nbytes for value in weights.values())
    plan = split_torch_state_dict_into_shards(weights, max_shard_size=math.ceil(total / shards * 1.25))
    assert len(plan.filename_to_tensors) == shards, plan.filename_to_tensors.keys()
    for filename, names in plan.filename_to_tensors.items():
        save({name: weights[name] for name in names}, folder / filename)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(plan.tensor_to_filename.items()))}
    write_json(folder / "model.safetensors.index.json", index)


def write(family, out):
    folder = out / family.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = build(family.config, family.layers)
    fill(model, family.stored, generator(f"{family.name} weights"))
    packed = fill_by_blocks(model, generator(f"{family.name} blocks")) if family.mxfp4 else {}
    random = generator(f"{family.name} input")
    sizes = family.cases + ([family.beyond_window] if family.beyond_window else [])
    cases = [encode(model, make_input(*size, family.config.get_text_config().vocab_size, random)) for size in sizes]
    write_json(folder / "config.json", config_json(family))
    write_weights(folder, model, family, packed)

    double = model.to(torch.float64)
    gap = max((logits_of(double, case["input_ids"]) - decode(case)).abs().max().item() for case in cases)
    expected = {
        "what": family.what,
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__, "safetensors": safetensors.__version__},
        "tolerance": TOLERANCE,
        "tolerance_why": TOLERANCE_WHY,
        "float64_gap": float(f"{gap:.1e}"),
    }
    if family.beyond_window:
        expected["beyond_window"] = cases.pop()
    expected["cases"] = cases
    # one line for each field: the arrays of ids are short, and the base64 is not for reading
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in expected.items()]
    (folder / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def load(folder, attention_kind="eager", **changes):
    """The model of a folder, by transformers' own loader. A pruned layout becomes the dense model that
    has zeros for what is missing: then the blocks add nothing, and the model is the same function."""
    config = AutoConfig.from_pretrained(folder, **changes)
    layers = getattr(config, "lopper", {}).get("layers")
    if config.model_type == "gpt_oss":
        attention_kind = "eager"  # torch's operator knows no sinks
    dequantised = {}
    if hasattr(config, "quantization_config"):
        dequantised["quantization_config"] = Mxfp4Config(dequantize=True)
    if layers is None:
        model, info = auto_class(config).from_pretrained(
            folder, config=config, dtype=torch.float32, attn_implementation=attention_kind,
            experts_implementation="eager", output_loading_info=True, **dequantised)
        assert not info["missing_keys"] and not info["unexpected_keys"], info
        return model.eval()
    dense = build(config, attention_kind=attention_kind)
    stored = load_file(folder / "model.safetensors")
    with torch.no_grad():
        for name, weight in dense.named_parameters():
            weight.zero_()
            if name in stored:
                value = stored.pop(name).float()
                weight[tuple(slice(size) for size in value.shape)] = value
    assert not stored, stored.keys()
    return dense


def difference(model, cases):
    return max((logits_of(model, case["input_ids"]) - decode(case)).abs().max().item() for case in cases)


def mistakes(folder, family):
    """Models with one thing wrong, by what is wrong. Each must be far outside the tolerance."""
    config = AutoConfig.from_pretrained(folder)
    for what, change in family.mistakes.items():
        yield what, load(folder, **change)
    rotary = getattr(config, "rope_parameters", None) or {}
    if getattr(config, "position_embedding_type", "rope") is None:
        rotary = {}
    if "rope_theta" in rotary:
        yield "rotary base", load(folder, rope_parameters={**rotary, "rope_theta": 5000.0})
    if rotary.get("rope_type", "default") != "default":
        yield "rotary scaling", load(folder, rope_parameters={**rotary, "rope_type": "default"})
    if getattr(config, "rms_norm_eps", 0) > 1e-3:
        yield "rms_norm_eps", load(folder, rms_norm_eps=1e-5)
    corrected = load(folder)
    corrections = [value for name, value in [*corrected.named_buffers(), *corrected.named_parameters()]
                   if is_correction(name)]
    if corrections:
        for value in corrections:
            value.data.fill_(0)
        yield "correction", corrected
    endings = {name.split(".layers.")[-1].lstrip("0123456789") for name, _ in load(folder).named_parameters()
               if name.endswith((".bias", "norm.weight")) and "vision_tower" not in name
               and "multi_modal_projector" not in name and "vision_model" not in name and "connector" not in name}
    if not rotary and not hasattr(config, "text_config"):
        # It adds the same to all scores of a query.
        endings.discard(".self_attn.k_proj.bias")
    for ending in sorted(endings):
        model = load(folder)
        for name, weight in model.named_parameters():
            if name.endswith(ending):
                weight.data.fill_(0 if ending.endswith(".bias") else usual_gain(config))
        yield ending, model


def check_llama3_bands(config):
    """Count the rotary wavelengths in the three bands of llama3 scaling."""
    parameters = config.rope_parameters
    length = parameters["original_max_position_embeddings"]
    waves = [2 * math.pi * parameters["rope_theta"] ** (2 * i / config.head_dim) for i in range(config.head_dim // 2)]
    kept = sum(wave < length / parameters["high_freq_factor"] for wave in waves)
    divided = sum(wave > length / parameters["low_freq_factor"] for wave in waves)
    blended = len(waves) - kept - divided
    print(f"  llama3 bands: {kept} kept, {blended} blended, {divided} divided")
    assert kept and blended and divided


def check(family, out):
    folder = out / family.name
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    cases = expected["cases"] + ([expected["beyond_window"]] if "beyond_window" in expected else [])
    # torch's own knows no caps.
    kinds = ("eager",) if family.config.model_type == "gemma2" else ("eager", "sdpa")
    gap = max(difference(load(folder, kind), cases) for kind in kinds)
    assert gap < 1e-5, (family.name, gap)
    assert expected["float64_gap"] < TOLERANCE / 10, (family.name, expected["float64_gap"])
    deviation = torch.cat([decode(case).flatten() for case in cases]).std().item()
    assert 1 <= deviation <= 3, (family.name, deviation)
    weakest = min((difference(model, cases), what) for what, model in mistakes(folder, family))
    assert weakest[0] > 1e-2, (family.name, weakest)
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size < 250_000, (family.name, size)
    print(f"{family.name:22}{size:9}{deviation:10.2f}{gap:12.1e}{expected['float64_gap']:13.1e}"
          f"{weakest[0]:10.2g}  {weakest[1]}")
    if family.beyond_window:
        full = load(folder, sliding_window=None)
        assert difference(full, expected["cases"]) < 1e-5
        far = difference(full, [expected["beyond_window"]])
        print(f"  a reader that ignores the window: {far:.2g} beyond it")
        assert far > 1e-2
    if (getattr(family.config, "rope_parameters", None) or {}).get("rope_type") == "llama3":
        check_llama3_bands(family.config)
    return size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--check", action="store_true", help="write nothing, check what is there")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these fixtures")
    arguments = parser.parse_args()
    wanted = [family for family in families() if not arguments.only or family.name in arguments.only]
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if not arguments.check:
        for family in wanted:
            write(family, arguments.out)
    print(f"{'name':22}{'bytes':>9}{'std':>10}{'reload':>12}{'float64 gap':>13}{'mistake':>10}  smallest mistake")
    total = sum(check(family, arguments.out) for family in wanted)
    print(f"{'total':22}{total:9}")
    assert total < 9_000_000


if __name__ == "__main__":
    sys.exit(main())
