"""Where a checkpoint's head is asked for an outcome, and what of its scores a user's word names."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnviz.errors import RequestError, listed
from attnviz.inspection.outcomes import Asked, OutcomeName
from attnviz.inspection.predicted import HeadFacts
from attnviz.model.model import Model
from attnviz.model.predict import Writer
from attnviz.text.tokens import Token, Tokens, Translated, Unit, parts_of


def label_number(model: Model, head: HeadFacts, name: str, row: np.ndarray) -> int:
    """The number of a label; RequestError if there is none of that name."""
    labels = [head.label(number) for number in range(len(row))]
    for known in (labels, [label.casefold() for label in labels], [*map(str, range(len(row)))]):
        wanted = name.casefold() if known is not labels else name
        if wanted in known:
            return known.index(wanted)
    raise RequestError(f'{model.facts.name} has no label "{name}"', f"it has {listed(labels)}")


def entry_number(model: Model, head: HeadFacts, word: str, row: np.ndarray) -> int:
    """The number of a word that is one token; RequestError if it is none, or several.

    Of a word with and without a space before it, the likelier one is meant.
    """
    target = head.kind == "seq2seq-lm"
    tried: list[tuple[str, ...]] = []
    found: set[int] = set()
    for text in (word, f" {word}"):
        cut = model.tokenizer.encode_target(text) if target else model.tokenizer.encode(text)
        own = [
            (number, entry)
            for number, entry, span in zip(cut.ids, cut.vocabulary, cut.spans, strict=True)
            if span is not None
        ]
        tried.append(tuple(entry for _, entry in own))
        known = not any(piece.unknown for piece in cut.pieces)
        if len(own) == 1 and known and own[0][0] < len(row):
            found.add(own[0][0])
    if found:
        return max(found, key=lambda number: (row[number], -number))
    count = len(tried[0])
    raise RequestError(
        f'"{word}" is {count} tokens in {model.facts.name}: {", ".join(tried[0])}'
        if count > 1
        else f'{model.facts.name} does not know "{word}"',
        "name a word that is one token of its vocabulary",
    )


def place_of(
    model: Model,
    tokens: Tokens,
    name: OutcomeName,
    head: HeadFacts,
    asked: tuple[Unit, int | None],
) -> tuple[int, Token | None]:
    """The piece at which the head is asked, and the token that is told."""
    unit, token = asked
    shown = tokens.unit(unit)
    if name == "next":
        own = tokens.target if isinstance(tokens, Translated) and tokens.target else tokens
        return len(own) - 1, own.unit(unit)[-1]
    if name == "label" and head.kind == "sequence-classification":
        return 0, None
    parts = parts_of(tokens, unit)
    if name == "label":
        if token is None:
            raise RequestError(
                f"{model.facts.name} gives each word a label, and no word was named",
                "name one with --query",
            )
        return parts[token].start, shown[token]
    number = model.tokenizer.mask_id
    masks = [place for place, own in enumerate(tokens.ids) if own == number]
    if token is not None:
        masks = [place for place in masks if parts[token].start <= place < parts[token].stop]
    if not masks:
        mask = "mask token" if number is None else model.tokenizer.entry(number)
        raise RequestError(
            f"there is no {mask} {'there' if token is not None else 'in the text'}, and the "
            "outcome mask is the probability of a word at one",
            f"put {mask} in place of a word, or take --outcome states",
        )
    word = next(n for n, part in enumerate(parts) if part.start <= masks[0] < part.stop)
    return masks[0], shown[word]


def with_target(model: Model, head: Writer, tokens: Tokens, asked: Asked) -> Translated:
    """The text with what the decoder is fed: what was given, or what it writes up to `of`.

    Without `of`, the first token that it writes is the next one.
    """
    runner: Any = model._runner
    source = tokens.source if isinstance(tokens, Translated) and tokens.source else tokens
    if asked.target is None and isinstance(tokens, Translated) and tokens.target is not None:
        return tokens
    target = runner.given if asked.target is None else runner.fed(asked.target)
    if target is None:
        ids, scores, _ = head.write(source)
        before: list[int] = []
        if asked.of is not None:
            wanted = [
                entry_number(model, head.facts, name, scores[0])
                for name in (asked.of, asked.against)
                if name is not None
            ]
            at = next((place for place, number in enumerate(ids) if number in wanted), None)
            if at is None:
                written = model.tokenizer.reading(ids).text
                raise RequestError(
                    f'{model.facts.name} writes "{written}", without "{asked.of}"',
                    "give what comes before it with --target",
                )
            before = ids[:at]
        target = begun(model, before)
    return Translated.of(source, target)


def begun(model: Model, written: Sequence[int]) -> Tokens:
    """What a decoder beside an encoder is fed after it has written these ids."""
    runner: Any = model._runner
    start = runner.model.setting("decoder_start_token_id")
    return model.tokenizer.reading([*([] if start is None else [start]), *written])
