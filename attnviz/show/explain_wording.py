"""The words for the steps of an explanation, the same in the terminal and in pictures."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attnviz.answers.explain import Explanation
from attnviz.answers.head import HeadSteps
from attnviz.inspection.context import counted
from attnviz.text.tokens import Token

SMALLEST_EXPONENT = -5  # Below 1e-5, digits depend on the processor

SELF_ATTENTION = (
    "Self-attention: Q, K and V all come from the same vectors x, those of this sentence. In "
    "seq2seq attention, Q comes from the decoder's hidden states, K and V from the encoder's."
)
SEQ2SEQ_ATTENTION = (
    "Seq2seq attention: Q comes from x, the decoder's hidden states, K and V from y, the encoder's."
    " In self-attention, all three come from the same vectors."
)


Steps = Explanation | HeadSteps


class HeadVector(NamedTuple):
    """One of a head's vectors, q, k or v: its formula and its numbers."""

    name: str
    source: str
    formula: str
    product: np.ndarray  # what the matrix gives
    between: str | None  # what the model does to the product before it is the vector
    vector: np.ndarray

    @property
    def steps(self) -> list[tuple[str, np.ndarray]]:
        """The steps that lead to the vector, each with its name."""
        if self.between is None:
            return [(f"{self.name} = {self.formula}", self.vector)]
        return [(self.formula, self.product), (f"{self.name}: {self.between}", self.vector)]


def shown_key(e: Explanation) -> Token:
    """The key whose k and v are shown: the query; in cross-attention, the one of most weight."""
    return e.keys[e.order[0]] if e.context.is_cross_attention else e.query


def head_vectors(e: Explanation) -> list[HeadVector]:
    """The query's q, and k and v of `shown_key`, from x; in cross-attention k and v from y."""
    key = shown_key(e).index
    found = []
    for name, vector in (("q", e.q), ("k", e.k[key]), ("v", e.v[key])):
        big, source = name.upper(), "y" if e.context.is_cross_attention and name != "q" else "x"
        bias = "" if getattr(e.matrices, f"b_{big}") is None else f" + b_{big}"
        product = getattr(e.projected, name)
        product = vector if product is None else product if name == "q" else product[key]
        between = getattr(e.matrices.between, name)
        found.append(HeadVector(name, source, f"{source} W_{big}{bias}", product, between, vector))
    return found


def widths(e: Steps) -> tuple[int, int]:
    """d_k and d_v: how many numbers queries and keys have, and values."""
    return (e.Q.shape[1], e.Z.shape[1]) if isinstance(e, HeadSteps) else (len(e.q), len(e.z))


def divided(e: Steps) -> bool:
    """Whether d_k is d_model / num_heads, for values too, as in the paper."""
    model, (d_k, d_v) = e.context.model, widths(e)
    return model.d_model == model.num_heads * d_k and d_k == d_v


def scaled_by_root(e: Steps) -> bool:
    """Whether scores are products over the square root of d_k, as in the paper."""
    return bool(np.isclose(e.scale * e.context.model.d_k**0.5, 1))


def after_scale(e: Steps) -> list[str]:
    """What else the model does to scores before the softmax."""
    done = [] if e.softcap is None else [f"{e.softcap:g} · tanh(score / {e.softcap:g}), a soft cap"]
    return [*done, "+ the layer's bias"] if biased(e) else done


def biased(e: Steps) -> bool:
    """Whether the bias does more than mask keys."""
    return e.bias is not None and bool(e.bias[np.isfinite(e.bias)].any())


def shown_keys(e: Explanation, count: int) -> tuple[list[int], list[int]]:
    """The keys of most weight, in the text's order, and the others that the query may look at."""
    seen = [key for key in e.order if e.seen[key]]
    return sorted(seen[:count]), seen[count:]


def out_of_sight(e: Explanation) -> str:
    """How many keys the query may not look at, as part of a sentence; nothing for none."""
    count = int(np.count_nonzero(~e.seen))
    return f"{count} of {len(e.keys)} keys may not be looked at" if count else ""


