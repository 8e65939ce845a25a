"""A model's tokenizer, which cuts text into Tokens, whatever library it comes from."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from attnviz.errors import AttnvizError, RequestError
from attnviz.files import rust_errors
from attnviz.text.cutter import SAVE_AGAIN, Cut, Cutter, read_fast
from attnviz.text.spans import Span, spans_in_reading
from attnviz.text.tokens import Part, Tokens, Typed, check_text, joined, spans_given

KEPT = {"right": "beginning", "left": "end"}  # What truncation on that side keeps


class Tokenizer:
    """A model's own tokenizer; target, max_target: for a decoder's text, where they differ."""

    def __init__(
        self,
        cutter: Cutter,
        max_length: int | None = None,
        add_special_tokens: bool = True,
        target: Cutter | None = None,
        max_target: int | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.notes = notes  # for the user
        self._cutter = cutter
        self._target = target or cutter
        self.max_length = max_length
        self.max_target = max_target or max_length
        self.add_special_tokens = add_special_tokens

    @classmethod
    def from_file(
        cls, path: Path, max_length: int | None = None, add_special_tokens: bool = True
    ) -> "Tokenizer":
        """Read a `tokenizer.json`; AttnvizError if it is not one."""
        return cls(read_fast(path), max_length, add_special_tokens)

    @property
    def mask_id(self) -> int | None:
        """The id of the mask token, which stands for a masked word; None if there is none."""
        return self._cutter.mask_id

    @property
    def gives_types(self) -> bool:
        """Whether it gives the model token types; without, all are 0."""
        return self._cutter.types

    def entry(self, number: int) -> str:
        """As in `Cutter`."""
        return self._cutter.entry(number)

    @property
    def vocabulary_size(self) -> int:
        """How many ids the tokenizer can give, added tokens included."""
        return self._cutter.size

    @property
    def separates_pairs(self) -> bool:
        """Whether a special token separates the sentences of a pair."""
        count = self._cutter.num_special
        return self.add_special_tokens and count(True) > count(False)

    def encode(self, text: Typed, pair: Typed | None = None, truncate: bool = False) -> Tokens:
        """Cut a sentence, or a pair of sentences, or the words of both.

        RequestError for text that cannot be cut, or is too long and not to be truncated.
        """
        for name, part in (("sentence", text), ("second sentence", pair)):
            if part is not None:
                check_text(name, part)
        cut, dropped = self._cut("sentence", text, pair, truncate)
        return self._tokens(text, pair, cut, dropped)

    def windows(self, text: Typed, stride: int) -> list[Tokens]:
        """Cut a text into overlapping windows of `max_length`, `stride` apart (see `windows_of`).

        A text that fits is one window, without `part`. RequestError if no length is known.
        """
        check_text("text", text)
        if self.max_length is None:
            raise RequestError(
                "a stride needs the length of the model's longest input, which is not known",
                "leave it out: the whole text is run at once",
            )
        special = self._cutter.num_special(False) if self.add_special_tokens else 0
        check_stride(stride, self.max_length - special)
        with _errors_name("text"):
            cut = self._cutter.cut(text, None, self.add_special_tokens, None)
        whole = self._tokens(text, None, cut)
        fits = len(whole) <= self.max_length
        return [whole] if fits else windows_of(whole, self.max_length, stride)

    def encode_target(self, text: str, start: int | None = None, truncate: bool = False) -> Tokens:
        """Cut the decoder's input for this target text: the text shifted right by one.

        The id `start` comes first, or without one the special token at the end, as in mBART.
        """
        check_text("target", text)
        cut, dropped = self._cut("target", text, None, truncate, fed=1)
        _check_read("target", text, 0 in cut.sentences)
        pieces = list(zip(cut.ids, cut.entries, cut.spans, strict=True))
        first = pieces.pop() if cut.sentences[-1] is None else None
        if start is not None:
            first = (start, self._target.entry(start), None)
        ids, entries, spans = zip(*([first] if first else []), *pieces, strict=True)
        return self._in_one_segment(text, ids, entries, spans, dropped)

    def reading(self, ids: Sequence[int]) -> Tokens:
        """Tokens from the ids that a decoder wrote."""
        written = [number for number in ids if number not in self._target.special_ids]
        with _errors_name("target that the model wrote"):
            text = self._target.read(written).strip()
            read = [self._target.read(written[: end + 1]).lstrip() for end in range(len(written))]
        of_text = iter(spans_in_reading(text, read))
        spans = [None if number in self._target.special_ids else next(of_text) for number in ids]
        return self._in_one_segment(text, ids, list(map(self._target.entry, ids)), spans)

    def _tokens(self, typed: Typed, second: Typed | None, cut: Cut, dropped: int = 0) -> Tokens:
        given = None
        if not isinstance(typed, str):
            given = (spans_given(typed), spans_given(second or ()))
        text, pair = joined(typed), None if second is None else joined(second)
        for segment, name in enumerate(("sentence", "second sentence")[: 1 + (pair is not None)]):
            _check_read(name, (text, pair)[segment], segment in cut.sentences)
        columns = (cut.ids, cut.entries, cut.spans, _segments(cut.sentences), cut.type_ids)
        unknown = _unknown(self._cutter, cut.ids, cut.spans)
        words = (self._cutter.by_piece, given)
        return Tokens(text, pair, *columns, dropped, None, unknown, *words)

    def _in_one_segment(
        self,
        text: str,
        ids: Sequence[int],
        entries: Sequence[str],
        spans: Sequence[Span | None],
        dropped: int = 0,
    ) -> Tokens:
        columns = (tuple(ids), tuple(entries), tuple(spans))
        zeros, unknown = (0,) * len(ids), _unknown(self._target, ids, spans)
        return Tokens(text, None, *columns, zeros, zeros, dropped, unknown=unknown)

    def _cut(
        self, name: str, text: Typed, pair: Typed | None, truncate: bool, fed: int = 0
    ) -> tuple[Cut, int]:
        """The pieces, and how many were dropped; `fed`: 1 for a decoder's input."""
        cutter, most = (self._target, self.max_target) if fed else (self._cutter, self.max_length)
        with _errors_name(name):
            cut = cutter.cut(text, pair, self.add_special_tokens, None)
        # A decoder's input loses the special token at its end and gains one at its start.
        length = len(cut.ids) + (fed and cut.sentences[-1:] != (None,))
        if truncate and cutter.most is not None and length > cutter.most:
            most = int(cutter.most if most is None else min(most, cutter.most))
        if most is None or length <= most:
            return cut, 0
        if not truncate:
            raise RequestError(
                f"the {name} is {length} tokens long, and the model takes at most {most}",
                f"use --truncate for its {KEPT[cutter.side]}"
                + ("" if pair or fed else ", or attnviz run --stride N for windows that overlap"),
            )
        special = cutter.num_special(pair is not None) if self.add_special_tokens else 0
        room = most - (length - len(cut.ids))
        # With less room than this, the tokenizers library would not truncate at all.
        if self.add_special_tokens and room <= special + (pair is not None):
            raise RequestError(
                f"the model takes at most {most} tokens, and {special} of them are special",
                "choose a model that takes longer sentences",
            )
        with _errors_name(name):
            beginning = cutter.cut(text, pair, self.add_special_tokens, room)
        if len(beginning.ids) > room:  # a template may repeat the text
            raise AttnvizError(
                f"the {name} is {len(beginning.ids)} tokens long when it is cut to {room}: the "
                "model's tokenizer puts more around it than it says",
                SAVE_AGAIN,
            )
        return beginning, len(cut.ids) - len(beginning.ids)


