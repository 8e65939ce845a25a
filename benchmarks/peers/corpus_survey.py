"""What `attnviz survey` says of a corpus, with transformers and numpy alone, as a JSON object.

Arguments: the model's folder, a file with a sentence a line, and `heads` or `sentences`. Written as
one would: eager attention with `output_attentions=True`, batches of 32 sorted by length, pieces
merged to words, and a few lines of numpy a statistic: for each head in turn, or for all heads of a
sentence at once. Means and tests at the end, intervals from resampled sentences, distances between
heads from some words' rows. `seconds`: from the first text to the last, without loading; `means`
are for comparison.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t
from transformers import AutoModel, AutoTokenizer
from word_weights import cut_words, merge

BATCH = 32
RESAMPLES = 500
OFFSETS = range(-3, 4)
LEAST_ROWS, ONE_IN = 256, 64  # rows of words whose heads are compared
EXAMPLES = 5


class Survey:
    """Sums, counts and scores of every sentence; each array is (head,)."""

    def __init__(self) -> None:
        self.sums: list[dict[str, np.ndarray]] = []
        self.counts: list[dict[str, float]] = []
        self.scores: dict[str, list[np.ndarray]] = {}
        self.apart: list[np.ndarray] = []
        self.words = 0
        self.strongest: list[list[tuple[float, str, int, int]]] = []

    def add(
        self,
        words: list[str],
        special: np.ndarray,
        weights: np.ndarray,
        norms: np.ndarray,
        each: bool,
    ) -> None:
        """A sentence's weights (head, query, key) between words, and lengths of v W_O.

        `each`: one head after another.
        """
        looking = np.flatnonzero(~special)
        masks = masks_of(words, special, looking)
        rows = weights[:, looking]
        heads = [slice(n, n + 1) for n in range(len(rows))] if each else [slice(None)]
        found = [sums_of(rows[some], norms[some], masks, special, looking) for some in heads]
        sums = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
        self.sums.append(sums)
        counts = {name: float(mask.any(axis=1).sum()) for name, mask in masks.items()}
        self.counts.append({name: counts.get(name, float(len(looking))) for name in sums})
        for name, mask in masks.items():
            chance = mask.sum() / len(words)
            if chance:
                self.scores.setdefault(name, []).append(sums[name] / chance)
        self._compare(rows, looking)
        self._keep(words, rows, looking, special)

    def _compare(self, rows: np.ndarray, looking: np.ndarray) -> None:
        """Jensen-Shannon distances of all pairs of heads in some words' rows."""
        for place in range(len(looking)):
            self.words += 1
            if self.words > LEAST_ROWS and self.words % ONE_IN:
                continue
            own = rows[:, place]
            a, b = own[:, None], own[None]
            middle = np.log2(np.maximum((a + b) / 2, 1e-30))
            entropy = (own * np.log2(np.maximum(own, 1e-30))).sum(axis=1)
            cross = ((a + b) / 2 * middle).sum(axis=2)
            self.apart.append((entropy[:, None] + entropy[None]) / 2 - cross)

    def _keep(
        self, words: list[str], rows: np.ndarray, looking: np.ndarray, special: np.ndarray
    ) -> None:
        """The sentences with each head's strongest links."""
        links = rows * ~special
        links[:, np.arange(len(looking)), looking] = 0
        best = links.reshape(len(rows), -1).argmax(axis=1)
        if not self.strongest:
            self.strongest = [[] for _ in rows]
        for head, link in enumerate(best.tolist()):
            query, key = divmod(link, len(words))
            kept = self.strongest[head]
            kept.append((float(links[head, query, key]), " ".join(words), query, key))
            kept.sort(key=lambda one: -one[0])
            del kept[EXAMPLES:]

    def result(self) -> dict[str, Any]:
        """Means with intervals, and which tests heads pass."""
        draws = np.random.default_rng(0).poisson(1.0, (RESAMPLES, len(self.sums)))
        means: dict[str, Any] = {}
        for name in self.sums[0]:
            sums = np.stack([one[name] for one in self.sums])
            counts = np.array([one[name] for one in self.counts])
            resampled = (draws @ sums) / np.maximum(draws @ counts, 1e-9)[:, None]
            low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
            means[name] = np.stack([sums.sum(axis=0) / max(counts.sum(), 1e-9), low, high])
        passed = {}
        for name, scores in self.scores.items():
            of = np.stack(scores)
            error = of.std(axis=0, ddof=1) / len(of) ** 0.5
            passed[name] = t.sf((of.mean(axis=0) - 2) / np.maximum(error, 1e-9), len(of) - 1) < 1e-4
        return {"means": means, "passed": passed, "apart": np.mean(self.apart, axis=0)}


