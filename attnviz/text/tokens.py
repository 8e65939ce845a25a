"""Tokens: a model's *pieces*, joined by their offsets alone to Unicode *words* (UAX #29)."""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Literal
from unicodedata import category

from attnviz.errors import AttnvizError, RequestError
from attnviz.text.spans import SPACE, Span, word_spans

Unit = Literal["word", "piece"]
Typed = str | tuple[str, ...]
"""A text, or its words, as the user divides it."""
NAMED = re.compile(r"<.+>|\[.+\]")  # A token that stands for no text, such as <mask> and [MASK]
SEQUENCES = re.compile("[A-Z]+"), re.compile("[acgtun]+")  # residues, or bases in small letters


@dataclass(frozen=True, slots=True)
class Token:
    """One row or column of an attention matrix: a word, a piece, or a special token."""

    index: int
    text: str  # what was typed, `text[start:end]`, or a special token's name
    label: str  # printed: a word's text, or a piece's entry (`##ing`); as typed if it is unknown
    start: int | None  # None for a special token
    end: int | None
    special: bool
    segment: int  # 1 in the second sentence of a pair
    word: int  # the index of its word
    pieces: tuple[str, ...]  # the vocabulary's entries that it was cut into
    unknown: bool = False  # whether the model reads one of its pieces as unknown


@dataclass(frozen=True, slots=True)
class Part:
    """One of the overlapping windows that a long text was cut into, `index` of `count`, from 0."""

    index: int
    count: int
    start: int  # its first piece among those of the whole text without special tokens
    end: int
    offset: int  # the first character of its text in the whole text

    def __str__(self) -> str:
        return f"window {self.index + 1} of {self.count}"


