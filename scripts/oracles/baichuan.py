"""Baichuan 1 and 2 (arXiv 2309.10305) in plain torch, since transformers has no such family.

Written after what the modelling files compute that are published with the checkpoints: a Llama whose q, k and v are one
matrix, `W_pack`. The 7B kind rotates queries and keys, the 13B kind biases scores by distance (ALiBi, arXiv 2108.12409);
the head of Baichuan 2 has rows of length 1. Importing this registers it, so that transformers' Auto classes know it.
"""

import math

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput


class BaichuanConfig(PreTrainedConfig):
    model_type = "baichuan"

    vocab_size: int = 64000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    hidden_act: str = "silu"
    rms_norm_eps: float = 1e-6
    # Of the 7B kind.
    max_position_embeddings: int | None = None
    # Of all but the first 7B.
    model_max_length: int | None = None
    # Of Baichuan 2.
    z_loss_weight: float | None = None
    tie_word_embeddings: bool = False


def slopes(heads):
    """What ALiBi multiplies distances with, by head: 2⁻⁸ᐟⁿ and its powers, and every other one of twice as many for the
    heads beyond a power of two."""

    def powers(count):
        return [2 ** (-8 * (i + 1) / count) for i in range(count)]

    whole = 2 ** math.floor(math.log2(heads))
    return torch.tensor(powers(whole) + powers(2 * whole)[0::2][: heads - whole])


def rotated(x, base=10000.0):
    """[batch, heads, time, d], the two halves of each head rotated by position."""
    time, size = x.shape[-2:]
    frequencies = base ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = (torch.arange(time, dtype=torch.float32)[:, None] * frequencies).to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.has_alibi = config.max_position_embeddings is None
        self.W_pack = nn.Linear(size, 3 * size, bias=False)
        self.o_proj = nn.Linear(size, size, bias=False)

    def forward(self, x):
        batch, time, size = x.shape
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in self.W_pack(x).chunk(3, dim=-1))
        if not self.has_alibi:
            q, k = rotated(q), rotated(k)
        scores = q @ k.transpose(-1, -2) / math.sqrt(size // self.heads)
        if self.has_alibi:
            scores = scores + slopes(self.heads).to(x.dtype)[:, None, None] * torch.arange(time).to(x.dtype)
        scores = scores.masked_fill(torch.ones(time, time, dtype=torch.bool).triu(1), -math.inf)
        return self.o_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, size))


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        size, width = config.hidden_size, config.intermediate_size
        self.gate_proj = nn.Linear(size, width, bias=False)
        self.up_proj = nn.Linear(size, width, bias=False)
        self.down_proj = nn.Linear(width, size, bias=False)

    def forward(self, x):
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class BaichuanForCausalLM(PreTrainedModel):
    config_class = BaichuanConfig
    _supports_sdpa = True

    def __init__(self, config):
        super().__init__(config)
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(self, input_ids, use_cache=False):
        x = self.model.embed_tokens(input_ids)
        for layer in self.model.layers:
            x = layer(x)
        head = self.lm_head.weight
        if self.config.z_loss_weight is not None:
            head = nn.functional.normalize(head)
        return CausalLMOutput(logits=self.model.norm(x) @ head.T)


AutoConfig.register("baichuan", BaichuanConfig)
AutoModelForCausalLM.register(BaichuanConfig, BaichuanForCausalLM)
