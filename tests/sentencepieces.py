"""Small SentencePiece models, trained on the spot, and where they say that their pieces lie."""

import io
from collections.abc import Iterator
from functools import cache
from typing import Any

import sentencepiece
from vocabularies import CORPUS

KINDS: dict[str, dict[str, Any]] = {
    "unigram": {"vocab_size": 140},
    "with bytes": {"vocab_size": 420, "byte_fallback": True},
    "pairs with bytes": {"vocab_size": 420, "model_type": "bpe", "byte_fallback": True},
    "lower case": {"vocab_size": 140, "normalization_rule_name": "nmt_nfkc_cf"},
    "as it is": {"vocab_size": 140, "normalization_rule_name": "identity"},
    "characters": {"vocab_size": 140, "model_type": "char"},
}


def trained(**options: Any) -> bytes:
    """A model's file."""
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=made,
        minloglevel=2,
        hard_vocab_limit=False,
        **options,
    )
    return made.getvalue()


@cache
def processor(kind: str) -> Any:
    """A model of this kind, ready to cut text."""
    return sentencepiece.SentencePieceProcessor(model_proto=trained(**KINDS[kind]))


def pieces_of(processor: Any) -> list[str]:
    """Its vocabulary, by id."""
    return [processor.id_to_piece(number) for number in range(processor.get_piece_size())]


def cut(processor: Any, text: str) -> Iterator[tuple[str, int, int]]:
    """The pieces, each with the characters that the library says it stands for.

    Where it splits a character between pieces, all of it is said to be the last one's.
    """
    characters = {0: 0}
    size = 0
    for place, character in enumerate(text):
        size += len(character.encode())
        characters[size] = place + 1
    for piece in processor.encode(text, return_type="proto").pieces:
        yield piece.piece, characters[piece.begin], characters[piece.end]
