"""What a picture's file is called when nobody says: model, heads, sentence, and a hash of them."""

import re
import unicodedata
from collections.abc import Sequence
from hashlib import sha256

from attnviz.inspection import Context, HeadId
from attnviz.show.figure.captions import heads_title
from attnviz.show.wording import texts

NAME_BYTES = 96
"""How long a default file name may be, in UTF-8, without its suffix."""

HASH_DIGITS = 6


def default_name(context: Context, heads: Sequence[HeadId], what: str = "") -> str:
    """A file name without suffix, from model, heads, `what` and sentence.

    Letters and digits of any script stay, everything else becomes a hyphen, and what is too long is
    cut. The name ends in a hash of all that makes the picture what it is, since "He left." and "He
    left?", five heads and five others would read the same, and replace each other's pictures.
    """
    model, said = context.model, [one.text for one in texts(context)]
    attention, window, part = context.attention, context.window, context.part
    parts = [
        "attnviz",
        _cut(_slug(model.name), 24),
        "" if model.trained else f"seed-{model.seed}",
        heads_title(context, heads).replace(", ", "-").replace(" ", "-"),
        _cut(_slug(what), 16),
        "" if context.unit == "word" else "pieces",
        "" if context.special else "no-special",
        "" if context.measure == "weights" else context.measure,
        "" if attention == "encoder" else attention,
        "" if part is None else _slug(str(part)),
        "" if window is None else f"{window[0]}-{window[1]}",
        "" if model.dtype == "float32" else model.dtype,
        _slug(" ".join(filter(None, said)).lower()),
    ]
    look: tuple[object, ...] = (context.unit, context.special, context.measure, attention, window)
    if part is not None:
        look += (part,)
    whole = (said, model, [str(head) for head in heads], what, *look)
    digest = sha256(repr(whole).encode()).hexdigest()
    readable = _cut("-".join(filter(None, parts)), NAME_BYTES - HASH_DIGITS - 1)
    return f"{readable}-{digest[:HASH_DIGITS]}"


def _slug(text: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    letters = (c if unicodedata.category(c)[0] in "LMN" else "-" for c in normal)
    return re.sub("-+", "-", "".join(letters)).strip("-")


def _cut(text: str, size: int) -> str:
    """The text's beginning, at most `size` bytes of UTF-8, at a whole character."""
    return text.encode()[:size].decode(errors="ignore").strip("-")
