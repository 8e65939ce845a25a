"""Spans of characters: the words of a text (UAX #29, 4.1), and the characters of each piece.

unicode-segmentation-rs passes the standard's test; regex's `(?w)` leaves a quotation mark on words.
Text and pieces are spelled alike to find spans: NFKD, without case, white space and unprinted
characters. Where they differ, they continue at the next place where they agree. Also which
spellings of a word are alike.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache
from itertools import accumulate, pairwise, takewhile
from typing import NamedTuple
from unicodedata import category, normalize

import unicode_segmentation_rs

Span = tuple[int, int]  # The first character, and the end
SPACE = "▁"  # SentencePiece's mark for a space; a typed one counts as a space too
UNPRINTED = ("Cc", "Cf")  # Control and format characters, which tokenizers drop or turn into spaces
AGREEING = 3  # How many characters must agree before pieces and text continue together
CERTAIN = 8  # From this many on, they do so at the nearest place, and else where most of them agree
NEAR = 64  # How many characters, of text and pieces together, may be skipped to find agreement
FAR = 1024  # How many characters of the text may be skipped after a piece that spells nothing

NEAR_WORDS, NEARNESS = 3, 0.7  # How many words that may be meant are offered, and how alike

_PIECE_MARK = re.compile(r"^(▁|Ġ|##)|(@@|</w>)$")
_STRAIGHT = str.maketrans("‘’‛ʼ′“”„‟″", "'" * 5 + '"' * 5)


def segments(text: str) -> list[Span]:
    """The text cut at every word boundary: words, punctuation and white space, without gaps."""
    parts = unicode_segmentation_rs.split_word_bounds(text)
    return list(pairwise(accumulate(map(len, parts), initial=0)))


@lru_cache(maxsize=1 << 14)  # a corpus has the same words again and again
def is_punctuation(word: str) -> bool:
    """Whether each of its characters is punctuation; symbols such as `$` are not."""
    return all(category(letter)[0] == "P" for letter in word)


@lru_cache(maxsize=4)  # the same text's are asked for several times
def word_spans(text: str) -> tuple[Span, ...]:
    """The words and punctuation marks of a text, in order, without white space."""
    return tuple(
        (start, end) if len(bare) == end - start else _without_space(text, start, end)
        for start, end in segments(text)
        if (bare := text[start:end].strip())
    )


def sentence_starts(text: str) -> list[int]:
    """The first character of each sentence (UAX #29, 5), which ends `Mr.` too."""
    parts = unicode_segmentation_rs.unicode_sentences(text)
    return [0, *accumulate(map(len, parts[:-1]))]


class _Letter(NamedTuple):
    """A letter that pieces spell, and the first and last piece with a part of it."""

    spelled: str | None  # None for a piece that does not say what it stands for
    first: int
    last: int


def spans_of(text: str, spellings: Sequence[bytes | None]) -> list[Span]:
    """The characters of the text that each piece stands for, in the pieces' order.

    spellings: each piece's UTF-8, perhaps half a character; None if it does not say (`[UNK]`).
    """
    places = [i for i, character in enumerate(text) for _ in _spelled(character)]
    ours = "".join(map(_spelled, text))
    letters = list(_letters(spellings))
    found: list[list[int]] = [[] for _ in spellings]
    for place, letter in _matched(ours, [letter.spelled for letter in letters]):
        for piece in range(letters[letter].first, letters[letter].last + 1):
            found[piece].append(places[place])
    return _filled(text, [(min(them), max(them) + 1) if them else None for them in found])


def spelled_alike(text: str, spellings: Sequence[bytes | None]) -> bool:
    """Whether the pieces spell the text, and nothing else."""
    ours = "".join(map(_spelled, text))
    return list(ours) == [letter.spelled for letter in _letters(spellings)]


def spans_in_reading(text: str, read: Sequence[str]) -> list[Span]:
    """The characters that each piece adds; `read`: the text of the pieces up to and with each."""
    ends: list[int] = []
    for beginning in read:
        alike = zip(beginning, text, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], alike))
        ends.append(max([same, *ends[-1:]]))
    starts = [0, *ends][: len(ends)]
    return _filled(
        text, [(a, b) if a < b else None for a, b in zip(starts, ends, strict=True)], whole=True
    )


def kmers_in(text: str, pieces: Sequence[str]) -> list[Span] | None:
    """The spans of pieces that overlap: of as many letters each, one after the other; else None."""
    size = max(map(len, pieces), default=0)
    spans = [(start, start + size) for start in range(len(text) - size + 1)]
    folded = [piece.casefold() for piece in pieces]
    overlap = size > 1 and len(pieces) > 1
    return spans if overlap and folded == [text[a:b].casefold() for a, b in spans] else None


