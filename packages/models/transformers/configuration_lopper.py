"""Configurations of decoders whose layers differ in width or lack a block, as Lopper writes them.

`per_layer_config` of config.json says in what a layer differs from the other keys, as transformers has it from 5.14 on:
other widths by their names, and under `skip` the blocks that it lacks. A class is made when it is asked for by its name,
LopperLlamaConfig for Llama's, so that only that family needs to be in the installed transformers.
"""

import transformers

# What may be another in each layer; where a family has no such key, all layers are alike in it.
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
WIDTHS = (
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "moe_intermediate_size",
    "shared_intermediate_size",
    "ffn_dim",
    "n_inner",
    *EXPERTS,
)


class LayerConfig:
    """What one layer sees: its own widths, and for everything else the model's configuration as it is at that time."""

    def __init__(self, config, **own):
        self.__dict__.update(own, _model_config=config)

    def __getattr__(self, name):
        if name.startswith("__") or "_model_config" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._model_config, name)


class _PrunedConfig:
    # YaRN and LongRoPE ask for the number of heads even where `head_dim` says their size (transformers from 5.14 on).
    allow_global_per_layer_attribute_access = True

    def __post_init__(self, **kwargs):
        # Some families take the head's size from the number of heads, which may be another here.
        head_dim = kwargs.pop("head_dim", None)
        super().__post_init__(**kwargs)
        if head_dim is not None:
            self.head_dim = head_dim

    def _layer(self, index):
        """The widths of a layer, and the blocks that it lacks."""
        given = getattr(self, "per_layer_config", None) or {}
        if isinstance(given, dict):
            # Before 5.14 transformers keeps the key as it stands.
            own = {int(layer): keys for layer, keys in given.items()}.get(index, {})
            keys = {name: self.attribute_map.get(name, name) for name in self._widths()}
            if any(getattr(self, name) for name in EXPERTS if name in keys):
                # Some versions fill experts with random numbers, since other tensors hold them there.
                raise ImportError(f"mixtures of experts need transformers 5.14, and this is {transformers.__version__}")
            return {name: own.get(key, getattr(self, name)) for name, key in keys.items()}, own.get("skip", ())
        layer = given[index]
        return {name: getattr(layer, name) for name in self._widths()}, getattr(layer, "skip", ())

    def _widths(self):
        # Where layers differ, 5.14 and later refuse to say what one of them has for all.
        fields = getattr(type(self), "__dataclass_fields__", ())
        return [name for name in WIDTHS if self.attribute_map.get(name, name) in fields or hasattr(self, name)]

    def layer_config(self, index, **other):
        """The configuration with which the blocks of a layer are built; a missing block has the usual widths."""
        widths, _ = self._layer(index)
        experts = next((widths[name] for name in EXPERTS if widths.get(name)), 0)
        if experts > 0:
            # No token goes to more of them than there are in the groups that it goes to.
            groups = getattr(self, "n_group", None) or 1
            most = experts // groups * (getattr(self, "topk_group", None) or groups)
            fewest = min(self.num_experts_per_tok, most)
            # Modules read it under the family's own name.
            own = self.attribute_map.get("num_experts_per_tok", "num_experts_per_tok")
            widths |= {"num_experts_per_tok": fewest, own: fewest}
        return LayerConfig(self, **{**widths, **other})

    def has_block(self, index, kind):
        """Whether a layer has its block of the kind "attention" or "mlp"."""
        _, skipped = self._layer(index)
        return kind not in skipped

    def cache_place(self, index):
        """Where keys and values of a layer are cached.

        transformers asks the first place how long the text is: the first layer with attention has it.
        """
        first = next((layer for layer in range(index) if self.has_block(layer, "attention")), index)
        return 0 if first == index else index

    def validate_architecture(self):
        """Heads need not divide the hidden size, since `head_dim` is given."""

    def validate(self):
        """All that transformers checks of the family, by names: what this class says of it counts."""
        for check in getattr(self, "__class_validators__", ()):
            getattr(self, check.__name__)()


def config_class(family):
    """The class of a family, by how it is written in the names of transformers' classes."""
    name = f"Lopper{family}Config"
    if name not in globals():
        # Of models of more than text, that of the part for text.
        base = getattr(transformers, f"{family}TextConfig", None) or getattr(transformers, f"{family}Config")
        own = {"__module__": __name__, "model_type": f"lopper_{base.model_type}"}
        globals()[name] = type(name, (_PrunedConfig, base), own)
    return globals()[name]


def __getattr__(name):
    if name.startswith("Lopper") and name.endswith("Config"):
        return config_class(name[len("Lopper") : -len("Config")])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
