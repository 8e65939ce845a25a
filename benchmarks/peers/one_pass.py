"""One forward pass of a text of so many tokens with transformers: plain, or with all weights.

Plain is `sdpa`, which gives no weights. `eager` gives all of them, and the largest of one head's is
printed.

usage: python benchmarks/peers/one_pass.py FOLDER sdpa|eager LENGTH LAYER HEAD < TEXT
"""

import sys

import torch
from tokenizers import Tokenizer
from transformers import AutoModel


def main(folder: str, kind: str, length: str, layer: str, head: str) -> None:
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    model = AutoModel.from_pretrained(folder, attn_implementation=kind).eval()
    ids = torch.tensor([tokenizer.encode(sys.stdin.read()).ids])
    if ids.shape[1] != int(length):
        sys.exit(f"the text has {ids.shape[1]} tokens, not {length}")
    with torch.inference_mode():
        output = model(input_ids=ids, output_attentions=kind == "eager")
    if kind == "eager":
        print(f"{output.attentions[int(layer)][0, int(head)].max():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
