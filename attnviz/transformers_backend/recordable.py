"""A model that transformers runs, and one kind of its attention, ready to be recorded.

Before anything is shown of a model, it is tried out: on a few tokens, the weights that our record
comes to must be those that its own eager attention gives. Where they are not, its own are taken as
they are; where there are none either, the model is refused.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from attnviz.attention.layer import LayerRecord, Projections
from attnviz.attention.request import WHOLE, RecordRequest
from attnviz.encoder.record import memory_for
from attnviz.errors import AttnvizError
from attnviz.inspection.facts import AttentionKind
from attnviz.transformers_backend.attention_call import UnlikeError
from attnviz.transformers_backend.batch import Feed, Ids
from attnviz.transformers_backend.call_sites import Finder, Sites
from attnviz.transformers_backend.interface import NAME, listening
from attnviz.transformers_backend.load import (
    EAGER,
    Architecture,
    Loaded,
    check_missing,
    first_line,
    quiet,
)
from attnviz.transformers_backend.projections import find_projections
from attnviz.transformers_backend.recorder import LastRecorded, Recorder
from attnviz.transformers_backend.self_check import agree, kind_of, pooling
from attnviz.transformers_backend.weights_only import (
    first_of,
    looks_from_everywhere,
    output_name,
    records_of,
    spread,
)

Records = list[list[LayerRecord | None]]
"""Each sentence's layers."""

TRIED = 7
"""Tokens on which a model is tried out; a decoder gets fewer of them, so that lengths differ."""


