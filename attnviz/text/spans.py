"""Which characters of a text a piece stands for, where the tokenizer that cut it does not tell.

Text and pieces are spelled in one way: decomposed for compatibility (NFKD), without regard to case,
white space, or what is not printed. So what SentencePiece normalises (NFKC) is the same on both
sides, character by character. Pieces take characters in their order; where the two differ, they are
put together again where they next agree, and what could not be placed covers what lies between.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import takewhile
from typing import NamedTuple
from unicodedata import category, normalize

from attnviz.text.words import Span

SPACE = "▁"
"""What SentencePiece takes for a space, also where it is typed."""

UNPRINTED = ("Cc", "Cf")
"""Control and format characters, which tokenizers drop, or take for a space."""

AGREEING = 3
"""How many characters must agree for pieces and text to be put together again."""

NEAR = 64
"""How many characters, of both, may be passed over to find the next place where they agree."""

FAR = 1024
"""The same behind a piece that says nothing of what it stands for, in the text alone."""


class _Letter(NamedTuple):
    """A letter that pieces spell, from the first to the last piece that has a part of it.

    `spelled` is None where pieces do not say what they stand for.
    """

    spelled: str | None
    first: int
    last: int


def spans_of(text: str, spellings: Sequence[bytes | None]) -> list[Span]:
    """The characters of the text that each piece stands for, in the pieces' order.

    `spellings`: the UTF-8 that a piece stands for, which may be a part of a character's; None for a
    piece that does not say, such as `[UNK]`. Pieces that share a character all have it. A piece of
    white space alone has the space that stands there, if there is one.
    """
    places = [i for i, character in enumerate(text) for _ in _spelled(character)]
    ours = "".join(map(_spelled, text))
    letters = list(_letters(spellings))
    found: list[list[int]] = [[] for _ in spellings]
    for place, letter in _placed(ours, [letter.spelled for letter in letters]):
        for piece in range(letters[letter].first, letters[letter].last + 1):
            found[piece].append(places[place])
    return _filled(text, [(min(them), max(them) + 1) if them else None for them in found])


def spans_in_reading(text: str, read: Sequence[str]) -> list[Span]:
    """The characters that each piece adds; `read`: what is read with it and all before it.

    What is read before all pieces are there may end otherwise, as in half a character.
    """
    ends: list[int] = []
    for beginning in read:
        alike = zip(beginning, text, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], alike))
        ends.append(max([same, *ends[-1:]]))
    starts = [0, *ends[:-1]]
    return _filled(
        text, [(a, b) if a < b else None for a, b in zip(starts, ends, strict=True)], whole=True
    )


@cache
def _spelled(character: str) -> str:
    """A character as both sides are spelled; nothing for white space, or what is not printed."""
    letters = normalize("NFKD", normalize("NFKD", character).casefold())
    return "".join(
        letter
        for letter in letters
        if not (letter.isspace() or letter == SPACE or category(letter) in UNPRINTED)
    )


def _letters(spellings: Sequence[bytes | None]) -> Iterator[_Letter]:
    """What pieces spell one after the other; bytes that are no text say nothing."""
    pending, first = b"", 0
    for piece, spelling in enumerate(spellings):
        if spelling is None:
            yield _Letter(None, piece, piece)
            pending = b""
            continue
        for byte in spelling:
            first = first if pending else piece
            pending += bytes([byte])
            try:
                character = pending.decode()
            except UnicodeDecodeError as error:
                if error.reason != "unexpected end of data":
                    pending = b""
                continue
            pending = b""
            for letter in _spelled(character):
                yield _Letter(letter, first, piece)


def _placed(text: str, pieces: Sequence[str | None]) -> Iterator[tuple[int, int]]:
    """Where letters of the text are those of the pieces: both places, ascending."""
    i = j = 0
    while i < len(text) and j < len(pieces):
        if text[i] == pieces[j]:
            yield i, j
            i, j = i + 1, j + 1
        elif pieces[j] is None:
            unsaid = sum(1 for _ in takewhile(lambda at: pieces[at] is None, range(j, len(pieces))))
            j += unsaid
            # each of them stands for a letter at least
            ahead = (*range(unsaid, FAR), *range(unsaid))
            i += next((skip for skip in ahead if _agree(text, i + skip, j, pieces)), unsaid)
        else:
            i, j = _next_agreement(text, i, pieces, j)


def _next_agreement(text: str, i: int, pieces: Sequence[str | None], j: int) -> tuple[int, int]:
    """The nearest places behind these at which both go on alike; on, where none is near."""
    for passed in range(1, NEAR):
        for of_pieces in range(passed + 1):
            at = i + passed - of_pieces, j + of_pieces
            # where one letter stands for another, as " for a quotation mark, the next will do
            if _agree(text, *at, pieces, 1 if at == (i + 1, j + 1) else AGREEING):
                return at
    return i + NEAR // 2, j + NEAR // 2


def _agree(text: str, i: int, j: int, pieces: Sequence[str | None], count: int = AGREEING) -> bool:
    """Whether the next letters are the same, as far as pieces say what they stand for."""
    said = list(takewhile(lambda letter: letter is not None, pieces[j : j + count]))
    return bool(said) and list(text[i : i + len(said)]) == said


def _filled(text: str, spans: Sequence[Span | None], whole: bool = False) -> list[Span]:
    """Spans for pieces that have none: what lies between those around them, or a space of it.

    `whole`: where nothing lies there, the character behind, a part of which a piece may be.
    """
    behind = [len(text)] * len(spans)
    for i in reversed(range(len(spans) - 1)):
        following = spans[i + 1]
        behind[i] = behind[i + 1] if following is None else following[0]
    filled: list[Span] = []
    reached = 0
    for span, limit in zip(spans, behind, strict=True):
        if span is None:
            start, end = min(reached, limit), max(reached, limit)
            if whole:
                start += len(text[start:]) - len(text[start:].lstrip())
                end = min(start + 1, len(text))
            filled.append(_without_space(text, start, end))
        else:
            filled.append(_without_space(text, *span))
            reached = max(reached, span[1])
    return filled


def _without_space(text: str, start: int, end: int) -> Span:
    """The span without white space around it; of white space alone, its last character."""
    covered = text[start:end]
    if not covered.strip():
        return (max(start, end - 1), end)
    return end - len(covered.lstrip()), start + len(covered.rstrip())
