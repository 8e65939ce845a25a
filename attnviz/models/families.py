"""The model families that attnviz's own encoder runs; a new family is one entry of FAMILIES."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from reprlib import repr as shortened
from typing import Any, Literal

from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import ModelFacts
from attnviz.models.config import (
    ACTIVATIONS,
    BUCKETS,
    Config,
    EncoderConfig,
    ModelType,
    epsilon,
    number,
)
from attnviz.models.files import WRAPPED, wrapper_of

# a module's tensors, and what the first BERT checkpoints call those of a layer norm
LEAVES = {"weight": "gamma", "bias": "beta"}


@dataclass(frozen=True)
class HeadNames:
    """What a family calls the modules of its masked-LM head; `bias` may stand for the decoder's."""

    dense: str
    norm: str
    decoder: str
    bias: str = ""

    def resolve(self, found: Collection[str]) -> dict[str, str]:
        """The head's tensors, {ours: published}, if a file has them all; {} otherwise."""
        modules = {"dense": self.dense, "norm": self.norm, "decoder": self.decoder}
        wanted = {
            f"{ours}.{leaf}": (f"{theirs}.{leaf}", f"{theirs}.{old}")
            for ours, theirs in modules.items()
            for leaf, old in LEAVES.items()
        }
        wanted["decoder.bias"] = (self.bias, f"{self.decoder}.bias")
        wrapper = wrapper_of(found)
        resolved = {
            ours: _first([wrapper + name for name in names], found)
            for ours, names in wanted.items()
        }
        tensors = {ours: name for ours, name in resolved.items() if name is not None}
        # without a weight of its own, the decoder uses the word vectors
        return tensors if wanted.keys() - tensors.keys() <= {"decoder.weight"} else {}


@dataclass(frozen=True)
class TensorNames:
    """What a family's checkpoints call the tensors of our encoder.

    `modules` maps our modules to theirs; `shared` maps theirs to a second name. `prefixes` may
    stand before every name. Names of the encoder's own tensors begin as in `inside`: one that we do
    not read is an error. Those of tensors that attention does not need begin as in `unused`.
    """

    modules: Mapping[str, str]
    prefixes: tuple[str, ...]
    inside: tuple[str, ...]
    unused: tuple[str, ...]
    shared: Mapping[str, str] = field(default_factory=dict)

    def published(self, num_layers: int) -> dict[str, str]:
        """Every tensor that a model may have: {ours: published}, without a prefix."""
        return {
            f"{ours}.{leaf}".format(layer=layer): f"{theirs}.{leaf}".format(layer=layer)
            for ours, theirs in self.modules.items()
            for layer in range(num_layers if "{layer}" in ours else 1)
            for leaf in LEAVES
        }

    def prefix(self, found: Collection[str], num_layers: int) -> str:
        """The prefix with which most of the names are in a file."""
        names, wrapper = self.published(num_layers).values(), wrapper_of(found)
        return max(
            (start + prefix for start in ("", wrapper) for prefix in self.prefixes),
            key=lambda prefix: sum(prefix + name in found for name in names),
        )

    def resolve(self, found: Collection[str], num_layers: int) -> dict[str, str]:
        """The encoder's tensors that a file has, {ours: published}."""
        prefix = self.prefix(found, num_layers)
        resolved = {}
        for ours, theirs in self.published(num_layers).items():
            stem, _, leaf = theirs.rpartition(".")
            names = (theirs, f"{stem}.{LEAVES[leaf]}", f"{self.shared.get(stem, stem)}.{leaf}")
            name = _first([prefix + name for name in names], found)
            if name is not None:
                resolved[ours] = name
        return resolved

    def is_unused(self, name: str) -> bool:
        """Whether attention does not need this tensor, which every such checkpoint may have."""
        bare = WRAPPED.sub("", name)
        return any(bare.removeprefix(prefix).startswith(self.unused) for prefix in self.prefixes)


def _first(names: Collection[str], found: Collection[str]) -> str | None:
    return next((name for name in names if name in found), None)


# how ids become vectors; the classes are in encoder/embeddings.py
Embeddings = Literal["learned", "offset", "sinusoidal", "halved sinusoidal"]


