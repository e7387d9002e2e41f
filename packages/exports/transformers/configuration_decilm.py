"""The configuration of a decoder in DeciLM's layout, as vLLM asks for it: `block_configs` lists what each layer has."""

from transformers import LlamaConfig


class Section(dict):
    """A part of the configuration whose entries are attributes, too."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def _sections(value):
    if isinstance(value, dict):
        return Section({key: _sections(entry) for key, entry in value.items()})
    return value


class DeciLMConfig(LlamaConfig):
    model_type = "nemotron-nas"
    block_configs: list | None = None

    def __setattr__(self, name, value):
        if name == "block_configs" and value is not None:
            value = [_sections(block) for block in value]
        super().__setattr__(name, value)

    def validate_architecture(self):
        """Heads need not divide the hidden size, since `head_dim` is given."""