@dataclass(frozen=True)
class Tokens:
    """A tokenized sentence, or pair of sentences, with one entry for each piece in every tuple."""

    text: str
    pair: str | None
    ids: tuple[int, ...]
    vocabulary: tuple[str, ...]  # the pieces as the vocabulary spells them
    spans: tuple[Span | None, ...]  # in the segment's text; None for special tokens
    segments: tuple[int, ...]  # 1 in the second sentence of a pair
    type_ids: tuple[int, ...]  # the model's token types
    dropped: int = 0  # how many pieces truncation cut off
    part: Part | None = None  # which window of a longer text this is
    unknown: tuple[int, ...] = ()  # the pieces that the model reads as its unknown token, by number
    by_piece: bool = False  # whether each piece is a word, as a residue of a protein is
    given: tuple[tuple[Span, ...], ...] | None = None  # the user's own words, in each segment

    def __post_init__(self) -> None:
        columns = (self.ids, self.vocabulary, self.spans, self.segments, self.type_ids)
        lengths = [len(column) for column in columns]
        if len(set(lengths)) != 1:
            raise AttnvizError(
                f"ids, pieces, spans, segments and token types differ in length: {lengths}"
            )
        ends = (len(self.text), -1 if self.pair is None else len(self.pair))
        begun = [0, 0]
        for span, segment in zip(self.spans, self.segments, strict=True):
            if segment not in (0, 1):
                raise AttnvizError(f"a piece lies in segment {segment}, and there are 0 and 1")
            if span is None:
                continue
            if not 0 <= span[0] <= span[1] <= ends[segment]:
                raise AttnvizError(f"a piece spans characters {span}, outside its sentence")
            # Words need pieces in the order of the text. One may begin a little before the piece
            # before it, because some tokenizers trim white space, but not end before it begins.
            if span[1] < begun[segment]:
                raise AttnvizError(
                    f"a piece ends at character {span[1]}, and the piece before it begins at "
                    f"{begun[segment]}: they are not in the order of the text"
                )
            begun[segment] = span[0]
        _check_given(self.given, ends)
        for piece in self.unknown:
            if not 0 <= piece < len(self) or self.spans[piece] is None:
                raise AttnvizError(f"piece {piece} is said to be unknown, and is no piece of text")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def typed(self) -> tuple[Typed, Typed | None]:
        """What was typed, with the user's own words if there are any, and its pair."""
        if self.given is None:
            return self.text, self.pair
        texts = zip((self.text, self.pair or ""), self.given, strict=True)
        words, pair = (tuple(text[a:b] for a, b in spans) for text, spans in texts)
        return words, None if self.pair is None else pair

    def unit(self, unit: Unit) -> tuple[Token, ...]:
        """The words or the pieces."""
        return self.words if unit == "word" else self.pieces

    @cached_property
    def word_starts(self) -> tuple[int, ...]:
        """The first piece of each word, ascending; a word goes up to the start of the next."""
        return tuple(start for start, _ in self._runs)

    @cached_property
    def words(self) -> tuple[Token, ...]:
        """A token for each word; special tokens are tokens of their own."""
        ends = (*self.word_starts[1:], len(self))
        return tuple(
            self._token(word, span, word, start, end)
            for word, ((start, span), end) in enumerate(zip(self._runs, ends, strict=True))
        )

    @cached_property
    def pieces(self) -> tuple[Token, ...]:
        """A token for each piece, labelled as the vocabulary spells it."""
        word_of = [word.index for word in self.words for _ in word.pieces]
        tokens = (self._token(i, self.spans[i], word_of[i], i, i + 1) for i in range(len(self)))
        return tuple(
            token if token.unknown else replace(token, label=token.pieces[0]) for token in tokens
        )

    @cached_property
    def lost(self) -> tuple[str, ...]:
        """The typed words that no piece stands for; of a truncated text, of what was kept."""
        found = []
        for segment, text in enumerate((self.text, self.pair or "")):
            own = [
                span
                for span, of in zip(self.spans, self.segments, strict=True)
                if span is not None and of == segment
            ]
            read = bytearray(len(text))
            for start, end in own:
                read[start:end] = b"1" * (end - start)
            kept = range(len(text))
            if self.dropped:
                kept = range(min(own, default=(0, 0))[0], max((end for _, end in own), default=0))
            words: Sequence[Span] = word_spans(text[: kept.stop])
            if self.given is not None:
                words = [span for span in self.given[segment] if span[0] < kept.stop]
            spans = [span for span in words if span[0] >= kept.start]
            found += [text[a:b] for a, b in spans if not any(read[a:b])]
        return tuple(found)

    @cached_property
    def _runs(self) -> list[tuple[int, Span | None]]:
        if self.given is not None:
            return self._given_runs(self.given)
        if self.by_piece:
            return list(enumerate(self.spans))
        texts = [_Boundaries.of(self.text), _Boundaries.of(self.pair or "")]
        return _join_pieces(self.spans, self.segments, texts)

    def _given_runs(self, given: tuple[tuple[Span, ...], ...]) -> list[tuple[int, Span | None]]:
        """The first piece of each of the user's own words, and the word's span."""
        starts = [[start for start, _ in spans] for spans in given]
        runs: list[tuple[int, Span | None]] = []
        before = None
        for i, (span, segment) in enumerate(zip(self.spans, self.segments, strict=True)):
            place = None if span is None else bisect_right(starts[segment], span[0]) - 1
            word = None if place is None else (segment, max(place, 0))
            if word is None or word != before:
                runs.append((i, None if word is None else given[segment][word[1]]))
            before = word
        return runs

    def _token(self, index: int, span: Span | None, word: int, first: int, end: int) -> Token:
        segment, pieces = self.segments[first], self.vocabulary[first:end]
        start, stop = span or (None, None)
        text = pieces[0]
        if span is not None:
            text = ((self.pair or "") if segment else self.text)[start:stop] or text
        unknown = bool(self.unknown) and not self._unknown.isdisjoint(range(first, end))
        return Token(index, text, text, start, stop, span is None, segment, word, pieces, unknown)

    @cached_property
    def _unknown(self) -> frozenset[int]:
        return frozenset(self.unknown)


@dataclass(frozen=True)
class Translated(Tokens):
    """A source with a target of its own, which the decoder beside the encoder is fed."""

    source: Tokens | None = None  # itself, without the target
    target: Tokens | None = None

    @classmethod
    def of(cls, source: Tokens, target: Tokens) -> "Translated":
        """Both together."""
        own = {field.name: getattr(source, field.name) for field in fields(Tokens)}
        return cls(**own, source=source, target=target)


def parts_of(tokens: Tokens, unit: Unit) -> list[slice]:
    """The pieces of each token."""
    starts = range(len(tokens)) if unit == "piece" else tokens.word_starts
    return [slice(start, end) for start, end in pairwise((*starts, len(tokens)))]


def _check_given(given: tuple[tuple[Span, ...], ...] | None, ends: tuple[int, int]) -> None:
    """AttnvizError for words of the user's own that are not in the order of the text."""
    if given is not None and len(given) != len(ends):
        raise AttnvizError(f"words are given for {len(given)} segments, and there are {len(ends)}")
    for spans, end in zip(given or (), ends, strict=False):
        edges = [0, *(edge for span in spans for edge in span), max(0, end)]
        if any(a > b for a, b in pairwise(edges)) or any(a == b for a, b in spans):
            raise AttnvizError(f"words are given at characters {spans}, of {end}")


@dataclass(frozen=True)
class _Boundaries:
    """Ascending starts and ends of a text's words, without white space."""

    starts: list[int]
    ends: list[int]
    spaced: frozenset[int]  # the starts right after a space (not a tab or a new line)

    @classmethod
    def of(cls, text: str) -> "_Boundaries":
        spans = word_spans(text)
        starts = [start for start, _ in spans]
        spaced = frozenset(i for i in starts if i and category(text[i - 1]) == "Zs")
        return cls(starts, [end for _, end in spans], spaced)


