"""Run a sentence again with edits of some heads, in batches that grow from layer to layer.

A run equals the plain one up to its first edited layer, and joins the batch there.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import numpy as np

from attnviz.attention.edits import BY_KEY, Edit, Find, Replaced
from attnviz.attention.layer import WIDER
from attnviz.encoder.choice import LONG
from attnviz.encoder.encoder import Encoder, EncoderOutput, LayerVectors
from attnviz.encoder.engine import Array, Engine
from attnviz.encoder.record import memory_for, padded
from attnviz.errors import AttnvizError
from attnviz.files import look_ahead
from attnviz.threads import thread_count, workers

# Nearly full speed, yet several threads get a batch of a short sentence; no run is cut.
BATCH_TOKENS = 256
EVERYWHERE = slice(None)
Run = Sequence[Edit]  # the edits that are made together


class EditedRuns:
    """A sentence that was run once, and can be run again with edits.

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

    def edited(
        self, runs: Sequence[Run], find: Find, pieces: slice = EVERYWHERE
    ) -> Iterator[np.ndarray]:
        """The last layer's output of `pieces` in each run in turn, (piece, d_model).

        The runs' first layers must ascend. `find` is asked by other threads.
        """
        at_once = max(1, BATCH_TOKENS // len(self.states))
        all_threads = len(runs) <= at_once and len(runs) * len(self.states) > LONG
        batches = (runs[first : first + at_once] for first in range(0, len(runs), at_once))
        with workers(self._engine.alone) as begin:
            begun: Iterator[Future[Array]] = (
                begin(all_threads, partial(self._run, batch, find, pieces)) for batch in batches
            )
            # not all at once: finished batches take memory
            for states in map(Future.result, look_ahead(begun, 2 * thread_count())):
                yield from map(self._finite, states)

    def _run(self, batch: Sequence[Run], find: Find, pieces: slice) -> Array:
        """A batch of runs from layer to layer: (run, piece, d_model)."""
        engine, runs = self._engine, [list(map(find, run)) for run in batch]
        first_layers = [min(edit.layer for edit in run) for run in runs]
        last = self._encoder.config.num_layers - 1
        x: Array | None = None
        with memory_for(len(runs), len(self.states)), engine.running():
            bias = self._encoder.bias(len(self.states))
            for number in range(first_layers[0], last + 1):
                layer, plain = self._encoder.layers[number], self._layers[number]
                queries = pieces if number == last else EVERYWHERE
                added = None if bias is None else bias[:, :, queries]
                joining = first_layers.count(number)
                plain = plain._replace(q=plain.q[:, :, queries], z=plain.z[:, :, queries])
                all_z = [engine.repeated(plain.z, joining)]
                all_x = [engine.repeated(plain.x[:, queries], joining)]
                vectors = [(plain, 0)] * joining
                if x is not None:
                    begun = layer.attention(x, added, queries)
                    all_z.insert(0, begun.z)
                    all_x.insert(0, x[:, queries])
                    vectors = [(begun, row) for row in range(len(x))] + vectors
                z = engine.joined(all_z)
                rows = range(len(self.states))[queries]
                for own, run, row in zip(vectors, runs, z, strict=False):
                    for edits in _by_head(run, number):
                        _edit(engine, row, own, edits, added, rows)
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


def _by_head(run: Sequence[Replaced], layer: int) -> list[list[Replaced]]:
    """A run's edits of a layer, those of each head together."""
    edits = [edit for edit in run if edit.layer == layer]
    heads = dict.fromkeys(edit.head for edit in edits)
    return [[edit for edit in edits if edit.head == head] for head in heads]


def _edit(
    engine: Engine,
    heads: Array,
    own: tuple[LayerVectors, int],
    edits: Sequence[Replaced],
    bias: Array | None,
    queries: range,
) -> None:
    """Write one head's edited z, from a row of a batch; only `queries` are there.

    heads: the z of all heads, (num_heads, query, d_k). Inputs are edited first, then weights, then
    z itself, in whatever order the edits come.
    """
    z, (vectors, row) = heads[edits[0].head], own
    one = slice(row, row + 1), slice(edits[0].head, edits[0].head + 1)
    inputs = {"q": vectors.q[one], "k": vectors.k[one], "v": vectors.v[one]}
    there = [edit if edit.what in BY_KEY else edit.among(queries) for edit in edits]
    made = [edit for edit in there if edit is not None]
    changed = {edit.what for edit in made if edit.what in inputs}
    inputs |= {what: engine.joined([inputs[what]]) for what in changed}  # copies
    for edit in made:
        if edit.what in inputs:
            _write(engine, inputs[edit.what][0, 0], edit)
    if changed:
        added = None if bias is None else bias[:, one[1]]
        z[:] = engine.attend(inputs["q"], inputs["k"], inputs["v"], added)[0, 0]
    v = inputs["v"][0, 0]
    for edit in made:
        if edit.what == "weights":
            z[_rows(edit)] = engine.array(edit.numbers(len(v))) @ v
    for edit in made:
        if edit.what == "z":
            _write(engine, z, edit)


def _write(engine: Engine, array: Array, edit: Replaced) -> None:
    """Write an edit's numbers into some rows of an array, (row, width), or all."""
    array[_rows(edit)] = engine.array(edit.numbers(array.shape[-1]))


def _rows(edit: Replaced) -> Any:
    return EVERYWHERE if edit.rows is None else edit.rows
