"""Which head finds a link: what all probes share, folded over a corpus.

Everything is a count, so that any split and any order gives the same. Documents fall into GROUPS
by their key, which are resampled for intervals; an odd group belongs to one half, an even one to
the other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from attnviz.answers.probe import Kind, Probe
from attnviz.attention.measures import MeasureName
from attnviz.attention.shapes import Bool, Float, Int
from attnviz.corpus.document import Document
from attnviz.corpus.fold import Seen
from attnviz.corpus.reading import Files
from attnviz.errors import RequestError
from attnviz.inspection import Block, HeadId, ModelFacts
from attnviz.model.model import Model
from attnviz.text.tokens import Tokens

GROUPS = 128
"""Into so many random groups documents fall: their sums take the place of all documents' own."""

ROOM = 96
"""For so many more relations and directions there is room at once."""

MOST = 1000
"""Of more relations and directions the sums would fill the memory, and nobody would read them."""

FURTHEST = 20
"""The longest distance of the baseline `offset`, in words."""

_GRAIN = 2.0**24
"""Chances are whole multiples of 1 / _GRAIN, so that their sums are exact in any order."""

SIDES = ("before", "after", "either")
COUNT, DOCUMENTS, RANDOM, FIRST = range(4)
NEAREST = slice(4, 7)
NEAREST_POS = slice(7, 10)
OFFSETS = slice(10, 11 + 2 * FURTHEST)
HEADS = OFFSETS.stop
"""The columns of the counts: those from HEADS on are what each head finds, then its other queries.
"""


@dataclass(frozen=True, eq=False)
class Questions:
    """What a text is asked: for each link, where its query should look.

    `names`: each link's relation and direction. `queries`: its row among `seen.view.tokens`.
    `gold`: the keys that are right, one or several. `candidates`: the keys that may be answered,
    for each row; those that no head may look at are left out later. `kin`: those candidates that
    are of the right one's part of speech, or what `Findings.kin` says. `shift`: how far each query
    is moved to stand beside the keys.
    """

    names: Sequence[tuple[str, str]]
    queries: Int[np.ndarray, "link"]
    gold: Bool[np.ndarray, "link key"]
    candidates: Bool[np.ndarray, "query key"]
    kin: Bool[np.ndarray, "link key"] | None = None
    shift: int = 0


class Probing(Protocol):
    """A `Work` that asks links; see there."""

    kind: ClassVar[Kind]
    formula: ClassVar[str]  # what counts as found, in a sentence

    @property
    def measure(self) -> MeasureName:
        """The measure that is looked at."""

    @property
    def what(self) -> dict[str, Any]:
        """What is asked, in JSON."""

    def accumulator(self, facts: ModelFacts) -> "Findings":
        """A new one, which has seen nothing."""

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        """What is run of a document."""

    def told(self, probe: Probe, findings: "Findings") -> Probe:
        """The answer, with what this kind of probe says beside what all do."""


KINDS: dict[Kind, str] = {
    "conllu": "relations",
    "coref": "coreference",
    "align": "alignment",
    "links": "links",
}
"""Each kind's module in this room, whose `asked` gives its work and its reader."""


OPTIONS: dict[str, Kind] = {"sentences": "coref", "first_word": "align"}
"""What one kind takes beside its files."""


def asked(
    kind: Kind, names: Sequence[str], measure: MeasureName, options: Mapping[str, Any] | None = None
) -> tuple[Probing, Files]:
    """What is asked of a corpus, and who reads the files that are named.

    options: `sentences`, the most in a window of coreference; `first_word`, its number in
    alignments.
    """
    module = import_module(f"attnviz.corpus.{KINDS[kind]}")
    found: tuple[Probing, Files] = module.asked(names, measure, **(options or {}))
    return found


