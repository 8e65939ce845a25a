"""A checkpoint's model with its head, as transformers runs it: labels, entries, answers, text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from attnviz.encoder.checkpoint import BELONG_TOGETHER
from attnviz.encoder.devices import Placement, as_numpy
from attnviz.encoder.record import memory_for
from attnviz.errors import AttnvizError, listed
from attnviz.inspection.predicted import HeadFacts, HeadKind
from attnviz.models.config import SAVE_AGAIN
from attnviz.models.files import ModelFiles
from attnviz.text.tokens import Tokens
from attnviz.transformers_backend import load, quirks
from attnviz.transformers_backend.record import MAX_WRITTEN

AUTO_CLASSES: dict[HeadKind, str] = {
    "masked-lm": "AutoModelForMaskedLM",
    "causal-lm": "AutoModelForCausalLM",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
}
"""The entry of `auto_map` in config.json that names a class with the head, for code of its own."""


class TransformersHead:
    """Implements `Head` with a model of transformers."""

    def __init__(self, facts: HeadFacts, loaded: load.Loaded, feeds_types: bool) -> None:
        self.facts = facts
        self.model = loaded.model
        self._borrowed = loaded.borrowed
        self._feeds_types = feeds_types

    def scores(self, tokens: Tokens, places: Sequence[int]) -> np.ndarray:
        """See `Head`."""
        with self._running(tokens):
            output = self.model(**self._fed(tokens))
        rows: np.ndarray = self.rows(output, places)[0]
        return rows

    def rows(self, output: Any, places: Sequence[int]) -> np.ndarray:
        """A batch's scores at these pieces, (text, place, choice); of a whole text in one row.

        output: what the model gave. AttnvizError if they are not all finite.
        """
        if self.facts.kind == "question-answering":
            logits = torch.stack([output.start_logits, output.end_logits], dim=-1)
        else:
            names = ("logits", "prediction_logits")
            logits = next(getattr(output, name) for name in names if hasattr(output, name))
        if self.facts.kind == "token-classification" and logits.ndim == 2:  # one number a piece
            logits = logits[..., None]
        rows = as_numpy(logits[:, list(places)] if logits.ndim == 3 else logits[:, None])
        self._check(rows)
        return rows

    def _fed(self, tokens: Tokens) -> dict[str, torch.Tensor]:
        """What AutoTokenizer would give the model."""
        fed = {"input_ids": tokens.ids, "attention_mask": [1] * len(tokens)}
        if self._feeds_types:
            fed["token_type_ids"] = tokens.type_ids
        device = self.model.device
        return {name: torch.tensor([numbers], device=device) for name, numbers in fed.items()}

    @contextmanager
    def _running(self, tokens: Tokens) -> Iterator[None]:
        """Run the model inside the block; AttnvizError for whatever it raises."""
        model = self.model
        own = load.borrowing(model) if self._borrowed else torch.inference_mode()
        failing = load.model_errors(f"the {type(model).__name__} fails with")
        with load.quiet(), own, memory_for(1, len(tokens)), failing:
            yield

    def _check(self, rows: np.ndarray) -> None:
        if not np.isfinite(rows).all():
            raise AttnvizError(
                f"the scores of the {type(self.model).__name__} are not all finite",
                "the model's weights are damaged or overflow; --dtype float32 has more room",
            )


class TransformersWriter(TransformersHead):
    """Implements `Writer` with a model of transformers that has a decoder."""

    def write(self, tokens: Tokens) -> tuple[list[int], np.ndarray, bool]:
        """See `Writer`. MAX_WRITTEN ids at most."""
        positions = getattr(self.model.config, "max_position_embeddings", None)
        most = min(MAX_WRITTEN, positions - 1) if positions else MAX_WRITTEN
        with self._running(tokens):
            written = self.model.generate(
                **self._fed(tokens),
                do_sample=False,
                num_beams=1,
                max_new_tokens=most,
                use_cache=True,
                output_scores=True,
                return_dict_in_generate=True,
            )
        scores = np.stack([as_numpy(step[0]) for step in written.scores])
        ids = written.sequences[0].tolist()[-len(scores) :]
        return ids, scores, len(ids) < most


def read_head(
    built: load.Architecture, files: ModelFiles, place: Placement, facts: HeadFacts
) -> load.Loaded:
    """Load a checkpoint with its head; AttnvizError if it is not whole."""
    head_class = _class_of(built, files.folder, facts)
    # with its own attention: nothing is recorded of it
    loaded = load.read(replace(built, model_class=head_class, calls=False), files, place)
    if loaded.missing:
        raise AttnvizError(
            f"config.json names a {facts.architecture}, and its weights lack "
            f"{listed(loaded.missing)}",
            BELONG_TOGETHER,
        )
    quirks.use_full_attention(loaded.model)
    return loaded


def _class_of(built: load.Architecture, folder: Path, facts: HeadFacts) -> Any:
    """The class with the head: transformers' of that name, or the folder's own, if trusted."""
    if built.own_code:
        auto_map = getattr(built.config, "auto_map", {})
        name = AUTO_CLASSES.get(facts.kind, "")
        if name in auto_map:
            with load.model_errors(f"the {built.name} model's own code fails with"):
                return load.own_class(folder, auto_map[name])
    found: Any = getattr(transformers, facts.architecture or "", None)
    fits = isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)
    if not fits or not isinstance(built.config, found.config_class or ()):
        raise AttnvizError(
            f"config.json names a {facts.architecture}, which transformers "
            f"{transformers.__version__} does not have for {built.name} models",
            SAVE_AGAIN,
        )
    return found
