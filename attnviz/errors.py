"""What attnviz says to its users when something does not work; and any text, made harmless."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

_UNUSUAL = re.compile("[^ -~]")
_JOINERS = frozenset("\u200c\u200d") | {chr(code) for code in range(0xE0020, 0xE0080)}
"""Format characters that shape the letters around them (emoji, Persian, flags): they stay."""

_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NO_CHARACTERS = range(0xFDD0, 0xFDF0)  # and the last two of each plane; XML may not hold U+FFFE


def visible(text: str) -> str:
    r"""The text with control, direction and line-breaking characters written out, as `\x1b`."""
    return escaped(text, _in_python)


def escaped(text: str, escape: Callable[[str], str]) -> str:
    """The text, with `escape` of each character that a terminal or a page would obey, not show.

    Every text of a user or a file goes through here before it is shown, wherever that is.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNUSUAL.sub(lambda found: escape(found[0]) if _acts(found[0]) else found[0], text)


def _acts(character: str) -> bool:
    if unicodedata.category(character) in _ESCAPED:
        return character not in _JOINERS
    return ord(character) & 0xFFFE == 0xFFFE or ord(character) in _NO_CHARACTERS


def _in_python(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def listed(names: Sequence[str], most: int = 5, between: str = ", ") -> str:
    """The names; of many the first, and how many more there are."""
    more = len(names) - most
    return between.join(names[:most]) + (f" and {more} more" if more > 0 else "")


class AttnvizError(Exception):
    """Something could not be done; the one exception meant to be read by users.

    `message` says what came and what was expected, `hint` what to try. Both are plain text in one
    sentence each, without a closing full stop, and are shown without a traceback.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return visible(f"{self.message} ({self.hint})" if self.hint else self.message)


def lacks_memory(error: BaseException) -> bool:
    """Whether memory was too small: libraries say so with errors of many kinds."""
    words = ("memory", "bad_alloc", "unable to mmap", "failed to map segment")
    kinds = isinstance(error, RuntimeError | ImportError | OSError) or "Safetensor" in repr(
        type(error)
    )
    return isinstance(error, MemoryError) or (kinds and any(word in str(error) for word in words))


class RequestError(AttnvizError):
    """The request itself is wrong: an unknown word, a layer out of range, an empty sentence."""


class OutOfRangeError(RequestError, IndexError):
    """A layer, head or token that is not there; also an IndexError, as Python has it."""


MORE_MEMORY = "end other programs, or raise the limit if there is one (ulimit -v)"


@contextmanager
def enough_memory(what: str, hint: str) -> Iterator[None]:
    """Raise AttnvizError if memory, or a device's, is full: "the weights do" not fit, for one."""
    try:
        yield
    except Exception as error:  # torch raises a RuntimeError, for one
        if not lacks_memory(error):
            raise
        raise AttnvizError(f"{what} not fit in memory", hint) from error
