"""What a picture's file is called when nobody says: model, heads, sentence."""

import re
import unicodedata
from collections.abc import Sequence
from hashlib import sha256

from attnviz.inspection import HeadId, View
from attnviz.render.figure.captions import heads_title

NAME_BYTES = 80
"""How long a default file name may be, in UTF-8, without its suffix."""


def default_name(view: View, heads: Sequence[HeadId], what: str = "") -> str:
    """A file name without suffix, from model, heads, `what` and sentence.

    Letters and digits of any script stay, everything else becomes a hyphen. A sentence that is too
    long for a name is cut and told apart by a hash, so that two sentences with the same beginning
    do not replace each other's pictures; so is one without a letter.
    """
    text = view.inspection.tokens
    whole = " ".join(filter(None, (text.text, text.pair)))
    parts = [
        "attnviz",
        _cut(_slug(view.model.name), 24),
        heads_title(view, heads).replace(", ", "-").replace(" ", "-"),
        _cut(_slug(what), 16),
        "" if view.unit == "word" else "pieces",
        "" if view.special else "no-special",
    ]
    front = "-".join(filter(None, parts))
    sentence = _slug(whole.lower())
    room = NAME_BYTES - len(front.encode()) - 1
    if not sentence or len(sentence.encode()) > room:
        digest = sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:6]
        sentence = f"{_cut(sentence, room - 7)}-{digest}".lstrip("-")
    return f"{front}-{sentence}".rstrip("-")


def _slug(text: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    letters = (c if unicodedata.category(c)[0] in "LMN" else "-" for c in normal)
    return re.sub("-+", "-", "".join(letters)).strip("-")


def _cut(text: str, size: int) -> str:
    """The text's beginning, at most `size` bytes of UTF-8, at a whole character."""
    return text.encode()[: max(size, 0)].decode(errors="ignore").strip("-")
