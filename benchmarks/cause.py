"""Does it matter where a head looks? What patches and ablations say of two models.

Prints the tables of docs/cause.md, in Markdown: of samples/translator and of the default model.

usage: python benchmarks/cause.py
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cause_translator
import numpy as np
from cause_translator import (
    FOUNDING,
    SENTENCE,
    Heads,
    Table,
    all_heads,
    but,
    decimals,
    edits,
    header,
    row,
    spread,
)

from attnviz.attention.edits import Patch, What
from attnviz.inspection import HeadId
from attnviz.inspection.outcomes import Asked
from attnviz.model import Model, load_model
from attnviz.model.edits import EditableText
from attnviz.model.outcomes import outcome_of
from attnviz.text.tokens import parts_of

NOUNS = ("truck", "child", "dog", "soldier", "cat", "horse", "man", "woman", "boy", "girl", "bird",
         "car", "robot", "student", "king", "queen", "farmer", "lion", "bus", "ship", "train",
         "army", "team", "baby")  # fmt: skip
"""In place of `animal`: one piece each in the default model."""

WORDS = ("it", "was", "because", "too", "tired", "street", "cross")
LINK, STRIPE = HeadId(3, 1), HeadId(5, 11)
"""The head that links `it` and `animal`, and the one that looks at `animal` from everywhere."""


@dataclass(frozen=True)
class States:
    """Runs of B with heads of A in it; states as (run, piece, d_model)."""

    a: EditableText
    b: EditableText
    states: np.ndarray

    @classmethod
    def of(cls, model: Model, texts: Sequence[str], runs: Sequence[tuple[Heads, What]]) -> "States":
        """Both sentences, and each of the runs."""
        a, b = (model.editable(model.tokenize(text), len(runs)) for text in texts)
        if len(a.tokens) != len(b.tokens):
            raise ValueError(f"not of one length: {texts}")
        source = Patch(a.layers)
        found = b.edited([edits(heads, what, source) for heads, what in runs])
        return cls(a, b, np.stack([output.states for output in found]))

    def at(self, word: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A word's state in A, in B, and in each run, in float64."""
        place = [token.text for token in self.a.tokens.words].index(word)
        part = parts_of(self.a.tokens, "word")[place]
        a, b, runs = self.a.plain.states[part], self.b.plain.states[part], self.states[:, part]
        return a.mean(0, dtype=float), b.mean(0, dtype=float), runs.mean(1, dtype=float)

    def differ(self, word: str) -> float:
        """How far the word's states in A and B are apart."""
        a, b, _ = self.at(word)
        return float(_distance(a, b))

    def restored(self, word: str) -> np.ndarray:
        """The share of that distance that each run restores."""
        a, b, runs = self.at(word)
        shares: np.ndarray = 1 - _distance(runs, a) / _distance(b, a)
        return shares

    def along(self, word: str) -> np.ndarray:
        """How far each run goes from B's state to A's, in that direction; all the way is 1."""
        a, b, runs = self.at(word)
        way = a - b
        shares: np.ndarray = (runs - b) @ way / (way @ way)
        return shares


