"""What a model says of a text, through the head of its checkpoint.

Beside the other questions, whose models are asked for attention: here they are asked for words.
"""

from typing import Any

from attnviz.answers.predict import Prediction, prediction_of
from attnviz.api.inspecting import looked_at, one_text
from attnviz.api.questions import positive
from attnviz.attention.request import RecordRequest
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.model.predict import compares
from attnviz.model.predict import predict as ask_head
from attnviz.model.reload import model_behind, model_for
from attnviz.models import DEFAULT
from attnviz.text.tokens import Unit, joined


def predict(
    text: Inspection | str | list[str],
    top: int | None = None,
    pair: str | list[str] | None = None,
    unit: Unit = "word",
    model: Any = None,
    tokenizer: Any = None,
    pretokenized: bool = False,
) -> Prediction:
    """What a model says of a text, or of an inspection's, through the head of its checkpoint.

    `top`: of a vocabulary that many guesses (5); labels come all. `pair`: the second text, or the
    one to compare with. `model`, with its `tokenizer`, and `pretokenized` as in `inspect`; of an
    inspection its own.
    """
    second = None if pair is None else one_text(pair, pretokenized)
    if isinstance(text, Inspection):
        inspection = text
        loaded = model_behind(text, None if model is None else model_for(model, tokenizer))
        if pair is not None and not compares(loaded):
            raise RequestError(
                "the inspection is of one text, and a pair came with it",
                "give both texts to inspect, which reads them together",
            )
    else:
        loaded = model_for(DEFAULT if model is None else model, tokenizer)
        together = None if compares(loaded) else second
        second = None if together else second
        tokens = loaded.tokenize(one_text(text, pretokenized), together)
        inspection = next(loaded.inspect_tokens([tokens], RecordRequest(frozenset([0]))))
    run = ask_head(loaded, inspection.tokens, positive(top), second)
    other = None if second is None else joined(second)
    return prediction_of(looked_at(inspection, {"unit": unit})[0].context, run, other)
