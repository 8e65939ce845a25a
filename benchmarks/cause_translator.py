"""What patches and ablations say of samples/translator: the first tables of docs/cause.md.

`cause.py` prints them.
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnviz.attention.edits import Edit, Patch, Source, What
from attnviz.inspection import HeadId
from attnviz.inspection.outcomes import Asked, Measured
from attnviz.model import Model, load_model
from attnviz.model.load import through_transformers
from attnviz.model.outcomes import Outcome, outcome_of

TRANSLATOR = Path(__file__).parent.parent / "samples" / "translator"

SENTENCE = "The {} didn't cross the {} because it was too {}."
FOUNDING = tuple(SENTENCE.format("animal", "street", word) for word in ("tired", "wide"))
TARGET = "Das Tier überquerte die Straße nicht, weil"

Heads = Sequence[HeadId]
Table = Callable[[], Iterator[str]]


def edits(heads: Heads, what: What, source: Source) -> list[Edit]:
    """One edit of each head."""
    return [Edit(layer, head, what, source=source) for layer, head in heads if head is not None]


def all_heads(model: Model) -> list[HeadId]:
    """Every head, layer by layer."""
    sizes = model.facts.num_layers, model.facts.num_heads
    return [HeadId(*place) for place in product(*map(range, sizes))]


def but(model: Model, *heads: HeadId) -> list[HeadId]:
    """Every head but these."""
    return [head for head in all_heads(model) if head not in heads]


@dataclass(frozen=True)
class Twins:
    """What was measured in A and in B, which is run with heads of A in it."""

    a: Outcome
    b: Outcome

    def patched(self, runs: Iterable[tuple[Heads, What]]) -> list[tuple[float, Measured]]:
        """The share of the difference that each run restores, and what it gives."""
        source, (a, b) = Patch(self.a.text.layers), (self.a.plain.value, self.b.plain.value)
        found = self.b.values([edits(heads, what, source) for heads, what in runs])
        return [((one.value - b) / (a - b), one) for one in found]

    def back(self) -> "Twins":
        """A with heads of B in it."""
        return Twins(self.b, self.a)


@cache
def translator(attention: Any) -> Model:
    """samples/translator, whose heads of that attention are edited."""
    torch.set_num_threads(1)  # so small a model only waits for more
    model = load_model(str(TRANSLATOR), attention=attention)
    return model if attention != "encoder" else through_transformers(model)


def pronoun(model: Model, texts: Iterable[str], asked: Asked) -> Twins:
    """The next word in both texts, in that order."""
    return Twins(*(outcome_of(model, model.tokenize(text), "word", asked, 20) for text in texts))


PATCHES: tuple[tuple[str, str, tuple[str, ...], What], ...] = (
    ("all 8 heads of the encoder", "encoder", (), "z"),
    ("cross-attention, L0H0", "cross", ("L0H0",), "z"),
    ("the same, only where it looks (`--what weights`)", "cross", ("L0H0",), "weights"),
    ("the same, only what it brings (`--what v`)", "cross", ("L0H0",), "v"),
    ("cross-attention, the 7 others", "cross", ("but", "L0H0"), "z"),
    ("decoder, L1H1", "decoder", ("L1H1",), "z"),
    ("decoder, L1H3", "decoder", ("L1H3",), "z"),
    ("decoder, both", "decoder", ("L1H1", "L1H3"), "z"),
    ("both, only where they look", "decoder", ("L1H1", "L1H3"), "weights"),
)


def named(model: Model, names: Sequence[str]) -> list[HeadId]:
    """Heads by name; after `but`, all others; without a name, all."""
    heads = [HeadId(int(name[1]), int(name[3:])) for name in names if name != "but"]
    return heads if heads and names[0] != "but" else but(model, *heads)


def by_patch() -> Iterator[str]:
    """What one sentence's heads restore in the other, as probabilities and as logits."""
    ways = ("tired into wide", "wide into tired")
    cells = ["heads", *(f"{way}: {one}" for way in ways for one in ("restored", "logits", "says"))]
    yield from header(cells)
    for title, attention, names, what in PATCHES:
        model = translator(attention)
        numbers = []
        for texts in (FOUNDING, FOUNDING[::-1]):
            run = [(named(model, names), what)]
            (restored, told), (logits, _) = (
                pronoun(model, texts, Asked("next", "es", "sie", logit, TARGET)).patched(run)[0]
                for logit in (False, True)
            )
            numbers += [decimals(restored), decimals(logits), f"*{told.best}*"]
        yield row([title, *numbers])


