"""What published checkpoints call the tensors of our encoder, one table a model family."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class TensorNames:
    """How one family's checkpoints name what our encoder is filled with.

    `modules` maps our modules to theirs, `{layer}` being the layer's number; both have a weight,
    and mostly a bias; some modules may be there that only some models of the family have.
    `prefixes` are what a checkpoint with a task head may put before every name; `inside` says how
    the names of the encoder's own tensors begin, so that a tensor of the encoder that we would not
    read is noticed; `unused` says how those begin that every such checkpoint may have and attention
    does not need. `masked_lm` has the names, whole and without a prefix, that the tensors of a
    masked-LM head may go by; its decoder's weight may be missing, since mostly it is the word
    vectors. `shared` maps a module of theirs to the name under which a file has it where it is
    another part's too.
    """

    modules: Mapping[str, str]
    prefixes: tuple[str, ...]
    inside: tuple[str, ...]
    unused: tuple[str, ...]
    masked_lm: Mapping[str, tuple[str, ...]]
    shared: Mapping[str, str] = field(default_factory=dict)

    def prefix_in(self, found: Collection[str], wanted: Collection[str]) -> str:
        """The prefix with which most of the names wanted are among those found."""
        return max(self.prefixes, key=lambda prefix: sum(prefix + name in found for name in wanted))


BERT = TensorNames(
    modules={
        "embeddings.word": "embeddings.word_embeddings",
        "embeddings.position": "embeddings.position_embeddings",
        "embeddings.token_type": "embeddings.token_type_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
        "layers.{layer}.attention.W_Q": "encoder.layer.{layer}.attention.self.query",
        "layers.{layer}.attention.W_K": "encoder.layer.{layer}.attention.self.key",
        "layers.{layer}.attention.W_V": "encoder.layer.{layer}.attention.self.value",
        "layers.{layer}.attention.W_O": "encoder.layer.{layer}.attention.output.dense",
        "layers.{layer}.attention_norm": "encoder.layer.{layer}.attention.output.LayerNorm",
        "layers.{layer}.feed_forward.inner": "encoder.layer.{layer}.intermediate.dense",
        "layers.{layer}.feed_forward.outer": "encoder.layer.{layer}.output.dense",
        "layers.{layer}.feed_forward_norm": "encoder.layer.{layer}.output.LayerNorm",
    },
    prefixes=("", "bert."),
    inside=("embeddings.", "encoder."),
    unused=("embeddings.position_ids", "pooler.", "cls."),
    masked_lm={
        "dense.weight": ("cls.predictions.transform.dense.weight",),
        "dense.bias": ("cls.predictions.transform.dense.bias",),
        "norm.weight": (
            "cls.predictions.transform.LayerNorm.weight",
            "cls.predictions.transform.LayerNorm.gamma",
        ),
        "norm.bias": (
            "cls.predictions.transform.LayerNorm.bias",
            "cls.predictions.transform.LayerNorm.beta",
        ),
        "decoder.weight": ("cls.predictions.decoder.weight",),
        "decoder.bias": ("cls.predictions.bias", "cls.predictions.decoder.bias"),
    },
)

ROBERTA = replace(
    BERT,
    prefixes=("", "roberta."),
    unused=("embeddings.position_ids", "pooler.", "lm_head."),
    masked_lm={
        "dense.weight": ("lm_head.dense.weight",),
        "dense.bias": ("lm_head.dense.bias",),
        "norm.weight": ("lm_head.layer_norm.weight",),
        "norm.bias": ("lm_head.layer_norm.bias",),
        "decoder.weight": ("lm_head.decoder.weight",),
        "decoder.bias": ("lm_head.bias", "lm_head.decoder.bias"),
    },
)

DISTILBERT = TensorNames(
    modules={
        "embeddings.word": "embeddings.word_embeddings",
        "embeddings.position": "embeddings.position_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
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
    unused=("embeddings.position_ids", "vocab_transform.", "vocab_layer_norm.", "vocab_projector."),
    masked_lm={
        "dense.weight": ("vocab_transform.weight",),
        "dense.bias": ("vocab_transform.bias",),
        "norm.weight": ("vocab_layer_norm.weight",),
        "norm.bias": ("vocab_layer_norm.bias",),
        "decoder.weight": ("vocab_projector.weight",),
        "decoder.bias": ("vocab_projector.bias",),
    },
)

ELECTRA = TensorNames(
    modules={**BERT.modules, "embeddings.project": "embeddings_project"},
    prefixes=("", "electra."),
    inside=(*BERT.inside, "embeddings_project."),
    unused=(
        "embeddings.position_ids",
        "discriminator_predictions.",
        "generator_predictions.",
        "generator_lm_head.",
    ),
    masked_lm={
        "dense.weight": ("generator_predictions.dense.weight",),
        "dense.bias": ("generator_predictions.dense.bias",),
        "norm.weight": ("generator_predictions.LayerNorm.weight",),
        "norm.bias": ("generator_predictions.LayerNorm.bias",),
        "decoder.weight": ("generator_lm_head.weight",),
        "decoder.bias": ("generator_lm_head.bias",),
    },
)

MPNET = TensorNames(
    modules={
        "embeddings.word": "embeddings.word_embeddings",
        "embeddings.position": "embeddings.position_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
        "position_bias.table": "encoder.relative_attention_bias",
        "layers.{layer}.attention.W_Q": "encoder.layer.{layer}.attention.attn.q",
        "layers.{layer}.attention.W_K": "encoder.layer.{layer}.attention.attn.k",
        "layers.{layer}.attention.W_V": "encoder.layer.{layer}.attention.attn.v",
        "layers.{layer}.attention.W_O": "encoder.layer.{layer}.attention.attn.o",
        "layers.{layer}.attention_norm": "encoder.layer.{layer}.attention.LayerNorm",
        "layers.{layer}.feed_forward.inner": "encoder.layer.{layer}.intermediate.dense",
        "layers.{layer}.feed_forward.outer": "encoder.layer.{layer}.output.dense",
        "layers.{layer}.feed_forward_norm": "encoder.layer.{layer}.output.LayerNorm",
    },
    prefixes=("", "mpnet."),
    inside=BERT.inside,
    unused=ROBERTA.unused,
    masked_lm=ROBERTA.masked_lm,
)

MARIAN = TensorNames(
    modules={
        "embeddings.word": "encoder.embed_tokens",
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
    # positions follow from a formula, whether a file has them or not
    unused=("encoder.embed_positions.", "shared.", "lm_head.", "final_logits_bias"),
    masked_lm={},
    shared={"encoder.embed_tokens": "shared"},
)

NAMES: Mapping[str, TensorNames] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "distilbert": DISTILBERT,
    "electra": ELECTRA,
    "mpnet": MPNET,
    "marian": MARIAN,
}
"""The families whose names are known, by config.json's `model_type`."""
