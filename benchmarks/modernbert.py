"""Makes a ModernBERT of random weights, with the default model's tokenizer.

usage: python benchmarks/modernbert.py FOLDER SIZES
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import ModernBertConfig, ModernBertModel

from attnviz.models import default_tokenizer

PAD, FIRST, LAST = 0, 101, 102
"""`[PAD]`, `[CLS]` and `[SEP]` in that vocabulary of so many entries."""
ENTRIES = 30522


def make(folder: Path, sizes: dict[str, Any]) -> None:
    special: dict[str, Any] = {"pad_token_id": PAD, "bos_token_id": FIRST, "eos_token_id": LAST}
    special |= {"cls_token_id": FIRST, "sep_token_id": LAST}
    torch.manual_seed(0)
    config = ModernBertConfig(vocab_size=ENTRIES, **special, **sizes)
    ModernBertModel(config).save_pretrained(folder)
    shutil.copy(default_tokenizer(), folder / "tokenizer.json")


if __name__ == "__main__":
    make(Path(sys.argv[1]), json.loads(sys.argv[2]))
