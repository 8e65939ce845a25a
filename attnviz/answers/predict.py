"""What does the model say? The words at a mask, labels, the next token, an answer, a text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from attnviz.answers.answer import facts_of, if_there
from attnviz.inspection import Context, Shown
from attnviz.inspection.predicted import Guess, HeadFacts, Predicted
from attnviz.text.tokens import Token

SCHEMA = "attnviz.predict/1"


@dataclass(frozen=True)
class Said:
    """What is said of a token, or (None) of the whole text; `count` choices there are."""

    token: Token | None
    guesses: tuple[Guess, ...]
    count: int

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The object in JSON."""
        token = self.token
        return {
            "index": None if token is None else token.index,
            "text": None if token is None else token.text,
            "choices": self.count,
            "guesses": [_guess(guess) for guess in self.guesses[:top]],
        }


def _guess(guess: Guess) -> dict[str, Any]:
    span = {} if guess.start is None else {"start": guess.start, "end": guess.end}
    scores = {"score": guess.score, "probability": guess.probability}
    return {"text": guess.text, **span, **scores}


@dataclass(frozen=True)
class Prediction(Shown):
    """What a model says of a text: at each mask, of each word, or of the whole.

    `written`: what a decoder wrote, each of whose pieces is in `said`; `complete`: it ended by
    itself.
    """

    schema: ClassVar[str] = SCHEMA
    columns: ClassVar[tuple[str, ...]] = (
        "head", "token_index", "token", "rank", "guess", "score", "probability",
    )  # fmt: skip

    context: Context = field(compare=False)
    facts: HeadFacts
    said: tuple[Said, ...]
    written: str | None = None
    complete: bool = True
    other: str | None = None  # the text that this one is compared with

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.predict/1` object."""
        facts = facts_of(self.context, SCHEMA)
        tokens = facts.pop("tokens")
        facts["pair"] = facts["pair"] if self.other is None else self.other
        del facts["measure"], facts["formula"]
        head = self.facts
        written: dict[str, Any] = {}
        if self.written is not None:
            written = {"written": self.written, "complete": self.complete}
        return facts | {
            "head": head.kind,
            "architecture": head.architecture,
            "function": head.function,
            **if_there("pooling", head.pooling),
            "tokens": tokens,
            **written,
            "predictions": [one.data(top) for one in self.said],
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a guess, likeliest first."""
        for one in self.said:
            token = (None, None) if one.token is None else (one.token.index, one.token.text)
            for rank, guess in enumerate(one.guesses[:top], start=1):
                numbers = guess.score, guess.probability
                yield (self.facts.kind, *token, rank, guess.text, *numbers)


def prediction_of(context: Context, run: Predicted, other: str | None = None) -> Prediction:
    """What was predicted, by the words or pieces of the context; `other` as in Prediction.

    The label of a word is that of its first piece, as models are trained.
    """
    tokens = run.tokens if run.written is None else run.written
    pieces = tokens.pieces
    shown = pieces if run.written is not None or context.unit == "piece" else tokens.words
    said: dict[int | None, Said] = {}
    for place in run.places:
        token = None
        if place.piece is not None:
            piece = pieces[place.piece]
            token = shown[piece.word] if shown is tokens.words else piece
        key = None if token is None else token.index
        said.setdefault(key, Said(token, place.guesses, place.count))
    written = None if run.written is None else run.written.text
    return Prediction(context, run.head, tuple(said.values()), written, run.complete, other)
