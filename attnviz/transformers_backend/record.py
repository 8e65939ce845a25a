"""Turn the attention of a run into LayerRecords: one for each sentence and layer, no padding."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnviz.attention.layer import LayerRecord, check_finite
from attnviz.attention.request import AttentionKind, RecordRequest
from attnviz.encoder.devices import as_numpy
from attnviz.encoder.record import padded
from attnviz.transformers_backend.attention_call import (
    Call,
    CallSites,
    ModuleInputs,
    UnlikeError,
    entering,
    inputs_of,
)

MAX_WRITTEN = 128  # the most tokens that a decoder writes when no target is given
ROWS_AT_ONCE = 512  # rows of a mask that are examined together, to limit memory

Lengths = Sequence[tuple[int, int]]  # the number of queries and of keys of each sentence
Layers = list[list[LayerRecord] | None]  # by layer, then sentence; None if not requested

Ids = Sequence[int]


@dataclass(frozen=True)
class Batch:
    """Sentences as ids, with token types if the model has them, and a decoder's ids if it runs."""

    ids: Sequence[Ids]
    types: Sequence[Ids] | None = None
    targets: Sequence[Ids] | None = None

    def singly(self) -> list["Batch"]:
        """Each sentence as a batch of its own."""
        one = [slice(place, place + 1) for place in range(len(self.ids))]
        others = self.types, self.targets
        return [Batch(self.ids[row], *(rows and rows[row] for rows in others)) for row in one]

    def lengths(self, kind: AttentionKind) -> list[tuple[int, int]]:
        """The number of queries and keys that this kind of attention has in each sentence."""
        queries = self.ids if self.targets is None else self.targets
        keys = self.ids if kind == "cross" else queries
        return [(len(row), len(other)) for row, other in zip(queries, keys, strict=True)]

    def tensors(self, pad: int, device: torch.device) -> dict[str, Tensor]:
        """Arguments for the model, padded on the right.

        With a mask where anything is padded, or has the padding's id: some models mask that.
        """
        rows: dict[str, np.ndarray] = {"input_ids": padded(self.ids, pad)}
        if self.types is not None:
            rows["token_type_ids"] = padded(self.types)
        if self.targets is not None:
            rows["decoder_input_ids"] = padded(self.targets, pad)
        masks = {"attention_mask": self.ids, "decoder_attention_mask": self.targets}
        for name, own in masks.items():
            if own and (len({len(row) for row in own}) > 1 or any(pad in row for row in own)):
                rows[name] = padded([[1] * len(row) for row in own])
        return {name: torch.from_numpy(array).to(device) for name, array in rows.items()}


class LastRecorded(Exception):
    """The last requested layer was recorded; the layers above it need not run."""


class Recorder:
    """Records attention of one kind in `layers`, up to layer number `last`."""

    def __init__(
        self,
        sites: CallSites,
        kind: AttentionKind,
        lengths: Lengths,
        recording: RecordRequest,
        last: int | None = None,
    ) -> None:
        self.layers: Layers = []
        self._sites, self._kind, self._lengths = sites, kind, lengths
        self._recording, self._last = recording, last
        self._masks = Masks(lengths)
        self._inputs: dict[nn.Module, ModuleInputs] = {}

    def replay(self, calls: Iterable[tuple[Call, Tensor, ModuleInputs]]) -> Layers:
        """Record calls that were made before."""
        for call, z, inputs in calls:
            self._inputs[call.module] = inputs
            self.heard(call, z)
        return self.layers

    def heard(self, call: Call, z: Tensor) -> None:
        """Record a call; see `listening`. Raises LastRecorded."""
        if self._sites.kinds.get(call.module) != self._kind:
            return
        number = len(self.layers)
        self.layers.append(self._records(call, z) if self._recording.has(number) else None)
        if number == self._last:
            raise LastRecorded

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See what enters the call sites inside the block, if that is to be recorded."""
        sites = [module for module, kind in self._sites.kinds.items() if kind == self._kind]
        try:
            with entering(sites if self._recording.whole else [], self._entered):
                yield
        finally:
            self._inputs.clear()

    def _entered(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        self._inputs[module] = inputs_of(module, args, kwargs)

    def _records(self, call: Call, z: Tensor) -> list[LayerRecord]:
        n, m = call.q.shape[-2], call.k.shape[-2]
        queries, keys = map(max, zip(*self._lengths, strict=True))
        if (n, m) != (queries, keys):
            tokens = f"where there are {queries} and {keys} tokens"
            raise UnlikeError(f"{n} queries and {m} keys, {tokens}")
        norms = self._sites.value_norms(call.module, call.v, call.q.shape[1])
        sinks = None if call.sinks is None else as_numpy(call.sinks.detach().flatten())
        records = []
        for sentence, bias in enumerate(self._masks.of(call)):
            n, m = self._lengths[sentence]
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
                x, states = self._inputs.get(call.module, ModuleInputs(None, None))
                record = replace(
                    record,
                    x=None if x is None else as_numpy(x[sentence, :n]),
                    encoder_states=None if states is None else as_numpy(states[sentence, :m]),
                    v=as_numpy(call.v[sentence, :, :m]),
                    z=as_numpy(z[sentence, :, :n]),
                )
            records.append(record)
        return records


def weights_only(
    attentions: Sequence[Tensor | None] | None, lengths: Lengths, recording: RecordRequest
) -> Layers:
    """Records of the model's own weights, (batch, num_heads, n, m) a layer; padding is cut off.

    UnlikeError for another shape or rows that do not sum to 1, AttnvizError if not finite.
    """
    if not attentions:
        raise UnlikeError("no attention weights")
    layers: Layers = [None] * len(attentions)
    n, m = map(max, zip(*lengths, strict=True))
    for number in filter(recording.has, range(len(attentions))):
        layer = attentions[number]
        if layer is None:
            raise UnlikeError("no attention weights in some of its layers")
        shape, dtype = tuple(layer.shape), str(layer.dtype).removeprefix("torch.")
        if len(shape) != 4 or shape[0] != len(lengths) or shape[-2] < n or shape[-1] < m:
            raise UnlikeError(f"weights of shape {shape}, for {n} queries and {m} keys")
        records = layers[number] = []
        for sentence, (queries, keys) in enumerate(lengths):
            weights = as_numpy(layer[sentence, :, :queries, :keys])
            check_finite(number, "recorded_weights", weights, dtype)
            # whatever the dtype that the model computed in
            sums = weights.sum(axis=-1, keepdims=True)
            if not np.abs(sums - 1).max() < 1e-2:
                raise UnlikeError("weights whose rows do not sum to 1")
            if layer.dtype != torch.float32:  # each was rounded, so their sum is near 1 alone
                weights /= sums
            records.append(LayerRecord(recorded_weights=weights))
    return layers


@dataclass(frozen=True, eq=False)
class Bias:
    """A sentence's mask and biases, with the names and shapes of LayerRecord."""

    key_ranges: np.ndarray | None = None
    distance_bias: np.ndarray | None = None
    bias: np.ndarray | None = None


