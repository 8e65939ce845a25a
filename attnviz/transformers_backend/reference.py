"""A model as transformers alone runs it, loaded anew: what a check compares our numbers with."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attnviz.attention.layer import LayerRecord
from attnviz.attention.request import AttentionKind
from attnviz.encoder.devices import Placement, as_numpy
from attnviz.encoder.record import memory_for
from attnviz.errors import lacks_memory
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.evidence import Cut, Mixing, Own, Text
from attnviz.models import ModelFiles
from attnviz.text.tokens import Tokens
from attnviz.transformers_backend import load
from attnviz.transformers_backend.attention_call import entering
from attnviz.transformers_backend.quirks import global_attention, use_full_attention, whole_rows
from attnviz.transformers_backend.tokenizers import transformers_tokenizer

LARGEST_IN_FLOAT64 = 1_000_000_000  # parameters, 8 GB
SAME = 1e-3  # how far vectors may be apart, beside the largest, and be the same but for rounding


class Reference:
    """A model of transformers, with its eager attention and the tokenizer of AutoTokenizer."""

    def __init__(
        self, built: load.Architecture, files: ModelFiles, place: Placement, kind: AttentionKind
    ) -> None:
        # its own attention: no call comes to ours
        model = load.read(replace(built, calls=False), files, place).model
        use_full_attention(model)
        self._decodes = built.seq2seq and kind != "encoder"
        self._model = model.get_encoder() if built.seq2seq and kind == "encoder" else model
        self._kind = kind
        self._config = built.config
        self._device = place.device
        reader = model.get_encoder() if built.seq2seq else model
        config = getattr(reader, "config", built.config)
        self._num_types: int | None = getattr(config, "type_vocab_size", None)
        self._takes_types = "token_type_ids" in signature(reader.forward).parameters
        self._library = cache(partial(transformers_tokenizer, files.folder, built.own_code))
        self._takes: dict[int, Taken] = {}  # z, by layer

    def texts(self, texts: Sequence[tuple[str, str | None, Cut | None]]) -> tuple[Text, ...]:
        """How AutoTokenizer cuts each; AttnvizError if it cannot be built."""
        self._library()
        return tuple(Text(*text, self._given(*text[:2])) for text in texts)

    def run(self, inspection: Inspection, source: Tokens) -> Own:
        """What the model computes for an inspection's tokens; AttnvizError if it cannot run."""
        records = [record or LayerRecord() for record in inspection.layers]
        states = [record.x for record in records]
        joined = [None if r.z is None else np.concatenate(list(r.z), -1) for r in records]
        x, z = _Nearest(states, self._device), _Nearest(joined, self._device)
        taken = _Nearest(joined, self._device)
        fed = self._fed(source, inspection.tokens)
        modules = self._model.modules
        with (
            entering(modules(), x.entered),
            entering(modules(), taken.entered),
            _leaving(self._model, z.left),
        ):
            weights = self._weights(fed)
        self._takes = taken.equal()
        return Own(
            tuple(None if one is None else as_numpy(one[0]) for one in weights),
            tuple(x.arrays),
            tuple(map(_mixing, records, z.modules, z.arrays, z.outputs)),
        )

    def rounding(
        self, inspections: Sequence[Inspection], sources: Sequence[Tokens], own: Sequence[Own]
    ) -> float:
        """How far the weights in float32 are from those in float64; the model stays in float64.

        0 for a model that is large; raises whatever one does that cannot compute so.
        """
        if sum(parameter.numel() for parameter in self._model.parameters()) > LARGEST_IN_FLOAT64:
            return 0.0
        largest = 0.0
        self._model.double()
        for one, source, theirs in zip(inspections, sources, own, strict=True):
            again = self._weights(self._fed(source, one.tokens))
            for wide, weights in zip(again, theirs.weights, strict=True):
                if wide is not None and weights is not None:
                    largest = max(largest, float(np.abs(as_numpy(wide[0]) - weights).max()))
        return largest

    def without(
        self, source: Tokens, queries: Tokens, heads: Sequence[HeadId], num_heads: int
    ) -> np.ndarray | None:
        """Final states, (query, d_model), with zeros as the z of some heads; after `run`.

        None if no module takes the z of one of their layers alone.
        """
        handles = []
        try:
            for layer in {head.layer for head in heads}:
                if layer not in self._takes:
                    return None
                taken = self._takes[layer]
                own = [head.place for head in heads if head.layer == layer]
                hook = _Zeros(taken, own, num_heads)
                handles.append(taken.module.register_forward_pre_hook(hook, with_kwargs=True))
            output = self._forward(self._fed(source, queries), output_hidden_states=True)
        finally:
            for handle in handles:
                handle.remove()
        states = getattr(output, "last_hidden_state", None)
        if states is None:  # a model with a head
            kept = output.decoder_hidden_states if self._decodes else output.hidden_states
            states = kept[-1]
        return as_numpy(states[0])

    def _fed(self, source: Tokens, queries: Tokens) -> dict[str, Tensor]:
        fed = {"input_ids": source.ids}
        given = self._given(source.text, source.pair, len(source) if source.dropped else None)
        if given is not None and given.types:
            fed["token_type_ids"] = given.types
        elif given is None and self._takes_types and any(source.type_ids):
            fed["token_type_ids"] = source.type_ids  # all there is; the tokens' line fails
        if self._decodes:
            fed["decoder_input_ids"] = queries.ids
        tensors = {name: torch.tensor([ids], device=self._device) for name, ids in fed.items()}
        extra = global_attention(self._config, 1, len(source))
        return tensors | {name: tensor.to(self._device) for name, tensor in extra.items()}

    def _weights(self, fed: dict[str, Tensor]) -> Sequence[Tensor | None]:
        """The weights that the model itself gives, by layer."""
        output = self._forward(fed, output_attentions=True)
        name = "decoder_attentions" if self._decodes else "attentions"
        weights: Sequence[Tensor] | None = getattr(
            output, "cross_attentions" if self._kind == "cross" else name, None
        )
        if weights is not None and not self._decodes:
            weights = whole_rows(self._config, output, weights)
        return weights or ()

    def _forward(self, fed: dict[str, Tensor], **options: Any) -> Any:
        enough = memory_for(1, fed["input_ids"].shape[1])
        failing = load.model_errors("run by transformers alone, the model fails with")
        with load.quiet(), torch.inference_mode(), enough, failing:
            return self._model(**fed, **options)

    def _given(self, text: str, pair: str | None, most: int | None = None) -> Cut | None:
        """What AutoTokenizer gives the model for a text; None if it fails."""
        with load.quiet():
            try:
                given = self._library()(text, pair, truncation=most is not None, max_length=most)
            except Exception as error:  # each tokenizer has exceptions of its own
                if lacks_memory(error):
                    raise
                return None
        types = given.get("token_type_ids", ()) if self._takes_types else ()
        if self._num_types in (0, 1):  # without a table of types; or it has type 0 alone
            types = [0] * len(types) * self._num_types
        return Cut(tuple(given["input_ids"]), tuple(types))