def _join_pieces(
    spans: Sequence[Span | None], segments: Sequence[int], texts: Sequence[_Boundaries]
) -> list[tuple[int, Span | None]]:
    """The rule that joins pieces to words: for each word its first piece and its span.

    A piece joins the word before it if it starts before that word ends. A piece that touches
    several words (a typed `[MASK]`, an unknown run) makes one word of them.
    """
    runs: list[tuple[int, Span | None]] = []
    limit, current = -1, -1
    for i, (span, segment) in enumerate(zip(spans, segments, strict=True)):
        if span is None:
            runs.append((i, None))
            limit = current = -1
            continue
        start, end = _span_in_words(span, texts[segment])
        open_word = runs[-1][1] if runs and segment == current else None
        if open_word is not None and (start < limit or span[0] == span[1] == limit):
            limit = max(limit, end)
            runs[-1] = (runs[-1][0], (min(open_word[0], start), limit))
        else:
            runs.append((i, (start, end)))
            limit, current = end, segment
    return runs


def _span_in_words(span: Span, words: _Boundaries) -> Span:
    """From the start of the first word that a piece touches to the end of the last.

    White space alone gets the word that follows at once if it ends in a space, else its own span.
    """
    start, end = span
    first = bisect_right(words.ends, start)
    last = bisect_left(words.starts, max(end, start + 1)) - 1
    if first > last and end in words.spaced:
        last = first
    return (words.starts[first], words.ends[last]) if first <= last else span


def segments_of(sentences: Sequence[int | None]) -> tuple[int, ...]:
    """The sentence of each piece; a special token belongs to the one that it ends."""
    segments, current = [], 0
    for sentence in sentences:
        current = current if sentence is None else sentence
        segments.append(current)
    return tuple(segments)


def spells_sequences(entries: Iterable[str]) -> bool:
    """Whether a vocabulary spells sequences of residues or bases, and not the words of a language.

    Besides signs and named tokens, such as `.` and `<mask>`, it has capital letters alone, or bases
    in small ones: it knows no space, and no mark of a space or of a word that goes on.
    """
    plain = {entry for entry in entries if not NAMED.fullmatch(entry)}
    letters = {entry for entry in plain if any(map(str.isalpha, entry))}
    signs = all(len(one) == 1 and not one.isspace() and one != SPACE for one in plain - letters)
    alone = any(all(map(one.fullmatch, letters)) for one in SEQUENCES)
    return len(letters) > 3 and signs and alone


def joined(typed: Typed) -> str:
    """The text; words of the user's own have a space between them."""
    return typed if isinstance(typed, str) else " ".join(typed)


def as_line(typed: Typed) -> str:
    """The text, or the line that `words_in` reads as these words."""
    return typed if isinstance(typed, str) else json.dumps(typed, ensure_ascii=False)


def spans_given(words: Sequence[str]) -> tuple[Span, ...]:
    """Where each of the user's own words lies in their text."""
    starts = accumulate((len(word) + 1 for word in words), initial=0)
    return tuple((start, start + len(word)) for word, start in zip(words, starts, strict=False))


def words_in(text: str) -> tuple[str, ...]:
    """The words of a text that is cut into words already: between blanks, or a JSON list of them.

    RequestError for what begins as such a list, as in `["It", `, and is none; and for a list with
    something else beside words.
    """
    listed: Any = None
    if text.strip().startswith("["):
        try:
            listed = json.loads(text)
        except ValueError as error:
            if text.strip().startswith('["'):
                raise RequestError(
                    f"the words begin as a JSON list, and are none: {error}",
                    'give words with blanks between, or a list as in ["It", "was"]',
                ) from error
    is_list = isinstance(listed, list) and all(isinstance(word, str) for word in listed)
    if isinstance(listed, list) and not is_list and '"' in text:
        raise RequestError(
            "the words are a JSON list, and not all of it is words in quotes",
            'give a list as in ["It", "was"], one a line',
        )
    return tuple(listed if is_list else text.split())


def check_text(name: str, text: Typed) -> None:
    """Raise RequestError for a text that is empty or not valid Unicode; errors call it `name`."""
    if not isinstance(text, str):
        for place, word in enumerate(text, start=1):
            check_text(f"word number {place} of the {name}", word)
        text = joined(text)
    if not text.strip():
        raise RequestError(f"the {name} is empty", 'give it some words, as in "I am a student"')
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RequestError(
            f"the {name} is not valid Unicode text at character {error.start}",
            "save or paste it as UTF-8",
        ) from error
