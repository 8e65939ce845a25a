"""The words for a layer's steps and parts, the same in the terminal and in pictures."""

from attnviz.answers.head import stack_of
from attnviz.answers.layer import Layer, Part
from attnviz.answers.layer_steps import Step
from attnviz.show.explain_wording import agreement, by

SHARES = (
    "A share is how far a part reaches in the output's direction, part · y / y · y: the shares "
    "make 100%, and a part that works against the others has one below 0. A norm divides by a "
    "number that all parts share (Kobayashi et al. 2021)."
)

_SAID = {
    "z": "what the heads found",
    "attention": "the heads mixed",
    "inner": "d_ff numbers",
    "feed_forward": "feed-forward network",
    "self_attention": "self-attention",
    "cross_attention": "cross-attention",
}
_ENDS = {"_input": "norm before", "_normed": "norm", "_sum": "residual connection", "_norm": "norm"}


def equation(step: Step) -> str:
    """A step as an equation: `a = z W_O + b_O`."""
    return step.letter if step.letter == step.formula else f"{step.letter} = {step.formula}"


def said(e: Layer, step: Step, query: str) -> str:
    """What a step is, in a few words; `query`: the token's name."""
    if step.name == "x":
        origin = f"from layer {e.layer - 1}" if e.layer else "word and place"
        return f'"{query}", {origin}'
    if step is e.steps[-1]:
        last = e.layer == e.context.model.num_layers - 1
        return "last layer's output" if last else f"layer {e.layer + 1}'s x"
    if step.name in _SAID:
        return _SAID[step.name]
    return next(words for end, words in _ENDS.items() if step.name.endswith(end))


def size(e: Layer, step: Step) -> str:
    """How many numbers a step has, after the matrix that makes them: `384 × 1536 → 1536`."""
    if step.name == "z":
        return f"{by(e.z.shape)} = {e.z.size}"
    matrix = {"attention": "W_O", "inner": "W_1", "feed_forward": "W_2"}.get(step.name)
    shape = e.shapes.get(matrix or "")
    return f"{by(shape)} → {len(step.vector)}" if shape else str(len(step.vector))


def length_text(length: float) -> str:
    """A length, in three digits."""
    return f"{length:#.3g}" if 0 < length < 100 else f"{length:.3g}"


def part_name(e: Layer, part: Part) -> str:
    """A part in words: `L3H1`, `feed-forward`."""
    if part is e.attention and e.context.is_cross_attention:
        return "cross-attention"
    return part.name.replace("_", "-") if part.head is None else str(part.head)


def checked(e: Layer) -> str:
    """How near the last step is to the model's own output."""
    stack = stack_of(e.context.attention)
    if e.check.output is None:
        return f"Check: the {stack}'s own output is not known, so there is nothing to hold y to."
    return f"Check: y agrees with the {stack}'s own output {agreement(e.check.output)}."
