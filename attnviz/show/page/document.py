"""A Page as one HTML file, which works offline and computes a head when it is looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from attnviz.answers.layer import LayerSummary
from attnviz.answers.page import Page, PageLayer, PagePair, PageText
from attnviz.inspection import Context
from attnviz.inspection.context import Role
from attnviz.show.forms import Language
from attnviz.show.labels import names, visible
from attnviz.show.page.bundle import whole, words_of
from attnviz.show.page.packing import Packed, pack
from attnviz.show.wording import whose, whose_in_korean
from attnviz.text.tokens import Token, Unit


def html_of(page: Page, language: Language | None = None) -> str:
    """The page's file; its state may have a language already."""
    page = replace(page, state=replace(page.state, lang=page.state.lang or language))
    layers = {
        f"t{place}l{number}": layer
        for place, text in enumerate(page.texts)
        for number, layer in enumerate(text.layers)
        if layer is not None
    }
    blobs = dict(pack(layers))
    shown = f"t{page.state.text}l{page.state.layer}"
    first = shown if shown in blobs else next(iter(blobs))
    numbers = {name: blobs[name].text for name in dict.fromkeys((first, *blobs))}
    data = _data(page, blobs)
    return whole(_title(page), data, numbers, words_of("words"), language=page.state.lang)


def _title(page: Page) -> str:
    """The text and its model; of a comparison both, where they differ."""
    state = page.state
    pair = None if state.pair is None else page.pairs[state.pair]
    places = [state.text] if pair is None else [pair.a, pair.b]
    contexts = [page.contexts[place] for place in places]
    texts = dict.fromkeys(visible(context.key_text.text)[:80] for context in contexts)
    models = dict.fromkeys(visible(context.model.title) for context in contexts)
    return f"{' | '.join(texts)} · {' | '.join(models)}"


def _data(page: Page, packed: dict[str, Packed]) -> dict[str, Any]:
    """What types.js calls PageData."""
    from attnviz import __version__

    return {
        "schema": page.schema,
        "version": __version__,
        "texts": [_text(place, text, packed) for place, text in enumerate(page.texts)],
        "pairs": [_pair(page.texts, pair) for pair in page.pairs],
        "state": _state(page),
    }


def _state(page: Page) -> dict[str, Any]:
    """The state, in which places of tokens are counted from the first one in the page."""
    state, text = page.state.data(), page.texts[page.state.text]
    inside = text.span(page.state.unit)
    for role in ("query",) if text.words.is_cross_attention else ("query", "key"):
        if role in state:
            place = state.pop(role) - inside.start
            state |= {role: place} if 0 <= place < inside.stop - inside.start else {}
    return state


def _text(place: int, text: PageText, packed: dict[str, Packed]) -> dict[str, Any]:
    """What types.js calls TextData."""
    context = text.words
    layers = {
        number: packed[f"t{place}l{number}"]
        for number, layer in enumerate(text.layers)
        if layer is not None
    }
    part = context.part
    steps: list[Any] = []
    both = [context.text] if context.source is None else [context.source, context.text]
    return {
        "name": visible(context.key_text.text),
        "model": {
            **context.model.data(),
            "name": visible(context.model.name),
            "title": visible(context.model.title),
        },
        "attention": context.attention,
        "part": None if part is None else asdict(part),
        "queries": _side(text, "query"),
        "keys": _side(text, "key") if context.is_cross_attention else None,
        "recorded": list(context.recorded),
        "weightsOnly": any(
            layer is not None and layer.record.recorded_weights is not None for layer in text.layers
        ),
        "values": text.has_values,
        "tolerance": text.tolerance,
        "cut": _cut(text) if text.is_cut else None,
        "sight": {"en": whose(context), "ko": whose_in_korean(context)},
        "lost": [visible(word) for side in both for word in side.lost],
        "layers": [
            None if layer is None else _layer(f"t{place}l{number}", layer, layers[number], steps)
            for number, layer in enumerate(text.layers)
        ],
        "steps": steps,
    }