def below(e: Steps) -> str:
    """Where the query's vector comes from."""
    if not e.matrices.direct:
        return "as it enters attention"
    return f"as layer {e.head.layer - 1} gave it" if e.head.layer else "made of word and place"


def times(e: Steps) -> str:
    """What vectors are multiplied with."""
    shapes = {name: by(e.shapes[name]) for name in ("W_Q", "W_K", "W_V")}
    if not e.context.is_cross_attention and len(set(shapes.values())) == 1:
        return f"x times the head's three matrices, each {shapes['W_Q']}"
    source = "y, the vector of a key," if e.context.is_cross_attention else "and"
    return (
        f"x times the head's W_Q, {shapes['W_Q']}; {source} times W_K, {shapes['W_K']}, and W_V, "
        f"{shapes['W_V']}"
    )


def sizes(e: Steps) -> str:
    """How many numbers q, k and v have, and how many heads share k and v."""
    model, shared = e.context.model, e.shared_by
    d_k, d_v = (counted(width, "number") for width in widths(e))
    if divided(e):
        told = f"Each has {model.d_model} / {model.num_heads} = {d_k}: d_k = d_model / num_heads."
    elif d_k == d_v:
        told = f"Each has {d_k}: d_k."
    else:
        told = f"q and k have {d_k} each, d_k, and v has {d_v}."
    return told if shared == 1 else f"{told} Every {shared} heads share one k and v."


def origin(e: Explanation, key: str) -> str:
    """Where Q, K and V come from, in self-attention and in seq2seq; `key`: the shown key's name."""
    if e.context.is_cross_attention:
        return (
            "This is seq2seq attention: Q comes from x, the decoder's hidden states, K and V from "
            "y, the encoder's, so that each token of the source has its own k and v. Shown are "
            f'those of "{key}", the key that gets the most weight. In self-attention, all three '
            "come from the same vectors."
        )
    return (
        "This is self-attention: Q, K and V all come from the same vectors x, those "
        "of this sentence, and each of its tokens has its own q, k and v. In seq2seq "
        "attention, Q comes from the decoder's hidden states, K and V from the encoder's."
    )


def short_origin(e: Steps) -> str:
    """The same in fewer words, for pictures."""
    return SEQ2SEQ_ATTENTION if e.context.is_cross_attention else SELF_ATTENTION


def rows_of(e: Explanation) -> str:
    """What the rows of keys and values are."""
    return "one row a source token" if e.context.is_cross_attention else "one row a token"


def size_of(e: Explanation, one: HeadVector, key: str) -> str:
    """A vector's size, and whose it is if not the query's; `key`: the shown key's name."""
    model, count = e.context.model, len(one.vector)
    name = "d_v" if one.name == "v" and count != len(e.q) else "d_k"
    told = f"{name} = {count}"
    if divided(e):
        told = f"d_k = {model.d_model} / {model.num_heads} = {count}"
    return told if one.source == "x" else f"of “{key}”, {told}"


def missing_keys(e: Explanation, hidden: Sequence[int]) -> str:
    """What has no row: keys of small weights, those that may not be looked at, the sink."""
    told = []
    if hidden:
        share = e.weights[hidden].sum()
        told.append(f"{len(hidden)} of {len(e.keys)} keys, of {share:.1%} together, not drawn")
    if out_of_sight(e):
        told.append(out_of_sight(e))
    if e.sink is not None:
        told.append(f"the sink, which is no token, takes {e.sink.weight:.1%}")
    return "; ".join(told)


def by(shape: tuple[int, ...]) -> str:
    """A shape, as `384 × 32`."""
    return " × ".join(map(str, shape))


def numbers(values: np.ndarray) -> str:
    """How many numbers a vector has."""
    return counted(len(values), "number")


def agreement(difference: float) -> str:
    """How closely two numbers agree: `within 1e-5`, the smallest power of ten that holds."""
    exponent = SMALLEST_EXPONENT
    if difference > 10.0**exponent:
        exponent = math.ceil(math.log10(difference))
    return f"within 1e{exponent}" if exponent < -2 else f"within {10.0**exponent:g}"
