"""What `attnviz ablate` found, as data: docs/schema/ablate-1.schema.json, and CSV."""

from collections.abc import Iterator, Sequence
from typing import Any

from attnviz.answers.ablation import DISTANCE, Ablation, EachAblation, Moved, Prediction
from attnviz.answers.answer import facts_of
from attnviz.inspection import View
from attnviz.inspection.ablated import Guess
from attnviz.show.matrix_data import quoted, with_numbers

ABLATE_SCHEMA = "attnviz.ablate/1"

ABLATE_CSV_HEADER = b"text_index,ablated,with,token_index,token,distance"
"""The first line; the same for heads ablated together and for each alone."""


def ablation_json(view: View, ablation: Ablation, top: int | None = None) -> bytes:
    """One sentence's `attnviz.ablate/1` object, on a line of its own.

    All tokens, or the `top` that moved most.
    """
    facts = _facts(view, ablation.replacement)
    facts["heads"] = [{"layer": head.layer, "head": head.head} for head in ablation.heads]
    facts["moved"] = [_moved(moved) for moved in ablation.moved[:top]]
    masks = ablation.predictions
    facts["masks"] = None if masks is None else [_prediction(mask) for mask in masks]
    return with_numbers(facts) + b"\n"


def each_json(view: View, each: EachAblation, top: int | None = None) -> bytes:
    """The object where every head is ablated alone: all heads, or the `top` largest effects."""
    facts = _facts(view, each.replacement)
    query = each.query
    facts["query"] = None if query is None else {"index": query.index, "text": query.text}
    facts["each"] = [
        {
            "layer": effect.head.layer,
            "head": effect.head.head,
            "rank": effect.rank,
            "distance": effect.distance,
            **({} if query else {"most": _moved(effect.most)}),
        }
        for effect in each.heads[:top]
    ]
    return with_numbers(facts) + b"\n"


def ablation_csv(ablation: Ablation, text_index: int, top: int | None = None) -> Iterator[bytes]:
    """A row a token, most moved first, without the header; the heads stand side by side."""
    heads = " ".join(str(head) for head in ablation.heads)
    for moved in ablation.moved[:top]:
        yield _row(text_index, heads, ablation.replacement, _named(moved), moved.distance)


def each_csv(each: EachAblation, text_index: int, top: int | None = None) -> Iterator[bytes]:
    """A row a head, largest effect first; where no query is asked about, its columns are empty."""
    for effect in each.heads[:top]:
        token = "," if each.query is None else _named(effect.most)
        yield _row(text_index, str(effect.head), each.replacement, token, effect.distance)


def _named(moved: Moved) -> str:
    return f"{moved.token.index},{quoted(moved.token.text)}"


def _row(text_index: int, heads: str, replacement: str, token: str, distance: float) -> bytes:
    number = with_numbers(distance).decode()
    return f"{text_index},{heads},{replacement},{token},{number}\n".encode()


def _facts(view: View, replacement: str) -> dict[str, Any]:
    facts = facts_of(view.context, ABLATE_SCHEMA)
    tokens = facts.pop("tokens")
    del facts["measure"]
    return facts | {"formula": DISTANCE, "with": replacement, "tokens": tokens}


def _moved(moved: Moved) -> dict[str, Any]:
    return {"index": moved.token.index, "text": moved.token.text, "distance": moved.distance}


def _prediction(prediction: Prediction) -> dict[str, Any]:
    best, kept = prediction.before[0], prediction.kept
    return {
        "index": prediction.token.index,
        "before": _guesses(prediction.before),
        "after": _guesses(prediction.after),
        "best": {"token": best.token, "before": best.probability, "after": kept.probability},
    }


def _guesses(guesses: Sequence[Guess]) -> list[dict[str, Any]]:
    return [{"token": guess.token, "probability": guess.probability} for guess in guesses]