class Masks:
    """Reads the masks and position biases of one run."""

    def __init__(self, lengths: Lengths) -> None:
        self._lengths = lengths
        # layers share masks, and hardly any model has more than four kinds of them
        self._kept: deque[tuple[Tensor | None, Tensor | None, bool, list[Bias]]] = deque(maxlen=4)

    def of(self, call: Call) -> list[Bias]:
        """What a call's mask and position bias mean for each sentence."""
        for mask, position_bias, causal, biases in self._kept:
            same = mask is call.mask and position_bias is call.position_bias
            if same and causal == call.causal:
                return biases
        biases = [self._bias(call, sentence) for sentence in range(len(self._lengths))]
        self._kept.append((call.mask, call.position_bias, call.causal, biases))
        return biases

    def _bias(self, call: Call, sentence: int) -> Bias:
        n, m = self._lengths[sentence]
        parts = [
            _split(tensor[sentence if len(tensor) > 1 else 0, :, :n, :m])
            for tensor in (call.mask, call.position_bias)
            if tensor is not None
        ]
        allowed = _combined([allowed for allowed, _ in parts], torch.logical_and)
        added = _combined([added for _, added in parts], torch.add)
        key_ranges = None
        if call.causal:
            key_ranges = np.array([(0, min(query + 1, m)) for query in range(n)], np.int32)
        if allowed is not None:
            key_ranges = _intervals(allowed)
            if key_ranges is None:  # a mask that is no interval becomes a bias of -inf
                low = torch.zeros(allowed.shape, device=allowed.device)
                added = _combined([added, low.masked_fill(~allowed, -torch.inf)], torch.add)
            elif key_ranges[:, 0].max() == 0 and key_ranges[:, 1].min() == m:
                key_ranges = None
        if added is None:
            return Bias(key_ranges)
        offsets = _by_distance(added)
        if offsets is not None:
            return Bias(key_ranges, distance_bias=offsets if offsets.any() else None)
        return Bias(key_ranges, bias=as_numpy(added))


def _combined(tensors: Sequence[Tensor | None], how: Callable[..., Tensor]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    return reduce(how, present) if present else None


def _split(mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """A mask's allowed keys, and its other numbers; about the dtype's lowest masks a key."""
    if mask.dtype == torch.bool:
        return mask, None
    low = mask <= torch.finfo(mask.dtype).min / 2
    rest = mask.masked_fill(low, 0)
    return (~low if low.any() else None), (rest if rest.any() else None)


def _intervals(allowed: Tensor) -> np.ndarray | None:
    """First allowed key and end, (n, 2), of (num_heads or 1, n, m).

    None if heads differ, if a row has gaps, or if it is empty.
    """
    first_head, m = allowed[0], allowed.shape[-1]
    if len(allowed) > 1 and not bool((allowed == first_head).all()):
        return None
    blocks = []
    for rows in torch.split(first_head, ROWS_AT_ONCE):
        flags = rows.to(torch.uint8)
        first, end = flags.argmax(-1), m - flags.flip(-1).argmax(-1)
        # a row with gaps has fewer allowed keys than its interval
        if not torch.equal(flags.sum(-1), end - first):
            return None
        blocks.append(torch.stack([first, end], -1))
    intervals: np.ndarray = torch.cat(blocks).to("cpu", torch.int32).numpy()
    return intervals


def _by_distance(added: Tensor) -> np.ndarray | None:
    """(heads, n + m − 1), if `added`, (heads, n, m), depends on key − query alone; else None."""
    n, m = added.shape[-2:]
    if not torch.isfinite(added).all():  # a mask that is no interval
        return None
    # the first column from the last query up, then the first row: each distance once
    offsets = torch.cat([added[:, 1:, 0].flip(-1), added[:, 0]], dim=-1)
    windows = offsets.unfold(-1, m, 1)
    for first in range(0, n, ROWS_AT_ONCE):
        rows = torch.arange(first, min(first + ROWS_AT_ONCE, n), device=added.device)
        if not torch.equal(windows[:, n - 1 - rows], added[:, rows]):
            return None
    return as_numpy(offsets)
