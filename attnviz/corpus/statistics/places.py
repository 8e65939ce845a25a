"""What each key is to each query: the cells of a text's matrices, sorted into classes.

A cell lies in one class, so that all shares of a head are sums of classes, whatever the roles are
that it turns out to have.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from attnviz.answers.masks import has_rest
from attnviz.answers.statistics import LOCAL
from attnviz.attention.shapes import Bool, Float, Int
from attnviz.corpus.conllu import Tree
from attnviz.corpus.fold import Seen
from attnviz.inspection import View
from attnviz.text.spans import is_punctuation, sentence_starts
from attnviz.text.tokens import Token, joined, spans_given

ITSELF, CLS, SEPARATORS, SINK, FIRST = range(5)
KINDS = SAME, SYNTACTIC, PUNCTUATION, PLAIN = range(4)
POSITIONS = BEFORE, PREVIOUS, NEXT, AFTER, FAR, OTHER = range(6)
"""Two words before, one before, one after, two after; further in the sentence; in another one."""

CLASSES = 5 + len(KINDS) * len(POSITIONS)
OFFSETS = (-2, -1, 0, 1, 2)
PUNCT = "PUNCT"

SHORT = 128
"""Of texts with fewer words, what their number alone decides is kept; longer ones are counted so
many rows at a time, so that memory stays small."""


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
    "local, apart": _sieve(KINDS, [BEFORE, AFTER]),
}
"""The classes that each role looks at, whichever other roles may look there too; and what is local
beside the neighbours.
"""

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

COUNTED = (
    "rows", "largest", "previous", "next", "first", "cls", "separators", "sink", "same word",
    "punctuation", *(f"offset {offset}" for offset in OFFSETS),
)  # fmt: skip
"""What is counted of rows: all, the largest entropy possible, and those that have such a key."""

EXPECTED = slice(len(COUNTED), len(COUNTED) + len(SIEVES))
POSSIBLE = slice(EXPECTED.stop, EXPECTED.stop + len(SIEVES))
JOINED, UNJOINED = POSSIBLE.stop, POSSIBLE.stop + 1
FACTS = UNJOINED + 1

_LOOKED_AT = np.stack(
    [
        *SIEVES.values(),
        *(_sieve((), (), [one]) for one in (CLS, SEPARATORS, SINK)),
        *(SIEVES[name] for name in ("same word", "punctuation")),
        *BY_OFFSET,
    ]
).astype(np.float64)
_PREVIOUS, _NEXT, _BLOCK = (list(SIEVES).index(name) for name in ("previous", "next", "block"))
_ARE_WORDS = _sieve(KINDS, POSITIONS, [ITSELF]).astype(np.float64)
_OTHERS = _sieve(KINDS, [OTHER]).astype(np.float64)
_JOINED = np.stack([SIEVES["syntactic"] & APART, APART]).astype(np.float64)

_OFFSET_OF = np.full(CLASSES + 1, -1)  # the number among OFFSETS; the last is for cells of no class
for _number, _classes in enumerate(BY_OFFSET):
    _OFFSET_OF[:-1][_classes] = _number

_BY_DISTANCE = np.array([FAR, BEFORE, PREVIOUS, ITSELF, NEXT, AFTER, FAR], np.int8)
_IN_CLASS = np.arange(CLASSES, dtype=np.int8)[:, None]
_FIRST_OF = np.array([5 + kind * len(POSITIONS) for kind in KINDS], np.int8)
"""The first class of each kind: those of its other positions follow."""


@dataclass(frozen=True, eq=False)
class Text:
    """What a text's words are, whatever the layer: of the queries, and of the keys.

    `code`: the class of each cell, as if all were allowed; `first`: the key that is the first word.
    """

    special: Bool[np.ndarray, "query"]
    key_special: Bool[np.ndarray, "key"]
    code: Int[np.ndarray, "query key"]
    first: int | None

    @classmethod
    def of(cls, seen: Seen) -> "Text":
        """The classes of a text's cells."""
        queries, keys = seen.view.tokens, seen.view.keys
        cross = seen.view.context.is_cross_attention
        words = _Words.of(keys)
        asking = _Words.of(queries, words.numbers) if cross else words
        positions = _positions(seen, (len(queries), len(keys)))
        code = positions + _FIRST_OF[np.where(words.punctuation, PUNCTUATION, PLAIN)]
        if not cross:
            one, other = (np.array(ends, int) for ends in _edges(seen))
            plain = ~(words.punctuation[one] | words.punctuation[other])
            one, other = one[plain], other[plain]
            code[one, other] = positions[one, other] + _FIRST_OF[SYNTACTIC]
        if cross or words.repeated:
            same = (asking.spelled[:, None] == words.spelled) & ~words.punctuation
            code[same] = positions[same] + _FIRST_OF[SAME]
        plain = np.flatnonzero(~words.special)
        first = int(plain[0]) if len(plain) else None
        if first == 0 and not cross:
            code[positions[:, 0] >= FAR, 0] = FIRST
        special = np.flatnonzero(words.special)
        before = int(np.searchsorted(special, len(keys) if first is None else first))
        code[:, special[:before]] = CLS
        code[:, special[before:]] = SEPARATORS
        if not cross:
            np.fill_diagonal(code, ITSELF)
        return cls(asking.special, words.special, code, first)


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
        code = text.code.copy()
        count, across = code.shape
        choices = np.full(count, float(across))
        if mask is not None:
            code[~mask] = -1
            choices = mask.sum(axis=1, dtype=np.float64)
        choices += rest
        rows = ~text.special & (choices > 1)
        code[~rows] = -1
        parts = [_counted(code[first : first + SHORT]) for first in range(0, count, SHORT)]
        cells = np.concatenate(parts, axis=1)
        if rest:
            cells[SINK] = rows
        return cls(text, code, rows, cells, choices)

    @cached_property
    def facts(self) -> Float[np.ndarray, "fact"]:
        """What is known of the rows without their weights.

        COUNTED; of each sieve what even attention to words would give it, or to all keys if these
        are resting places (EXPECTED), and in how many rows it has a key (POSSIBLE); cells that a
        tree joins, of words that are no neighbours, and all.
        """
        found, total = np.zeros(FACTS), self.cells.sum(axis=1)
        inside = _LOOKED_AT @ self.cells
        having = np.count_nonzero(inside, axis=1)
        sieves = len(SIEVES)
        found[0] = np.count_nonzero(self.rows)
        found[1] = np.log2(self.choices[self.rows]).sum()
        found[2:4] = having[[_PREVIOUS, _NEXT]]
        found[4] = self._first_rows()
        found[5 : len(COUNTED)] = having[sieves:]
        words = np.maximum(_ARE_WORDS @ self.cells, 1)
        found[EXPECTED] = inside[:sieves] @ (1 / words)
        found[EXPECTED.start] = inside[0] @ (1 / np.maximum(self.choices, 1))
        found[POSSIBLE] = having[:sieves]
        if not _OTHERS @ total:  # one sentence is no block
            found[EXPECTED.start + _BLOCK] = found[POSSIBLE.start + _BLOCK] = 0
        found[JOINED:] = _JOINED @ total
        return found

    def _first_rows(self) -> int:
        """How many rows may look at the first word, and are another."""
        first = self.text.first
        if first is None:
            return 0
        column = self.code[:, first]
        return int(((column >= 0) & (column != ITSELF)).sum())

    def by_class(
        self, weights: Float[np.ndarray, "head row key"], rows: slice
    ) -> Float[np.ndarray, "category head"]:
        """The sums of some rows' weights in each class."""
        own = self.code[rows].ravel()
        if len(weights) == 1:  # of a long text, where the classes of all cells are too large
            sums = np.bincount(own + 1, weights.ravel(), minlength=CLASSES + 1)[1:, None]
        else:
            sums = (own == _IN_CLASS).astype(np.float32) @ weights.reshape(len(weights), -1).T
        found: np.ndarray = sums
        return found

    def near(self, rows: slice) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, "cell offset"]]:
        """The cells of some rows that are at OFFSETS, their rows, and which offset each has."""
        offsets = _OFFSET_OF[self.code[rows]].ravel()
        cells = np.flatnonzero(offsets >= 0)
        which = (offsets[cells, None] == np.arange(len(OFFSETS))).astype(np.float32)
        return cells, cells // self.code.shape[1], which