def _cut(text: PageText) -> dict[Unit, tuple[int, int, int]]:
    """The words, and the pieces, in the page: the first, the end, and how many the text has."""
    every: dict[Unit, Context] = {"word": text.words, "piece": text.pieces}
    spans = {unit: text.span(unit) for unit in every}
    return {unit: (span.start, span.stop, len(every[unit].tokens)) for unit, span in spans.items()}


def _layer(name: str, layer: PageLayer, packed: Packed, steps: list[Any]) -> dict[str, Any]:
    """What types.js calls LayerData; `steps` are those of the layers so far, each kind once."""
    record, own = layer.record, _steps(layer.steps)
    if own is not None and own not in steps:
        steps.append(own)
    return {
        "scale": record.scale,
        "softcap": record.softcap,
        "heads": record.num_heads,
        "blob": name,
        "arrays": packed.arrays,
        "steps": None if own is None else steps.index(own),
    }


def _steps(steps: LayerSummary | str | None) -> dict[str, Any] | str | None:
    """What types.js calls StepsData."""
    if not isinstance(steps, LayerSummary):
        return steps
    return {
        "names": [step._asdict() for step in steps.steps],
        "parts": [
            {"name": name, "head": head}
            for name, head in zip(steps.parts, steps.heads, strict=True)
        ],
        "norms": steps.norms,
        "parallel": steps.parallel,
    }


def _side(text: PageText, role: Role) -> dict[str, Any]:
    """What types.js calls Side: the tokens that look, or those that are looked at."""
    cut = role == "query" or not text.words.is_cross_attention
    units: tuple[tuple[Unit, Context], ...] = ("word", text.words), ("piece", text.pieces)
    words, pieces = (
        _tokens(context, role, text.span(unit) if cut else slice(None)) for unit, context in units
    )
    tokens = text.words.text if role == "query" else text.words.key_text
    first, end = (text.first, text.end) if cut else (0, len(tokens))
    return {
        "text": visible(tokens.text),
        "pair": None if tokens.pair is None else visible(tokens.pair),
        "words": words,
        "pieces": pieces,
        "starts": [start - first for start in tokens.word_starts if first <= start < end],
    }


def _tokens(context: Context, role: Role, span: slice) -> list[dict[str, Any]]:
    tokens: Sequence[Token] = context.tokens if role == "query" else context.keys
    called = names(context, role)
    return [
        {
            "name": name,
            "text": visible(token.text),
            **({"special": True} if token.special else {}),
            **({"unknown": True} if token.unknown else {}),
            **({"segment": 1} if token.segment else {}),
        }
        for name, token in list(zip(called, tokens, strict=True))[span]
    ]


def _pair(texts: Sequence[PageText], pair: PagePair) -> dict[str, Any]:
    """What types.js calls PairData: places among the tokens in the page."""
    a, b = texts[pair.a], texts[pair.b]
    words, pieces = (a.span("word"), b.span("word")), (a.span("piece"), b.span("piece"))
    crossed = a.words.is_cross_attention  # then no key is cut off
    return {
        "a": pair.a,
        "b": pair.b,
        "words": list(_inside(pair.words, *words)),
        "pieces": list(_inside(pair.pieces, *pieces)),
        "key_words": pair.key_words if crossed else list(_inside(pair.key_words, *words)),
        "key_pieces": pair.key_pieces if crossed else list(_inside(pair.key_pieces, *pieces)),
    }


def _inside(
    pairs: Sequence[tuple[int | None, int | None]], a: slice, b: slice
) -> Iterator[tuple[int | None, int | None]]:
    """The places counted from the first token in the page; None for those outside."""
    for places in pairs:
        one, other = (
            place - span.start if place is not None and span.start <= place < span.stop else None
            for place, span in zip(places, (a, b), strict=True)
        )
        if one is not None or other is not None:
            yield one, other
