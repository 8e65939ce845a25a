"""What each key is to each query: the cells of a text's matrices, sorted into classes.

A cell lies in one class, so that all shares of a head are sums of classes, whatever the roles are
that it turns out to have.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import category

import numpy as np

from attnviz.answers.masks import by_mask, has_rest
from attnviz.answers.statistics import LOCAL
from attnviz.attention.shapes import Bool, Float, Int
from attnviz.corpus.conllu import Tree
from attnviz.corpus.fold import Seen
from attnviz.inspection import HeadId, View
from attnviz.text.spans import sentence_starts
from attnviz.text.tokens import Token, spans_given

ITSELF, CLS, SEPARATORS, SINK, FIRST = range(5)
KINDS = SAME, SYNTACTIC, PUNCTUATION, PLAIN = range(4)
POSITIONS = BEFORE, PREVIOUS, NEXT, AFTER, FAR, OTHER = range(6)
"""Two words before, one before, one after, two after; further in the sentence; in another one."""

CLASSES = 5 + len(KINDS) * len(POSITIONS)
OFFSETS = (-2, -1, 0, 1, 2)
PUNCT = "PUNCT"


def _sieve(
    kinds: Sequence[int], positions: Sequence[int], others: Sequence[int] = ()
) -> np.ndarray:
    """Whether each class has one of these kinds and positions, or is one of the `others`."""
    found = np.zeros(CLASSES, bool)
    found[[5 + kind * len(POSITIONS) + place for kind in kinds for place in positions]] = True
    found[list(others)] = True
    return found


NEAR, NEIGHBOURS = (BEFORE, PREVIOUS, NEXT, AFTER), (PREVIOUS, NEXT)
INSIDE = (*NEAR, FAR)
REST = (CLS, SEPARATORS, SINK, FIRST)

SIEVES: dict[str, Bool[np.ndarray, "category"]] = {
    "delimiter": _sieve((), (), REST),
    "itself": _sieve((), (), [ITSELF]),
    "previous": _sieve(KINDS, [PREVIOUS]),
    "next": _sieve(KINDS, [NEXT]),
    "same word": _sieve([SAME], POSITIONS),
    "syntactic": _sieve([SYNTACTIC], INSIDE),
    "punctuation": _sieve([PUNCTUATION], POSITIONS),
    "local": _sieve(KINDS, NEAR),
    "block": _sieve(KINDS, INSIDE),
}
"""The classes that each role looks at, whichever other roles may look there too."""

BY_OFFSET = np.stack(
    [
        _sieve(KINDS, [BEFORE]),
        _sieve(KINDS, [PREVIOUS]),
        SIEVES["itself"],
        _sieve(KINDS, [NEXT]),
        _sieve(KINDS, [AFTER]),
    ]
)
"""The classes at each of OFFSETS."""

WORDS = _sieve(KINDS, POSITIONS, [ITSELF, FIRST])
APART = _sieve(KINDS, [place for place in INSIDE if place not in NEIGHBOURS])
"""Words of the same sentence that are no neighbours."""

_OFFSET_OF = np.full(CLASSES + 1, -1)  # the number among OFFSETS; the last is for cells of no class
for _number, _classes in enumerate(BY_OFFSET):
    _OFFSET_OF[:-1][_classes] = _number

_BY_DISTANCE = np.array([FAR, BEFORE, PREVIOUS, 0, NEXT, AFTER, FAR])
_IN_CLASS = np.arange(CLASSES)[:, None]


@dataclass(frozen=True, eq=False)
class Text:
    """What a text's words are, whatever the layer: of the queries, and of the keys."""

    special: Bool[np.ndarray, "query"]
    key_special: Bool[np.ndarray, "key"]
    code: Int[np.ndarray, "query key"]
    first: int | None  # the key that is the text's first word

    @classmethod
    def of(cls, seen: Seen) -> "Text":
        """The classes of all cells, as if all were allowed."""
        view = seen.view
        queries, keys = view.tokens, view.keys
        cross = view.context.is_cross_attention
        words, spelled, punctuation = _spelled(keys)
        asking = _spelled(queries, words)[1] if cross else spelled
        same = asking[:, None] == spelled
        special = np.array([key.special for key in keys])
        kinds = np.full(same.shape, PLAIN)
        kinds[:, punctuation] = PUNCTUATION
        positions = np.full(same.shape, OTHER)
        if not cross:
            for one, other in _edges(seen):
                kinds[one, other] = kinds[other, one] = SYNTACTIC
            sentence = _sentences(seen)
            places = np.arange(len(keys))
            apart = np.clip(places - places[:, None], -LOCAL - 1, LOCAL + 1)
            positions = np.where(
                sentence[:, None] == sentence, _BY_DISTANCE[apart + LOCAL + 1], OTHER
            )
        kinds[same & ~punctuation] = SAME
        code = 5 + kinds * len(POSITIONS) + positions
        plain = np.flatnonzero(~special)
        first = int(plain[0]) if len(plain) else None
        if first == 0 and not cross:
            resting = positions[:, 0] >= FAR
            code[resting, 0] = FIRST
        before = np.arange(len(keys)) < (len(keys) if first is None else first)
        code[:, special & before] = CLS
        code[:, special & ~before] = SEPARATORS
        if not cross:
            np.fill_diagonal(code, ITSELF)
        own = special if not cross else np.array([query.special for query in queries])
        return cls(own, special, code, first)


