"""Which words, heads and windows a user means: `it#2`, `the street`, `@10`, `L3H1`, `40:80`."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from attnviz.errors import RequestError, listed
from attnviz.inspection import Context, HeadId, ModelFacts, View
from attnviz.inspection.context import FULL_NAME, FullHeadName, Role
from attnviz.text.spans import as_typed, folded, near_words
from attnviz.text.tokens import Token

WORDS_LISTED = 40

SENTENCE = "the sentence"
"""What messages call the text, where there is only one."""

HeadName = int | FullHeadName
"""A head: `1` beside a layer; `"3.1"`, `"L3H1"`, `(3, 1)` or a HeadId alone."""

# Numbers are ASCII digits, and few: int() would also take "1_0", and fails beyond 4300 digits.
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_INDEX = re.compile(r"(.*)@(-?[0-9]{1,9})", re.DOTALL)
_OCCURRENCE = re.compile(r"(.+)#([0-9]{1,9})", re.DOTALL)
_WINDOW = re.compile(r"([0-9]{0,9}):([0-9]{0,9})")


@dataclass(frozen=True)
class Phrase:
    """One token, or several in a row in one sentence: the first of `matches` it could have been."""

    tokens: tuple[Token, ...]
    matches: int = field(default=1, compare=False)

    @property
    def token(self) -> Token:
        """The token; of several the first."""
        return self.tokens[0]

    @property
    def indices(self) -> list[int]:
        """The tokens' rows or columns, ascending without a gap."""
        return [token.index for token in self.tokens]

    @property
    def text(self) -> str:
        """The text as typed, with single spaces; special tokens by name."""
        return _text_of(self.tokens)

    @property
    def special(self) -> bool:
        """Whether it is a special token."""
        return any(token.special for token in self.tokens)


Find = Callable[[Sequence[Token], str, str], Phrase]


def find_token(tokens: Sequence[Token], selector: str, text: str = SENTENCE) -> Phrase:
    """The one token that `it`, `it#2` (the second) or `@10` names, case aside; RequestError."""
    words = selector.split()
    several = len(words) > 1 and not matching(tokens, selector)
    if several and all(matching(tokens, word) for word in words):
        raise RequestError(
            f'"{selector}" is {len(words)} words, and this takes one',
            f"name one, as in {words[-1]}",
        )
    pieces = next(_runs(tokens, selector), ()) if not matching(tokens, selector) else ()
    if pieces and len({piece.word for piece in pieces}) == 1:
        first, last = pieces[0].index, pieces[-1].index
        raise RequestError(
            f'"{selector}" is cut into the pieces @{first} to @{last}, and this takes one',
            f"name one, as in @{first}, or ask for words, without --pieces",
        )
    return _choose(tokens, selector, lambda word: matching(tokens, word), text)


def find_phrase(tokens: Sequence[Token], selector: str, text: str = SENTENCE) -> Phrase:
    """The tokens that `it`, `the street`, `the street#2` or `@10` names, case and spaces aside.

    A single token of that name wins over several, such as a word's pieces. Raises RequestError.
    """
    return _choose(
        tokens, selector, lambda word: matching(tokens, word) or list(_runs(tokens, word)), text
    )


def find_in(context: Context, role: Role, selector: str, find: Find = find_token) -> Phrase:
    """What a selector names among the queries, or among the keys.

    In cross-attention, the error says whether the other text has the word. A window does not change
    what `@10` and `it#2` mean; `it` is the first one in the window.
    """
    try:
        return _named_in(context, role, selector, find)
    except RequestError as error:
        text = context.text if role == "query" else context.key_text
        special = [token for token in text.unit(context.unit) if token.special]
        if context.special or not matching(special, selector):
            raise
        raise RequestError(error.message, "special tokens are left out; keep them") from None


def _named_in(context: Context, role: Role, selector: str, find: Find) -> Phrase:
    texts: dict[Role, Sequence[Token]] = {"query": context.tokens, "key": context.keys}
    crossed = context.is_cross_attention
    if context.window is None or (role == "key" and crossed):
        return _find_in(texts, crossed, role, selector, find)
    every = [t for t in context.text.unit(context.unit) if context.special or not t.special]
    texts[role] = [replace(token, index=index) for index, token in enumerate(every)]
    found, first = _find_in(texts, crossed, role, selector, find), context.first_index
    inside = range(first, first + len(context.tokens))
    if set(found.indices).issubset(inside):
        own = tuple(context.tokens[index - first] for index in found.indices)
        return replace(found, tokens=own)
    if found.matches > 1:
        try:
            return find(context.tokens, selector, "the window")
        except RequestError:
            pass  # none of the matches is in the window
    where = "it is" if found.matches == 1 else "the first of them is"
    raise RequestError(
        f'"{selector}" is outside the window: {where} token {found.token.index}, and the window '
        f"holds {first} to {inside[-1]}",
        "name a word in the window, or choose another with --window",
    )


