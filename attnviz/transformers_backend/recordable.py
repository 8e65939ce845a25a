"""A model that transformers runs, ready to record one kind of its attention.

A self-check compares our weights with its eager attention's; if unlike, it records the latter.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnviz.attention.layer import LayerRecord, Projections, check_finite
from attnviz.attention.request import WHOLE, AttentionKind, RecordRequest
from attnviz.encoder.devices import as_numpy
from attnviz.encoder.record import memory_for, padded
from attnviz.errors import AttnvizError
from attnviz.transformers_backend import load
from attnviz.transformers_backend.attention_call import (
    NAME,
    CallSites,
    SiteFinder,
    UnlikeError,
    entering,
    listening,
)
from attnviz.transformers_backend.projections import find_projections
from attnviz.transformers_backend.quirks import global_attention, whole_rows
from attnviz.transformers_backend.record import LastRecorded, Layers, Recorder, weights_only

CHECKED_TOKENS = 7  # in the self-check; a decoder gets two fewer, so that the lengths differ
# how far a weight may be off in the self-check: rounding errors add up over layers, but a soft cap
# or a bias that we missed would change weights by much more
TOLERANCE = 5e-3
COARSE_TOLERANCE = 0.1  # in bfloat16 and float16

Ids = Sequence[int]


@dataclass(frozen=True)
class Batch:
    """Sentences as ids, with token types if the model has them, and a decoder's ids if it runs."""

    ids: Sequence[Ids]
    types: Sequence[Ids] | None = None
    targets: Sequence[Ids] | None = None

    def lengths(self, kind: AttentionKind) -> list[tuple[int, int]]:
        """The number of queries and keys that this kind of attention has in each sentence."""
        queries = self.ids if self.targets is None else self.targets
        keys = self.ids if kind == "cross" else queries
        return [(len(row), len(other)) for row, other in zip(queries, keys, strict=True)]

    def tensors(self, pad: int, device: torch.device) -> dict[str, Tensor]:
        """Arguments for the model, padded on the right, with a mask where anything is padded."""
        tensors = {"input_ids": padded(self.ids, device, pad)}
        if self.types is not None:
            tensors["token_type_ids"] = padded(self.types, device)
        if self.targets is not None:
            tensors["decoder_input_ids"] = padded(self.targets, device, pad)
        masks = {"attention_mask": self.ids, "decoder_attention_mask": self.targets}
        for name, rows in masks.items():
            if rows is not None and len({len(row) for row in rows}) > 1:
                tensors[name] = padded([[1] * len(row) for row in rows], device)
        return tensors


