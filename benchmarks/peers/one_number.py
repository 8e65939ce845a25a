"""The founding sentence with transformers alone: one head's weight from one token to another.

Arguments: the model's folder, the sentence, layer, head, query token, key token.
"""

import sys

import torch
from transformers import AutoModel, AutoTokenizer


def main(folder: str, text: str, layer: int, head: int, query: str, key: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager")
    inputs = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        attentions = model(**inputs, output_attentions=True).attentions
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    weight = attentions[layer][0, head, tokens.index(query), tokens.index(key)]
    print(f"{weight.item():.3f}")


if __name__ == "__main__":
    folder, text, layer, head, query, key = sys.argv[1:]
    main(folder, text, int(layer), int(head), query, key)
