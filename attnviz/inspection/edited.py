"""What a run with edits gives: final states, and a head's scores; numpy only."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from attnviz.attention.edits import Edit
from attnviz.attention.shapes import Float


class Output(NamedTuple):
    """states: the last layer's output, of the pieces that were asked for.

    scores: what the checkpoint's head says at the places that were asked for; None if none were.
    """

    states: Float[np.ndarray, "piece d_model"]
    scores: Float[np.ndarray, "place choice"] | None = None


class Runs(Protocol):
    """A text that ran once, and can be run again with edits."""

    @property
    def plain(self) -> Output:
        """What the run without edits gave, of all pieces."""

    def edited(
        self, runs: Sequence[Sequence[Edit]], pieces: slice = slice(None)
    ) -> Iterator[Output]:
        """What each run in turn gives, with its edits made together; the states of `pieces`."""
