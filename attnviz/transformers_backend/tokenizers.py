"""The tokenizer of a model as transformers' AutoTokenizer builds it."""

import json
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import cache
from importlib.util import find_spec
from itertools import accumulate, chain, pairwise, starmap
from pathlib import Path
from typing import Any, NamedTuple

import transformers
from transformers.convert_slow_tokenizer import bytes_to_unicode

from attnviz.errors import AttnvizError, RequestError, lacks_memory
from attnviz.files import panics
from attnviz.models import ModelFiles
from attnviz.models.files import VOCABULARY
from attnviz.text.cutter import Cut, Cutter, Said
from attnviz.text.spans import Span, kmers_in, spans_of, spelled_alike, word_spans
from attnviz.text.tokenizer import SMALL, UNKNOWN, FastCutter, Tokenizer, read_fast
from attnviz.text.tokens import Typed, spans_given, spells_sequences
from attnviz.transformers_backend.load import first_line, quiet
from attnviz.transformers_backend.quirks import language_tokens, set_target_language

SAVE_FAST = "or save a tokenizer.json there with tokenizer.save_pretrained(folder)"
# optional libraries of transformers' tokenizers
LIBRARIES = ("sentencepiece", "protobuf", "tiktoken", "sacremoses", "fugashi", "rjieba")
# the files that some are needed for: transformers names these whatever it fails at
PIECES = (".model", ".spm")
READS = {"sentencepiece": PIECES, "protobuf": PIECES, "tiktoken": (".model", ".tiktoken")}

Spelling = Callable[[str], bytes]  # gives the UTF-8 text that a piece stands for


def tokenizer_of(
    files: ModelFiles,
    max_length: int | None,
    max_target: int | None = None,
    forced_first: int | None = None,
    trust_remote_code: bool = False,
    config: Any = None,
    undecided: str = "",
) -> Tokenizer:
    """The tokenizer that AutoTokenizer builds.

    `forced_first`: the first id that it must write; `config`: the model's, read if None;
    `undecided`: why tokenizer.json is not enough.
    """
    slower = (
        f"transformers cuts the text, which starts slower: tokenizer.json leaves {undecided} open"
    )
    notes = [slower] if undecided else []
    try:
        library = transformers_tokenizer(files.folder, trust_remote_code, notes, config)
    except AttnvizError as error:
        if files.tokenizer is None:
            raise
        alone = read_fast(files.tokenizer)
        notes = [f"tokenizer.json alone cuts the text: {error.message}"]
        return Tokenizer(alone, max_length, max_target=max_target, notes=tuple(notes))
    return wrapped(library, max_length, max_target, forced_first, tuple(notes))


def wrapped(
    library: Any,
    max_length: int | None = None,
    max_target: int | None = None,
    forced_first: int | None = None,
    notes: tuple[str, ...] = (),
) -> Tokenizer:
    """A transformers tokenizer as ours, which may change its settings; see `tokenizer_of`."""
    types = "token_type_ids" in library.model_input_names
    said = Said(types, library.mask_token, library.truncation_side, library.model_max_length)
    is_fast = library.is_fast
    cutter: Cutter = FastCutter(library.backend_tokenizer, said) if is_fast else _Slow(library)
    target: Cutter | None = None
    if hasattr(library, "_switch_to_target_mode"):
        set_target_language(library, forced_first)
        target = _InTargetMode(library, cutter)
    return Tokenizer(cutter, max_length, target=target, max_target=max_target, notes=notes)


def copy_of(library: object) -> Any:
    """A copy of a transformers tokenizer, for `wrapped`; RequestError for anything else."""
    if not isinstance(library, transformers.PreTrainedTokenizerBase):
        raise RequestError(
            f"the tokenizer should be one of transformers, and is a {type(library).__name__}",
            "give what AutoTokenizer.from_pretrained returned",
        )
    return deepcopy(library)


