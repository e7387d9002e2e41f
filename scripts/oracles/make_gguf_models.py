#!/usr/bin/env python3
"""Make the tiny GGUF models under tests/fixtures/gguf/models/.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_gguf_models.py

For each model NAME.gguf, written with the gguf package, and NAME.json with the logits that transformers computes when it
loads that file itself (base64 of little-endian float32, batch by time by vocabulary):

    {"what": ..., "versions": {...}, "tolerance": 1e-4, "tolerance_why": ...,
     "cases": [{"input_ids": [[...]], "logits": <base64>, "shape": [batch, time, vocabulary]}]}

Lopper holds quantised weights in float16, so that these are rounded to float16 before transformers computes with them in
float32; everything else is as in make_tiny_families.py, whose random models these are. The rows of q and k of llama files
are interleaved as convert_hf_to_gguf.py of llama.cpp does it. What transformers does not read from GGUF (Llama 3's
frequency factors, Qwen3's head size, a sliding window, widths by layer) it is given as a config.
"""

import json
import math
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy
import torch
import transformers
from gguf import GGMLQuantizationType as T
from make_tiny_families import (TOLERANCE, attention, build, encode, fill, generator, make_input, mlp, rope)
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "gguf" / "models"
TOLERANCE_WHY = (
    "Largest absolute difference of a logit. Weights are the same to the last bit; another float32 implementation adds "
    "the same products in another order."
)
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
BLOCK_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
# Where these differ.
SANDWICH_NAMES = {
    "post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


@dataclass
class Model:
    name: str
    what: str
    architecture: str
    config: object
    types: dict[str, T]  # by a part of the GGUF name; F32 for what is not named
    cases: list[tuple[int, int]]
    given: bool = False  # whether transformers has to be given the config
    layers: list[dict] | None = None


HALF = {part: T.F16 for part in ("token_embd", "output.weight", "attn_q.w", "attn_k.w", "attn_v.w", "attn_output.w",
                                 "ffn_gate.w", "ffn_up.w", "ffn_down.w")}


def models():
    sizes = dict(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=128, bos_token_id=0, eos_token_id=1)
    return [
        Model(
            "llama-mixed", "Llama in five quantisations, the head untied and in F16.", "llama",
            LlamaConfig(**sizes, head_dim=8, rope_parameters=rope()),
            {"token_embd": T.Q8_0, "attn_q": T.Q4_0, "attn_k": T.Q5_0, "attn_v": T.Q4_1, "attn_output": T.Q4_0,
             "ffn_gate": T.Q5_1, "ffn_up": T.Q4_1, "ffn_down": T.Q8_0, "output.weight": T.F16},
            [(2, 12), (1, 20)],
        ),
        Model(
            "llama-rope-factors",
            "Llama 3.1: frequency factors in rope_freqs.weight (8, 8192 positions, all three bands), tied, BF16.", "llama",
            LlamaConfig(**{**sizes, "num_attention_heads": 1, "num_key_value_heads": 1, "intermediate_size": 32,
                           "num_hidden_layers": 1},
                        head_dim=64, tie_word_embeddings=True,
                        rope_parameters=rope(500000.0, "llama3", factor=8.0, low_freq_factor=1.0,
                                             high_freq_factor=4.0, original_max_position_embeddings=8192)),
            {part: T.BF16 for part in HALF},
            [(1, 64)], given=True,
        ),
        Model(
            "llama-rope-linear", "Llama with linear rotary scaling by 4 and a head size of its own, F16.", "llama",
            LlamaConfig(**sizes, head_dim=16, rope_parameters=rope(10000.0, "linear", factor=4.0)),
            HALF,
            [(1, 33)], given=True,
        ),
        Model(
            "llama-biases", "Llama with biases on all attention and MLP projections, those of q and k interleaved.",
            "llama",
            LlamaConfig(**sizes, head_dim=8, attention_bias=True, mlp_bias=True, rope_parameters=rope()), HALF,
            [(2, 11)], given=True,
        ),
        Model(
            "llama-by-layer", "Llama whose head counts and MLP widths are lists.", "llama",
            LlamaConfig(**sizes, head_dim=8, rope_parameters=rope()), HALF, [(2, 12)], given=True,
            layers=[{"attention": attention(4, 2), "mlp": mlp(64)}, {"attention": attention(2, 1), "mlp": mlp(40)}],
        ),
        Model(
            "mistral-sliding", "Mistral as llama.cpp has it: a llama file with a sliding window (of 16), Q4_0.", "llama",
            MistralConfig(**sizes, head_dim=8, sliding_window=16, rope_parameters=rope()),
            {**HALF, "attn_q.w": T.Q4_0, "attn_k.w": T.Q4_0, "ffn_down.w": T.Q4_0}, [(2, 16)], given=True,
        ),
        Model(
            "qwen2", "Qwen2: biases on q, k and v, tied, Q8_0.", "qwen2",
            Qwen2Config(**sizes, tie_word_embeddings=True, use_sliding_window=False, rope_parameters=rope(1000000.0)),
            {part: T.Q8_0 for part in HALF}, [(2, 15)],
        ),
        Model(
            "qwen3", "Qwen3: norms on q and k, a head size of its own, untied, Q5_1.", "qwen3",
            Qwen3Config(**sizes, head_dim=16, use_sliding_window=False, rope_parameters=rope(1000000.0)),
            {**HALF, "attn_q.w": T.Q5_1, "attn_k.w": T.Q5_1, "ffn_up.w": T.Q5_1}, [(2, 14)],
            given=True,
        ),
        Model(
            "gemma3", "Gemma 3: six layers, one without a window (of 8), a base each, gains 1 + w, logits capped, Q8_0.",
            "gemma3",
            Gemma3TextConfig(**{**sizes, "num_hidden_layers": 6, "intermediate_size": 32}, head_dim=16,
                             sliding_window=8, query_pre_attn_scalar=16, final_logit_softcapping=9.0,
                             rope_parameters={"full_attention": rope(1000000.0), "sliding_attention": rope(10000.0)}),
            {part: T.Q8_0 for part in HALF}, [(2, 7), (1, 21)], given=True,
        ),
    ]


def gguf_name(name, architecture):
    if name in NAMES:
        return NAMES[name]
    layer, rest = name.removeprefix("model.layers.").split(".", 1)
    stem, kind = rest.rsplit(".", 1)
    names = BLOCK_NAMES | SANDWICH_NAMES if architecture == "gemma3" else BLOCK_NAMES
    return f"blk.{layer}.{names[stem]}.{kind}"


def interleave(weight, head_dim):
    """Rows of a head in pairs: the first of each half, the second of each, …"""
    heads = weight.reshape(-1, 2, head_dim // 2, *weight.shape[1:])
    return heads.swapaxes(1, 2).reshape(weight.shape)


def type_of(model, name):
    return next((kind for part, kind in model.types.items() if part in name), T.F32)


def rope_factors(config):
    """What convert_hf_to_gguf.py writes for Llama 3.1: what each frequency is divided by."""
    parameters = config.rope_parameters
    factor, positions = parameters["factor"], parameters["original_max_position_embeddings"]
    low, high = parameters["low_freq_factor"], parameters["high_freq_factor"]
    factors = []
    for exponent in torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim:
        wavelength = 2 * math.pi * parameters["rope_theta"] ** exponent.item()
        smooth = (positions / wavelength - low) / (high - low)
        factors.append(1 / ((1 - min(1, max(0, smooth))) / factor + min(1, max(0, smooth))))
    assert factors[0] == 1 and factors[-1] == factor and any(1 < f < factor for f in factors)
    return numpy.array(factors, numpy.float32)


def write(model, network, path):
    config = model.config
    writer = gguf.GGUFWriter(path, model.architecture)
    shapes = model.layers or [
        {"attention": attention(config.num_attention_heads, config.num_key_value_heads),
         "mlp": mlp(config.intermediate_size)}] * config.num_hidden_layers
    heads, kv_heads, widths = zip(*((s["attention"]["query_heads"], s["attention"]["kv_heads"],
                                     s["mlp"]["intermediate_size"]) for s in shapes))
    one_or_all = (lambda values: list(values)) if model.layers else (lambda values: values[0])
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_type("model")
    writer.add_name(model.name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(one_or_all(widths))
    writer.add_head_count(one_or_all(heads))
    writer.add_head_count_kv(one_or_all(kv_heads))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    full = config.rope_parameters.get("full_attention", config.rope_parameters)
    writer.add_rope_freq_base(full["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    if head_dim * heads[0] != config.hidden_size or model.layers:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if model.architecture == "llama":
        writer.add_rope_dimension_count(head_dim)
    if full["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(full["factor"])
    if full["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_factors(config))
    if getattr(config, "final_logit_softcapping", None):
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, value in network.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        name, weight = gguf_name(name, model.architecture), value.numpy()
        if model.architecture == "gemma3" and name.endswith("norm.weight"):
            weight = weight + 1
        if model.architecture == "llama" and (".attn_q." in name or ".attn_k." in name):
            weight = interleave(weight, head_dim)
        kind = type_of(model, name)
        writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(model, path):
    """The model as transformers loads it, quantised weights rounded to float16."""
    if model.layers is None and model.config.model_type != "mistral":
        config = {"config": model.config} if model.given else {}
        network, info = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager",
            output_loading_info=True, **config)
        assert not info["missing_keys"], info
    else:
        # transformers does not load these from GGUF: its modules, with the weights as the gguf package reads them
        network = build(model.config, model.layers)
        stored = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
        for name, weight in network.named_parameters():
            value = stored.pop(gguf_name(name, model.architecture)).reshape(weight.shape)
            if ".q_proj." in name or ".k_proj." in name:
                value = value.reshape(-1, model.config.head_dim // 2, 2, *value.shape[1:]).swapaxes(1, 2)
            weight.data.copy_(torch.from_numpy(value.reshape(weight.shape).copy()))
        assert not stored, stored.keys()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if type_of(model, gguf_name(name, model.architecture)) not in (T.F32, T.F16, T.BF16):
                weight.copy_(weight.half().float())
    return network.eval()


def main():
    transformers.logging.set_verbosity_error()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for model in models():
        network = build(model.config, model.layers)
        fill(network, torch.float32, generator(f"{model.name} gguf weights"))
        path = OUT / f"{model.name}.gguf"
        write(model, network, path)
        random = generator(f"{model.name} gguf input")
        inputs = [make_input(*size, model.config.vocab_size, random) for size in model.cases]
        loaded = read(model, path)
        cases = [encode(loaded, ids) for ids in inputs]
        # the file is the model that was written, but for rounding
        gap = max((torch.tensor(0.) + network(input_ids=torch.tensor(ids)).logits
                   - loaded(input_ids=torch.tensor(ids)).logits).abs().max().item() for ids in inputs)
        assert gap < 4, gap
        expected = {
            "what": model.what,
            "versions": {"python": platform.python_version(), "torch": torch.__version__,
                         "transformers": transformers.__version__, "gguf": "0.19.0"},
            "tolerance": TOLERANCE, "tolerance_why": TOLERANCE_WHY, "cases": cases,
        }
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items()]
        path.with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(f"{model.name:20} {path.stat().st_size:8} bytes, quantisation moves logits by {gap:.3f}")


if __name__ == "__main__":
    with torch.no_grad():
        sys.exit(main())
