"""Cut a text that is too long for a model into overlapping windows."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from attnviz.errors import RequestError
from attnviz.text.spans import Span
from attnviz.text.tokens import Part, Tokens


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


def windows_at(
    tokens: Tokens, most: int, starts: Sequence[int], at_once: int | None = None
) -> list[Tokens]:
    """A text in windows that do not overlap, each of whole sentences if at all possible.

    starts: the first character of each sentence. A window has as many sentences as fit in `most`
    pieces, and `at_once` at most; a longer sentence is cut at words. One window has no `part`.
    """
    begins = [span[0] for span in tokens.spans if span is not None]
    first = next(i for i, span in enumerate(tokens.spans) if span is not None)
    end, room = first + len(begins), most - (len(tokens) - len(begins))
    if room < 1:
        raise RequestError(
            f"the model takes {most} tokens, and all of them are special",
            "choose a model that takes longer sentences",
        )
    cuts = sorted({first + bisect_left(begins, start) for start in starts} | {end})
    edges, begin = [], first
    while begin < end:
        ahead = cuts[bisect_right(cuts, begin) :][:at_once]
        fitting = [cut for cut in ahead if cut - begin <= room]
        words = [word for word in _words_up_to(tokens, begin + room) if word > begin]
        stop = (fitting or words or [min(begin + room, end)])[-1]
        edges.append((begin, stop))
        begin = stop
    if len(edges) == 1:
        return [tokens]
    count = len(edges)
    return [_window(tokens, (first, end), edge, (i, count)) for i, edge in enumerate(edges)]


def _words_up_to(tokens: Tokens, piece: int) -> Sequence[int]:
    """The first piece of the last word that begins there at the latest; none if there is none."""
    after = bisect_right(tokens.word_starts, piece)
    return tokens.word_starts[max(0, after - 1) : after]


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
    given = _given_within(tokens, start, end)
    return Tokens(*own, part=part, unknown=unknown, by_piece=tokens.by_piece, given=given)


def _given_within(tokens: Tokens, start: int, end: int) -> tuple[tuple[Span, ...], ...] | None:
    """The user's own words in a part of the text, or the part of a long one."""
    if tokens.given is None:
        return None
    clipped = [(max(a, start) - start, min(b, end) - start) for a, b in tokens.given[0]]
    return tuple((a, b) for a, b in clipped if a < b), ()
