"""What attnviz says to its users when something does not work."""


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
        return f"{self.message} ({self.hint})" if self.hint else self.message


class RequestError(AttnvizError):
    """The request itself is wrong: an unknown word, a layer out of range, an empty sentence."""


class OutOfRangeError(RequestError, IndexError):
    """A layer, head or token that is not there; also an IndexError, as Python has it."""