def content_of(folder: Path, trust_remote_code: bool) -> tuple[dict[str, Any] | None, str, int]:
    """A folder's tokenizer: its tokenizer.json (None for a slow one), its kind and its size."""
    library = transformers_tokenizer(folder, trust_remote_code)
    content = json.loads(library.backend_tokenizer.to_str()) if library.is_fast else None
    has_sentencepiece = any(hasattr(library, name) for name in ("sp_model", "spm_source"))
    kind = "SentencePiece" if has_sentencepiece else type(library).__name__
    return content, kind, len(library)


def transformers_tokenizer(
    folder: Path, trusted: bool = False, notes: list[str] | None = None, config: Any = None
) -> Any:
    """The tokenizer that transformers builds from a folder; its warnings are added to `notes`.

    `config` as in `tokenizer_of`. AttnvizError if it cannot be built.
    """
    try:
        with quiet(), panics(), _heard([] if notes is None else notes):
            library = transformers.AutoTokenizer.from_pretrained(
                str(folder), config=config, local_files_only=True, trust_remote_code=trusted
            )
    except Exception as error:  # each tokenizer has exceptions of its own
        if lacks_memory(error):
            raise
        message = str(error).lower()
        held = {path.name for path in folder.iterdir()}
        lacking = [name for name in LIBRARIES if name in message and not _is_installed(name)]
        lacking = [name for name in lacking if any(f.endswith(READS.get(name, "")) for f in held)]
        found = trusted or "tokenizer.json" in held
        if not found and not any(map(VOCABULARY.fullmatch, held)):
            raise RequestError(
                f"the folder {folder} has no tokenizer.json, nor other files of a tokenizer",
                SAVE_FAST.removeprefix("or "),
            ) from error
        if lacking:
            raise AttnvizError(
                f"the tokenizer in {folder} needs {' and '.join(lacking)}, which is not installed",
                f"pip install {' '.join(lacking)}, {SAVE_FAST}",
            ) from error
        raise AttnvizError(
            f"transformers cannot build a tokenizer from the files in {folder}: "
            f"{first_line(error)}",
            f"copy the model's folder again, {SAVE_FAST}",
        ) from error
    if len(library) <= len(library.added_tokens_decoder):  # nothing but special tokens
        raise AttnvizError(
            f"the tokenizer that transformers builds in {folder} has no vocabulary",
            f"copy the model's folder again, {SAVE_FAST}",
        )
    return library


@contextmanager
def _heard(notes: list[str]) -> Iterator[None]:
    """Add what transformers' tokenizers warn of to the notes: that a library is missing, say."""
    listener = _Listener(notes)
    logger = logging.getLogger("transformers")
    level, handlers = logger.level, logger.handlers
    logger.setLevel(logging.WARNING)
    logger.handlers = [listener]
    try:
        with warnings.catch_warnings(record=True, action="always", category=UserWarning) as caught:
            yield
        for one in caught:
            listener.take(one.filename, str(one.message))
    finally:
        logger.handlers = handlers
        logger.setLevel(level)


