"""Decoders whose layers differ in width or lack a block, built from the modules that transformers has for the family."""

from torch import nn
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaForCausalLM
from transformers.models.mistral.modeling_mistral import MistralDecoderLayer, MistralForCausalLM
from transformers.models.olmo2.modeling_olmo2 import Olmo2DecoderLayer, Olmo2ForCausalLM
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer, Qwen2ForCausalLM
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer, Qwen3ForCausalLM

from .configuration_lopper import (
    LopperLlamaConfig,
    LopperMistralConfig,
    LopperOlmo2Config,
    LopperQwen2Config,
    LopperQwen3Config,
)


class _PrunedLayer:
    """A decoder layer with blocks of its own widths; a missing block leaves the residual stream as it is."""

    # The norms that go with the blocks.
    norms = {"self_attn": "input_layernorm", "mlp": "post_attention_layernorm"}

    def __init__(self, config, index):
        # The number that attention is given is its place in the key/value cache.
        super().__init__(config.layer_config(index), config.cache_place(index))
        for kind, block in (("attention", "self_attn"), ("mlp", "mlp")):
            if not config.has_block(index, kind):
                setattr(self, block, None)
                setattr(self, self.norms[block], None)

    def forward(self, hidden_states, **kwargs):
        if self.self_attn is not None:
            attended, _ = self.self_attn(hidden_states=self.input_layernorm(hidden_states), **kwargs)
            hidden_states = hidden_states + attended
        if self.mlp is not None:
            hidden_states = hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))
        return hidden_states


class _PrunedPostNormLayer(_PrunedLayer):
    """The same where the norm of a block is behind it."""

    norms = {"self_attn": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}

    def forward(self, hidden_states, **kwargs):
        if self.self_attn is not None:
            attended, _ = self.self_attn(hidden_states=hidden_states, **kwargs)
            hidden_states = hidden_states + self.post_attention_layernorm(attended)
        if self.mlp is not None:
            hidden_states = hidden_states + self.post_feedforward_layernorm(self.mlp(hidden_states))
        return hidden_states


class _PrunedForCausalLM:
    layer_class: type[nn.Module]

    def __init__(self, config):
        # transformers would build all layers by one configuration; each is built by its own instead.
        count, config.num_hidden_layers = config.num_hidden_layers, 0
        try:
            super().__init__(config)
        finally:
            config.num_hidden_layers = count
        self.model.layers = nn.ModuleList(self.layer_class(config, index) for index in range(count))
        self.post_init()


class LopperLlamaLayer(_PrunedLayer, LlamaDecoderLayer):
    pass


class LopperMistralLayer(_PrunedLayer, MistralDecoderLayer):
    pass


class LopperOlmo2Layer(_PrunedPostNormLayer, Olmo2DecoderLayer):
    pass


class LopperQwen2Layer(_PrunedLayer, Qwen2DecoderLayer):
    pass


class LopperQwen3Layer(_PrunedLayer, Qwen3DecoderLayer):
    pass


class LopperLlamaForCausalLM(_PrunedForCausalLM, LlamaForCausalLM):
    config_class = LopperLlamaConfig
    layer_class = LopperLlamaLayer
    _no_split_modules = ["LopperLlamaLayer"]


class LopperMistralForCausalLM(_PrunedForCausalLM, MistralForCausalLM):
    config_class = LopperMistralConfig
    layer_class = LopperMistralLayer
    _no_split_modules = ["LopperMistralLayer"]


class LopperOlmo2ForCausalLM(_PrunedForCausalLM, Olmo2ForCausalLM):
    config_class = LopperOlmo2Config
    layer_class = LopperOlmo2Layer
    _no_split_modules = ["LopperOlmo2Layer"]


class LopperQwen2ForCausalLM(_PrunedForCausalLM, Qwen2ForCausalLM):
    config_class = LopperQwen2Config
    layer_class = LopperQwen2Layer
    _no_split_modules = ["LopperQwen2Layer"]


class LopperQwen3ForCausalLM(_PrunedForCausalLM, Qwen3ForCausalLM):
    config_class = LopperQwen3Config
    layer_class = LopperQwen3Layer
    _no_split_modules = ["LopperQwen3Layer"]
