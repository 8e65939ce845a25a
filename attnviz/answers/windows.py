"""Which part of a text a user means by `40:80`."""

import re
from dataclasses import replace

from attnviz.errors import RequestError
from attnviz.inspection import View

_WINDOW = re.compile(r"([0-9]{0,9}):([0-9]{0,9})")


def with_window(view: View, text: str) -> View:
    """The view of a whole text, of which only the tokens that `40:80` names are looked at.

    The first is the one that `@40` names, and `@80` is behind the last; without the one or the
    other it is the text's beginning or its end. Raises RequestError where that names no token.
    """
    asked, count = _WINDOW.fullmatch(text.strip()), len(view.tokens)
    if asked is None:
        raise RequestError(
            f'"{text}" is not a part of a text',
            "name its first token, and the one behind its last, as in --window 40:80",
        )
    first, end = int(asked[1] or 0), min(int(asked[2] or count), count)
    if first >= end:
        raise RequestError(
            f'there is no token in the window "{text}": there are {count}, from @0 to @{count - 1}',
            f"name the first, and the one behind the last, as in --window 0:{min(40, count)}",
        )
    window = view.positions[first], view.positions[end - 1] + 1
    return replace(view, window=window)