class _Listener(logging.Handler):
    """Keeps the warnings of modules that are about tokenizers, each once."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__()
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        self.take(record.name, record.getMessage())

    def take(self, module: str, warning: str) -> None:
        note = f"transformers says of its tokenizer: {first_line(Exception(warning))}"
        if "tokeniz" in module and note not in self._notes:
            self._notes.append(note)


def _is_installed(library: str) -> bool:
    try:
        return find_spec("google.protobuf" if library == "protobuf" else library) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


class _Slow:
    """Implements `Cutter` with a slow tokenizer; `text.spans` matches its pieces with the text."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.size = len(library)
        special = {*library.all_special_ids} | language_tokens(library)
        self.unknown_ids = self._unknown_ids()
        self.special_ids = frozenset(special - {library.unk_token_id})
        self.mask_id: int | None = None if library.mask_token is None else library.mask_token_id
        self.types = "token_type_ids" in library.model_input_names
        self.side = str(library.truncation_side)
        self.most: float | None = library.model_max_length
        vocabulary = library.get_vocab()
        self.by_piece = len(vocabulary) <= SMALL and spells_sequences(vocabulary)
        self._spelling = spelling_of(vocabulary)

    def cut(self, text: Typed, pair: Typed | None, special: bool, most: int | None) -> Cut:
        texts = [text] if pair is None else [text, pair]
        cut = [self._pieces(sentence, part) for sentence, part in enumerate(texts)]
        if most is not None:
            room = most - (self.num_special(pair is not None) if special else 0)
            while sum(map(len, cut)) > room:  # of two alike, the second loses a piece first
                max(reversed(cut), key=len).pop(-1 if self.side == "right" else 0)
        pieces = [piece for own in cut for piece in own]
        joined = [
            pieces[place] if place >= 0 else _Piece(-1 - place, self.entry(-1 - place))
            for place in self._places([len(own) for own in cut], special)
        ]
        ids, entries, spans, sentences = zip(*joined, strict=True) if joined else ((),) * 4
        return Cut(ids, entries, spans, sentences, self._types(cut, special))

    def num_special(self, pair: bool) -> int:
        return len(self._places([0] * (1 + pair), special=True))

    def entry(self, number: int) -> str:
        known = ""
        with suppress(IndexError, KeyError, OverflowError):
            known = str(self._library.convert_ids_to_tokens(number))
        return known or f"[{number}]"

    def read(self, ids: Sequence[int]) -> str:
        return str(self._library.decode(list(ids), clean_up_tokenization_spaces=False))

    def _pieces(self, sentence: int, text: Typed) -> list["_Piece"]:
        if isinstance(text, str):
            return self._pieces_of(sentence, text)
        starts = [start for start, _ in spans_given(text)]
        return [
            piece
            for word, start in zip(text, starts, strict=True)
            for piece in self._pieces_of(sentence, word, start)
        ]

    def _pieces_of(self, sentence: int, text: str, first: int = 0) -> list["_Piece"]:
        """The pieces of a text, or of a word that begins at the character `first` of one."""
        pieces = self._library.tokenize(text)
        ids = self._library.convert_tokens_to_ids(pieces)
        unknown = self._library.unk_token_id
        spellings = in_bytes(text, pieces) or [
            # some tokenizers keep the text of an unknown piece, and others do not
            None if piece == self._library.unk_token else self._spelling(piece)
            for piece in pieces
        ]
        spans = kmers_in(text, pieces) or [
            (start + a, start + b)
            for (start, end), own in self._parts(text, pieces, spellings)
            for a, b in spans_of(text[start:end], spellings[own])
        ]
        spans = [(first + a, first + b) for a, b in spans]
        return [
            _Piece(number, self.entry(number) if number == unknown else piece, span, sentence)
            for number, piece, span in zip(ids, pieces, spans, strict=True)
        ]

    def _parts(
        self, text: str, pieces: Sequence[str], spellings: Sequence[bytes | None]
    ) -> list[tuple[Span, slice]]:
        """The parts of a text that are cut by themselves, and the pieces of each.

        Where pieces spell something else, as `:red_heart:` for an emoji, these are words, or what
        stands between spaces, if the tokenizer gives the same pieces for each alone.
        """
        if not spelled_alike(text, spellings):
            for spans in (word_spans(text), [found.span() for found in re.finditer(r"\S+", text)]):
                cut = [self._library.tokenize(text[start:end]) for start, end in spans]
                if list(chain.from_iterable(cut)) == list(pieces):
                    ends = accumulate(map(len, cut), initial=0)
                    return list(zip(spans, starmap(slice, pairwise(ends)), strict=True))
        return [((0, len(text)), slice(len(pieces)))]

    def _unknown_ids(self) -> frozenset[int]:
        tried = self._library.convert_tokens_to_ids(self._library.tokenize(UNKNOWN))
        return frozenset({self._library.unk_token_id}.intersection(tried))

    def _places(self, lengths: Sequence[int], special: bool) -> list[int]:
        """The order of pieces, by their number, and of special tokens, as -1 - their id."""
        # ids below 0, which no vocabulary has, stand for the pieces
        numbers = iter(range(sum(lengths)))
        parts = [[-1 - next(numbers) for _ in range(length)] for length in lengths]
        built = [piece for part in parts for piece in part]
        if special:
            built = self._library.build_inputs_with_special_tokens(*parts)
        return [-1 - number for number in built]

    def _types(self, cut: Sequence[Sequence["_Piece"]], special: bool) -> tuple[int, ...]:
        ids = [[piece.id for piece in own] for own in cut]
        if not special:
            return tuple(part for part, own in enumerate(ids) for _ in own)
        if self.types:
            return tuple(self._library.create_token_type_ids_from_sequences(*ids))
        return (0,) * len(self._places([len(own) for own in ids], special=True))