def _counted(code: Int[np.ndarray, "query key"]) -> Float[np.ndarray, "category query"]:
    """How many cells of each class each row has."""
    count, wide = len(code), CLASSES + 1
    numbers = (code + np.arange(1, 1 + wide * count, wide)[:, None]).ravel()
    cells = np.bincount(numbers, minlength=wide * count).reshape(count, wide)
    return cells[:, 1:].T.astype(np.float64)


@dataclass(frozen=True, eq=False)
class _Words:
    """How the words are spelled: by number, special tokens each by one of its own."""

    numbers: dict[str, int]
    spelled: Int[np.ndarray, "token"]
    special: Bool[np.ndarray, "token"]
    punctuation: Bool[np.ndarray, "token"]

    @classmethod
    def of(cls, tokens: Sequence[Token], numbers: dict[str, int] | None = None) -> "_Words":
        """The words of tokens; `numbers`: those of spellings that are known."""
        known = {} if numbers is None else numbers
        spelled, punctuation = [], []
        for token in tokens:
            folded, is_punctuation = ("", False) if token.special else _spelling(token.text)
            punctuation.append(is_punctuation)
            own = -1 - token.index if token.special else known.setdefault(folded, len(known))
            spelled.append(own)
        codes = np.array(spelled)
        return cls(known, codes, codes < 0, np.array(punctuation))

    @property
    def repeated(self) -> bool:
        """Whether a spelling comes twice."""
        return len(self.numbers) < len(self.spelled) - int(self.special.sum())


