"""What cuts a text into pieces: a library's tokenizer, as `Tokenizer` needs it."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from attnviz.files import rust_errors
from attnviz.text.spans import Span
from attnviz.text.tokens import Typed, spans_given, spells_sequences

if TYPE_CHECKING:
    import tokenizers

SAVE_AGAIN = "save it again with tokenizer.save_pretrained(folder)"
SMALL = 10_000  # So many pieces a vocabulary of residues or bases may have
BYTE_SPACE = "Ġ"  # A space in the vocabularies of GPT-2 and RoBERTa
TRIMS = b'"trim_offsets":true'
UNKNOWN = "\N{HANGUL LETTER KAPYEOUNSSANGPIEUP} \N{UGARITIC LETTER ALPA}"  # Vocabularies lack them


@dataclass(frozen=True)
class Cut:
    """Text as a library cut it, with one entry for each piece in every field."""

    ids: tuple[int, ...]
    entries: tuple[str, ...]  # the vocabulary's
    spans: tuple[Span | None, ...]  # characters of that sentence; None likewise
    sentences: tuple[int | None, ...]  # of a pair; None for a special token that was added
    type_ids: tuple[int, ...]


class Said(NamedTuple):
    """What other files than tokenizer.json say of a tokenizer."""

    types: bool = True  # whether the model is fed token types
    mask: str | None = None  # the token that stands for a masked word
    side: str = "right"  # where truncation takes pieces away
    most: float | None = None  # what truncation leaves at most, if less than the model takes


ALONE = Said()


class Cutter(Protocol):
    """A library's tokenizer, as `Tokenizer` needs it."""

    size: int  # how many ids it can give
    special_ids: frozenset[int]  # without the one that stands for unknown text
    unknown_ids: frozenset[int]  # that one; none for a vocabulary of bytes, which lacks nothing
    mask_id: int | None  # the id that stands for a masked word
    types: bool  # whether it gives token types
    side: str  # where truncation takes pieces away, "right" or "left"
    most: float | None  # the pieces that truncation leaves, if less than the model takes
    by_piece: bool  # whether each piece is a word (see `spells_sequences`)

    def cut(self, text: Typed, pair: Typed | None, special: bool, most: int | None) -> Cut:
        """Cut a sentence or a pair, with or without special tokens, into at most `most` pieces.

        The words of both may be given; then spans are those in the joined text.
        """

    def num_special(self, pair: bool) -> int:
        """How many special tokens it adds to a sentence, or to a pair."""

    def entry(self, number: int) -> str:
        """The vocabulary's entry of this id, or the number in brackets if it has no such id."""

    def read(self, ids: Sequence[int]) -> str:
        """Decode ids to text."""