class _Piece(NamedTuple):
    """A piece of a sentence, or a special token, which has no span and no sentence."""

    id: int
    entry: str
    span: Span | None = None
    sentence: int | None = None


class _InTargetMode:
    """Implements `Cutter` for a decoder's text, with its own language and vocabulary."""

    def __init__(self, library: Any, cutter: Cutter) -> None:
        self._library = library
        self._cutter = cutter
        self.size = cutter.size
        self.special_ids = cutter.special_ids
        self.unknown_ids = cutter.unknown_ids
        self.mask_id, self.types = cutter.mask_id, cutter.types
        self.side, self.most = cutter.side, cutter.most
        self.by_piece = cutter.by_piece
        self.entry = cutter.entry
        self.read = cutter.read

    def cut(self, text: Typed, pair: Typed | None, special: bool, most: int | None) -> Cut:
        with self._switched():
            return self._cutter.cut(text, pair, special, most)

    def num_special(self, pair: bool) -> int:
        with self._switched():
            return self._cutter.num_special(pair)

    @contextmanager
    def _switched(self) -> Iterator[None]:
        try:
            self._library._switch_to_target_mode()
        except (KeyError, TypeError, ValueError) as error:
            raise RequestError(
                "the model's tokenizer does not know the language of the target",
                'give its code as "tgt_lang" in the folder\'s tokenizer_config.json',
            ) from error
        try:
            yield
        finally:
            self._library._switch_to_input_mode()


def _sentencepiece(piece: str) -> bytes:
    # how it spells a byte of a character that is not in its vocabulary
    byte = re.fullmatch("<0x([0-9A-F]{2})>", piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace("▁", " ").encode()


def _byte_level(piece: str) -> bytes:
    letters = _byte_letters()
    return b"".join(
        bytes([letters[letter]]) if letter in letters else letter.encode() for letter in piece
    )


@cache
def _byte_letters() -> dict[str, int]:
    """The byte that each letter of GPT-2's vocabulary stands for (Radford et al. 2019)."""
    letters: Callable[[], dict[int, str]] = bytes_to_unicode
    return {letter: byte for byte, letter in letters().items()}


MARKS: dict[str, Spelling] = {  # of pieces that begin, continue or end a word
    "▁": _sentencepiece,
    "Ġ": _byte_level,
    "##": lambda piece: piece.removeprefix("##").encode(),
    "</w>": lambda piece: piece.removesuffix("</w>").encode(),
    "@@": lambda piece: piece.removesuffix("@@").encode(),
}


def spelling_of(vocabulary: Iterable[str]) -> Spelling:
    """How a vocabulary spells text, judged by the mark that most of its pieces bear."""
    pieces, counts = list(vocabulary), {}
    for mark in MARKS:
        bears = str.endswith if mark in ("</w>", "@@") else str.startswith
        counts[mark] = sum(bears(piece, mark) for piece in pieces)
    mark = max(counts, key=lambda mark: counts[mark])
    return MARKS[mark] if counts[mark] else str.encode


def in_bytes(text: str, pieces: Sequence[str]) -> list[bytes | None] | None:
    """The bytes of pieces that spell the text's UTF-8, one Latin-1 letter a byte; else None."""
    try:
        spellings: list[bytes | None] = [piece.encode("latin-1") for piece in pieces]
    except UnicodeEncodeError:
        return None
    return spellings if b"".join(filter(None, spellings)) == text.encode() else None
