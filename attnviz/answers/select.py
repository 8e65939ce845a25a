"""Which token and which heads a user means by `it#2`, `@10`, `L3H1` or `--layer -1`."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar

from attnviz.errors import RequestError
from attnviz.inspection import HeadId, ModelFacts, View
from attnviz.inspection.context import Role
from attnviz.text.tokens import Token

WORDS_LISTED = 40
"""How many words an error message lists at most."""

SENTENCE = "the sentence"
"""What messages call the text that words are looked for in, where there is but one."""

# Numbers are ASCII digits, and few: int() would also take "1_0", and fails beyond 4300 digits.
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_FULL_HEAD = re.compile(r"[lL]([0-9]{1,9})[hH]([0-9]{1,9})|([0-9]{1,9})[.-]([0-9]{1,9})")
_INDEX = re.compile(r"@([0-9]{1,9})")
_OCCURRENCE = re.compile(r"(.+)#([0-9]{1,9})", re.DOTALL)


Run = tuple[Token, ...]
"""One token, or several that follow one another."""


@dataclass(frozen=True)
class Found:
    """The token that a selector names, and how many tokens it could have meant."""

    token: Token
    matches: int

    @property
    def run(self) -> Run:
        """The token, as a run of one."""
        return (self.token,)

    def at(self, run: Run) -> "Found":
        """The same with its token as it is counted elsewhere."""
        return replace(self, token=run[0])


class Named(Protocol):
    """What a selector names; see Found."""

    @property
    def matches(self) -> int:
        """How many the selector could have meant."""

    @property
    def run(self) -> Run:
        """Its tokens."""

    def at(self, run: Run) -> Self:
        """The same with its tokens as they are counted elsewhere."""


_Named_co = TypeVar("_Named_co", bound=Named, covariant=True)


class Finder(Protocol[_Named_co]):
    """What finds something among tokens by its selector, as `find_token` does."""

    def __call__(self, tokens: Sequence[Token], selector: str, text: str = ...) -> _Named_co:
        """What the selector names in `text`, as messages call it."""


def find_in(view: View, role: Role, selector: str, find: Finder[_Named_co]) -> _Named_co:
    """What a selector names among the queries of a view, or among its keys.

    Where these are of two texts, RequestError says in which it is missing, and if the other has it.
    A window changes nothing in what `@10` and `it#2` mean; `it` is the first one in the window.
    """
    if view.window is not None and (role == "query" or not view.is_cross_attention):
        return _find_in_window(view, role, selector, find)
    tokens = {"query": view.tokens, "key": view.keys}
    if not view.is_cross_attention:
        return find(tokens[role], selector)
    names = {"query": "the target", "key": "the source"}
    try:
        return find(tokens[role], selector, names[role])
    except RequestError as error:
        other: Role = "key" if role == "query" else "query"
        try:
            find(tokens[other], selector, names[other])
        except RequestError:
            raise error from None
        raise RequestError(
            error.message,
            f'{error.hint}; {names[other]} has "{selector}", as a {other}',
        ) from None


def first_index(view: View) -> int:
    """The index in the whole text, as `@10` has it, of the first token in the view's window."""
    if view.window is None:
        return 0
    before = view.inspection.tokens.unit(view.unit)[: view.window[0]]
    return sum(view.special or not token.special for token in before)


def _find_in_window(view: View, role: Role, selector: str, find: Finder[_Named_co]) -> _Named_co:
    found, first = find_in(replace(view, window=None), role, selector, find), first_index(view)
    inside = range(first, first + len(view.tokens))
    if {token.index for token in found.run}.issubset(inside):
        return found.at(tuple(view.tokens[token.index - first] for token in found.run))
    if found.matches > 1:
        try:
            return find(view.tokens, selector, "the window")
        except RequestError:
            pass  # none of those that it could mean is there
    where = "it is" if found.matches == 1 else "the first of them is"
    raise RequestError(
        f'"{selector}" is outside the window: {where} token {found.run[0].index}, and the window '
        f"holds {first} to {inside[-1]}",
        "name a word in the window, or choose another with --window",
    )


def find_token(tokens: Sequence[Token], selector: str, text: str = SENTENCE) -> Found:
    """The token that `it`, `it#2` (its second occurrence) or `@10` (by index) names.

    Upper and lower case are alike. Raises RequestError, listing the words there are.
    """
    words = selector.split()
    several = len(words) > 1 and not matching(tokens, selector)
    if several and all(matching(tokens, word) for word in words):
        raise RequestError(
            f'"{selector}" is {len(words)} words, and this takes one',
            f"name one, as in {words[-1]}",
        )
    [token], matches = choose(tokens, selector, lambda word: matching(tokens, word), text)
    return Found(token, matches)


