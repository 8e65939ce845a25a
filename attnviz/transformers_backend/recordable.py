"""A model that transformers runs, ready to record one kind of its attention.

A self-check compares our weights with its eager attention's; if unlike, it records the latter.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnviz.attention.layer import LayerRecord, Projections, check_finite
from attnviz.attention.request import WHOLE, AttentionKind, RecordRequest
from attnviz.encoder.devices import as_numpy
from attnviz.encoder.record import memory_for
from attnviz.errors import AttnvizError, enough_memory, lacks_memory
from attnviz.models.config import LESS_MEMORY
from attnviz.transformers_backend import load, quirks
from attnviz.transformers_backend.attention_call import (
    ADDING,
    NAME,
    CallSites,
    SiteFinder,
    UnlikeError,
    entering,
    listening,
)
from attnviz.transformers_backend.layer_run import LayerRun
from attnviz.transformers_backend.projections import find_projections
from attnviz.transformers_backend.record import (
    Batch,
    Ids,
    LastRecorded,
    Layers,
    Recorder,
    weights_only,
)
from attnviz.transformers_backend.sublayers import find_sublayers
from attnviz.transformers_backend.trial import Trial, recall, remember, tried

# in the self-check's two sentences; a decoder gets two fewer, so that the lengths differ
CHECKED_TOKENS = 7, 4
# how far a weight may be off in the self-check: rounding errors add up over layers, but a soft cap
# or a bias that we missed would change weights by much more
TOLERANCE = 5e-3
COARSE_TOLERANCE = 0.1  # in bfloat16 and float16
# how far a weight may be off in a batch, and in bfloat16 and float16, where more is rounded
BATCH_TOLERANCE, COARSE_BATCH_TOLERANCE = 1e-5, 0.02


class RecordableModel:
    """Made by `after_self_check`, which sets `trial`; `weights_only`: no q, k and v."""

    trial: Trial

    def __init__(
        self, built: load.Architecture, loaded: load.Loaded, kind: AttentionKind | None
    ) -> None:
        self.model = loaded.model
        self.config = built.config
        self.name = built.name
        self.seq2seq = built.seq2seq
        self.own_code = built.own_code
        self.weights_only = not built.calls
        # a model of one stack calls as a decoder does; which kind it is shows in its weights
        self.kind: AttentionKind = (kind or "encoder") if built.seq2seq else "decoder"
        self.together, self.num_layers = True, 0  # before it was tried
        self.form = NAME
        self.called = self.kind
        self._encoder: Any = loaded.model.get_encoder() if built.seq2seq else None
        self.borrowed: Any = loaded.model if loaded.borrowed else None
        self.sites = CallSites()

    @classmethod
    def after_self_check(
        cls,
        built: load.Architecture,
        loaded: load.Loaded,
        kind: AttentionKind | None,
        key: str | None = None,
    ) -> "RecordableModel":
        """Run the model on a few tokens, to decide how to record it; AttnvizError if it cannot.

        What was decided is remembered by the key; see `trial.key_of`.
        """
        self = cls(built, loaded, kind)
        with self.running(), enough_memory("the model does", LESS_MEMORY):
            trial = recall(key, loaded.model)
            if trial is None:
                trial = self._tried(loaded)
                remember(key, trial)
            self.trial, self.sites = trial, trial.sites_in(loaded.model)
        self.kind, self.form, self.num_layers = trial.kind, trial.form, trial.num_layers
        self.weights_only, self.together = trial.weights_only, trial.together
        if built.seq2seq and not self.decodes and hasattr(self._encoder, "dtype"):
            self.model = self._encoder  # the decoder can be freed
        return self

    @property
    def dtype(self) -> str:
        """What it computes in."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def decodes(self) -> bool:
        """Whether a decoder runs after the encoder, on a text of its own."""
        return self.seq2seq and self.called != "encoder"

    @property
    def part(self) -> Any:
        """What is run: the encoder alone, unless its model's decoder is shown."""
        return self._encoder if self.seq2seq and not self.decodes else self.model

    @property
    def notes(self) -> tuple[str, ...]:
        """What is unlike other models, for the user."""
        notes = []
        if not self.together:
            notes += [
                "in a padded batch its weights are not those of a sentence alone, so sentences run "
                "one by one"
            ]
        most = quirks.sparse_from(self.config)
        if most is not None:
            notes += [
                f"its attention is full in texts of up to {most} tokens, as transformers runs "
                "them; longer texts, where it is block-sparse, are not shown"
            ]
        return tuple(notes)

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
        config = self.config.get_text_config()
        number, size = (getattr(config, name, None) for name in ("pad_token_id", "vocab_size"))
        return number if isinstance(number, int) and number in range(size or 0) else 0

    def record(self, batch: Batch, recording: RecordRequest) -> list[list[LayerRecord | None]]:
        """For each sentence of a batch, its layers; None for a layer that was not requested."""
        lengths = batch.lengths(self.called)
        longest = max(map(max, lengths))
        with memory_for(len(lengths), longest), self.running(), self._refusing():
            layers = self._recorded(batch, recording)
        layers += [None] * (self.num_layers - len(layers))
        return [
            [None if layer is None else layer[sentence] for layer in layers]
            for sentence in range(len(lengths))
        ]

    def shares(self, longest: int) -> bool:
        """Whether sentences may run in one batch, the longest of them of so many tokens."""
        return self.together and longest <= quirks.longest_shared(self.config)

    def projections(self, number: int, record: LayerRecord) -> Projections:
        """The matrices that made a layer's record; see `find_projections`."""
        own = [module for module, kind in self.sites.kinds.items() if kind == self.called]
        candidates = own[number:] + own[:number]  # a module may serve several layers
        outputs = [self.sites.outputs.get(module) for module in candidates]
        with self.running():
            return find_projections(candidates, outputs, record, self.dtype)

    def sublayers(
        self, numbers: Sequence[int], batch: Batch, pieces: Sequence[int], find: Any = None
    ) -> list[Any]:
        """Layers' parts (or what `find` finds), for pieces of one sentence, or why none fit."""
        [(length, _)] = batch.lengths(self.called)
        run = LayerRun(numbers, self.called, self.sites, length, pieces)
        watching = run.watching(self.model, find or find_sublayers, self.dtype)
        with memory_for(1, length), self.running(), watching, listening(run.heard):
            self._forward(batch)
        return [run.found[number] for number in numbers]

    def write(self, ids: Ids, most: int) -> list[int]:
        """The ids that the decoder is fed while the model writes greedily: not the last one."""
        tensors = Batch([ids]).tensors(self.pad, self.model.device)
        with memory_for(1, len(ids)), self.running():
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

    def states(self, batch: Batch) -> np.ndarray:
        """The final states of the one sentence of a batch, (piece, d_model).

        AttnvizError if a decoder runs beside the encoder, or the model gives no states.
        """
        if self.decodes:
            raise AttnvizError(
                "the states of a text are an encoder's, and a decoder's attention was asked for",
                "leave out --attention and --target",
            )
        part = self._encoder if self.seq2seq else getattr(self.model, "base_model", self.model)
        tensors = batch.tensors(self.pad, self.model.device)
        with memory_for(1, len(batch.ids[0])), self.running():
            states = getattr(part(**tensors), "last_hidden_state", None)
        if states is None or states.shape[:2] != (1, len(batch.ids[0])):
            raise AttnvizError(f"{self.name} models give no state of each token", "choose another")
        final: np.ndarray = as_numpy(states[0])
        check_finite(self.num_layers, "final states", final, self.dtype)
        return final

    @contextmanager
    def running(self) -> Iterator[None]:
        """Get the model ready to be run inside the block, by no other thread of ours."""
        borrowed = self.borrowed is not None
        with load.quiet(), load.borrowing(self.borrowed) if borrowed else torch.inference_mode():
            quirks.use_full_attention(self.model)
            self._use(load.EAGER if self.weights_only else self.form)
            if borrowed:  # it may have been trained since the last run
                self.sites.shapes.clear()
            yield

    def _recorded(self, batch: Batch, recording: RecordRequest) -> Layers:
        """For each layer that ran, the record of each sentence."""
        lengths = batch.lengths(self.called)
        if self.weights_only:
            return weights_only(self._eager(batch), lengths, recording)
        last = recording.last(self.num_layers) if self.num_layers else None
        recorder = Recorder(self.sites, self.called, lengths, recording, last)
        with recorder.watching(), listening(recorder.heard), suppress(LastRecorded):
            self._forward(batch)
        return recorder.layers

    def _forward(self, batch: Batch, **options: Any) -> Any:
        return self.part(**batch.tensors(self.pad, self.model.device), **options)

    def _eager(self, batch: Batch) -> Sequence[Tensor | None] | None:
        """The weights that the model itself returns, a tensor a layer."""
        extra = quirks.global_attention(self.config, len(batch.ids), max(map(len, batch.ids)))
        tensors = {name: tensor.to(self.model.device) for name, tensor in extra.items()}
        output = self._forward(batch, output_attentions=True, **tensors)
        name = "decoder_attentions" if self.decodes else "attentions"
        name = "cross_attentions" if self.called == "cross" else name
        weights: Sequence[Tensor] | None = getattr(output, name, None)
        if weights is None or self.decodes:
            return weights
        return quirks.whole_rows(self.config, output, weights)

    def _tried(self, loaded: load.Loaded) -> Trial:
        """How the model is to be recorded, tried on a few tokens."""
        layers = self._self_check(loaded)
        kind = self.kind
        if not self.seq2seq:
            # a single stack is a decoder if no query of any layer attends to a later key
            later = (np.triu(record.weights(n), 1).any() for n, record in enumerate(layers))
            kind = "encoder" if any(later) else "decoder"
        return tried(
            self.model, self.sites, layers, self.name,
            kind=kind, form=self.form, weights_only=self.weights_only, together=self.together,
        )  # fmt: skip

    def _self_check(self, loaded: load.Loaded) -> list[LayerRecord]:
        """The records of a few tokens, after it has been decided how to record them."""
        begun: set[nn.Module] = set()
        text_alone = load.model_errors(
            f"attnviz cannot show {self.name} models: run on text alone, they fail with",
            "it may need images or sound next to text; choose a text model",
        )
        with text_alone, self._refusing():
            vocabulary = range(self.config.get_text_config().vocab_size)
            ids = [i for i in vocabulary if i != self.pad][: CHECKED_TOKENS[0]]
            rows = [ids, ids[-CHECKED_TOKENS[1] :]]
            trial = Batch(rows, targets=[row[:-2] for row in rows] if self.decodes else None)
            layers = None
            if not self.weights_only:
                begun, layers = self._with_queries(trial)
            if layers is None:
                self.weights_only = True
                self._use(load.EAGER)
                finder = SiteFinder(None)
                with entering(self.model.modules(), finder.entered):
                    layers = self._recorded(trial.singly()[0], WHOLE)
                begun = begun or finder.begun.difference(_poolers(self.model))
                self.together = self._same_in_a_batch(trial, layers)
        load.check_missing(loaded, begun)
        return [layer[0] for layer in layers if layer is not None]

    def _with_queries(self, trial: Batch) -> tuple[set[nn.Module], Layers | None]:
        """The modules that began up to the last call; records of the trial's first sentence.

        None if they are unlike eager attention. Decides on the form of masks, and on batches.
        """
        first = trial.singly()[0]
        finder = SiteFinder(self._encoder)
        with entering(self.model.modules(), finder.entered), listening(finder.heard):
            try:
                self._forward(first)
            except UnlikeError:
                return set(), None
        self.sites = finder.sites
        begun = finder.sites.begun.get(self.called)
        if begun is None:
            return set(), None
        recorder = Recorder(self.sites, self.called, first.lengths(self.called), WHOLE)
        layers = recorder.replay(finder.calls)
        self._use(load.EAGER)
        eager = self._eager(first)
        found: Layers | None = None
        # a model whose own code reads masks needs them as its eager attention has them
        for form in (NAME, ADDING):
            self._use(form)
            layers = layers or self._recorded(first, WHOLE)
            if self._is_eager(layers, eager):
                self.together = self._same_in_a_batch(trial, layers)
                if found is None or self.together:
                    self.form, found = form, layers
                if self.together:
                    break
            layers = []
        self._use(self.form)
        return begun, found

    def _is_eager(self, layers: Layers, eager: Sequence[Tensor | None] | None) -> bool:
        """Whether our weights are those of eager attention; AttnvizError if the dtype overflows."""
        records = [layer[0] for layer in layers if layer is not None]
        if eager is None or len(eager) != len(records):
            return False
        for number, (record, own) in enumerate(zip(records, eager, strict=True)):
            if record.q is not None and record.k is not None:
                check_finite(number, "q", record.q, self.dtype)
                check_finite(number, "k", record.k, self.dtype)
            weights = record.weights(number)
            if own is None or weights.shape != own.shape[1:]:
                return False
            tolerance = TOLERANCE if own.dtype == torch.float32 else COARSE_TOLERANCE
            if not np.abs(weights - as_numpy(own[0])).max() < tolerance:
                return False
        return True

    def _same_in_a_batch(self, trial: Batch, first: Layers) -> bool:
        """Whether two sentences of unlike length have the numbers in a batch that they have alone.

        first: the records of the first one alone.
        """
        try:
            second = self._recorded(trial.singly()[1], WHOLE)
            together = self._recorded(trial, WHOLE)
        except Exception as error:  # whatever a model raises when sentences are padded
            if lacks_memory(error):
                raise
            return False
        coarse = self.dtype != "float32"
        tolerance = COARSE_BATCH_TOLERANCE if coarse else BATCH_TOLERANCE
        return all(
            np.abs(record.weights(number) - alone[0].weights(number)).max() <= tolerance
            and _far(record.z, alone[0].z) <= 100 * tolerance
            for number, (both, *each) in enumerate(zip(together, first, second, strict=True))
            for record, alone in zip(both or (), each, strict=True)
            if alone is not None
        )

    def _use(self, implementation: str) -> None:
        if self.config._attn_implementation != implementation:
            self.model.set_attn_implementation(implementation)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Raise AttnvizError for attention of another kind."""
        try:
            yield
        except UnlikeError as error:
            message = f"attnviz cannot show {self.name} models: they give {error}"
            hint = "attnviz models lists the models that it can show"
            raise AttnvizError(message, hint) from error


def _far(one: np.ndarray | None, other: np.ndarray | None) -> float:
    """How far two arrays are apart, relative to the largest number; 0 if there are none."""
    if one is None or other is None:
        return 0.0
    return float(np.abs(one - other).max() / max(float(np.abs(other).max()), 1e-30))


def _poolers(model: nn.Module) -> set[nn.Module]:
    """The modules that pool a sentence into one vector, after all attention."""
    poolers = [module for module in model.modules() if "Pooler" in type(module).__name__]
    return {part for pooler in poolers for part in pooler.modules()}
