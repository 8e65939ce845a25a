"""Tokens' names in tables: in a long text with the position by which one can ask about them."""

from functools import cached_property

from attnviz.inspection import Context
from attnviz.inspection.context import Role
from attnviz.show.terminal.cells import cut, label, width_of
from attnviz.show.terminal.matrix import LONGEST_WORD
from attnviz.show.wording import tokens_of
from attnviz.text.tokens import Token

LONG_TEXT = 300
"""Tokens from which on a head is a list, whose words are told with their positions."""

SHORT_WORD = 10
"""How much of a word is shown beside its position."""


def is_long(context: Context) -> bool:
    """Whether there are too many tokens for a table of all of them to be read."""
    return max(len(context.tokens), len(context.keys)) >= LONG_TEXT


class Names:
    """What the tokens of a view are called."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._long = is_long(context)

    def width(self, role: Role) -> int:
        """How wide the names of all that look, or are looked at, are."""
        tokens = tokens_of(self._context, role)
        if not self._long:
            return width_of(tokens, LONGEST_WORD)
        most = max(len(self._context.text), len(self._context.keys))
        return len(f" @{most}") + width_of(tokens, SHORT_WORD)

    def of(self, token: Token, role: Role, width: int) -> str:
        """A token's label; in a long text also its position, as `@412` would name it."""
        if not self._long:
            return label(token)
        first = 0 if role == "key" and self._context.is_cross_attention else self._first
        place = f" @{first + token.index}"
        return cut(label(token), max(1, width - len(place))) + place

    @cached_property
    def _first(self) -> int:
        return self._context.first_index