def by_ablation() -> Iterator[str]:
    """What the translator says without one head."""
    yield from header(["head", "becomes", "tired: says", "es − sie", "wide: says", "es − sie"])
    rows: list[tuple[str, str, Source]] = [("encoder", "none", "zero")]
    heads = (("cross", "L0H0"), ("decoder", "L1H1"), ("decoder", "L1H3"))
    sources: tuple[Source, ...] = ("zero", "mean")
    rows += [(*head, source) for head in heads for source in sources]
    for attention, name, source in rows:
        model = translator(attention)
        cells = []
        for text in FOUNDING:
            asked = Asked("next", "es", "sie", target=TARGET)
            outcome = outcome_of(model, model.tokenize(text), "word", asked)
            run = [] if name == "none" else [edits(named(model, [name]), "z", source)]
            [found] = outcome.values(run) if run else [outcome.plain]
            cells += [f"*{found.best}*", decimals(found.value)]
        kind = {"cross": "cross-attention", "decoder": "decoder"}.get(attention, "")
        title = "no edit" if name == "none" else f"{kind}, {name}"
        yield row([title, "" if name == "none" else str(source), *cells])


LOOKS: tuple[tuple[Any, str], ...] = (
    ("cross", "cross-attention, L0H0"),
    ("decoder", "decoder, L1H1"),
    ("decoder", "decoder, L1H3"),
)


def by_look() -> Iterator[str]:
    """What the three heads look at most, from `weil`."""
    yield from header(["head", "tired: `weil` looks at", "wide: `weil` looks at"])
    for attention, title in LOOKS:
        model = load_model(str(TRANSLATOR), attention=attention, target=TARGET)
        [head] = named(model, [title[-4:]])
        cells = []
        for text in FOUNDING:
            inspection = model.inspect(text)
            weights = inspection.weights(*head)[-1]
            keys = (inspection.keys or inspection.tokens).words
            cells.append(f"`{keys[weights.argmax()].text}` {weights.max():.2f}")
        yield row([title, *cells])


FLIPPERS = {
    "encoder": ((),),
    "cross": (("L0H0",), ("L1H3",), ("but", "L0H0", "L1H3")),
    "decoder": (("L1H1",), ("L1H3",), ("L1H1", "L1H3")),
}
"""The heads that are patched together, of each attention."""


def by_nouns() -> Iterator[str]:
    """How often a patch flips the pronoun, in twins of nouns that were never trained together."""
    titles = ("all 8 of the encoder", "cross L0H0", "cross L1H3", "the 6 other cross heads",
              "decoder L1H1", "decoder L1H3", "both of the decoder")  # fmt: skip
    yield from header(["nouns", "patches", *titles])
    total = np.zeros(len(titles) + 1, int)
    for title, twins in grammar():
        counts = np.array([2 * len(twins), *_flips(twins)])
        total += counts
        yield row([title, *map(str, counts)])
    yield row(["all", *map(str, total)])


def _flips(twins: Sequence[tuple[tuple[str, str], Asked]]) -> Iterator[int]:
    for attention, sets in FLIPPERS.items():
        model = translator(attention)
        runs: list[tuple[Heads, What]] = [(named(model, names), "z") for names in sets]
        counts = np.zeros(len(sets), int)
        for texts, asked in twins:
            there = pronoun(model, texts, asked)
            for way in (there, there.back()):
                wanted = way.a.plain.best
                counts += [told.best == wanted for _, told in way.patched(runs)]
        yield from map(int, counts)


def grammar() -> Iterator[tuple[str, list[tuple[tuple[str, str], Asked]]]]:
    """Twins of two nouns that train.py holds out, whose pronouns differ: an adjective each."""
    sys.path.insert(0, str(TRANSLATOR))
    train = importlib.import_module("train")
    sys.path.remove(str(TRANSLATOR))
    for animal, place in zip(train.ANIMALS, train.PLACES, strict=True):
        if animal.it == place.it:
            continue
        begun = f"{animal.the} {animal.german} überquerte {place.the_object} {place.german} nicht"
        asked = Asked("next", animal.it, place.it, target=f"{begun}, weil")
        pairs = zip(train.OF_ANIMALS, train.OF_PLACES, strict=True)
        twins = [
            (SENTENCE.format(animal.english, place.english, one),
             SENTENCE.format(animal.english, place.english, other))
            for one, other in pairs
        ]  # fmt: skip
        title = f"{animal.english} ({animal.it}), {place.english} ({place.it})"
        yield title, [(pair, asked) for pair in twins]


def decimals(number: float) -> str:
    return f"{number + 0:.2f}".replace("-0.00", "0.00").replace("-", "−")


def spread(shares: np.ndarray) -> str:
    """The mean, and the range."""
    return f"{decimals(shares.mean())} ({decimals(shares.min())} to {decimals(shares.max())})"


def header(cells: Sequence[str]) -> Iterator[str]:
    yield row([cell.strip() for cell in cells])
    yield "|---" * len(cells) + "|"


def row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


TABLES: tuple[Table, ...] = (by_patch, by_look, by_nouns, by_ablation)