@dataclass(frozen=True, eq=False)
class Places:
    """The cells of the layers that have one mask. `rows`: the words that look and have a choice.

    `code`: the class of each cell; -1 in other rows, and where the mask is. `cells`: how many cells
    of each class a row has; `choices`: of all classes, a sink counted as one.
    """

    text: Text
    code: Int[np.ndarray, "query key"]
    rows: Bool[np.ndarray, "query"]
    cells: Float[np.ndarray, "category query"]
    choices: Float[np.ndarray, "query"]

    @classmethod
    def of(cls, view: View, text: Text, layer: int) -> "Places":
        """The places of a layer, and of all with its mask."""
        mask, rest = view.visible(layer), has_rest(view.context)
        code = text.code
        if mask is not None:
            code = np.where(mask, code, -1)
        count, across = code.shape
        choices = np.full(count, across) if mask is None else mask.sum(axis=1)
        choices = (choices + rest).astype(np.float64)
        rows = ~text.special & (choices > 1)
        code = np.where(rows[:, None], code, -1)
        wide = CLASSES + 1
        numbers = (code + 1 + wide * np.arange(count)[:, None]).ravel()
        cells = np.bincount(numbers, minlength=wide * count).reshape(count, wide)[:, 1:].T
        cells = cells.astype(np.float64)
        if rest:
            cells[SINK] = rows
        return cls(text, code, rows, cells, choices)

    def first_rows(self) -> int:
        """How many rows may look at the first word, and are another."""
        first = self.text.first
        if first is None:
            return 0
        column = self.code[:, first]
        return int(((column >= 0) & (column != ITSELF)).sum())

    def one_hot(self, rows: slice) -> Float[np.ndarray, "category cell"]:
        """Whether each cell of some rows is of each class, float32."""
        found: np.ndarray = (self.code[rows].ravel() == _IN_CLASS).astype(np.float32)
        return found

    def near(self, rows: slice) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, "cell offset"]]:
        """The rows and columns of the cells at OFFSETS in some rows, and which offset each has."""
        offsets = _OFFSET_OF[self.code[rows]]
        down, across = np.nonzero(offsets >= 0)
        which = (offsets[down, across][:, None] == np.arange(len(OFFSETS))).astype(np.float32)
        return down, across, which


def grouped(
    view: View, make: Callable[[int], Places]
) -> Callable[[Sequence[HeadId]], Iterator[tuple[Places, slice | list[int]]]]:
    """Groups the heads of a block by their layers' masks: their places, and their numbers."""
    of = by_mask(view, make)

    def groups(heads: Sequence[HeadId]) -> Iterator[tuple[Places, slice | list[int]]]:
        layers = {layer: of(layer) for layer in dict.fromkeys(head.layer for head in heads)}
        different = {id(places): places for places in layers.values()}
        if len(different) == 1:
            yield next(iter(different.values())), slice(None)
            return
        for number, places in different.items():
            yield places, [i for i, head in enumerate(heads) if id(layers[head.layer]) == number]

    return groups


@lru_cache(maxsize=1 << 16)
def _spelling(word: str) -> tuple[str, bool]:
    """A word without case, and whether it is punctuation."""
    return word.casefold(), all(category(letter).startswith("P") for letter in word)


def _spelled(
    tokens: Sequence[Token], known: dict[str, int] | None = None
) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """A number for each spelling, that of each token (special ones have their own), punctuation."""
    numbers = {} if known is None else known
    codes, punctuation = np.zeros(len(tokens), np.intp), np.zeros(len(tokens), bool)
    for token in tokens:
        if token.special:
            codes[token.index] = -1 - token.index
            continue
        folded, punctuation[token.index] = _spelling(token.text)
        codes[token.index] = numbers.setdefault(folded, len(numbers))
    return numbers, codes, punctuation


def _sentences(seen: Seen) -> np.ndarray:
    """The number of each token's sentence: of its segment, unless the text has several."""
    tokens, text = seen.view.tokens, seen.tokens
    segments = np.array([token.segment for token in tokens])
    if isinstance(seen.document.marks, Tree):
        return segments
    starts = [sentence_starts(own) for own in (text.text, text.pair or "")]
    if len(starts[0]) == len(starts[1]) == 1:
        return segments
    inside = [bisect_right(starts[t.segment], t.start or 0) for t in tokens]
    sentences: np.ndarray = segments * len(text.text) + np.array(inside)
    return sentences


def _edges(seen: Seen) -> Iterator[tuple[int, int]]:
    """The words that a tree joins, as tokens; not punctuation, nor words cut off by a window."""
    tree, typed = seen.document.marks, seen.document.text
    if not isinstance(tree, Tree) or isinstance(typed, str):
        return
    starts = [start for start, _ in spans_given(typed)]
    part = seen.inspection.part
    offset = 0 if part is None else part.offset
    token_of = {
        bisect_right(starts, token.start + offset) - 1: token.index
        for token in seen.view.tokens
        if token.start is not None
    }
    for word, head in enumerate(tree.heads):
        if head < 0 or PUNCT in (tree.upos[word], tree.upos[head]):
            continue
        one, other = token_of.get(tree.units[word]), token_of.get(tree.units[head])
        if one is not None and other is not None and one != other:
            yield one, other
