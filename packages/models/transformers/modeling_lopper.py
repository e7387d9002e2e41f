"""Decoders whose layers differ in width or lack a block, built from the modules that transformers has for the family.

A class is made when it is asked for by its name, LopperLlamaForCausalLM for Llama's.
"""

import importlib
from dataclasses import dataclass, field

from torch import nn
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from .configuration_lopper import config_class

logger = logging.get_logger(__name__)

PRE = {"attention": ("input_layernorm", None), "mlp": ("post_attention_layernorm", None)}
POST = {"attention": (None, "post_attention_layernorm"), "mlp": (None, "post_feedforward_layernorm")}
BOTH = {
    "attention": ("input_layernorm", "post_attention_layernorm"),
    "mlp": ("pre_feedforward_layernorm", "post_feedforward_layernorm"),
}
SHARED = {"attention": ("input_layernorm", None), "mlp": ("input_layernorm", None)}
MIXTURE = "block_sparse_moe"


@dataclass(frozen=True)
class Family:
    """What layers of a family have, where it is not what Llama's have."""

    # By block, the norm before and the one behind it.
    norms: dict = field(default_factory=lambda: PRE)
    # The MLP reads what attention reads.
    parallel: bool = False
    # Modules of each block; where they are several, an activation is between them.
    blocks: dict = field(default_factory=lambda: {"attention": ("self_attn",), "mlp": ("mlp",)})
    # An MLP for all tokens beside the mixture of experts, where the mixture does not have it.
    beside: str | None = None
    # Of attention.
    output: str = "o_proj"
    # Attention takes the size of its heads from their number, so that its projections have to be made anew.
    own_projections: bool = False
    # Its one projection for q, k and v, where it has that.
    fused: str | None = None
    layers: str = "model.layers"
    # Names of classes behind that of the family.
    layer_class: str = "DecoderLayer"
    model_class: str = "ForCausalLM"


FAMILIES = {
    "OPT": Family(
        norms={"attention": ("self_attn_layer_norm", None), "mlp": ("final_layer_norm", None)},
        blocks={"attention": ("self_attn",), "mlp": ("fc1", "fc2")},
        output="out_proj",
        own_projections=True,
        layers="model.decoder.layers",
    ),
    "Cohere2": Family(norms=SHARED, parallel=True),
    "Exaone4": Family(norms=POST),
    "GPT2": Family(
        norms={"attention": ("ln_1", None), "mlp": ("ln_2", None)},
        blocks={"attention": ("attn",), "mlp": ("mlp",)},
        output="c_proj",
        own_projections=True,
        fused="c_attn",
        layers="transformer.h",
        layer_class="Block",
        model_class="LMHeadModel",
    ),
    "GPTNeoX": Family(
        blocks={"attention": ("attention",), "mlp": ("mlp",)},
        output="dense",
        own_projections=True,
        fused="query_key_value",
        layers="gpt_neox.layers",
        layer_class="Layer",
    ),
    "Gemma2": Family(norms=BOTH),
    "Glm4": Family(
        norms={
            "attention": ("input_layernorm", "post_self_attn_layernorm"),
            "mlp": ("post_attention_layernorm", "post_mlp_layernorm"),
        }
    ),
    "Gemma3": Family(norms=BOTH),
    "GraniteMoeShared": Family(beside="shared_mlp"),
    "GraniteMoeHybrid": Family(blocks={"attention": ("self_attn",), "mlp": ("shared_mlp",)}),
    "Olmo2": Family(norms=POST),
    "Olmo3": Family(norms=POST),
    "Olmoe": Family(own_projections=True),
    "Phi": Family(norms=SHARED, parallel=True, output="dense", own_projections=True),
    "StableLm": Family(own_projections=True),
}