def masks_of(words: list[str], special: np.ndarray, looking: np.ndarray) -> dict[str, np.ndarray]:
    """Which keys are meant: (query, key) each."""
    n = len(words)
    where = np.arange(n)
    offset = where - looking[:, None]
    lower = [word.lower() for word in words]
    same = np.array([[a == b for b in lower] for a in lower])[looking]
    punctuation = np.array([not any(c.isalnum() for c in word) for word in words]) & ~special
    return {
        "itself": offset == 0,
        "previous": (offset == -1) & ~special,
        "next": (offset == 1) & ~special,
        "first": (where == looking[0]) & (offset != 0),
        "cls": np.broadcast_to(where == 0, offset.shape),
        "separators": np.broadcast_to(where == n - 1, offset.shape),
        "punctuation": punctuation & (offset != 0),
        "same_word": same & (offset != 0) & ~special,
        "local": (abs(offset) <= 2) & (offset != 0) & ~special,
        "delimiter": np.broadcast_to(special, offset.shape),
    }


def sums_of(
    rows: np.ndarray,
    norms: np.ndarray,
    masks: dict[str, np.ndarray],
    special: np.ndarray,
    looking: np.ndarray,
) -> dict[str, np.ndarray]:
    """Each statistic's sum over the rows of a head, or of some: (head,) each."""
    offset = np.arange(rows.shape[2]) - looking[:, None]
    sums = {name: (rows * mask).sum(axis=(1, 2)) for name, mask in masks.items()}
    sums["entropy"] = -(rows * np.log2(np.maximum(rows, 1e-30))).sum(axis=(1, 2))
    sums["distance"] = (rows * (abs(offset) * ~special)).sum(axis=(1, 2))
    best = rows.argmax(axis=2) - looking
    for one in OFFSETS:
        sums[f"maximum {one}"] = (best == one).sum(axis=1)
    arrived = rows * norms[:, None, :]
    sums["brought"] = (arrived * special).sum(axis=(1, 2)) / arrived.sum(axis=(1, 2))
    return sums


def value_norms(model: Any, states: tuple[torch.Tensor, ...], heads: int) -> torch.Tensor:
    """The lengths of v W_O: (layer, sentence, head, key)."""
    found = []
    for layer, x in zip(model.encoder.layer, states, strict=False):
        v = layer.attention.self.value(x)
        v = v.view(*v.shape[:2], heads, -1)
        out = layer.attention.output.dense.weight.view(-1, heads, v.shape[-1])
        found.append(torch.einsum("bnhd,ohd->bhno", v, out).norm(dim=-1))
    return torch.stack(found)


def run(folder: str, texts: list[str], each: bool) -> dict[str, Any]:
    """How long it takes, how many tokens there are, and each statistic's mean over the heads."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager")
    heads = model.config.num_attention_heads
    with torch.inference_mode():
        model(**tokenizer(texts[:1], return_tensors="pt"))  # what is loaded late
        start = time.perf_counter()
        survey, tokens = Survey(), 0
        order = sorted(texts, key=len)
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            inputs = tokenizer(batch, padding=True, return_tensors="pt")
            out = model(**inputs, output_attentions=True, output_hidden_states=True)
            weights = torch.stack(out.attentions, dim=1).numpy()
            norms = value_norms(model, out.hidden_states, heads).numpy()
            lengths = inputs["attention_mask"].sum(dim=1).tolist()
            tokens += sum(lengths)
            for place, length in enumerate(lengths):
                words, word_of = cut_words(inputs.encodings[place], length, batch[place])
                merged = merge(weights[place, :, :, :length, :length], word_of)
                sizes = np.bincount(word_of)
                own = norms[:, place, :, :length].reshape(-1, length)
                starts = np.flatnonzero(np.diff(word_of, prepend=-1))
                special = np.zeros(len(words), bool)
                special[[0, -1]] = True
                survey.add(
                    words,
                    special,
                    merged.reshape(-1, *merged.shape[2:]),
                    np.add.reduceat(own, starts, axis=1) / sizes,
                    each,
                )
        found = survey.result()
        seconds = time.perf_counter() - start
    means = {name: value[0].mean().item() for name, value in found["means"].items()}
    return {"seconds": seconds, "pieces": tokens, "means": means}


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
    print(json.dumps(run(sys.argv[1], lines, sys.argv[3] == "heads")))
