"""Configurations of decoders whose layers differ in width or lack a block, as Lopper exports them.

The key `lopper` of config.json lists the shape of every layer; the plain keys are those of the dense model.
"""

from transformers import LlamaConfig, MistralConfig, Olmo2Config, Qwen2Config, Qwen3Config


class LayerConfig:
    """What one layer sees: its own widths, and for everything else the model's configuration as it is at that time."""

    def __init__(self, config, **own):
        self.__dict__.update(own, _model_config=config)

    def __getattr__(self, name):
        if name.startswith("__") or "_model_config" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._model_config, name)


class _PrunedConfig:
    def layer_config(self, index):
        """The configuration with which the blocks of a layer are built; a missing block keeps the dense widths."""
        shape = self.lopper["layers"][index]
        own = {}
        if shape["attention"] is not None:
            own["num_attention_heads"] = shape["attention"]["query_heads"]
            own["num_key_value_heads"] = shape["attention"]["kv_heads"]
        if shape["mlp"] is not None:
            own["intermediate_size"] = shape["mlp"]["intermediate_size"]
        return LayerConfig(self, **own)

    def has_block(self, index, kind):
        """Whether a layer has its block of the kind "attention" or "mlp"."""
        return self.lopper["layers"][index][kind] is not None

    def validate_architecture(self):
        """Heads need not divide the hidden size, since `head_dim` is given."""


class LopperLlamaConfig(_PrunedConfig, LlamaConfig):
    model_type = "lopper_llama"
    lopper: dict | None = None


class LopperMistralConfig(_PrunedConfig, MistralConfig):
    model_type = "lopper_mistral"
    lopper: dict | None = None


class LopperQwen2Config(_PrunedConfig, Qwen2Config):
    model_type = "lopper_qwen2"
    lopper: dict | None = None


class LopperQwen3Config(_PrunedConfig, Qwen3Config):
    model_type = "lopper_qwen3"
    lopper: dict | None = None


class LopperOlmo2Config(_PrunedConfig, Olmo2Config):
    model_type = "lopper_olmo2"
    lopper: dict | None = None