@dataclass(frozen=True)
class Family:
    """One model family: its parts, how its config.json is spelled, what its tensors are called.

    `sizes` maps hyperparameters of `EncoderConfig` to keys of config.json; the other keys are
    `activation`, `norm_eps_key`, `padding_key`, `distance_buckets` and `scaled_embeddings`.
    Positions are counted after `padding`, the padding token's usual id, or from 0.
    """

    name: str
    names: TensorNames
    sizes: Mapping[str, str]
    activation: str = "hidden_act"
    norm_eps: float = 1e-12
    norm_eps_key: str | None = "layer_norm_eps"  # None: the family always has `norm_eps`
    embeddings: Embeddings = "learned"
    padding: int | None = None
    padding_key: str | None = None
    distance_buckets: str | None = None
    scaled_embeddings: str | None = None
    head: HeadNames | None = None  # of the masked LM
    head_activation: str | None = None  # if it is not the encoder's

    def beyond(self, content: Config) -> str | None:
        """What a config.json calls for and our encoder lacks, so that transformers runs the model.

        AttnvizError for what neither has.
        """
        positions = content.get("position_embedding_type") or "absolute"
        if positions != "absolute":
            raise AttnvizError(
                f"{self.name} with {shortened(positions)} positions is not read, "
                "only with 'absolute' ones"
            )
        if content.get("pruned_heads"):
            raise AttnvizError(f"{self.name} with pruned heads is not read, only with all of them")
        if content.get("is_decoder"):
            return "it is a decoder (is_decoder is true)"
        activation = content.get(self.activation)
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            return f'its activation is "{activation}"'
        return None

    def config(self, content: Config) -> EncoderConfig:
        """The hyperparameters in a config.json; AttnvizError if they are missing or wrong."""
        beyond = self.beyond(content)
        if beyond is not None:
            raise AttnvizError(f"attnviz's own encoder does not run this {self.name}: {beyond}")
        shape: dict[str, Any] = {ours: number(content, key) for ours, key in self.sizes.items()}
        shape["activation"] = str(content.get(self.activation, "gelu"))
        shape["norm_eps"] = self.norm_eps
        if self.norm_eps_key:
            shape["norm_eps"] = epsilon(content, self.norm_eps_key, self.norm_eps)
        if self.padding is not None:
            padding = self.padding
            if self.padding_key:
                padding = number(content, self.padding_key, default=padding, least=0)
            shape["first_position"] = padding + 1
            shape["max_positions"] -= padding + 1
        if self.distance_buckets:  # MPNet's own code always has BUCKETS of them
            shape["distance_buckets"] = number(content, self.distance_buckets, BUCKETS, BUCKETS)
        if self.scaled_embeddings:
            shape["scaled_embeddings"] = bool(content.get(self.scaled_embeddings, False))
        return EncoderConfig(**shape)


# modules that several families call the same
EMBEDDINGS = {
    "embeddings.word": "embeddings.word_embeddings",
    "embeddings.position": "embeddings.position_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
}
FEED_FORWARD = {
    "layers.{layer}.feed_forward.inner": "encoder.layer.{layer}.intermediate.dense",
    "layers.{layer}.feed_forward.outer": "encoder.layer.{layer}.output.dense",
    "layers.{layer}.feed_forward_norm": "encoder.layer.{layer}.output.LayerNorm",
}

BERT = Family(
    name="bert",
    sizes={
        "vocab_size": "vocab_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "d_model": "hidden_size",
        "d_ff": "intermediate_size",
        "max_positions": "max_position_embeddings",
        "num_token_types": "type_vocab_size",
    },
    names=TensorNames(
        modules={
            **EMBEDDINGS,
            "embeddings.token_type": "embeddings.token_type_embeddings",
            "layers.{layer}.attention.W_Q": "encoder.layer.{layer}.attention.self.query",
            "layers.{layer}.attention.W_K": "encoder.layer.{layer}.attention.self.key",
            "layers.{layer}.attention.W_V": "encoder.layer.{layer}.attention.self.value",
            "layers.{layer}.attention.W_O": "encoder.layer.{layer}.attention.output.dense",
            "layers.{layer}.attention_norm": "encoder.layer.{layer}.attention.output.LayerNorm",
            **FEED_FORWARD,
        },
        prefixes=("", "bert."),
        inside=("embeddings.", "encoder."),
        unused=("embeddings.position_ids", "pooler.", "cls."),
    ),
    head=HeadNames(
        dense="cls.predictions.transform.dense",
        norm="cls.predictions.transform.LayerNorm",
        decoder="cls.predictions.decoder",
        bias="cls.predictions.bias",
    ),
)

ROBERTA = replace(
    BERT,
    name="roberta",
    embeddings="offset",
    padding=1,
    padding_key="pad_token_id",
    names=replace(
        BERT.names,
        prefixes=("", "roberta."),
        unused=("embeddings.position_ids", "pooler.", "lm_head."),
    ),
    head=HeadNames("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", bias="lm_head.bias"),
    head_activation="gelu",
)

DISTILBERT = Family(
    name="distilbert",
    sizes={
        "vocab_size": "vocab_size",
        "num_layers": "n_layers",
        "num_heads": "n_heads",
        "d_model": "dim",
        "d_ff": "hidden_dim",
        "max_positions": "max_position_embeddings",
    },
    activation="activation",
    norm_eps_key=None,
    names=TensorNames(
        modules={
            **EMBEDDINGS,
            "layers.{layer}.attention.W_Q": "transformer.layer.{layer}.attention.q_lin",
            "layers.{layer}.attention.W_K": "transformer.layer.{layer}.attention.k_lin",
            "layers.{layer}.attention.W_V": "transformer.layer.{layer}.attention.v_lin",
            "layers.{layer}.attention.W_O": "transformer.layer.{layer}.attention.out_lin",
            "layers.{layer}.attention_norm": "transformer.layer.{layer}.sa_layer_norm",
            "layers.{layer}.feed_forward.inner": "transformer.layer.{layer}.ffn.lin1",
            "layers.{layer}.feed_forward.outer": "transformer.layer.{layer}.ffn.lin2",
            "layers.{layer}.feed_forward_norm": "transformer.layer.{layer}.output_layer_norm",
        },
        prefixes=("", "distilbert."),
        inside=("embeddings.", "transformer."),
        unused=(
            "embeddings.position_ids",
            "vocab_transform.",
            "vocab_layer_norm.",
            "vocab_projector.",
        ),
    ),
    head=HeadNames("vocab_transform", "vocab_layer_norm", "vocab_projector"),
)

