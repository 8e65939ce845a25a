"""One text through a folder's model with transformers alone: the largest weight of its first head.

usage: python benchmarks/peers/auto_model.py FOLDER SENTENCE
"""

import sys

import torch
from transformers import AutoModel, AutoTokenizer


def main(folder: str, text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager")
    inputs = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        attentions = model(**inputs, output_attentions=True).attentions
    print(f"{attentions[0][0, 0].max():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