def _errors_name(name: str) -> AbstractContextManager[None]:
    return rust_errors(f"the model's tokenizer cannot cut the {name}", SAVE_AGAIN)


def _check_read(name: str, text: str | None, found: bool) -> None:
    if not found:
        raise RequestError(
            f"the tokenizer finds nothing to read in the {name} {text!r}",
            "give a sentence with letters in it",
        )


def _unknown(cutter: Cutter, ids: Sequence[int], spans: Sequence[Span | None]) -> tuple[int, ...]:
    """The pieces of the text that are unknown."""
    unknown = cutter.unknown_ids
    return tuple(
        piece
        for piece, (number, span) in enumerate(zip(ids, spans, strict=True))
        if number in unknown and span is not None
    )


def _segments(sentences: Sequence[int | None]) -> tuple[int, ...]:
    """The sentence of each piece; a special token belongs to the one that it ends."""
    segments, current = [], 0
    for sentence in sentences:
        current = current if sentence is None else sentence
        segments.append(current)
    return tuple(segments)


def check_stride(stride: int, room: int) -> None:
    """Raise RequestError unless windows of `room` pieces that begin `stride` apart overlap."""
    if stride < 1:
        raise RequestError(f"the stride is {stride}", "it should be at least 1")
    if stride >= room:
        raise RequestError(
            f"with a stride of {stride}, windows would not overlap: the model takes {room} tokens "
            "besides special ones",
            f"give at most {room - 1}; {max(1, room // 2)} lets half of each window overlap",
        )


