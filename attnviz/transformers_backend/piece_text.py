"""What the pieces of a vocabulary stand for, by the marks that vocabularies have."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache

BYTE_PIECE = re.compile("<0x([0-9A-F]{2})>")
"""How SentencePiece spells a byte of a character that its vocabulary lacks."""

Spelling = Callable[[str], bytes]


def spelling_of(vocabulary: Iterable[str]) -> Spelling:
    """What the pieces of a vocabulary stand for, as UTF-8: by the mark that most of them bear."""
    pieces = list(vocabulary)
    counts = {mark: sum(map(bears, pieces)) for mark, (bears, _) in MARKS.items()}
    mark = max(counts, key=lambda mark: counts[mark])
    return MARKS[mark][1] if counts[mark] else str.encode


def _sentencepiece(piece: str) -> bytes:
    byte = BYTE_PIECE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace("▁", " ").encode()


def _byte_level(piece: str) -> bytes:
    letters = _byte_letters()
    return b"".join(
        bytes([letters[letter]]) if letter in letters else letter.encode() for letter in piece
    )


@cache
def _byte_letters() -> dict[str, int]:
    """The letters that GPT-2's vocabulary has for bytes (Radford et al. 2019): those that can be
    printed for themselves, and those behind Latin-1 for the others, in their order.
    """
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
    others = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {
        chr(256 + place): byte for place, byte in enumerate(others)
    }


MARKS: dict[str, tuple[Callable[[str], bool], Spelling]] = {
    "▁": (lambda piece: piece.startswith("▁"), _sentencepiece),
    "Ġ": (lambda piece: piece.startswith("Ġ"), _byte_level),
    "##": (lambda piece: piece.startswith("##"), lambda piece: piece.removeprefix("##").encode()),
    "</w>": (
        lambda piece: piece.endswith("</w>"),
        lambda piece: piece.removesuffix("</w>").encode(),
    ),
    "@@": (lambda piece: piece.endswith("@@"), lambda piece: piece.removesuffix("@@").encode()),
}
"""How vocabularies mark the pieces that begin a word, go on with one or end it: whether a piece is
marked so, and what it stands for.
"""


def in_bytes(text: str, pieces: Sequence[str]) -> list[bytes | None] | None:
    """The bytes of pieces that are the text's own UTF-8, a letter of Latin-1 a byte; else None."""
    try:
        spelled: list[bytes | None] = [piece.encode("latin-1") for piece in pieces]
    except UnicodeEncodeError:
        return None
    return spelled if b"".join(filter(None, spelled)) == text.encode() else None
