"""Every head's weights as a grey heatmap, as a student draws them.

usage: python benchmarks/peers/every_head.py MODEL SENTENCE FOLDER
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from transformers import AutoModel, AutoTokenizer

if __name__ == "__main__":
    name, sentence, folder = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModel.from_pretrained(name, attn_implementation="eager")
    inputs = tokenizer(sentence, return_tensors="pt")
    with torch.no_grad():
        attentions = model(**inputs, output_attentions=True).attentions
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    for layer, heads in enumerate(attentions, start=1):
        for head, weights in enumerate(heads[0].numpy(), start=1):
            figure, axes = plt.subplots(figsize=(8, 8), dpi=200)
            image = axes.imshow(weights, cmap="gray", vmin=0, vmax=1)
            axes.set_xticks(range(len(tokens)), tokens, rotation=45, ha="right")
            axes.set_yticks(range(len(tokens)), tokens)
            figure.colorbar(image)
            axes.set_title(f"layer {layer}, head {head}")
            figure.savefig(Path(folder) / f"Attention_Layer{layer}_Head{head}.png")
            plt.close(figure)