class FastCutter:
    """A tokenizer of the `tokenizers` library, which gives spans itself; see `Cutter`."""

    def __init__(self, tokenizer: "tokenizers.Tokenizer", said: Said = ALONE) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.types, mask, self.side, self.most = said
        self.mask_id = None if mask is None else tokenizer.token_to_id(mask)
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)
        small = self.size <= SMALL
        self.by_piece = small and spells_sequences(tokenizer.get_vocab(with_added_tokens=False))
        added = tokenizer.get_added_tokens_decoder()
        special = frozenset(number for number, token in added.items() if token.special)
        self.unknown_ids = _unknown_ids(tokenizer)
        self.special_ids = special - self.unknown_ids  # [UNK] is marked special too
        self._takes_space = {n for n, token in added.items() if token.lstrip or token.rstrip}
        self._trims = _stop_trimming(tokenizer)

    def cut(self, text: Typed, pair: Typed | None, special: bool, most: int | None) -> Cut:
        """As in `Cutter`."""
        own = not isinstance(text, str)
        parts = [self._parts(one) for one in (text, pair) if one is not None]
        given = [[part.text for part in one] if own else one[0].text for one in parts]
        if most is not None:
            self._tokenizer.enable_truncation(most, direction=self.side)
        try:
            encoding = self._tokenizer.encode(
                given[0], (*given, None)[1], is_pretokenized=own, add_special_tokens=special
            )
        finally:
            self._tokenizer.no_truncation()
        ids, sentences = encoding.ids, encoding.sequence_ids
        entries = tuple(map(self.entry, ids))
        spans: list[Span | None] = []
        places = zip(sentences, encoding.word_ids, ids, entries, encoding.offsets, strict=True)
        for sentence, word, number, entry, (start, end) in places:
            if sentence is None:
                spans.append(None)
                continue
            part = parts[sentence][(word or 0) if own else 0]
            start, end = self._span(part.text, number, entry, (start, end))
            first = part.first - part.space
            spans.append((max(first + start, part.first), max(first + end, part.first)))
        types = tuple(encoding.type_ids) if self.types else (0,) * len(ids)
        return Cut(tuple(ids), entries, tuple(spans), tuple(sentences), types)

    def _parts(self, typed: Typed) -> list["_Part"]:
        """What of a text is cut by itself: all of it, or each of the words.

        A word comes after a space where only that says that a word begins, as GPT-2's tokenizer
        does with `add_prefix_space`, which transformers asks for then.
        """
        if isinstance(typed, str):
            return [_Part(typed, 0, 0)]
        added = tuple(t.content for t in self._tokenizer.get_added_tokens_decoder().values())
        spaces = [int(self._needs_space and not word.startswith(added)) for word in typed]
        starts = (start for start, _ in spans_given(typed))
        return [
            _Part(" " * space + word, start, space)
            for word, start, space in zip(typed, starts, spaces, strict=True)
        ]

    @cached_property
    def _needs_space(self) -> bool:
        """Whether words that are cut one by one lose the mark of the space before them."""
        whole = self._tokenizer.encode("a a").tokens
        alone = self._tokenizer.encode(["a", "a"], is_pretokenized=True).tokens
        return BYTE_SPACE in "".join(whole) and BYTE_SPACE not in "".join(alone)

    def _span(self, text: str, number: int, entry: str, span: Span) -> Span:
        """A piece's span, without the spaces that it should not have."""
        start, end = span
        covered = text[start:end]
        if number in self._takes_space:
            return end - len(covered.lstrip()), start + len(covered.rstrip())
        if not self._trims:
            return span
        if not entry.strip(BYTE_SPACE) and covered.strip(" "):  # a space that it put in
            return start, start
        start = end - len(covered.lstrip(" "))
        return start, max(start, start + len(covered.strip(" ")))

    def num_special(self, pair: bool) -> int:
        """As in `Cutter`."""
        return self._tokenizer.num_special_tokens_to_add(pair)

    def entry(self, number: int) -> str:
        """As in `Cutter`."""
        known = self._tokenizer.id_to_token(number) if 0 <= number < 1 << 32 else None
        return known or f"[{number}]"

    def read(self, ids: Sequence[int]) -> str:
        """As in `Cutter`."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)


class _Part(NamedTuple):
    """A text, or a word, that is cut by itself; where it begins, and whether a space was added."""

    text: str
    first: int
    space: int


def read_fast(path: Path, said: Said = ALONE) -> FastCutter:
    """Read a `tokenizer.json`; AttnvizError if it is not one."""
    import tokenizers

    with reading_errors(path):
        return FastCutter(tokenizers.Tokenizer.from_file(str(path)), said)


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """AttnvizError for whatever the library raises, or aborts at, over a `tokenizer.json`."""
    with rust_errors(f"{path} is not a tokenizer that can be read", SAVE_AGAIN):
        _check_merges(path.read_bytes())
        yield


_PREFIX = re.compile(rb'"continuing_subword_prefix"\s*:\s*"[^"]')


def _check_merges(content: bytes) -> None:
    """ValueError if BPE would take a prefix off a piece that lacks it, at which it aborts."""
    if b'"merges"' not in content or not _PREFIX.search(content):
        return
    model = json.loads(content)["model"]
    for merge in model["merges"]:
        second = merge.split(" ")[-1] if isinstance(merge, str) else merge[1]
        if not second.startswith(model["continuing_subword_prefix"]):
            raise ValueError(f"{second!r} should begin with its continuing_subword_prefix")


def _unknown_ids(tokenizer: "tokenizers.Tokenizer") -> frozenset[int]:
    """The id that the model gives for what its vocabulary lacks, if it gives one."""
    named = getattr(tokenizer.model, "unk_token", None)  # Unigram does not say
    of_name = tokenizer.token_to_id(named) if named else None
    ids = set() if of_name is None else {of_name}
    try:
        tried = tokenizer.encode(UNKNOWN, add_special_tokens=False)
    except Exception:  # the Rust side raises bare Exception; known text can still be cut
        return frozenset()
    if not tried.ids:  # a normalizer took them away
        return frozenset(ids)
    pieces = zip(tried.ids, tried.tokens, strict=True)
    return frozenset(n for n, piece in pieces if n in ids or tokenizer.id_to_token(n) != piece)


def _stop_trimming(tokenizer: "tokenizers.Tokenizer") -> bool:
    """Whether it takes spaces off spans: stop it, since after added tokens it takes off letters."""
    step = tokenizer.post_processor
    state = b"" if step is None else step.__getstate__()
    if TRIMS not in state:
        return False
    step.__setstate__(state.replace(TRIMS, TRIMS.replace(b"true", b"false")))
    tokenizer.post_processor = step
    return True
