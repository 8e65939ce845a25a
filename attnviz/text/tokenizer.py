"""A model's tokenizer, which cuts text into Tokens, whatever library it comes from."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attnviz.errors import AttnvizError, RequestError
from attnviz.files import rust_errors
from attnviz.text.cutter import ALONE, Cut, Cutter, Said
from attnviz.text.spans import Span, spans_in_reading
from attnviz.text.tokens import (
    Tokens,
    Typed,
    check_text,
    joined,
    segments_of,
    spans_given,
    spells_sequences,
)
from attnviz.text.windows import check_stride, windows_of

if TYPE_CHECKING:
    import tokenizers

SAVE_AGAIN = "save it again with tokenizer.save_pretrained(folder)"
SMALL = 10_000  # So many pieces a vocabulary of residues or bases may have
KEPT = {"right": "beginning", "left": "end"}  # What truncation on that side keeps
BYTE_SPACE = "Ġ"  # A space in the vocabularies of GPT-2 and RoBERTa
TRIMS = b'"trim_offsets":true'
PREFIXED = re.compile(rb'"continuing_subword_prefix"\s*:\s*"[^"]')
UNKNOWN = "\N{HANGUL LETTER KAPYEOUNSSANGPIEUP} \N{UGARITIC LETTER ALPA}"  # Vocabularies lack them


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

    def reads(self, number: int) -> str:
        """What an id reads as, as ` street` for `Ġstreet`; the entry, if it is no whole text."""
        read = self._target.read([number])
        return read if read.strip() and "\ufffd" not in read else self._target.entry(number)

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
        if self.max_length is None:
            raise RequestError(
                "a stride needs the length of the model's longest input, which is not known",
                "leave it out: the whole text is run at once",
            )
        special = self._cutter.num_special(False) if self.add_special_tokens else 0
        check_stride(stride, self.max_length - special)
        whole = self.whole(text)
        fits = len(whole) <= self.max_length
        return [whole] if fits else windows_of(whole, self.max_length, stride)

    def whole(self, text: Typed) -> Tokens:
        """Cut a text of any length."""
        check_text("text", text)
        with _errors_name("text"):
            cut = self._cutter.cut(text, None, self.add_special_tokens, None)
        return self._tokens(text, None, cut)

    def encode_target(
        self, text: Typed, start: int | None = None, truncate: bool = False
    ) -> Tokens:
        """Cut the decoder's input for this target text, or its words: shifted right by one.

        The id `start` comes first, or without one the special token at the end, as in mBART.
        """
        check_text("target", text)
        cut, dropped = self._cut("target", text, None, truncate, fed=1)
        _check_read("target", joined(text), 0 in cut.sentences)
        pieces = list(zip(cut.ids, cut.entries, cut.spans, strict=True))
        first = pieces.pop() if cut.sentences[-1] is None else None
        if start is not None:
            first = (start, self._target.entry(start), None)
        ids, entries, spans = zip(*([first] if first else []), *pieces, strict=True)
        tokens = self._in_one_segment(joined(text), ids, entries, spans, dropped)
        return replace(tokens, given=_given(text))

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
        text, pair = joined(typed), None if second is None else joined(second)
        for segment, name in enumerate(("sentence", "second sentence")[: 1 + (pair is not None)]):
            _check_read(name, (text, pair)[segment], segment in cut.sentences)
        columns = (cut.ids, cut.entries, cut.spans, segments_of(cut.sentences), cut.type_ids)
        unknown = _unknown(self._cutter, cut.ids, cut.spans)
        by_piece, given = self._cutter.by_piece, _given(typed, second)
        return Tokens(
            text, pair, *columns, dropped=dropped, unknown=unknown, by_piece=by_piece, given=given
        )

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


def _check_merges(content: bytes) -> None:
    """ValueError if BPE would take a prefix off a piece that lacks it, at which it aborts."""
    if b'"merges"' not in content or not PREFIXED.search(content):
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


def _errors_name(name: str) -> AbstractContextManager[None]:
    return rust_errors(f"the model's tokenizer cannot cut the {name}", SAVE_AGAIN)


def _check_read(name: str, text: str | None, found: bool) -> None:
    if not found:
        raise RequestError(
            f"the tokenizer finds nothing to read in the {name} {text!r}",
            "give a sentence with letters in it",
        )


def _given(typed: Typed, pair: Typed | None = None) -> tuple[tuple[Span, ...], ...] | None:
    """Where the user's own words lie in each segment; None for a text that is not divided."""
    return None if isinstance(typed, str) else (spans_given(typed), spans_given(pair or ()))


def _unknown(cutter: Cutter, ids: Sequence[int], spans: Sequence[Span | None]) -> tuple[int, ...]:
    """The pieces of the text that are unknown."""
    unknown = cutter.unknown_ids
    return tuple(
        piece
        for piece, (number, span) in enumerate(zip(ids, spans, strict=True))
        if number in unknown and span is not None
    )
