"""Run a sentence again without some of its heads, in batches that grow from layer to layer.

A run equals the plain one up to its first ablated layer, and joins the batch there.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial

import numpy as np

from attnviz.attention.layer import WIDER
from attnviz.encoder.choice import LONG
from attnviz.encoder.encoder import Encoder, EncoderOutput
from attnviz.encoder.engine import Array
from attnviz.encoder.record import memory_for, padded
from attnviz.errors import AttnvizError
from attnviz.files import look_ahead
from attnviz.threads import thread_count, workers

# Nearly full speed, yet several threads get a batch of a short sentence; no run is cut.
BATCH_TOKENS = 256
EVERYWHERE = slice(None)
Place = tuple[int, int]  # a head: its layer, and its number in the layer


class AblatedRuns:
    """A sentence that was run once, and can be run again without some heads.

    states: (n, d_model), the last layer's output. AttnvizError if memory or a dtype is too small.
    """

    def __init__(self, encoder: Encoder, ids: Sequence[int], types: Sequence[int]) -> None:
        self._encoder, self._engine = encoder, encoder.engine
        with workers(self._engine.alone) as begin:
            plain = begin(len(ids) > LONG, partial(self._plain, ids, types)).result()
        self._layers = plain.layers
        self.states = self._finite(plain.hidden_states[0])

    def _plain(self, ids: Sequence[int], types: Sequence[int]) -> EncoderOutput:
        with memory_for(1, len(ids)), self._engine.running():
            inputs = [self._engine.array(padded([row])) for row in (ids, types)]
            return self._encoder(inputs[0], inputs[1])

    def without(
        self, runs: Sequence[Sequence[Place]], mean: bool = False, pieces: slice = EVERYWHERE
    ) -> Iterator[np.ndarray]:
        """The last layer's output of `pieces` in each run in turn, (piece, d_model).

        A run is the heads to ablate together: their z become zeros or, with `mean`, the mean over
        positions in the plain run. The runs' first layers must ascend.
        """
        at_once = max(1, BATCH_TOKENS // len(self.states))
        all_threads = len(runs) <= at_once and len(runs) * len(self.states) > LONG
        batches = (runs[first : first + at_once] for first in range(0, len(runs), at_once))
        with workers(self._engine.alone) as begin:
            begun: Iterator[Future[Array]] = (
                begin(all_threads, partial(self._run, batch, mean, pieces)) for batch in batches
            )
            # not all at once: finished batches take memory
            for states in map(Future.result, look_ahead(begun, 2 * thread_count())):
                yield from map(self._finite, states)

    def _run(self, runs: Sequence[Sequence[Place]], mean: bool, pieces: slice) -> Array:
        """A batch of runs from layer to layer: (run, piece, d_model)."""
        engine = self._engine
        first_layers = [min(layer for layer, _ in run) for run in runs]
        last = self._encoder.config.num_layers - 1
        x: Array | None = None
        with memory_for(len(runs), len(self.states)), engine.running():
            bias = self._encoder.bias(len(self.states))
            for number in range(first_layers[0], last + 1):
                layer, plain = self._encoder.layers[number], self._layers[number]
                queries = pieces if number == last else EVERYWHERE
                joining = first_layers.count(number)
                all_z = [engine.repeated(plain.z[:, :, queries], joining)]
                all_x = [engine.repeated(plain.x[:, queries], joining)]
                if x is not None:
                    added = None if bias is None else bias[:, :, queries]
                    all_z.insert(0, layer.attention(x, added, queries).z)
                    all_x.insert(0, x[:, queries])
                z = engine.joined(all_z)
                _ablate(z, runs, number, plain.z if mean else None)
                x = layer(engine.joined(all_x), z)
        return x

    def _finite(self, states: Array) -> np.ndarray:
        """Final states as an array; AttnvizError if a number in them is not finite."""
        array = self._engine.numpy(states)
        if not np.isfinite(array).all():
            half = self._engine.dtype == "float16"
            raise AttnvizError(
                "the model's final states are not all finite (NaN or infinity)",
                WIDER if half else "the model's weights are damaged or overflow",
            )
        return array


def _ablate(z: Array, runs: Sequence[Sequence[Place]], number: int, plain: Array | None) -> None:
    """Take the heads that each run ablates out of a layer's z, (run, num_heads, piece, d_k)."""
    for row, run in enumerate(runs[: len(z)]):
        for layer, head in run:
            if layer == number:
                z[row, head] = 0 if plain is None else plain[0, head].mean(0)
