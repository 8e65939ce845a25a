"""What tables and pictures say of edits of heads: what is replaced in them, and with what."""

from collections.abc import Sequence

from attnviz.inspection import HeadId
from attnviz.inspection.ablated import Ablating, Replacement
from attnviz.show.labels import visible

HEADS_NAMED = 6  # How many heads a line names; the others are counted

REPLACED: dict[Replacement, tuple[str, str]] = {
    "zero": ("zero", "zero"),
    "mean": ("its mean over the sentence", "their means over the sentence"),
    "noise": ("noise", "noise"),
}
"""What stands in for one head's output, and for those of several."""

DOUBTS = (
    "A small {} does not mean that a head does nothing: other heads may make up for it, and it may "
    "matter in other sentences."
)


NEAR_THE_END = (
    "Heads of the last layer change final states at first hand, others through the layers above."
)


def put_in(how: Ablating, several: bool = False) -> str:
    """What stands in for what is replaced, of one head or of several."""
    if how.replacement == "noise":
        return f"noise of seed {how.seed}"
    if how.corpus is not None:
        names = [visible(name) for name in how.corpus.files]
        files = names[0] if len(names) == 1 else f"{len(names)} files"
        return f"{'their means' if several else 'its mean'} over {files}"
    return REPLACED[how.replacement][several]


def part_of(how: Ablating) -> str:
    """What of a head is replaced, where it is not its whole result; else nothing."""
    if how.rows is None:
        return "" if how.what == "z" else how.what
    return f"{how.what} {where(how)}"


def one_head(how: Ablating) -> str:
    """What is edited of one head after the other."""
    part = part_of(how)
    return f"{part} in one head" if part else "one head"


def where(how: Ablating) -> str:
    """The rows in which something is replaced, where it is not replaced in all."""
    if how.rows is None:
        return ""
    named = ", ".join(f'"{visible(row.text)}"' for row in how.rows)
    return f"of {named} alone"


def heads_named(heads: Sequence[HeadId], in_layer: int) -> str:
    """Heads as a line names them: `L3H1`, `L3 (12 heads)` for a whole layer, the first of many."""
    layers: dict[int, list[HeadId]] = {}
    for head in heads:
        layers.setdefault(head.layer, []).append(head)
    names: list[str] = []
    for layer, group in layers.items():
        whole = len(group) == in_layer > 1
        names += [f"L{layer} (all {in_layer} heads)"] if whole else map(str, group)
    more = len(names) - HEADS_NAMED
    if more > 1:
        return f"{', '.join(names[:HEADS_NAMED])} and {more} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