class Taken(NamedTuple):
    """Where a module takes some vectors: in which of its calls, and as which argument."""

    module: nn.Module
    call: int
    argument: int


class _Nearest:
    """Keeps, for some vectors, the most similar ones that enter a module."""

    def __init__(self, wanted: Sequence[np.ndarray | None], device: torch.device) -> None:
        self._wanted = [None if one is None else torch.from_numpy(one).to(device) for one in wanted]
        self._distances = [float("inf")] * len(wanted)
        self.arrays: list[np.ndarray | None] = [None] * len(wanted)
        self.modules: list[nn.Module | None] = [None] * len(wanted)
        self.outputs: list[np.ndarray | None] = [None] * len(wanted)
        self._calls: Counter[nn.Module] = Counter()
        self._taken: dict[int, Taken] = {}

    def equal(self) -> dict[int, Taken]:
        """Where the vectors entered a module as they are, or up to rounding."""
        return {
            number: taken
            for number, taken in self._taken.items()
            if (wanted := self._wanted[number]) is not None
            and self._distances[number] <= SAME * max(1.0, float(wanted.abs().max()))
        }

    def entered(self, module: nn.Module, args: Any, kwargs: Any, output: Any = None) -> None:
        """See what enters a module, before it runs or after."""
        self._calls[module] += 1
        for argument, tensor in enumerate((*args, *kwargs.values())):
            if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or tensor.ndim < 2:
                continue
            for number, wanted in enumerate(self._wanted):
                if wanted is None or tensor.shape[-1:] != wanted.shape[-1:]:
                    continue
                if tensor.numel() != wanted.numel():
                    continue
                vectors = tensor.reshape(wanted.shape)
                distance = float((vectors.float() - wanted).abs().max())
                if distance < self._distances[number]:
                    self._distances[number] = distance
                    self._taken[number] = Taken(module, self._calls[module], argument)
                    self.arrays[number], self.modules[number] = as_numpy(vectors), module
                    if isinstance(output, Tensor):
                        self.outputs[number] = as_numpy(output.reshape(len(wanted), -1))

    def left(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """See what enters a matrix, and keep what leaves it."""
        if isinstance(module, nn.Linear | Conv1D):
            self.entered(module, args, kwargs, output)


@contextmanager
def _leaving(model: nn.Module, left: Any) -> Iterator[None]:
    """Inside the block, call `left` with each module that has run, its arguments and its output."""
    handles = [m.register_forward_hook(left, with_kwargs=True) for m in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _mixing(
    record: LayerRecord,
    module: nn.Module | None,
    entered: np.ndarray | None,
    output: np.ndarray | None,
) -> Mixing | None:
    """What W_O makes of a record's z and v."""
    if entered is None or output is None or record.z is None or record.v is None:
        return None
    weight = as_numpy(module.weight.detach())  # type: ignore[union-attr, operator]
    matrix = weight if isinstance(module, Conv1D) else weight.T
    parts = matrix.reshape(record.num_heads, -1, matrix.shape[-1])
    mixed = np.einsum("hqd,hdo->qo", record.z, parts, optimize=True)
    bias: Any = getattr(module, "bias", None)
    if bias is not None:
        mixed += as_numpy(bias.detach())
    values = np.repeat(record.v, record.num_heads // len(record.v), axis=0)
    return Mixing(entered, output, mixed, np.linalg.norm(values @ parts, axis=-1))


class _Zeros:
    """A hook that puts zeros in place of the z of some heads, where a module takes it."""

    def __init__(self, taken: Taken, heads: Sequence[int], num_heads: int) -> None:
        self._taken, self._heads, self._num_heads = taken, heads, num_heads
        self._calls = 0

    def __call__(self, _module: nn.Module, args: Any, kwargs: Any) -> Any:
        self._calls += 1
        if self._calls != self._taken.call:
            return None
        given = [*args, *kwargs.values()]
        given[self._taken.argument] = z = given[self._taken.argument].clone()
        z.unflatten(-1, (self._num_heads, -1))[..., self._heads, :] = 0
        return tuple(given[: len(args)]), dict(zip(kwargs, given[len(args) :], strict=True))
