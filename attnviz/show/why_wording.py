"""What tables and pictures say of a score that is split into parts."""

from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.answers.origins import PartName
from attnviz.answers.why import Why
from attnviz.show.labels import names

EMBEDDINGS, CONSTANTS = "embeddings", "constants"
HELD = (
    "Held as they were: the mean and size of each norm, and what earlier heads and feed-forward "
    "networks wrote. So the sum is exact, but it is no experiment: without a part, later ones "
    "would be others. attnviz ablate takes a head away."
)
COMPARED = (
    "The softmax compares keys: a term that the other keys have too changes no weight. excess is "
    "the term less theirs on average"
)


def part_name(part: PartName) -> str:
    """A part as tables call it: `L2H8`, `L2 feed-forward`, `L0 attention shift`, `token`."""
    return (
        str(part)
        .replace("feed_forward", "feed-forward")
        .replace("_attention", "-attention")
        .replace("_shift", " shift")
        .replace("_bias", " bias")
    )


def ends(e: Why) -> tuple[str, str]:
    """The names of the query and the key."""
    query, key = names(e.context, "query"), names(e.context, "key")
    return query[e.query.index], key[e.key.index]


def signed(number: float, digits: int = 2) -> str:
    """A number with a real minus sign, and no sign if it is shown as 0."""
    return f"{number:z.{digits}f}".replace("-", "−")


def scored(e: Why) -> Iterator[str]:
    """What the score is, and what it is beside the other keys'."""
    scale = "/ √d_k" if np.isclose(e.scale, e.context.model.d_k**-0.5) else f"· {e.scale:.4g}"
    added = " + the position bias" if e.position_bias is not None else ""
    yield f"score {signed(e.score)} = q · k {scale}{added}: the sum of {e.count} terms"
    if e.capped is not None:
        yield f"a soft cap makes it {signed(e.capped)} before the softmax"
    yield f"weight {e.weight:.3f}, rank {e.rank} of {len(e.context.keys)} keys"
    if e.others_score is not None:
        keys = "the other key" if e.other_keys == 1 else f"{e.other_keys} other keys, on average"
        yield f"{keys}: score {signed(e.others_score)}"


def covered(e: Why, shown: int) -> str:
    """How much of all the terms shown make up."""
    what = "excesses" if e.by_excess else "terms"
    first = "The first makes" if shown == 1 else f"The {shown} make"
    return (
        f"{first} up {e.covered(shown):.0%} of the size of all {what}, {e.size:.3g} with signs "
        "left out: large ones of both signs cancel."
    )


def checked(e: Why) -> str:
    """How far the sum is from the model's own score."""
    return f"Check: the sum of the terms is off the recorded score by {e.check.difference:.1g}."


def group_of(part: PartName) -> str:
    """Where a part belongs: the embeddings, a layer, or what is the same at every token."""
    if part.kind.endswith(("_shift", "_bias")) or part.kind.startswith("b_"):
        return CONSTANTS
    return EMBEDDINGS if part.layer is None else f"L{part.layer}"


def groups(parts: Sequence[PartName]) -> dict[str, list[int]]:
    """The places of the parts of each group: embeddings, the layers in order, constants."""
    found: dict[str, list[int]] = {}
    for place, part in enumerate(parts):
        found.setdefault(group_of(part), []).append(place)
    constants = {name: found.pop(name) for name in (CONSTANTS,) if name in found}
    return found | constants


def summed(e: Why, numbers: np.ndarray) -> np.ndarray:
    """The sums of terms over groups of parts: (query group, key group)."""
    rows, columns = groups(e.query_parts).values(), groups(e.key_parts).values()
    return np.array([[numbers[np.ix_(r, c)].sum(dtype=np.float64) for c in columns] for r in rows])