class _PrunedLayer:
    """A decoder layer with blocks of its own widths; a missing block leaves the residual stream as it is."""

    family: Family

    def __init__(self, config, index):
        own = config.layer_config(index)
        super().__init__(config.layer_config(index, **self._fitting_heads(own)), index)
        # Mixtures of experts have a name of their own in some families and versions of transformers.
        blocks = self.family.blocks
        self.blocks = blocks if hasattr(self, blocks["mlp"][0]) else {**blocks, "mlp": (MIXTURE,)}
        # Some models of a family are parallel, and others are not; of some, both blocks have a norm even then.
        self.is_parallel = self.family.parallel or getattr(self, "use_parallel_residual", False)
        has_both = getattr(self, "post_attention_layernorm", None) is not None
        self.norms = SHARED if self.is_parallel and not has_both else self.family.norms
        if self.family.fused is not None:
            self._make_fused(own)
        elif self.family.own_projections:
            self._make_projections(own)
        # Its place in the key/value cache.
        self._attention().layer_idx = config.cache_place(index)
        for kind in ("attention", "mlp"):
            if not config.has_block(index, kind):
                self._remove(kind)
        kept = {norm for kind in self.norms if self._has(kind) for norm in self.norms[kind]}
        for norms in self.norms.values():
            for norm in norms:
                if norm is not None and norm not in kept:
                    setattr(self, norm, None)

    def _attention(self):
        return getattr(self, self.blocks["attention"][0])

    def _fitting_heads(self, own):
        """Heads with which attention can be built, where it takes their size from their number."""
        if self.family.fused is not None:
            # One head suits any hidden size.
            return {"num_attention_heads": 1}
        if self.family.own_projections:
            heads = own.hidden_size // own.head_dim
            return {"num_attention_heads": heads, "num_key_value_heads": heads}
        return {}

    def _make_fused(self, own):
        attention, width = self._attention(), own.num_attention_heads * own.head_dim
        for name, size in ((self.family.fused, {"outputs": 3 * width}), (self.family.output, {"inputs": width})):
            setattr(attention, name, _linear(getattr(attention, name), **size))
        attention.num_heads = own.num_attention_heads
        attention.head_dim = attention.head_size = own.head_dim
        attention.split_size = width
        if getattr(own, "scale_attn_weights", True):
            attention.scaling = own.head_dim**-0.5

    def _make_projections(self, own):
        attention, heads = self.self_attn, own.num_attention_heads
        kv_heads = getattr(own, "num_key_value_heads", None) or heads
        sizes = {"q_proj": heads, "k_proj": kv_heads, "v_proj": kv_heads}
        for name, count in sizes.items():
            setattr(attention, name, _linear(getattr(attention, name), outputs=count * own.head_dim))
        output = getattr(attention, self.family.output)
        setattr(attention, self.family.output, _linear(output, inputs=heads * own.head_dim))
        for name, count in {"q_layernorm": heads, "k_layernorm": kv_heads}.items():
            # StableLM has one for each head.
            if hasattr(getattr(attention, name, None), "norms"):
                norms = type(getattr(attention, name))(own.head_dim, count, eps=own.layer_norm_eps)
                setattr(attention, name, norms)
        for name, count in {"q_norm": heads, "k_norm": kv_heads}.items():
            norm = getattr(attention, name, None)
            if norm is not None:
                # OLMoE has one over all heads.
                setattr(attention, name, type(norm)(count * own.head_dim, eps=norm.variance_epsilon))
        attention.num_heads, attention.num_key_value_heads = heads, kv_heads
        attention.num_key_value_groups = heads // kv_heads

    def _remove(self, kind):
        for name in self.blocks[kind]:
            setattr(self, name, None)
        if kind == "mlp" and self.family.beside is not None:
            setattr(self, self.family.beside, None)

    def _has(self, kind):
        return getattr(self, self.blocks[kind][0]) is not None

    def _computed(self, kind, hidden_states, *args, **kwargs):
        if kind == "attention":
            return self._attention()(hidden_states, *args, **kwargs)[0]
        first, *rest = self.blocks[kind]
        read, beside = hidden_states, getattr(self, self.family.beside or "", None)
        hidden_states = getattr(self, first)(hidden_states)
        if isinstance(hidden_states, tuple):
            # Some mixtures say where tokens went, too.
            hidden_states = hidden_states[0]
        for name in rest:
            hidden_states = getattr(self, name)(self.activation_fn(hidden_states))
        return hidden_states if beside is None else hidden_states + beside(read)

    def forward(self, hidden_states, *args, **kwargs):
        read = hidden_states
        for kind, (before, behind) in self.norms.items():
            if not self._has(kind):
                continue
            added = read if self.is_parallel else hidden_states
            if before is not None:
                added = getattr(self, before)(added)
            added = self._computed(kind, added, *args, **kwargs)
            if behind is not None:
                added = getattr(self, behind)(added)
            if hasattr(self, "residual_multiplier"):
                added = added * self.residual_multiplier
            hidden_states = hidden_states + added
        return hidden_states