def windows_of(tokens: Tokens, most: int, stride: int) -> list[Tokens]:
    """A text in windows of at most `most` pieces, `stride` apart; no piece is left out.

    Each has the special tokens around the text. Edges move, back if possible, to the start of a
    word, unless the word is too long for that. RequestError as in `check_stride`.
    """
    first = next(i for i, span in enumerate(tokens.spans) if span is not None)
    after = next(i for i, span in enumerate(reversed(tokens.spans)) if span is not None)
    room = most - first - after
    check_stride(stride, room)
    end = len(tokens) - after
    starts = [start for start in tokens.word_starts if first <= start < end]
    edges = list(_edges(starts, (first, end), room, stride))
    text, count = (first, end), len(edges)
    return [_window(tokens, text, edge, (index, count)) for index, edge in enumerate(edges)]


def _edges(
    starts: Sequence[int], text: tuple[int, int], room: int, stride: int
) -> Iterator[tuple[int, int]]:
    """The first piece and the end of each window; `starts`: the first pieces of words."""
    first, end = text

    def at_word(begin: int, wanted: int, last: int) -> int:
        """The last start of a word in (begin, wanted], or the first up to `last`, or `wanted`."""
        after = bisect_right(starts, wanted)
        if after and starts[after - 1] > begin:
            return starts[after - 1]
        return starts[after] if after < len(starts) and starts[after] <= last else wanted

    while first + room < end:
        window_end = at_word(first, first + room, first + room)
        yield first, window_end
        first = at_word(first, first + stride, window_end)
    yield first, end


def _window(
    tokens: Tokens, text: tuple[int, int], edge: tuple[int, int], number: tuple[int, int]
) -> Tokens:
    """The pieces between two edges, with the special tokens around; number: (index, count)."""
    spans = [span for span in tokens.spans[slice(*edge)] if span is not None]
    # what the tokenizer dropped before the first piece, or after the last, is in the text too
    start = min(begin for begin, _ in spans) if number[0] else 0
    end = max(stop for _, stop in spans) if number[0] + 1 < number[1] else len(tokens.text)
    kept = [*range(text[0]), *range(*edge), *range(text[1], len(tokens))]
    moved = [
        None if span is None else (span[0] - start, span[1] - start)
        for span in (tokens.spans[i] for i in kept)
    ]
    columns = (tokens.ids, tokens.vocabulary, tokens.segments, tokens.type_ids)
    ids, vocabulary, segments, types = (tuple(column[i] for i in kept) for column in columns)
    part = Part(*number, edge[0] - text[0], edge[1] - text[0], start)
    inside = tokens.text[start:end]
    among = frozenset(tokens.unknown)
    unknown = tuple(new for new, old in enumerate(kept) if old in among)
    own = (inside, None, ids, vocabulary, tuple(moved), segments, types)
    words = (tokens.by_piece, _given_within(tokens, start, end))
    return Tokens(*own, 0, part, unknown, *words)


def _given_within(tokens: Tokens, start: int, end: int) -> tuple[tuple[Span, ...], ...] | None:
    """The user's own words in a part of the text, or the part of a long one."""
    if tokens.given is None:
        return None
    clipped = [(max(a, start) - start, min(b, end) - start) for a, b in tokens.given[0]]
    return tuple((a, b) for a, b in clipped if a < b), ()
