"""Makes a model of random weights, with the default model's tokenizer, as transformers saves both.

usage: python benchmarks/random_model.py FAMILY FOLDER SIZES
"""

import json
import sys
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from attnviz.models import default_tokenizer

ENTRIES = 30522
"""How many that vocabulary has."""


def make(family: str, folder: str, sizes: dict[str, Any]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(default_tokenizer().parent)
    pad, first, last = tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id
    special = {"pad_token_id": pad, "bos_token_id": first, "eos_token_id": last}
    special |= {"cls_token_id": first, "sep_token_id": last}
    config = AutoConfig.for_model(family, vocab_size=ENTRIES, **special, **sizes)
    torch.manual_seed(0)
    auto: Any = AutoModel
    auto.from_config(config).save_pretrained(folder)
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
