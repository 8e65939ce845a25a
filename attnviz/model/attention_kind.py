"""Which part of a model is looked at: an encoder, a decoder, or what joins them."""

from typing import Literal

from attnviz.errors import RequestError
from attnviz.models.options import RunOptions

Parts = Literal["encoder", "decoder", "both", "one"]
"""What a model has; "one": an encoder or a decoder, before it is known which."""

WITH_BOTH = "leave it out, or choose a model with an encoder and a decoder, such as T5 or BART"

MISSING: dict[Parts, dict[str, str]] = {
    "encoder": {"decoder": "a decoder", "cross": "a decoder"},
    "decoder": {"encoder": "an encoder", "cross": "an encoder"},
    "one": {"cross": "an encoder and a decoder"},
    "both": {},
}
"""What each kind of attention needs and models do not have."""

IS: dict[Parts, str] = {
    "encoder": "is an encoder",
    "decoder": "is a decoder alone",
    "one": "does not have both",
}


def check_parts(name: str, running: RunOptions, parts: Parts) -> None:
    """Refuse to look at what the model does not have, and to feed a decoder that is not run.

    Raises RequestError.
    """
    if running.attention in MISSING[parts]:
        raise RequestError(
            f"--attention {running.attention} needs {MISSING[parts][running.attention]}, "
            f"and {name} {IS[parts]}",
            WITH_BOTH,
        )
    if running.target is None:
        return
    if parts != "both":
        raise RequestError(
            f"--target is what a decoder is fed beside an encoder, and {name} {IS[parts]}",
            WITH_BOTH,
        )
    if running.attention not in ("decoder", "cross"):
        raise RequestError(
            "--target is what the decoder is fed, and the encoder is looked at",
            "add --attention decoder or --attention cross",
        )