ELECTRA = replace(
    BERT,
    name="electra",
    sizes={**BERT.sizes, "d_embedding": "embedding_size"},
    names=TensorNames(
        modules={**BERT.names.modules, "embeddings.project": "embeddings_project"},
        prefixes=("", "electra."),
        inside=(*BERT.names.inside, "embeddings_project."),
        unused=(
            "embeddings.position_ids",
            "discriminator_predictions.",
            "generator_predictions.",
            "generator_lm_head.",
        ),
    ),
    head=HeadNames(
        "generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head"
    ),
    head_activation="gelu",
)

MPNET = replace(
    ROBERTA,
    name="mpnet",
    sizes={ours: key for ours, key in BERT.sizes.items() if ours != "num_token_types"},
    padding_key=None,  # its own code takes 1, whatever config.json says
    distance_buckets="relative_attention_num_buckets",
    names=replace(
        ROBERTA.names,
        modules={
            **EMBEDDINGS,
            "position_bias.table": "encoder.relative_attention_bias",
            "layers.{layer}.attention.W_Q": "encoder.layer.{layer}.attention.attn.q",
            "layers.{layer}.attention.W_K": "encoder.layer.{layer}.attention.attn.k",
            "layers.{layer}.attention.W_V": "encoder.layer.{layer}.attention.attn.v",
            "layers.{layer}.attention.W_O": "encoder.layer.{layer}.attention.attn.o",
            "layers.{layer}.attention_norm": "encoder.layer.{layer}.attention.LayerNorm",
            **FEED_FORWARD,
        },
        prefixes=("", "mpnet."),
    ),
)

MARIAN = Family(
    name="marian",
    sizes={
        "vocab_size": "vocab_size",
        "num_layers": "encoder_layers",
        "num_heads": "encoder_attention_heads",
        "d_model": "d_model",
        "d_ff": "encoder_ffn_dim",
        "max_positions": "max_position_embeddings",
    },
    activation="activation_function",
    norm_eps=1e-5,
    norm_eps_key=None,
    embeddings="halved sinusoidal",
    scaled_embeddings="scale_embedding",
    names=TensorNames(
        modules={
            "embeddings.word": "encoder.embed_tokens",
            "embeddings.position": "encoder.embed_positions",
            "layers.{layer}.attention.W_Q": "encoder.layers.{layer}.self_attn.q_proj",
            "layers.{layer}.attention.W_K": "encoder.layers.{layer}.self_attn.k_proj",
            "layers.{layer}.attention.W_V": "encoder.layers.{layer}.self_attn.v_proj",
            "layers.{layer}.attention.W_O": "encoder.layers.{layer}.self_attn.out_proj",
            "layers.{layer}.attention_norm": "encoder.layers.{layer}.self_attn_layer_norm",
            "layers.{layer}.feed_forward.inner": "encoder.layers.{layer}.fc1",
            "layers.{layer}.feed_forward.outer": "encoder.layers.{layer}.fc2",
            "layers.{layer}.feed_forward_norm": "encoder.layers.{layer}.final_layer_norm",
        },
        prefixes=("", "model."),
        inside=("encoder.",),
        unused=("shared.", "lm_head.", "final_logits_bias"),
        shared={"encoder.embed_tokens": "shared"},
    ),
)

# by config.json's model_type
FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        BERT,
        ROBERTA,
        replace(ROBERTA, name="xlm-roberta"),
        replace(ROBERTA, name="camembert"),
        DISTILBERT,
        ELECTRA,
        MPNET,
        MARIAN,
    )
}


def read_config(kind: ModelType) -> tuple[Family, EncoderConfig]:
    """The family and hyperparameters in a config.json; AttnvizError if they are not to be read."""
    if kind.name not in FAMILIES:
        raise AttnvizError(
            f"{kind.path} has model_type {shortened(kind.name)}",
            f"attnviz's own encoder reads {', '.join(FAMILIES)}",
        )
    family = FAMILIES[kind.name]
    try:
        return family, family.config(kind.content)
    except RequestError as error:  # the numbers are the file's, not the user's
        raise AttnvizError(f"in {kind.path}, {error.message}", error.hint) from error


def model_facts(
    name: str, family: str, config: EncoderConfig, seed: int | None = None
) -> ModelFacts:
    """The facts that outputs give of a model; only an untrained one has a seed."""
    sizes = ("num_layers", "num_heads", "d_model", "d_k", "d_ff")
    shape = {size: getattr(config, size) for size in sizes}
    return ModelFacts(name=name, family=family, **shape, trained=seed is None, seed=seed)