def _find_in(
    texts: Mapping[Role, Sequence[Token]], crossed: bool, role: Role, selector: str, find: Find
) -> Phrase:
    if not crossed:
        return find(texts[role], selector, SENTENCE)
    names = {"query": "the target", "key": "the source"}
    try:
        return find(texts[role], selector, names[role])
    except RequestError as error:
        other: Role = "key" if role == "query" else "query"
        try:
            find(texts[other], selector, names[other])
        except RequestError:
            raise error from None
        raise RequestError(
            error.message,
            f'{error.hint}; {names[other]} has "{selector}", as a {other}',
        ) from None


def keeping(view: View, query: str | None) -> View:
    """The view with the special token that a query names, where special tokens are left out."""
    if query is None or view.special or view.window is not None or _is_place(query):
        return view
    special = [token for token in view.inspection.tokens.unit(view.unit) if token.special]
    try:
        find_in(view.context, "query", query, find_phrase)
    except RequestError:
        with suppress(RequestError):
            return replace(view, asked=tuple(find_token(special, query).indices))
    return view


def _is_place(selector: str) -> bool:
    placed = _INDEX.fullmatch(selector)
    return placed is not None and not placed[1]


def check_apart(query: Phrase, key: Phrase) -> None:
    """Raise RequestError if a query and a key share a word."""
    if query == key:
        raise RequestError(
            f'the query and the key are the same word, "{key.text}"',
            "name two words; a second occurrence is named as in it#2",
        )
    if set(query.indices) & set(key.indices):
        raise RequestError(
            f'the query "{query.text}" and the key "{key.text}" overlap',
            "name words that stand apart",
        )


def matching(tokens: Sequence[Token], word: str) -> list[tuple[Token, ...]]:
    """The tokens that a word names, each as a phrase of one; case does not matter.

    Where none is spelled so, curly quotes, full width and the marks of pieces do not matter either.
    """
    found: list[tuple[Token, ...]] = []
    for same in (folded, as_typed):
        named = same(word)
        for token in tokens if named or same is folded else ():
            entries = token.pieces if token.unknown else ()
            if named in map(same, (token.text, token.label, *entries)):
                found.append((token,))
        if found:
            break
    return found


def places_of(context: Context, role: Role, every: bool = False) -> list[str]:
    """Each place, by which `--query @1` asks for it; unless `every`, only of twins."""
    tokens, first = context.tokens, context.first_index
    if role == "key" and context.is_cross_attention:
        tokens, first = context.keys, 0
    read = [folded(token.label) for token in tokens]
    times = Counter(read)
    return [f"@{first + i}" if every or times[name] > 1 else "" for i, name in enumerate(read)]


def _choose(
    tokens: Sequence[Token],
    selector: str,
    runs: Callable[[str], list[tuple[Token, ...]]],
    text: str,
) -> Phrase:
    """The phrase that a selector names; `runs` gives those that a plain word means."""
    placed = _INDEX.fullmatch(selector)
    if placed and not placed[1]:
        return Phrase((_token_at(tokens, int(placed[2]), selector, text),))
    if matches := runs(selector):
        return Phrase(matches[0], len(matches))
    word, index = (placed[1], int(placed[2])) if placed else ("", -1)
    for run in runs(word) if word else ():  # as tables call one of several: Alice@5
        if run[0].index == index:
            return Phrase(run)
    if numbered := _OCCURRENCE.fullmatch(selector):
        word, place = numbered[1], int(numbered[2])
        matches = runs(word)
        if 1 <= place <= len(matches):
            return Phrase(matches[place - 1])
        if matches:
            times = "once" if len(matches) == 1 else f"{len(matches)} times"
            raise RequestError(
                f'there is no {selector}: "{word}" occurs {times}', f"{word}#1 is the first"
            )
    near = near_words([token.text.strip() for token in tokens], selector)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    if _NUMBER.fullmatch(selector) and -len(tokens) <= int(selector) < len(tokens):
        hint = f"@{int(selector)} is the token at index {int(selector)}; "
    raise RequestError(f'there is no "{selector}" in {text}', hint + _words_of(tokens, text))


def _token_at(tokens: Sequence[Token], index: int, selector: str, text: str) -> Token:
    if not -len(tokens) <= index < len(tokens):
        raise RequestError(
            f"there is no token {selector}{'' if text == SENTENCE else f' in {text}'}: "
            f"the tokens run from @0 to @{len(tokens) - 1}",
            _words_of(tokens, text),
        )
    return tokens[index]


def _words_of(tokens: Sequence[Token], text: str) -> str:
    words = list(dict.fromkeys(token.label for token in tokens))
    return f"{'it' if text == SENTENCE else text} has {listed(words, WORDS_LISTED)}"


