"""What a run of a model's attention leaves behind: each sentence's layers, without padding."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from attnviz.attention.layer import LayerRecord
from attnviz.attention.request import RecordRequest
from attnviz.encoder.devices import as_numpy
from attnviz.inspection.facts import AttentionKind
from attnviz.transformers_backend.attention_call import Call
from attnviz.transformers_backend.call_sites import Inputs, Sites, inputs_of
from attnviz.transformers_backend.masks import Masks, check_lengths


class LastRecorded(Exception):
    """The last layer that is wanted was recorded, and what comes behind it need not run."""


class Recorder:
    """A listener that records one kind of a model's attention.

    `lengths`: how many queries and keys each sentence of the batch has. `last`: the number of the
    layer behind which LastRecorded stops the run. `records`: for each layer that has run, in their
    order, each sentence's record, or None where it is not wanted.
    """

    def __init__(
        self,
        sites: Sites,
        kind: AttentionKind,
        lengths: Sequence[tuple[int, int]],
        recording: RecordRequest,
        last: int | None = None,
    ) -> None:
        self.records: list[list[LayerRecord] | None] = []
        self._sites = sites
        self._kind = kind
        self._lengths = lengths
        self._recording = recording
        self._last = last
        self._masks = Masks(lengths)
        self._inputs: dict[nn.Module, Inputs] = {}

    def heard(self, call: Call, z: Tensor) -> None:
        """As in Listener; raises LastRecorded."""
        if self._sites.kinds.get(call.module) != self._kind:
            return
        number = len(self.records)
        wanted = self._recording.has(number)
        self.records.append(self._recorded(call, z) if wanted else None)
        if number == self._last:
            raise LastRecorded

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See what enters the modules meanwhile, where that is to be recorded."""
        own = [module for module, kind in self._sites.kinds.items() if kind == self._kind]
        handles = [
            module.register_forward_pre_hook(self._entered, with_kwargs=True)
            for module in own
            if self._recording.whole
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._inputs.clear()

    def _entered(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        self._inputs[module] = inputs_of(module, args, kwargs)

    def _recorded(self, call: Call, z: Tensor) -> list[LayerRecord]:
        check_lengths(call, *map(max, zip(*self._lengths, strict=True)))
        norms = self._sites.value_norms(call.module, call.v, call.q.shape[1])
        sinks = None if call.sinks is None else as_numpy(call.sinks.flatten())
        biases = self._masks.of(call)
        records = []
        for sentence, (n, m) in enumerate(self._lengths):
            bias = biases[sentence]
            record = LayerRecord(
                q=as_numpy(call.q[sentence, :, :n]),
                k=as_numpy(call.k[sentence, :, :m]),
                scale=call.scale,
                key_ranges=bias.key_ranges,
                distance_bias=bias.distance_bias,
                bias=bias.bias,
                softcap=call.softcap,
                sinks=sinks,
                value_norms=None if norms is None else as_numpy(norms[sentence, :, :m]),
            )
            if self._recording.whole:
                record = self._with_all(record, call, z, sentence)
            records.append(record)
        return records

    def _with_all(self, record: LayerRecord, call: Call, z: Tensor, sentence: int) -> LayerRecord:
        n, m = self._lengths[sentence]
        x, memory = self._inputs.get(call.module, Inputs(None, None))
        return replace(
            record,
            x=_own(x, sentence, n),
            encoder_states=_own(memory, sentence, m),
            v=as_numpy(call.v[sentence, :, :m]),
            z=as_numpy(z[sentence, :, :n]),
        )


def _own(vectors: Tensor | None, sentence: int, length: int) -> np.ndarray | None:
    return None if vectors is None else as_numpy(vectors[sentence, :length])