def choose(
    tokens: Sequence[Token], selector: str, runs: Callable[[str], list[Run]], text: str = SENTENCE
) -> tuple[Run, int]:
    """The run of tokens that a selector names, and how many it could have meant.

    `runs` gives those that a word without `@` and `#` means. Raises RequestError, listing the words
    that the text, as it is called, has.
    """
    numbered = _INDEX.fullmatch(selector)
    if numbered is not None:
        index = int(numbered[1])
        if index >= len(tokens):
            raise RequestError(
                f"there is no token {selector}{'' if text == SENTENCE else f' in {text}'}: "
                f"the tokens run from @0 to @{len(tokens) - 1}",
                _words_there_are(tokens, text),
            )
        return (tokens[index],), 1
    matches = runs(selector)
    if matches:
        return matches[0], len(matches)
    numbered = _OCCURRENCE.fullmatch(selector)
    if numbered is not None:
        word, place = numbered[1], int(numbered[2])
        matches = runs(word)
        if 1 <= place <= len(matches):
            return matches[place - 1], 1
        if matches:
            times = "once" if len(matches) == 1 else f"{len(matches)} times"
            raise RequestError(
                f'there is no {selector}: "{word}" occurs {times}', f"{word}#1 is the first"
            )
    raise RequestError(f'there is no "{selector}" in {text}', _words_there_are(tokens, text))


def matching(tokens: Sequence[Token], word: str) -> list[Run]:
    """The tokens that a word names, each a run of its own; upper and lower case are alike."""
    wanted = folded(word)
    return [(token,) for token in tokens if wanted in (folded(token.text), folded(token.label))]


def folded(text: str) -> str:
    """The text as it is compared: upper and lower case, and composed letters, are alike."""
    return unicodedata.normalize("NFC", text).casefold()


def _words_there_are(tokens: Sequence[Token], text: str) -> str:
    words = list(dict.fromkeys(token.label for token in tokens))
    listed = ", ".join(words[:WORDS_LISTED])
    more = len(words) - WORDS_LISTED
    name = "it" if text == SENTENCE else text
    return f"{name} has {listed}" + (f" and {more} more" if more > 0 else "")


def select_heads(
    model: ModelFacts, layers: Sequence[str] = (), heads: Sequence[str] = ()
) -> list[HeadId]:
    """The heads that are named, in the order of the model; none named: none.

    A plain head number counts in each layer given; `3.1`, `3-1` and `L3H1` stand alone. A layer of
    which no head is named means all of its heads. `-1` is the last. Raises RequestError.
    """
    in_layers = [_number("layer", text, model.num_layers) for text in layers]
    full, plain = [], []
    for text in heads:
        match = _FULL_HEAD.fullmatch(text.strip())
        if match is None:
            plain.append((text, _number("head", text, model.num_heads)))
            continue
        layer, head = (part for part in match.groups() if part is not None)
        place = HeadId(
            _number("layer", layer, model.num_layers), _number("head", head, model.num_heads)
        )
        if in_layers and place.layer not in in_layers:
            raise RequestError(
                f"head {text} is not in the layer given beside it", "give one of the two"
            )
        full.append(place)
    if plain and not in_layers:
        text, head = plain[0]
        place = HeadId(model.num_layers - 1, head)
        raise RequestError(f"head {text} needs a layer", f"name its layer too, as in {place}")
    named = {place.layer for place in full}
    in_each = [head for _, head in plain] or range(model.num_heads)
    open_layers = [layer for layer in in_layers if plain or layer not in named]
    return sorted({HeadId(layer, head) for layer in open_layers for head in in_each} | set(full))


def select_in(view: View, layers: Sequence[str] = (), heads: Sequence[str] = ()) -> list[HeadId]:
    """The heads that are named, in a view; layers alone, where its measure mixes their heads.

    Raises RequestError as `select_heads`, and for a head where there is none.
    """
    if view.measured.per_head:
        return select_heads(view.model, layers, heads)
    if heads:
        raise RequestError(
            f"{view.measure} mixes the heads of a layer, so there is no head {heads[0]}",
            "choose layers with --layer alone, or take --measure weights or norm",
        )
    numbers = {_number("layer", text, view.model.num_layers) for text in layers}
    return [HeadId(layer, None) for layer in sorted(numbers)]


def _number(what: str, text: str, count: int) -> int:
    if not _NUMBER.fullmatch(text.strip()):
        raise RequestError(
            f'"{text}" is not a {what}',
            f"{what}s are numbers from 0 to {count - 1}"
            + (", as in 1, 3.1, 3-1 or L3H1" if what == "head" else ""),
        )
    number = int(text)
    if not -count <= number < count:
        raise RequestError(
            f"there is no {what} {number}: the model has {count}",
            f"{what}s are numbered from 0 to {count - 1}, and -1 is the last",
        )
    return number % count


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
