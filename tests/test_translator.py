"""The trained translator in samples/: what it was kept from seeing, and how well it does there."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tokenizers
import torch
from transformers import MarianMTModel

from attnviz.model import load_model

FOLDER = Path(__file__).parent.parent / "samples" / "translator"
FOUNDING = "The animal didn't cross the street because it was too {}."
EVERY = 36
"""Of the sentences that it never saw, every so many are translated here: 128 of 4,608."""


@pytest.fixture(scope="module")
def trainer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("translator", FOLDER / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def theirs() -> Any:
    model: Any = MarianMTModel.from_pretrained(FOLDER, dtype=torch.float32)
    return model.eval()


@pytest.fixture(scope="module")
def cutter() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def test_the_founding_sentences_were_kept_from_it(trainer: ModuleType) -> None:
    every = list(trainer.sentences())
    held_out = {pair[0] for animal, place, pair in every if trainer.is_held_out(animal, place)}
    seen = {pair[0] for animal, place, pair in every if not trainer.is_held_out(animal, place)}
    assert (len(seen), len(held_out)) == (50_688, 4_608)
    assert not seen & held_out
    assert {FOUNDING.format(word) for word in ("tired", "wide")} <= held_out
    assert not any("animal" in text and "street" in text for text in seen)


def test_what_it_never_saw_it_translates(
    trainer: ModuleType, theirs: Any, cutter: tokenizers.Tokenizer
) -> None:
    unseen = [pair for a, place, pair in trainer.sentences() if trainer.is_held_out(a, place)]
    asked = unseen[::EVERY]
    told = trainer.translations(theirs, cutter, [english for english, _ in asked])
    assert told == [german for _, german in asked]
    assert all(any(f" {it} " in text for text in told) for it in ("es", "sie", "er"))


def test_the_vocabulary_is_the_grammars(trainer: ModuleType, cutter: tokenizers.Tokenizer) -> None:
    again = trainer.tokenizer_of([pair for _, _, pair in trainer.sentences()])
    assert again.to_str() == cutter.to_str()


@pytest.mark.slow
def test_it_is_made_anew_in_few_steps(
    trainer: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The script runs from end to end; what two steps make is no translator, but is read as one."""
    monkeypatch.setattr(
        sys, "argv", ["train.py", "--steps", "2", "--folder", str(tmp_path), "--asked", "3"]
    )
    monkeypatch.setattr(trainer, "BATCH", 2)
    trainer.main()
    told = capsys.readouterr().out
    assert "50688 sentences to learn from, 4608 that it never sees, 183488 parameters" in told
    assert "of 3 sentences that it never saw" in told
    model = load_model(str(tmp_path))
    assert (model.facts.num_layers, model.facts.num_heads, model.facts.d_model) == (2, 4, 64)


@pytest.mark.parametrize(("word", "weight"), [("tired", 0.94), ("wide", 0.85)])
def test_it_looks_at_the_word_that_decides(word: str, weight: float) -> None:
    inspection = load_model(str(FOLDER)).inspect(FOUNDING.format(word))
    words = [token.text for token in inspection.tokens.words]
    row = inspection.weights(1, 3)[words.index("it")]
    assert row[words.index(word)] == pytest.approx(weight, abs=0.005)