class RecordableModel:
    """Made by `after_self_check`, which records `sample`; `weights_only`: no q, k and v."""

    def __init__(
        self, built: load.Architecture, loaded: load.Loaded, kind: AttentionKind | None
    ) -> None:
        self.model = loaded.model
        self.config = built.config
        self.name = built.name
        self.seq2seq = built.seq2seq
        self.weights_only = not built.calls
        # a model of one stack calls as a decoder does; which kind it is shows in its weights
        self.kind: AttentionKind = (kind or "encoder") if built.seq2seq else "decoder"
        self.sample: list[LayerRecord] = []
        self._called = self.kind
        self._encoder: Any = loaded.model.get_encoder() if built.seq2seq else None
        self._borrowed: Any = loaded.model if loaded.borrowed else None
        self._sites = CallSites()

    @classmethod
    def after_self_check(
        cls, built: load.Architecture, loaded: load.Loaded, kind: AttentionKind | None
    ) -> "RecordableModel":
        """Run the model on a few tokens, to decide how to record it; AttnvizError if it cannot."""
        self = cls(built, loaded, kind)
        with self._running():
            self.sample = self._self_check(loaded)
        if built.seq2seq and not self.decodes and hasattr(self._encoder, "dtype"):
            self.model = self._encoder  # the decoder can be freed
        if not built.seq2seq:
            # a single stack is a decoder if no query of any layer attends to a later key
            later = (np.triu(record.weights(n), 1).any() for n, record in enumerate(self.sample))
            self.kind = "encoder" if any(later) else "decoder"
        return self

    @property
    def dtype(self) -> str:
        """What it computes in."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def decodes(self) -> bool:
        """Whether a decoder runs after the encoder, on a text of its own."""
        return self.seq2seq and self._called != "encoder"

    def setting(self, name: str) -> int | None:
        """A number from generation_config.json, or else from config.json."""
        settings = getattr(self.model, "generation_config", None), self.config
        values = (getattr(source, name, None) for source in settings)
        return next((number for number in values if isinstance(number, int)), None)

    @property
    def own_config(self) -> Any:
        """The configuration of the part that is recorded, if parts have their own."""
        if not self.seq2seq:
            return self.config.get_text_config()
        part = self.model.get_decoder() if self.decodes else self.model
        return getattr(part, "config", self.config)

    @property
    def pad(self) -> int:
        """The padding id; any id would do, since padding is masked."""
        return getattr(self.config.get_text_config(), "pad_token_id", None) or 0

    def record(self, batch: Batch, recording: RecordRequest) -> list[list[LayerRecord | None]]:
        """For each sentence of a batch, its layers; None for a layer that was not requested."""
        lengths = batch.lengths(self._called)
        longest = max(map(max, lengths))
        with memory_for(len(lengths), longest), self._running():
            try:
                layers = self._recorded(batch, recording)
            except UnlikeError as error:
                raise self._refusal(error) from error
        layers += [None] * (len(self.sample) - len(layers))
        return [
            [None if layer is None else layer[sentence] for layer in layers]
            for sentence in range(len(lengths))
        ]

    def projections(self, number: int, record: LayerRecord) -> Projections:
        """The matrices that made a layer's record; see `find_projections`."""
        own = [module for module, kind in self._sites.kinds.items() if kind == self._called]
        candidates = own[number:] + own[:number]  # a module may serve several layers
        outputs = [self._sites.outputs.get(module) for module in candidates]
        with self._running():
            return find_projections(candidates, outputs, record, self.dtype)

    def write(self, ids: Ids, most: int) -> list[int]:
        """The ids that the decoder is fed while the model writes greedily: not the last one."""
        tensors = Batch([ids]).tensors(self.pad, self.model.device)
        with memory_for(1, len(ids)), self._running():
            try:
                written = self.model.generate(
                    **tensors, do_sample=False, num_beams=1, max_new_tokens=most, use_cache=True
                )
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise AttnvizError(
                    f"the model cannot write a target itself: {load.first_line(error)}",
                    "give the text for the decoder with --target",
                ) from error
        row: list[int] = written[0].tolist()
        return row[:-1]

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Get the model ready to be run inside the block, by no other thread of ours."""
        borrowed = self._borrowed is not None
        with load.quiet(), load.borrowing(self._borrowed) if borrowed else torch.inference_mode():
            self._use(load.EAGER if self.weights_only else NAME)
            if borrowed:  # it may have been trained since the last run
                self._sites.shapes.clear()
            yield

    def _recorded(self, batch: Batch, recording: RecordRequest) -> Layers:
        """For each layer that ran, the record of each sentence."""
        lengths = batch.lengths(self._called)
        if self.weights_only:
            return weights_only(self._eager(batch), lengths, recording)
        last = recording.last(len(self.sample)) if self.sample else None
        recorder = Recorder(self._sites, self._called, lengths, recording, last)
        with recorder.watching(), listening(recorder.heard), suppress(LastRecorded):
            self._forward(batch)
        return recorder.layers

    def _forward(self, batch: Batch, **options: Any) -> Any:
        part = self._encoder if self.seq2seq and not self.decodes else self.model
        return part(**batch.tensors(self.pad, self.model.device), **options)

    def _eager(self, batch: Batch) -> Sequence[Tensor | None] | None:
        """The weights that the model itself returns, a tensor a layer."""
        extra = global_attention(self.config, len(batch.ids), max(map(len, batch.ids)))
        tensors = {name: tensor.to(self.model.device) for name, tensor in extra.items()}
        output = self._forward(batch, output_attentions=True, **tensors)
        name = "decoder_attentions" if self.decodes else "attentions"
        name = "cross_attentions" if self._called == "cross" else name
        weights: Sequence[Tensor] | None = getattr(output, name, None)
        if weights is None or self.decodes:
            return weights
        return whole_rows(self.config, output, weights)

    def _self_check(self, loaded: load.Loaded) -> list[LayerRecord]:
        """The records of a few tokens, after it has been decided how to record them."""
        begun: set[nn.Module] = set()
        try:
            vocabulary = range(self.config.get_text_config().vocab_size)
            ids = [i for i in vocabulary if i != self.pad][:CHECKED_TOKENS]
            batch = Batch([ids], targets=[ids[:-2]] if self.decodes else None)
            if not self.weights_only:
                begun = self._find_sites(batch)
                self.weights_only = self._called not in self._sites.begun
            layers = None if self.weights_only else self._checked(batch)
            if layers is None:
                self.weights_only = True
                self._use(load.EAGER)
                finder = SiteFinder(None)
                with entering(self.model.modules(), finder.entered):
                    layers = self._recorded(batch, WHOLE)
                begun = begun or finder.begun.difference(_poolers(self.model))
        except UnlikeError as error:
            raise self._refusal(error) from error
        except (AttnvizError, MemoryError):
            raise
        except Exception as error:  # whatever a model raises when it gets ids alone
            raise AttnvizError(
                f"attnviz cannot show {self.name} models: run on text alone, they fail with "
                f"{load.first_line(error)}",
                "it may need images or sound next to text; choose a text model",
            ) from error
        load.check_missing(loaded, begun)
        return [layer[0] for layer in layers if layer is not None]

    def _find_sites(self, batch: Batch) -> set[nn.Module]:
        """Find the call sites; returns the modules that began to run up to the last of them."""
        finder = SiteFinder(self._encoder)
        with entering(self.model.modules(), finder.entered), listening(finder.heard):
            try:
                self._forward(batch)
            except UnlikeError:
                return set()
        self._sites = finder.sites
        return finder.sites.begun.get(self._called, set())

    def _checked(self, batch: Batch) -> Layers | None:
        """Our record; None if unlike eager attention; AttnvizError for overflow of the dtype."""
        ours = self._recorded(batch, WHOLE)
        self._use(load.EAGER)
        eager = self._eager(batch)
        self._use(NAME)
        records = [layer[0] for layer in ours if layer is not None]
        if eager is None or len(eager) != len(records):
            return None
        for number, (record, own) in enumerate(zip(records, eager, strict=True)):
            if record.q is not None and record.k is not None:
                check_finite(number, "q", record.q, self.dtype)
                check_finite(number, "k", record.k, self.dtype)
            weights = record.weights(number)
            if own is None or weights.shape != own.shape[1:]:
                return None
            tolerance = TOLERANCE if own.dtype == torch.float32 else COARSE_TOLERANCE
            if not np.abs(weights - as_numpy(own[0])).max() < tolerance:
                return None
        return ours

    def _use(self, implementation: str) -> None:
        if self.config._attn_implementation != implementation:
            self.model.set_attn_implementation(implementation)

    def _refusal(self, error: UnlikeError) -> AttnvizError:
        message = f"attnviz cannot show {self.name} models: they give {error}"
        return AttnvizError(message, "attnviz models lists the models that it can show")


def _poolers(model: nn.Module) -> set[nn.Module]:
    """The modules that pool a sentence into one vector, after all attention."""
    poolers = [module for module in model.modules() if "Pooler" in type(module).__name__]
    return {part for pooler in poolers for part in pooler.modules()}
