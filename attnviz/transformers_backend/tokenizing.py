"""The tokenizer of a model without a tokenizer.json, or with languages: as transformers builds it.

Where that is one of the `tokenizers` library, it says itself what characters a piece stands for.
Where it is not, as Marian's, its pieces are put beside the text; see `spans`.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import transformers

from attnviz.errors import AttnvizError, RequestError
from attnviz.text.spans import spans_of
from attnviz.text.tokenizer import Cut, Cutter, FastCutter, Tokenizer
from attnviz.text.words import Span
from attnviz.transformers_backend.load import first_line, quiet
from attnviz.transformers_backend.piece_text import in_bytes, spelling_of

SAVE_FAST = "or save a tokenizer.json there with tokenizer.save_pretrained(folder)"

LIBRARIES = {
    "sentencepiece": "sentencepiece",
    "protobuf": "google.protobuf",
    "tiktoken": "tiktoken",
    "sacremoses": "sacremoses",
    "fugashi": "fugashi",
    "rjieba": "rjieba",
}
"""What transformers needs for some tokenizers and does not bring along, and what each is imported
as.
"""


def built_tokenizer(
    folder: Path,
    max_length: int | None,
    max_target: int | None = None,
    trust_remote_code: bool = False,
    forced_first: int | None = None,
) -> Tokenizer:
    """The tokenizer that transformers makes of the files in a folder; nothing is fetched.

    `forced_first` is the id that the model's own settings say it must write first, which for a
    translator is the language. Raises AttnvizError where there is none that could be built, or
    a library is missing.
    """
    library = _built(folder, trust_remote_code)
    cutter: Cutter = FastCutter(library.backend_tokenizer) if library.is_fast else Slow(library)
    if not hasattr(library, "_switch_to_target_mode"):
        return Tokenizer(cutter, max_length, max_target=max_target)
    if forced_first is not None and getattr(library, "tgt_lang", "") is None:
        # M2M100 calls the language of its token __fr__ fr
        library.tgt_lang = str(library.convert_ids_to_tokens(forced_first)).strip("_")
    target = InTargetMode(library, cutter)
    return Tokenizer(cutter, max_length, target=target, max_target=max_target)


def content_of(folder: Path, trust_remote_code: bool) -> tuple[dict[str, Any] | None, str, int]:
    """What the tokenizer of a folder is, as a tokenizer.json would say it; its kind; its size.

    None for one that is not of the `tokenizers` library. AttnvizError as in `built_tokenizer`.
    """
    library = _built(folder, trust_remote_code)
    content = json.loads(library.backend_tokenizer.to_str()) if library.is_fast else None
    pieces = any(hasattr(library, name) for name in ("sp_model", "spm_source"))
    kind = "SentencePiece" if pieces else type(library).__name__
    return content, kind, len(library)


def _built(folder: Path, trust_remote_code: bool) -> Any:
    try:
        with quiet():
            library = transformers.AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=trust_remote_code
            )
    except Exception as error:  # each tokenizer has exceptions of its own
        told = str(error).lower()
        lacking = [
            name for name, module in LIBRARIES.items() if name in told and not _is_there(module)
        ]
        if lacking:
            raise AttnvizError(
                f"the tokenizer in {folder} needs {' and '.join(lacking)}, which is not installed",
                f"pip install {' '.join(lacking)}, {SAVE_FAST}",
            ) from error
        raise AttnvizError(
            f"transformers can build no tokenizer of the files in {folder}: {first_line(error)}",
            f"copy the model's folder again, {SAVE_FAST}",
        ) from error

    if len(library) <= len(library.added_tokens_decoder):  # and not one piece beside special tokens
        raise AttnvizError(
            f"the tokenizer that transformers builds in {folder} has no vocabulary",
            f"copy the model's folder again, {SAVE_FAST}",
        )
    return library


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


class Slow:
    """A tokenizer of transformers' own code, whose pieces are put beside the text; see `Cutter`."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.size = len(library)
        languages = getattr(library, "lang_token_to_id", {}).values()  # as M2M100 has them
        self.special_ids = frozenset([*library.all_special_ids, *languages])
        self.special_ids -= {library.unk_token_id}
        self._spelling = spelling_of(library.get_vocab())

    def cut(self, text: str, pair: str | None, special: bool, most: int | None) -> Cut:
        """As in `Cutter`."""
        texts = [text] if pair is None else [text, pair]
        cut = [self._pieces(sentence, part) for sentence, part in enumerate(texts)]
        if most is not None:
            room = most - (self.num_special(pair is not None) if special else 0)
            while sum(map(len, cut)) > room:
                max(cut, key=len).pop()
        pieces = [piece for own in cut for piece in own]
        joined = [
            pieces[place] if place >= 0 else _Piece(-1 - place, self._name(-1 - place))
            for place in self._places([len(own) for own in cut], special)
        ]
        return Cut(
            ids=tuple(piece.id for piece in joined),
            entries=tuple(piece.entry for piece in joined),
            spans=tuple(piece.span for piece in joined),
            sentences=tuple(piece.sentence for piece in joined),
            type_ids=self._types(cut, special),
        )

    def num_special(self, pair: bool) -> int:
        """As in `Cutter`."""
        return len(self._places([0] * (1 + pair), special=True))

    def entry(self, number: int) -> str | None:
        """As in `Cutter`."""
        try:
            return str(self._library.convert_ids_to_tokens(number))
        except (IndexError, KeyError, OverflowError):
            return None

    def read(self, ids: Sequence[int]) -> str:
        """As in `Cutter`."""
        return str(self._library.decode(list(ids), clean_up_tokenization_spaces=False))

    def _pieces(self, sentence: int, text: str) -> list["_Piece"]:
        pieces = self._library.tokenize(text)
        ids = self._library.convert_tokens_to_ids(pieces)
        unknown = self._library.unk_token_id
        spellings = in_bytes(text, pieces) or [
            # what an unknown piece is made of some tokenizers say, and others do not
            None if piece == self._library.unk_token else self._spelling(piece)
            for piece in pieces
        ]
        return [
            _Piece(number, self._name(number) if number == unknown else piece, span, sentence)
            for number, piece, span in zip(ids, pieces, spans_of(text, spellings), strict=True)
        ]

    def _name(self, number: int) -> str:
        return self.entry(number) or f"[{number}]"

    def _places(self, lengths: Sequence[int], special: bool) -> list[int]:
        """What stands where: a piece, by its number, or a special token, as -1 - its id."""
        # ids that no vocabulary has stand for the pieces
        ends = [sum(lengths[: part + 1]) for part in range(len(lengths))]
        parts = [
            [-1 - piece for piece in range(end - n, end)]
            for end, n in zip(ends, lengths, strict=True)
        ]
        if special:
            built = self._library.build_inputs_with_special_tokens(*parts)
        else:
            built = [piece for part in parts for piece in part]
        return [-1 - number for number in built]

    def _types(self, cut: Sequence[Sequence["_Piece"]], special: bool) -> tuple[int, ...]:
        ids = [[piece.id for piece in own] for own in cut]
        if not special:
            return tuple(part for part, own in enumerate(ids) for _ in own)
        if "token_type_ids" in self._library.model_input_names:
            return tuple(self._library.create_token_type_ids_from_sequences(*ids))
        return (0,) * len(self._places([len(own) for own in ids], special=True))


class _Piece(NamedTuple):
    """A piece of a sentence, or a special token, which has no span and lies in none."""

    id: int
    entry: str
    span: Span | None = None
    sentence: int | None = None


class InTargetMode:
    """The same tokenizer, as it cuts what a decoder is fed: its language, its vocabulary.

    See `Cutter`.
    """

    def __init__(self, library: Any, cutter: Cutter) -> None:
        self._library = library
        self._cutter = cutter
        self.size = cutter.size
        self.special_ids = cutter.special_ids

    def cut(self, text: str, pair: str | None, special: bool, most: int | None) -> Cut:
        """As in `Cutter`; RequestError where the language is not known."""
        with self._switched():
            return self._cutter.cut(text, pair, special, most)

    def num_special(self, pair: bool) -> int:
        """As in `Cutter`."""
        with self._switched():
            return self._cutter.num_special(pair)

    def entry(self, number: int) -> str | None:
        """As in `Cutter`."""
        return self._cutter.entry(number)

    def read(self, ids: Sequence[int]) -> str:
        """As in `Cutter`."""
        return self._cutter.read(ids)

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
