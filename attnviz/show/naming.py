"""What the files of pictures and pages are called if nobody gives a name."""

import re
import unicodedata
from collections.abc import Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from attnviz.inspection import Context, HeadId
from attnviz.show.forms import Limits, Style, forms_of
from attnviz.show.wording import heads_title, texts
from attnviz.show.write import contexts_of

NAME_BYTES = 96  # of a default file name without its suffix, in UTF-8
HASH_DIGITS = 6


def picture_name(answer: Any, scale: Limits | None = None, style: Style | None = None) -> str:
    """What a picture's file is called, without suffix, if nobody gives a name."""
    if hasattr(answer, "corpus"):
        return _corpus_name(answer, style)
    context, *others = contexts_of(answer)
    drawn: Any = [answer.head] if hasattr(answer, "head") else getattr(answer, "matrices", None)
    drawn = drawn or getattr(answer, "heads", ())
    drawn = [one if isinstance(one, HeadId) else one.head for one in drawn]
    words = [getattr(answer, role, None) for role in ("query", "key", "token")]
    if others:  # the words of a comparison are columns of two sentences
        words = [answer.alignment.columns[one].a for one in words[:1] if isinstance(one, int)]
    named = ("" if one is None else f"{one.text}-{_index_of(one)}" for one in words)
    role = getattr(answer, "role", "")
    what = "-".join([forms_of(answer).called, *named, role]).rstrip("-")
    what += f" {other}" if (other := getattr(answer, "other", None)) else ""
    # only the name's hash has room for the other sentence, or the many
    what += "".join(f" {other.model.name} {other.text.text}" for other in others)
    what += " mean" if getattr(answer, "replacement", "") == "mean" else ""
    what += f" {answer.sentences} {answer.link}" if hasattr(answer, "link") else ""
    what += f" {answer.variant}" if hasattr(answer, "variant") else ""
    return default_name(context, drawn, what, scale, style)


def _corpus_name(answer: Any, style: Style | None) -> str:
    """As `default_name`, of an answer about a corpus: it has the name of its first file."""
    models = [getattr(answer, name) for name in ("model", "a", "b") if hasattr(answer, name)]
    files = answer.corpus.files
    first = PurePath(files[0]).name.partition(".")[0] if files else ""
    parts = ["attnviz", *(_cut(_slug(model.name), 24) for model in models)]
    parts += [forms_of(answer).called, "" if answer.measure == "weights" else answer.measure]
    parts.append(_slug(first).lower())
    whole = (models, answer.corpus, answer.measure, style)
    return _hashed(parts, whole)


def _index_of(word: Any) -> int:
    """The index of a token, or of the first of a phrase."""
    return int(word.indices[0] if hasattr(word, "indices") else word.index)


def default_name(
    context: Context,
    heads: Sequence[HeadId],
    what: str = "",
    scale: Limits | None = None,
    style: Style | None = None,
) -> str:
    """A file name without suffix; its hash tells “He left.” from “He left?”, and other views."""
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
        "" if model.dtype == "float32" else _slug(model.dtype),
        _slug(" ".join(filter(None, said)).lower()),
    ]
    look: tuple[object, ...] = (context.unit, context.special, context.measure, attention, window)
    look += tuple(one for one in (part, scale, style) if one is not None)
    whole = (said, model, [str(head) for head in heads], what, *look)
    return _hashed(parts, whole)


def _hashed(parts: Sequence[str], whole: tuple[object, ...]) -> str:
    """What can be read of the parts, and digits of a hash of all that tells two answers apart."""
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