class Findings:
    """How often each head, and each baseline, finds the links of each relation and direction."""

    def __init__(
        self, ask: Callable[[Seen], Iterable[Questions]], kin: str = "nearest_pos"
    ) -> None:
        self._ask, self.kin = ask, kin
        self.heads: tuple[HeadId, ...] = ()
        self._places: dict[tuple[str, str], int] = {}
        self._sums = np.zeros((0, GROUPS, HEADS))

    def add(self, seen: Seen) -> None:
        """Add a text; see Accumulator."""
        for asked in self._ask(seen):
            self.ask(seen, asked)

    def ask(self, seen: Seen, asked: Questions) -> Bool[np.ndarray, "head link"]:
        """Ask a text these questions, which have relations of their own; what each head finds."""
        self._know(tuple(seen.view.all_heads()))
        if seen.visible is not None:  # as in causal models, where nothing looks ahead
            asked = replace(asked, candidates=asked.candidates & seen.visible)
        right = [_found(block, asked, _words(seen)) for block in _whole(seen)]
        found, others = (np.concatenate(parts) for parts in zip(*right, strict=True))
        parts = _without_heads(asked), found.T, others.T
        columns = np.concatenate(parts, axis=1, dtype=np.float64)
        names = list(dict.fromkeys(asked.names))
        of = {name: place for place, name in enumerate(names)}
        which = np.zeros((len(names), len(columns)))
        which[[of[name] for name in asked.names], np.arange(len(columns))] = 1
        sums = which @ columns
        sums[:, DOCUMENTS] = seen.share
        rows = self._rows(names)
        self._sums[rows, seen.document.key % GROUPS] += sums
        return found

    def merge(self, other: "Findings") -> None:
        """Add what another has added up; see Accumulator."""
        if other.heads:
            self._know(other.heads)
            rows = self._rows(list(other._places))
            self._sums[rows] += other._sums[: len(rows)]

    def state(self) -> dict[str, Any]:
        """All that it knows; see Accumulator."""
        return {
            "heads": [list(head) for head in self.heads],
            "names": [list(name) for name in self._places],
            "sums": self._sums[: len(self._places)].copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave; see Accumulator."""
        heads = tuple(HeadId(*head) for head in state["heads"])
        names = [(str(relation), str(direction)) for relation, direction in state["names"]]
        shape = len(names), GROUPS, HEADS + 2 * len(heads)
        if state["sums"].shape != shape:
            raise ValueError(f"the sums have shape {state['sums'].shape}, and not {shape}")
        self.heads, self._places, self._sums = (), {}, np.zeros((0, GROUPS, HEADS))
        if heads:
            self._know(heads)
            rows = self._rows(names)
            self._sums[rows] = state["sums"]

    def counts(self) -> dict[str, dict[str, Float[np.ndarray, "group column"]]]:
        """The sums, by relation and direction."""
        found: dict[str, dict[str, np.ndarray]] = {}
        for (relation, direction), place in self._places.items():
            found.setdefault(relation, {})[direction] = self._sums[place]
        return found

    def _know(self, heads: tuple[HeadId, ...]) -> None:
        """Remember which heads there are; all texts have the same."""
        if not self.heads:
            self.heads, self._sums = heads, np.zeros((0, GROUPS, HEADS + 2 * len(heads)))
        elif heads != self.heads:
            raise ValueError(f"{len(heads)} heads came, and they are not the {len(self.heads)}")

    def _rows(self, names: Sequence[tuple[str, str]]) -> list[int]:
        """The places of these relations in the sums, new ones included; RequestError for MOST."""
        for name in names:
            self._places.setdefault(name, len(self._places))
        if len(self._places) > MOST:
            raise RequestError(
                f"there are more than {MOST} relations or labels, each direction counted",
                "leave out a column of labels that holds ids",
            )
        lacking = len(self._places) - len(self._sums)
        if lacking > 0:
            count = len(self._sums)
            more = max(lacking, count, ROOM)
            larger = np.zeros((count + more, *self._sums.shape[1:]))  # takes memory once written to
            larger[:count] = self._sums
            self._sums = larger
        return [self._places[name] for name in names]


def _whole(seen: Seen) -> Iterator[Block]:
    """Blocks with all rows."""
    parts: list[Block] = []
    for block in seen.blocks():
        parts.append(block)
        if block.rows.stop == len(seen.view.tokens):
            yield Block.concat(parts)
            parts = []


class _Words(NamedTuple):
    """1 for each word that looks, 0 for special tokens; and whether the keys are the same words."""

    look: Float[np.ndarray, "query"]
    own: bool


def _words(seen: Seen) -> _Words:
    look = np.array([not token.special for token in seen.view.tokens], np.float32)
    return _Words(look, seen.inspection.keys is None)


def _found(
    block: Block, asked: Questions, words: _Words
) -> tuple[Bool[np.ndarray, "head link"], Bool[np.ndarray, "head link"]]:
    """Whether each head's row has most at a right key; and whether its other rows have, together.

    Of equal keys the first counts; a row that gives candidates nothing finds nothing.
    """
    rows, row_of = np.unique(asked.queries, return_inverse=True)
    links, allowed = np.arange(len(row_of)), asked.candidates[rows]
    weights = block.weights[:, rows]
    others = np.matmul(words.look, block.weights)  # (head, key)
    if words.own:  # a word's own weight is no other's
        others -= words.look * np.diagonal(block.weights, axis1=1, axis2=2)
    found = []
    for numbers in (weights, others[:, None] - words.look[rows, None] * weights):
        numbers = np.where(allowed, numbers, -1)
        most = numbers.argmax(axis=-1)
        some = np.take_along_axis(numbers, most[..., None], axis=-1)[..., 0] > 0
        found.append(asked.gold[links, most[:, row_of]] & some[:, row_of])
    return found[0], found[1]


def _without_heads(asked: Questions) -> Float[np.ndarray, "link column"]:
    """What the baselines find that know no weights."""
    queries = asked.queries
    allowed = asked.candidates[queries]
    gold = asked.gold & allowed
    found = np.zeros((len(queries), HEADS))
    links = np.arange(len(queries))
    found[:, COUNT] = 1
    chances = gold.sum(axis=1) / np.maximum(allowed.sum(axis=1), 1)
    found[:, RANDOM] = np.rint(chances * _GRAIN) / _GRAIN
    found[:, FIRST] = gold[links, allowed.argmax(axis=1)]
    beside = queries + asked.shift
    found[:, NEAREST] = _nearest(beside, gold, allowed)
    if asked.kin is not None:
        found[:, NEAREST_POS] = _nearest(beside, gold, allowed & asked.kin)
    link, key = np.nonzero(asked.gold)  # a distance is a rule for texts, whatever a model sees
    offset = key - beside[link] + FURTHEST
    near = (offset >= 0) & (offset <= 2 * FURTHEST)
    found[:, OFFSETS][link[near], offset[near]] = 1
    return found


def _nearest(
    queries: Int[np.ndarray, "link"],
    gold: Bool[np.ndarray, "link key"],
    allowed: Bool[np.ndarray, "link key"],
) -> Bool[np.ndarray, "link side"]:
    """Whether the nearest candidate is right: before, after, on either side; of two, before."""
    keys, links, at = np.arange(gold.shape[1]), np.arange(len(queries)), queries[:, None]
    before = np.where(allowed & (keys <= at), keys, -1).max(axis=1)
    after = np.where(allowed & (keys > at), keys, len(keys)).min(axis=1)
    is_before = (before >= 0) & ((queries - before <= after - queries) | (after == len(keys)))
    padded = np.concatenate([gold, np.zeros((len(gold), 1), bool)], axis=1)  # where there is none
    sides = before, after, np.where(is_before, before, after)
    return np.stack([padded[links, side] for side in sides], axis=1)