def _runs(tokens: Sequence[Token], text: str) -> Iterator[tuple[Token, ...]]:
    """The runs of two or more tokens in one sentence of a pair that read like the text."""
    wanted = " ".join(folded(text).split())
    for first, token in enumerate(tokens):
        found: tuple[Token, ...] = ()
        for end in range(first + 2, len(tokens) + 1):
            last = tokens[end - 1]
            if token.special or last.special or last.segment != token.segment:
                break
            read = folded(_text_of(tokens[first:end]))
            if read == wanted:
                found = tuple(tokens[first:end])
            elif len(read) >= len(wanted):
                break
        if found:
            yield found


def _text_of(run: Sequence[Token]) -> str:
    """The run as typed; pieces of one letter, which share its place, count once."""
    text, reached = run[0].text, run[0].end
    for token in run[1:]:
        if token.start is None or token.end is None or reached is None:
            continue
        if token.start > reached:
            text += " "
        text += token.text[max(0, reached - token.start) : token.end - token.start]
        reached = max(reached, token.end)
    return " ".join(text.split())


def select_heads(
    model: ModelFacts, layers: Iterable[int | str] = (), heads: Sequence[HeadName] = ()
) -> list[HeadId]:
    """The heads named, in the model's order; none if none are.

    A plain head number counts in each of the layers; `3.1`, `3-1`, `L3H1` and `(3, 1)` stand alone.
    A layer alone means all its heads. `-1` is the last. Raises RequestError.
    """
    in_layers = [_number("layer", layer, model.num_layers) for layer in layers]
    full, plain = [], []
    for name in heads:
        parts = _parts_of(name)
        if parts is None:
            plain.append(_number("head", name, model.num_heads))
            continue
        layer, head = parts
        place = HeadId(
            _number("layer", layer, model.num_layers), _number("head", head, model.num_heads)
        )
        if in_layers and place.layer not in in_layers:
            raise RequestError(
                f"head {place if isinstance(name, tuple) else name} is not in the layer given "
                "beside it",
                "give one of the two",
            )
        full.append(place)
    if plain and not in_layers:
        place = HeadId(model.num_layers - 1, plain[0])
        asked = next(name for name in heads if _parts_of(name) is None)
        raise RequestError(f"head {asked} needs a layer", f"name its layer too, as in {place}")
    named = {place.layer for place in full}
    open_layers = [layer for layer in in_layers if plain or layer not in named]
    in_each = plain or range(model.num_heads)
    return sorted({HeadId(layer, head) for layer in open_layers for head in in_each} | set(full))


def select_in(
    context: Context, layers: Iterable[int | str] = (), heads: Sequence[HeadName] = ()
) -> list[HeadId]:
    """As `select_heads`; where the measure mixes heads, layers alone, and a head is an error."""
    if context.measured.per_head:
        return select_heads(context.model, layers, heads)
    if heads:
        raise RequestError(
            f"{context.measure} mixes the heads of a layer, so there is no head {heads[0]}",
            "choose layers with --layer alone, or take --measure weights or norm",
        )
    numbers = {_number("layer", layer, context.model.num_layers) for layer in layers}
    return [HeadId(layer, None) for layer in sorted(numbers)]


def _parts_of(name: HeadName) -> Sequence[object] | None:
    """The layer and the head, where a name has both."""
    if isinstance(name, tuple):
        if len(name) != 2:
            raise RequestError(f"{name} is not a head", "give its layer and head, as in (3, 1)")
        return name
    match = FULL_NAME.fullmatch(name.strip()) if isinstance(name, str) else None
    return None if match is None else [part for part in match.groups() if part is not None]


def _number(what: str, name: object, count: int) -> int:
    if not _NUMBER.fullmatch(str(name).strip()):
        raise RequestError(
            f'"{name}" is not a {what}',
            f"{what}s are numbers from 0 to {count - 1}"
            + (", as in 1, 3.1, 3-1 or L3H1" if what == "head" else ""),
        )
    number = int(str(name))
    if not -count <= number < count:
        raise RequestError(
            f"there is no {what} {number}: the model has {count}",
            f"{what}s are numbered from 0 to {count - 1}, and -1 is the last",
        )
    return number % count


def with_window(view: View, text: str) -> View:
    """The view with only the tokens that `40:80` names, `@80` not among them; RequestError."""
    asked, count = _WINDOW.fullmatch(text.strip()), len(view.tokens)
    if asked is None:
        raise RequestError(
            f'"{text}" is not a part of a text',
            "name its first token, and the one after its last, as in --window 40:80",
        )
    first, end = int(asked[1] or 0), min(int(asked[2] or count), count)
    if first >= end:
        raise RequestError(
            f'there is no token in the window "{text}": there are {count}, from @0 to @{count - 1}',
            f"name the first, and the one after the last, as in --window 0:{min(40, count)}",
        )
    window = view.context.positions[first], view.context.positions[end - 1] + 1
    return replace(view, window=window)