def _distance(states: np.ndarray, other: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(states, axis=-1) * np.linalg.norm(other)
    distances: np.ndarray = 1 - states @ other / lengths
    return distances


@cache
def default() -> Model:
    """The default model."""
    return load_model()


@cache
def nouns() -> list[States]:
    """`animal` into the sentence with each other noun: every head, then sets, then parts of z."""
    model = default()
    every, link, stripe = all_heads(model), [LINK], [STRIPE]
    runs: list[tuple[Heads, What]] = [([head], "z") for head in every]
    runs += [(every, "z"), (but(model, STRIPE), "z"), (but(model, LINK), "z")]
    runs += [(heads, what) for what in ("weights", "v") for heads in (stripe, link, every)]
    texts = [SENTENCE.format(noun, "street", "tired") for noun in ("animal", *NOUNS)]
    return [States.of(model, (texts[0], other), runs) for other in texts[1:]]


def by_word() -> Iterator[str]:
    """What the two heads restore at words of the sentence, over all nouns."""
    yield from header(["word", "distance", *map(str, (STRIPE, LINK)), "the best of the other 70",
                        f"all but {STRIPE}", f"all but {LINK}", "all 72"])  # fmt: skip
    every = all_heads(default())
    two = [every.index(head) for head in (STRIPE, LINK)]
    for word in WORDS:
        shares = np.array([one.restored(word) for one in nouns()])
        means = shares.mean(0)
        others = np.delete(np.arange(72), two)
        best = others[means[others].argmax()]
        distance = np.mean([one.differ(word) for one in nouns()])
        numbers = [spread(shares[:, place]) for place in (*two, best)]
        numbers[2] = f"{every[best]} {numbers[2]}"
        yield row([word, f"{distance:.3f}", *numbers, *(decimals(means[n]) for n in (73, 74, 72))])


def by_part() -> Iterator[str]:
    """At `it`: the whole result of a head, only where it looks, only what it brings."""
    yield from header(["heads", "z", "weights", "v"])
    shares = np.array([one.restored("it") for one in nouns()])
    every = all_heads(default())
    for number, name in enumerate((STRIPE, LINK, "all 72")):
        z = every.index(name) if isinstance(name, HeadId) else 72
        places = (z, 75 + number, 78 + number)
        yield row([str(name), *(spread(shares[:, place]) for place in places)])


def by_sum() -> Iterator[str]:
    """At `it`: what single heads restore, and the sum of all that."""
    yield from header(["at `it`", *map(str, (STRIPE, LINK)), "sum of 72", "all 72 together"])
    every = all_heads(default())
    for title, measure in (("restored", States.restored), ("along the way", States.along)):
        shares = np.array([measure(one, "it") for one in nouns()])
        numbers = [shares[:, every.index(head)] for head in (STRIPE, LINK)]
        numbers += [shares[:, :72].sum(1), shares[:, 72]]
        yield row([title, *(decimals(one.mean()) for one in numbers)])


CARRIERS = (HeadId(2, 1), HeadId(2, 3), HeadId(2, 8), HeadId(5, 9))


def by_adjective() -> Iterator[str]:
    """Which heads carry the adjective to `it`: two sentences that differ in it alone."""
    model = default()
    three = CARRIERS[:3]
    sets: list[tuple[str, Heads]] = [(str(head), [head]) for head in (*CARRIERS, LINK, STRIPE)]
    sets += [(", ".join(map(str, three)), three), ("all 72", all_heads(model))]
    whats: tuple[What, ...] = ("z", "weights", "q", "k", "v")
    yield from header(
        ["heads", *(f"tired into wide: {what}" for what in whats), "wide into tired: z"]
    )
    runs = [(heads, what) for _, heads in sets for what in whats]
    there = States.of(model, FOUNDING, runs).restored("it").reshape(len(sets), -1)
    back = States.of(model, FOUNDING[::-1], [(heads, "z") for _, heads in sets]).restored("it")
    for number, (title, _) in enumerate(sets):
        yield row([title, *map(decimals, there[number]), decimals(back[number])])
    held = through_link(three)
    yield row([f"the three, and {LINK} held", decimals(held), *[""] * len(whats)])


def through_link(heads: Heads) -> float:
    """What heads of A restore at `it`, if L3H1 gives what it gave in B."""
    a, b = (default().editable(default().tokenize(text)) for text in FOUNDING)
    run = edits(heads, "z", Patch(a.layers)) + edits([LINK], "z", Patch(b.layers))
    states = np.stack([output.states for output in b.edited([run])])
    return float(States(a, b, states).restored("it")[0])


@cache
def measured() -> dict[str, np.ndarray]:
    """What 72 heads give `animal` at `it`, and what comes of each: an array a measure."""
    model = default()
    tokens = model.tokenize(FOUNDING[0])
    inspection = model.inspect(FOUNDING[0])
    words = [token.text for token in inspection.tokens.words]
    it, animal = words.index("it"), words.index("animal")
    found: dict[str, np.ndarray] = {}
    for measure in ("weights", "norm"):
        view = inspection.view(measure=measure)
        found[measure] = view.query(it)[..., animal].ravel()
    outcome = outcome_of(model, tokens, "word", Asked("states"), 72, token=it)
    for source in ("zero", "mean"):
        runs = [edits([head], "z", source) for head in all_heads(model)]
        found[source] = np.array([one.value for one in outcome.values(runs)])
    found["patch"] = np.mean([one.restored("it")[:72] for one in nouns()], axis=0)
    return found


def by_measure() -> Iterator[str]:
    """Rank correlations of what attention says with what edits say."""
    titles = {"zero": "ablation, zero", "mean": "ablation, mean", "patch": "patch, 24 nouns"}
    yield from header(["`it` → `animal`, 72 heads", *titles.values()])
    for name in ("weights", "norm"):
        numbers = [
            np.corrcoef(_ranks(measured()[name]), _ranks(measured()[to]))[0, 1] for to in titles
        ]
        yield row([name, *map(decimals, numbers)])


def by_disagreement() -> Iterator[str]:
    """The heads whose ranks by weight and by ablation are furthest apart, both ways."""
    yield from header(["head", "weight", "rank", "moves `it`", "rank ", "patch restores", "rank  "])
    ranks = {name: 73 - _ranks(values) for name, values in measured().items()}
    order = np.argsort(ranks["weights"] - ranks["zero"], kind="stable")
    every = all_heads(default())
    chosen = [*order[:3], *order[::-1][:3], *(every.index(head) for head in (LINK, STRIPE))]
    for place in chosen:
        numbers = [measured()[name][place] for name in ("weights", "zero", "patch")]
        places = [f"{ranks[name][place]:.0f}" for name in ("weights", "zero", "patch")]
        shown = (f"{numbers[0]:.3f}", f"{numbers[1]:.4f}", decimals(numbers[2]))
        yield row(
            [
                str(every[place]),
                *(cell for pair in zip(shown, places, strict=True) for cell in pair),
            ]
        )


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 1, the smallest, on."""
    ranks: np.ndarray = values.argsort().argsort() + 1.0
    return ranks


TABLES: tuple[Table, ...] = (
    *cause_translator.TABLES,
    by_word, by_part, by_sum, by_adjective, by_measure, by_disagreement,
)  # fmt: skip

if __name__ == "__main__":
    for table in TABLES:
        print("\n".join(table()), end="\n\n", flush=True)
