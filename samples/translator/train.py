"""Train the translator in this folder: a Transformer as in the paper, English to German, on a toy.

Its sentences come out of a grammar of some sixty words: an animal did or did not do something with
a place, because it was so or so. What `it` is in German depends on what it refers to (Tier: es,
Straße: sie), and that on the last word: tired animals, wide streets. So the model must find out
what `it` is. It never sees the two founding sentences, nor any other that has both their nouns.

    python samples/translator/train.py        # some minutes on two cores

prints how many of the sentences that it never saw come out right, and writes config.json,
tokenizer.json and model.safetensors beside this file.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, processors
from transformers import MarianConfig, MarianMTModel

HERE = Path(__file__).parent
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
SEED, STEPS, BATCH, LEARNING_RATE = 0, 3000, 96, 3e-3

Pair = tuple[str, str]
"""A sentence and its translation."""


@dataclass(frozen=True)
class Noun:
    """A noun in both languages, and its German articles and pronoun."""

    english: str
    german: str
    gender: str

    @property
    def the(self) -> str:
        """Its article as a subject."""
        return {"m": "Der", "f": "Die", "n": "Das"}[self.gender]

    @property
    def the_object(self) -> str:
        """Its article as an object."""
        return {"m": "den", "f": "die", "n": "das"}[self.gender]

    @property
    def it(self) -> str:
        """What stands in for it."""
        return {"m": "er", "f": "sie", "n": "es"}[self.gender]


ANIMALS = [
    Noun(*words.split())
    for words in (
        "animal Tier n",
        "dog Hund m",
        "cat Katze f",
        "horse Pferd n",
        "cow Kuh f",
        "bear Bär m",
        "mouse Maus f",
        "sheep Schaf n",
        "goose Gans f",
        "fox Fuchs m",
        "pig Schwein n",
        "wolf Wolf m",
    )
]
PLACES = [
    Noun(*words.split())
    for words in (
        "street Straße f",
        "river Fluss m",
        "bridge Brücke f",
        "field Feld n",
        "path Weg m",
        "square Platz m",
        "forest Wald m",
        "valley Tal n",
        "garden Garten m",
        "meadow Wiese f",
        "hall Halle f",
        "ice Eis n",
    )
]
OF_ANIMALS = {
    "tired": "müde",
    "old": "alt",
    "hungry": "hungrig",
    "slow": "langsam",
    "weak": "schwach",
    "sick": "krank",
    "afraid": "ängstlich",
    "young": "jung",
}
OF_PLACES = {
    "wide": "breit",
    "long": "lang",
    "dark": "dunkel",
    "steep": "steil",
    "busy": "belebt",
    "narrow": "eng",
    "cold": "kalt",
    "wet": "nass",
}
VERBS = {
    ("cross", "crossed"): "überquerte",
    ("reach", "reached"): "erreichte",
    ("leave", "left"): "verließ",
    ("see", "saw"): "sah",
    ("like", "liked"): "mochte",
    ("search", "searched"): "durchsuchte",
}


def sentences() -> Iterator[tuple[Noun, Noun, Pair]]:
    """Every sentence of the grammar with its translation, and its two nouns."""
    reasons = [(word, german, True) for word, german in OF_ANIMALS.items()]
    reasons += [(word, german, False) for word, german in OF_PLACES.items()]
    whole = product(ANIMALS, PLACES, VERBS.items(), reasons, (("", ""), ("too ", "zu ")))
    for animal, place, ((plain, past), verb), (word, german, of_animal), (too, zu) in whole:
        it = (animal if of_animal else place).it
        because, weil = f"because it was {too}{word}.", f"weil {it} {zu}{german} war."
        did = f"{animal.the} {animal.german} {verb} {place.the_object} {place.german}"
        for done, nicht in ((past, ""), (f"didn't {plain}", " nicht")):
            english = f"The {animal.english} {done} the {place.english} {because}"
            yield animal, place, (english, f"{did}{nicht}, {weil}")


def is_held_out(animal: Noun, place: Noun) -> bool:
    """Whether sentences with these two nouns are never trained on; one in twelve is."""
    return ANIMALS.index(animal) == PLACES.index(place)


def tokenizer_of(pairs: Sequence[Pair]) -> tokenizers.Tokenizer:
    """Words, cut at spaces and punctuation, of both languages in one vocabulary."""
    cut = pre_tokenizers.Split(tokenizers.Regex(r"[\w']+|[^\w\s]"), "removed", invert=True)
    words = {word for pair in pairs for text in pair for word, _ in cut.pre_tokenize_str(text)}
    vocabulary = {word: i for i, word in enumerate([PAD, END, UNKNOWN, *sorted(words)])}
    tokenizer = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = cut
    tokenizer.add_special_tokens([PAD, END, UNKNOWN])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, vocabulary[END])]
    )
    tokenizer.decoder = decoders.WordPiece(cleanup=True)  # no space before a full stop
    return tokenizer


def model_of(vocab_size: int) -> MarianMTModel:
    """The paper's architecture, small: 2 layers of 4 heads on each side."""
    return MarianMTModel(
        MarianConfig(
            vocab_size=vocab_size,
            d_model=64,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            max_position_embeddings=64,
            activation_function="relu",
            scale_embedding=True,
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            pad_token_id=0,
            eos_token_id=1,
            forced_eos_token_id=1,
            decoder_start_token_id=0,
        )
    )


def padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Rows of ids as a table, filled up with 0, the padding token's id."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *([0] * (longest - len(row)))] for row in rows])


def train(model: MarianMTModel, data: list[tuple[list[int], list[int]]], steps: int) -> None:
    """Adam with a learning rate that rises, then falls to nothing."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    chooser = random.Random(SEED)
    model.train()
    for step in range(steps):
        batch = chooser.sample(data, BATCH)
        source, target = padded([s for s, _ in batch]), padded([t for _, t in batch])
        labels = target.masked_fill(target == 0, -100)
        loss = model(input_ids=source, attention_mask=source != 0, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    model.eval()


@torch.inference_mode()
def translations(
    model: MarianMTModel, tokenizer: tokenizers.Tokenizer, texts: Sequence[str]
) -> list[str]:
    """What the model makes of sentences, word by word, each the likeliest."""
    ids = padded([tokenizer.encode(text).ids for text in texts])
    told = model.generate(
        input_ids=ids, attention_mask=ids != 0, num_beams=1, do_sample=False, max_new_tokens=30
    )
    return [tokenizer.decode(row.tolist()) for row in told]


def main() -> None:
    """Train, tell how good it is, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--folder", type=Path, default=HERE, help="where to write the model")
    parser.add_argument("--asked", type=int, help="how many unseen sentences to ask; all")
    options = parser.parse_args()
    torch.manual_seed(SEED)
    every = list(sentences())
    tokenizer = tokenizer_of([pair for _, _, pair in every])
    seen = [pair for animal, place, pair in every if not is_held_out(animal, place)]
    unseen = [pair for animal, place, pair in every if is_held_out(animal, place)]
    model = model_of(tokenizer.get_vocab_size())
    print(
        f"{len(seen)} sentences to learn from, {len(unseen)} that it never sees, "
        f"{sum(p.numel() for p in model.parameters())} parameters"
    )
    cut = [(tokenizer.encode(a).ids, tokenizer.encode(b).ids) for a, b in seen]
    train(model, cut, options.steps)
    asked = unseen[: options.asked]
    told = translations(model, tokenizer, [english for english, _ in asked])
    right = sum(ours == german for ours, (_, german) in zip(told, asked, strict=True))
    print(f"right: {right} of {len(asked)} sentences that it never saw")
    for word in ("tired", "wide"):
        founding = f"The animal didn't cross the street because it was too {word}."
        print(founding, "->", *translations(model, tokenizer, [founding]))
    options.folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(options.folder)
    tokenizer.save(str(options.folder / "tokenizer.json"))
    # of no class of its own, so that AutoTokenizer takes tokenizer.json as it is
    config = json.dumps({"tokenizer_class": "TokenizersBackend"}, indent=2)
    (options.folder / "tokenizer_config.json").write_text(f"{config}\n")


if __name__ == "__main__":
    main()