class RecordableModel:
    """A model whose attention of one kind can be recorded, batch by batch.

    `gives_all`: whether queries, keys and values are recorded, or weights alone. `trial`: the
    records of the sentence that it was tried out on. `kind` is None in the beginning of a model of
    one part: what sees no key behind a query is a decoder's.
    """

    def __init__(self, built: Architecture, loaded: Loaded, kind: AttentionKind | None) -> None:
        self.model: Any = loaded.model
        self.config = built.config
        self.gives_all = built.calls
        self.name = built.name
        self.seq2seq = built.seq2seq
        self._sites = Sites()
        self._called: AttentionKind = (kind or "encoder") if built.seq2seq else "decoder"
        self._encoder: Any = self.model.get_encoder() if built.seq2seq else None
        self.num_layers: int | None = None
        with quiet(), torch.inference_mode():
            self.trial: list[LayerRecord] = self._try_out(loaded)
        if built.seq2seq and not self.decodes and hasattr(self._encoder, "dtype"):
            self.model = self._encoder  # the decoder can go
        self.num_layers = len(self.trial)
        self.kind: AttentionKind = self._called if built.seq2seq else kind_of(self.trial)
        self.left_over = loaded.left_over

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.model.device
        return device

    @property
    def dtype(self) -> str:
        """What it computes in."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def decodes(self) -> bool:
        """Whether a decoder runs beside the encoder, and is fed a text of its own."""
        return self.seq2seq and self._called != "encoder"

    @property
    def start(self) -> int | None:
        """The id that a decoder is fed first; None where nothing says which."""
        return self._setting("decoder_start_token_id")

    @property
    def forced_first(self) -> int | None:
        """The id that the model's own settings make a decoder write first, as a language."""
        return self._setting("forced_bos_token_id")

    def _setting(self, name: str) -> int | None:
        """A number that a decoder writes by, from its generation_config.json, or its config."""
        settings = getattr(self.model, "generation_config", None), self.config
        found = (getattr(own, name, None) for own in settings)
        return next((number for number in found if isinstance(number, int)), None)

    @property
    def own_config(self) -> Any:
        """The configuration of the part that is looked at, where parts have their own."""
        if not self.seq2seq:
            return self.config.get_text_config()
        part = self.model.get_decoder() if self.decodes else self.model
        return getattr(part, "config", self.config)

    @property
    def pad(self) -> int:
        """The id that padding has; what it is makes no difference, since it is masked."""
        return getattr(self.config.get_text_config(), "pad_token_id", None) or 0

    def record(self, feed: Feed, recording: RecordRequest) -> Records:
        """Run a batch, and give back for each sentence its layers, None for those not wanted.

        AttnvizError if memory does not do.
        """
        lengths = feed.lengths(self._called)
        longest = max(map(max, lengths))
        with quiet(), memory_for(len(lengths), longest), torch.inference_mode():
            try:
                layers = self._recorded(feed, recording)
            except UnlikeError as error:
                raise self._refusal(error) from error
        layers += [None] * (len(self.trial) - len(layers))
        return [
            [None if layer is None else layer[sentence] for layer in layers]
            for sentence in range(len(lengths))
        ]

    def projections(self, number: int, record: LayerRecord) -> Projections:
        """The matrices that made a layer's record; see `find_projections`."""
        own = [module for module, kind in self._sites.kinds.items() if kind == self._called]
        # a module may serve several layers
        likely = own[number:] + own[:number]
        mixing = [self._sites.outputs.get(module) for module in likely]
        return find_projections(likely, mixing, record, self.dtype)

    def write(self, ids: Ids, most: int) -> list[int]:
        """What the model writes about a text, the likeliest token at each step, as its decoder was
        fed it: from the start token on, without the last.
        """
        fed = Feed([ids]).tensors(self.pad, self.device)
        with quiet(), memory_for(1, len(ids)), torch.inference_mode():
            try:
                written = self.model.generate(
                    **fed, do_sample=False, num_beams=1, max_new_tokens=most, use_cache=True
                )
            except (LookupError, TypeError, ValueError) as error:
                raise AttnvizError(
                    f"the model cannot write a target itself: {first_line(error)}",
                    "give what the decoder is to be fed with --target",
                ) from error
        row: list[int] = written[0].tolist()
        return row[:-1]

    def _recorded(self, feed: Feed, recording: RecordRequest) -> list[list[LayerRecord] | None]:
        """For each layer that ran, each sentence's record."""
        lengths = feed.lengths(self._called)
        if not self.gives_all:
            return records_of(self._eager(feed), lengths, recording)
        last = None if self.num_layers is None else recording.last(self.num_layers)
        recorder = Recorder(self._sites, self._called, lengths, recording, last)
        with recorder.watching(), listening(recorder), suppress(LastRecorded):
            self._forward(feed)
        return recorder.records

    @property
    def _part(self) -> Any:
        """What is run: the model, or its encoder where no decoder is needed."""
        return self._encoder if self.seq2seq and not self.decodes else self.model

    def _forward(self, feed: Feed, **options: Any) -> Any:
        return self._part(**feed.tensors(self.pad, self.device), **options)

    def _eager(self, feed: Feed) -> Sequence[Tensor | None] | None:
        """The model's own weights, a tensor a layer."""
        options: dict[str, Any] = {"output_attentions": True}
        if looks_from_everywhere(self.config):
            shape = len(feed.ids), max(map(len, feed.ids))
            options["global_attention_mask"] = first_of(shape).to(self.device)
        output = self._forward(feed, **options)
        found = getattr(output, output_name(self._called, self.decodes), None)
        if found is None or not hasattr(self.config, "attention_window") or self.decodes:
            return found
        everywhere = getattr(output, "global_attentions", None) or [None] * len(found)
        return list(map(spread, found, everywhere))

    def _try_out(self, loaded: Loaded) -> list[LayerRecord]:
        run: set[Any] = set()
        try:
            feed = self._trial_feed()
            if self.gives_all:
                run = self._find_sites(feed)
                self.gives_all = self._called in self._sites.run
            trial = self._compared(feed) if self.gives_all else None
            if trial is None:
                self.gives_all = False
                self._use(EAGER)
                finder = Finder(None)
                with finder.watching(self.model):
                    trial = self._recorded(feed, WHOLE)
                run = run or finder.begun.difference(pooling(self.model))
        except UnlikeError as error:
            raise self._refusal(error) from error
        except (AttnvizError, MemoryError):
            raise
        except Exception as error:  # whatever a model makes of ids alone
            raise AttnvizError(
                f"{self.name} models cannot be looked into: run on text alone, they stop with "
                f"{first_line(error)}",
                "it may need pictures or sound beside text; choose a model of text",
            ) from error
        check_missing(loaded, run)
        return [layer[0] for layer in trial if layer is not None]

    def _find_sites(self, feed: Feed) -> set[Any]:
        finder = Finder(self._encoder)
        with finder.watching(self.model), listening(finder):
            try:
                self._forward(feed)
            except UnlikeError:
                return set()
        self._sites = finder.sites
        return finder.sites.run.get(self._called, set())

    def _compared(self, feed: Feed) -> list[list[LayerRecord] | None] | None:
        """What is recorded of the trial; None if its weights are not the model's own."""
        ours = self._recorded(feed, WHOLE)
        self._use(EAGER)
        theirs = self._eager(feed)
        self._use(NAME)
        own = [layer[0] for layer in ours if layer is not None]
        return ours if agree(own, theirs, self.dtype) else None

    def _use(self, implementation: str) -> None:
        if self.config._attn_implementation != implementation:
            self.model.set_attn_implementation(implementation)

    def _trial_feed(self) -> Feed:
        ids = [i for i in range(self.config.get_text_config().vocab_size) if i != self.pad][:TRIED]
        return Feed([ids], targets=[ids[: TRIED - 2]] if self.decodes else None)

    def _refusal(self, error: UnlikeError) -> AttnvizError:
        return AttnvizError(
            f"{self.name} models cannot be looked into: they give {error}",
            "attnviz models says which models can",
        )