@lru_cache(maxsize=1 << 16)
def _spelling(word: str) -> tuple[str, bool]:
    """A word without case, and whether it is punctuation."""
    return word.casefold(), is_punctuation(word)


def _positions(seen: Seen, shape: tuple[int, int]) -> Int[np.ndarray, "query key"]:
    """Where each key is from each query."""
    if seen.view.context.is_cross_attention:
        return np.full(shape, OTHER, np.int8)
    positions = (_short if shape[0] < SHORT else _in_one_sentence)(shape[0])
    sentence = _sentences(seen)
    if sentence is None:
        return positions
    return np.where(sentence[:, None] == sentence, positions, np.int8(OTHER))


def _in_one_sentence(count: int) -> Int[np.ndarray, "query key"]:
    """Where each key is from each query of one sentence."""
    positions = np.full((count, count), FAR, np.int8)
    for offset in OFFSETS:
        first, end = max(0, -offset), count - max(0, offset)
        rows = np.arange(first, end)
        positions[rows, rows + offset] = _BY_DISTANCE[offset + LOCAL + 1]
    return positions


_short = lru_cache(maxsize=SHORT)(_in_one_sentence)


def _sentences(seen: Seen) -> np.ndarray | None:
    """The number of each token's sentence; None if there is one. A tree's document is one."""
    tokens, text = seen.view.tokens, seen.tokens
    paired = text.pair is not None
    segments = np.array([token.segment for token in tokens]) if paired else None
    if _tree(seen) is not None:
        return segments
    starts = [sentence_starts(own) for own in (text.text, text.pair or "")]
    if len(starts[0]) == len(starts[1]) == 1:
        return segments
    inside = [bisect_right(starts[token.segment], token.start or 0) for token in tokens]
    first = 0 if segments is None else segments * len(text.text)
    sentences: np.ndarray = first + np.array(inside)
    return sentences


def _edges(seen: Seen) -> tuple[list[int], list[int]]:
    """The words that a tree joins, as tokens, both ways; not punctuation, nor what was cut off."""
    tree, typed = _tree(seen), seen.document.text
    if tree is None or isinstance(typed, str):
        return [], []
    token_of = _token_of(seen, typed)
    upos, units = tree.upos, tree.units
    one, other = [], []
    for word, head in enumerate(tree.heads):
        if head < 0 or upos[word] == PUNCT or upos[head] == PUNCT:
            continue
        a, b = token_of.get(units[word]), token_of.get(units[head])
        if a is not None and b is not None and a != b:
            one += [a, b]
            other += [b, a]
    return one, other


def _tree(seen: Seen) -> Tree | None:
    """The tree of the text that looks; None if it has none, as what a decoder wrote."""
    tree, part = seen.document.marks, seen.inspection.part
    own = joined(seen.document.text).startswith(seen.tokens.text, part.offset if part else 0)
    return tree if own and isinstance(tree, Tree) else None


def _token_of(seen: Seen, typed: Sequence[str]) -> dict[int, int]:
    """The token of each of the document's own words."""
    plain = [token for token in seen.view.tokens if not token.special]
    part = seen.inspection.part
    if part is None and len(plain) == len(typed):
        return {word: token.index for word, token in enumerate(plain)}
    starts = [start for start, _ in spans_given(typed)]
    offset = 0 if part is None else part.offset
    return {
        bisect_right(starts, token.start + offset) - 1: token.index
        for token in plain
        if token.start is not None
    }