@cache
def _spelled(character: str) -> str:
    """A character as text and pieces are compared; empty for white space and unprinted ones."""
    # Once more after casefold, which composes some letters.
    letters = normalize("NFKD", normalize("NFKD", character).casefold())
    return "".join(
        letter
        for letter in letters
        if not (letter.isspace() or letter == SPACE or category(letter) in UNPRINTED)
    )


def _letters(spellings: Sequence[bytes | None]) -> Iterator[_Letter]:
    """The letters that pieces spell; bytes that are not UTF-8 spell nothing."""
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
                # Half a character waits for the bytes of the next piece; anything else is lost.
                if error.reason != "unexpected end of data":
                    pending = b""
                continue
            pending = b""
            for letter in _spelled(character):
                yield _Letter(letter, first, piece)


def _matched(text: str, pieces: Sequence[str | None]) -> Iterator[tuple[int, int]]:
    """Pairs of places, ascending, where a letter of the text is a letter of the pieces."""
    i = j = 0
    while i < len(text) and j < len(pieces):
        if text[i] == pieces[j]:
            yield i, j
            i, j = i + 1, j + 1
        elif pieces[j] is None:
            silent = sum(1 for _ in takewhile(lambda at: pieces[at] is None, range(j, len(pieces))))
            j += silent
            # Each of these pieces stands for at least one letter, so try to skip that many or more
            # first, and fewer only if no such place agrees.
            skips = (*range(silent, FAR), *range(silent))
            i += next((skip for skip in skips if _agree(text, i + skip, j, pieces)), silent)
        else:
            i, j = _next_agreement(text, i, pieces, j)


def _next_agreement(text: str, i: int, pieces: Sequence[str | None], j: int) -> tuple[int, int]:
    """The nearest places after i and j from which text and pieces agree, and most letters do."""
    best = 0, (i + NEAR // 2, j + NEAR // 2)
    # Try all ways to share out 1 skipped character between text and pieces, then 2, and so on.
    for skipped in range(1, NEAR):
        for of_pieces in range(skipped + 1):
            at = i + skipped - of_pieces, j + of_pieces
            # One letter for another, as " for a typographic quotation mark: one letter that agrees
            # after it is enough.
            if at == (i + 1, j + 1) and _agree(text, *at, pieces, 1):
                return at
            count = next(n for n in (CERTAIN, AGREEING, 0) if _agree(text, *at, pieces, n) or not n)
            if count == CERTAIN:
                return at
            best = max(best, (count, at), key=lambda found: found[0])
    return best[1]


def _agree(text: str, i: int, j: int, pieces: Sequence[str | None], count: int = AGREEING) -> bool:
    """Whether the next letters are the same, up to a piece that spells nothing."""
    said = list(takewhile(lambda letter: letter is not None, pieces[j : j + count]))
    return bool(said) and list(text[i : i + len(said)]) == said


def _filled(text: str, spans: Sequence[Span | None], whole: bool = False) -> list[Span]:
    """A span for every piece: one without gets what lies between its neighbours, or a space there.

    whole: if nothing lies there, it gets the next character, of which it may be a part.
    """
    following = [len(text)] * len(spans)
    for i in reversed(range(len(spans) - 1)):
        after = spans[i + 1]
        following[i] = following[i + 1] if after is None else after[0]
    filled: list[Span] = []
    reached = 0
    for span, limit in zip(spans, following, strict=True):
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
    """The span without white space at its ends; of white space alone, its last character."""
    covered = text[start:end]
    if not covered.strip():
        return (max(start, end - 1), end)
    return end - len(covered.lstrip()), start + len(covered.rstrip())


def folded(text: str) -> str:
    """The text as it is compared: case and composed letters make no difference."""
    return normalize("NFC", text).casefold()


def as_typed(text: str) -> str:
    """The text with straight quotes, in normal width, and without the mark of a piece (`Ġit`)."""
    plain = normalize("NFKC", _PIECE_MARK.sub("", text)).translate(_STRAIGHT)
    return folded(plain)


def near_words(texts: Iterable[str], word: str) -> list[str]:
    """The texts that may be meant: those that begin alike (동물 for 동물은), then by spelling."""
    wanted = as_typed(word).strip("\"'")  # in quotes, as messages name words
    known: dict[str, str] = {}
    for text in texts:
        known.setdefault(as_typed(text), text)
    begun = [spelling for spelling in known if wanted and spelling.startswith(wanted)]
    close = get_close_matches(wanted, known, NEAR_WORDS, NEARNESS)
    return [known[spelling] for spelling in dict.fromkeys(begun + close)][:NEAR_WORDS]