def _linear(usual, inputs=None, outputs=None):
    """A projection like another one, but for its size."""
    if isinstance(usual, Conv1D):
        return Conv1D(outputs or usual.nf, inputs or usual.nx)
    return nn.Linear(inputs or usual.in_features, outputs or usual.out_features, bias=usual.bias is not None)


class _PrunedForCausalLM:
    layer_class: type[nn.Module]

    def __init__(self, config):
        # transformers would build all layers by one configuration; each is built by its own instead.
        count, config.num_hidden_layers = config.num_hidden_layers, 0
        try:
            super().__init__(config)
        finally:
            config.num_hidden_layers = count
        path, _, name = self.layer_class.family.layers.rpartition(".")
        layers = nn.ModuleList(self.layer_class(config, index) for index in range(count))
        setattr(self.get_submodule(path), name, layers)
        if hasattr(self, "num_experts"):
            self._balance({module.num_experts for module in layers.modules() if hasattr(module, "num_experts")})
        self.post_init()

    def _balance(self, counts):
        """Has the loss by which training keeps all experts in use speak of those that there are, if layers have as many."""
        if len(counts) == 1:
            (self.num_experts,) = counts
            self.num_experts_per_tok = min(self.num_experts_per_tok, self.num_experts)
        elif len(counts) > 1 and self.config.output_router_logits:
            logger.warning(f"output_router_logits is passed over: numbers of experts by layer are {sorted(counts)}")
            self.config.output_router_logits = False


def model_class(family):
    """The class of a family, by how it is written in the names of transformers' classes."""
    name = f"Lopper{family}ForCausalLM"
    if name not in globals():
        config = config_class(family)
        folder = config.__mro__[2].__module__.rpartition(".")[0]
        module = importlib.import_module(f"{folder}.modeling_{folder.rpartition('.')[2]}")
        layer, table = f"Lopper{family}Layer", FAMILIES.get(family, Family())
        globals()[layer] = type(
            layer,
            (_PrunedLayer, getattr(module, family + table.layer_class)),
            {"__module__": __name__, "family": table},
        )
        globals()[name] = type(
            name,
            (_PrunedForCausalLM, getattr(module, family + table.model_class)),
            {
                "__module__": __name__,
                "config_class": config,
                "layer_class": globals()[layer],
                "_no_split_modules": [layer],
            },
        )
        _use_stored_names(name, family + table.model_class, config.__mro__[2].model_type)
    return globals()[name]


def _use_stored_names(name, usual, model_type):
    """Has a class read and write as its base class does, where files have other tensors than models in memory."""
    try:
        from transformers import conversion_mapping
    except ImportError:
        # Earlier versions have the names of the files.
        return
    known = conversion_mapping.get_checkpoint_conversion_mapping
    conversions = known(usual) or known(model_type)
    if conversions is not None:
        conversion_mapping.register_checkpoint_conversion_mapping(name, conversions, overwrite=True)


def __getattr__(name):
    if name.startswith("Lopper") and name.endswith("ForCausalLM"):
        return model_class(name[len("Lopper") : -len("ForCausalLM")])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
