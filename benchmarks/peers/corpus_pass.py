"""A plain forward pass over a corpus with transformers, which gives no attention, as a JSON object.

Arguments: the model's folder, and a file with a sentence a line. Batches of 32 sentences sorted by
length, padding trimmed, `sdpa`. `seconds`: from the first text to the last, without loading.
"""

import json
import sys
import time
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

BATCH = 32


def run(folder: str, texts: list[str]) -> tuple[float, int]:
    """How long it takes, and how many tokens there are."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="sdpa")
    with torch.inference_mode():
        model(**tokenizer(texts[:1], return_tensors="pt"))  # what is loaded late
        start = time.perf_counter()
        order = sorted(texts, key=len)
        tokens = 0
        for first in range(0, len(order), BATCH):
            inputs = tokenizer(order[first : first + BATCH], padding=True, return_tensors="pt")
            model(**inputs)
            tokens += int(inputs["attention_mask"].sum())
        return time.perf_counter() - start, tokens


if __name__ == "__main__":
    texts = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
    seconds, tokens = run(sys.argv[1], texts)
    print(json.dumps({"seconds": seconds, "pieces": tokens}))
