"""What a page shows first: what the answer was about that it was written for."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np

from attnviz.answers.compare import Comparison
from attnviz.answers.find import Finding
from attnviz.answers.layer import Layer
from attnviz.answers.links import LINKS_SEARCHED, MANY_TOKENS, heads_or_strongest, strongest_of
from attnviz.answers.overview import is_near, overview
from attnviz.answers.page import Shows, State
from attnviz.answers.word import Pair, Word
from attnviz.inspection import Context, HeadId, View
from attnviz.inspection.context import Role
from attnviz.text.tokens import Token

WORDS_IN_SIGHT = 20  # of a long text, without scrolling
FAINT = 0.05  # the page's usual threshold: weaker links are not drawn


def opening_of(answer: Any, shows: Shows) -> State:
    """The state of a page that `shows` what an answer says first: its head, its words, its look."""
    if isinstance(answer, Comparison):
        return _of_comparison(answer, shows)
    context: Context = answer.context
    words = _words_of(answer)
    state = State(view=shows, unit=context.unit, special=context.special)
    query, key = (place_of(context, role, words.get(role)) for role in get_args(Role))
    state = replace(state, query=query, key=key)
    if isinstance(answer, Finding):
        phrase = len(answer.query.tokens), len(answer.key.tokens)
        state = replace(state, find=True, phrase=phrase if max(phrase) > 1 else None)
    if isinstance(answer, Layer):
        return replace(state, layer=answer.layer)
    heads = [answer.head] if hasattr(answer, "head") else _heads_of(answer)
    if shows == "head" and len(heads) > 1 and not words:
        state = replace(state, view="grid")
    return with_heads(state, heads, context.model.num_heads)


def opening(
    view: View, heads: list[HeadId], query: int | None = None, key: int | None = None
) -> tuple[State, str]:
    """What a page shows first of some words and heads, and a note on the head that was found.

    Without heads, that of the strongest link of the words; without words, of all in a short text.
    """
    context, note = view.context, ""
    row = None if query is None else context.tokens[query]
    column = None if key is None else context.keys[key]
    state = State(unit=context.unit, special=context.special)
    state = replace(
        state,
        view="lines",
        query=place_of(context, "query", row),
        key=place_of(context, "key", column),
        find=row is not None and column is not None,
    )
    if row is None and column is None:
        if not heads:
            return _at_first_sight(view, state), note
        state = replace(state, view="head" if len(heads) == 1 else "lines")
    elif not heads:
        heads, note = heads_or_strongest(view, heads, query, key)
    if state.find:
        state = replace(state, view="head")
    return with_heads(state, heads, context.model.num_heads), note


def _at_first_sight(view: View, state: State) -> State:
    """The strongest link of a short text, or among the first words of a long one, in its head."""
    if max(len(view.tokens), len(view.keys)) >= MANY_TOKENS:
        first = 0 if view.window is None else view.window[0]
        view = replace(view, window=(first, first + WORDS_IN_SIGHT))
    strongest = strongest_of(overview(view, links=LINKS_SEARCHED))
    if strongest is None or strongest.link.weight < FAINT:
        return state
    state = replace(state, query=place_of(view.context, "query", strongest.link.query))
    return with_heads(state, [strongest.head], view.context.model.num_heads)


def with_heads(state: State, heads: list[HeadId], num_heads: int) -> State:
    """The state that shows the first of some heads; lines show those of its layer alone."""
    if not heads:
        return state
    layer, head = heads[0]
    shown = {other for number, other in heads if number == layer}
    off = () if None in shown else tuple(n for n in range(num_heads) if n not in shown)
    return replace(state, layer=layer, head=head, off=off)


def place_of(context: Context, role: Role, token: Token | None) -> int | None:
    """The place of a query or a key, if there is one, among all tokens, shown or not."""
    if token is None:
        return None
    if role == "query" or not context.is_cross_attention:
        return context.positions[token.index]
    every = context.key_text.unit(context.unit)
    return [n for n, one in enumerate(every) if context.special or not one.special][token.index]


def _words_of(answer: Any) -> dict[Role, Token | None]:
    """The words that an answer is about."""
    if isinstance(answer, Word):
        return {answer.role: answer.token}
    if isinstance(answer, Finding):
        return {"query": answer.query.token, "key": answer.key.token}
    query, key = (getattr(answer, role, None) for role in ("query", "key"))
    return {"query": query, "key": key} if query or key else {}


def _heads_of(answer: Any) -> list[HeadId]:
    """The heads that an answer is about, the one to show first before the others."""
    if isinstance(answer, Finding):
        return [answer.heads[0].head]
    if isinstance(answer, Word) and not answer.chosen:
        return [answer.heads[_hardest(answer)]]
    if isinstance(answer, Pair) and not answer.word.chosen:
        return [answer.heads[int(np.argmax(answer.weights))]]
    return [one if isinstance(one, HeadId) else one.head for one in answer.heads]


def _hardest(word: Word) -> int:
    """The place of the head with the largest weight at a token further off, special ones aside."""
    one_text, others = not word.context.is_cross_attention, word.others
    plain = [t for t in others if not t.special and (t != word.token or not one_text)]
    far = [t.index for t in plain if not (one_text and is_near(t, word.token))]
    weights = word.weights[:, far or [t.index for t in plain] or slice(None)]
    return int(np.argmax(weights.max(axis=-1)))


def _of_comparison(comparison: Comparison, shows: Shows) -> State:
    """The two texts as a pair, at the head that changes most; the words as they are in A."""
    words, context = comparison.alignment, comparison.alignment.a
    head = comparison.heads[0].head
    state = State(shows, pair=0, layer=head.layer, head=head.head)
    state = replace(state, unit=context.unit, special=context.special)
    query, key = comparison.query, comparison.key
    return replace(
        state,
        query=None if query is None else place_of(context, "query", words.columns[query].a),
        key=None if key is None else place_of(context, "key", words.keys[key].a),
    )
