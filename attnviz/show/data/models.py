"""What models there are, and what one is made of, as JSON: docs/schema/models-1 and model-1."""

from dataclasses import asdict
from typing import Any

from attnviz.answers.answer import model_facts
from attnviz.models.catalog import Catalog, Described, Known
from attnviz.show.matrix_data import with_numbers

MODELS_SCHEMA = "attnviz.models/1"
MODEL_SCHEMA = "attnviz.model/1"


def catalog_json(catalog: Catalog) -> bytes:
    """The `attnviz.models/1` object, on a line of its own."""
    facts = {
        "schema": MODELS_SCHEMA,
        "default": catalog.default,
        "families": catalog.families["natively"],
        "through_transformers": catalog.families["through transformers"],
        "weights_alone": catalog.families["weights alone"],
        "tried_with": catalog.tried_with,
        "models": [
            *(_known(known, "attnviz") for known in catalog.built_in),
            *(_known(known, "cache") for known in catalog.cached),
        ],
    }
    return with_numbers(facts) + b"\n"


def model_json(described: Described) -> bytes:
    """The `attnviz.model/1` object, on a line of its own."""
    facts = {
        "schema": MODEL_SCHEMA,
        "model": model_facts(described.model),
        "vocab_size": described.vocab_size,
        "max_positions": described.max_positions,
        "num_token_types": described.num_token_types,
        "positions": described.positions,
        "masked_lm": described.masked_lm,
        "encoder_parameters": described.encoder_parameters,
        "parameters": described.parameters,
        "dtypes": described.dtypes,
        "tokenizer": asdict(described.tokenizer),
        "num_kv_heads": described.num_kv_heads,
        "attention": [
            {
                "kind": attention.kind,
                "how": attention.how,
                "num_layers": len(attention.sees),
                "num_heads": attention.num_heads,
                "sees": attention.sees,
            }
            for attention in described.attention
        ],
        "folder": described.folder,
        "repository": described.repository,
        "revision": described.revision,
    }
    return with_numbers(facts) + b"\n"


def _known(known: Known, source: str) -> dict[str, Any]:
    return {
        "name": known.name,
        "source": source,
        "family": known.family,
        "repository": known.repository,
        "revision": known.revision,
        "bytes": known.size,
        "trained": known.trained,
        "read": not known.obstacle,
        "obstacle": known.obstacle or None,
    }
