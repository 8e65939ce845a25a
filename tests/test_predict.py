"""What models say, held to transformers' own classes with a head, on tiny random checkpoints."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny_families import save_tiny
from tiny_others import RECORDED, SEQ2SEQ, WEIGHTS_ONLY, Other

import attnviz.transformers_backend.heads as transformers_heads
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection.predicted import Predicted
from attnviz.model import Model, load_model
from attnviz.model.native import NativeRunner
from attnviz.model.predict import facts_of, predict
from attnviz.text.tokens import Tokens

TEXT = "the cat sat on the mat."
PAIR = "it was too tired to cross the street"
TOLERANCE = 1e-5
LABELS = {0: "B-CAT", 1: "O", 2: "[red]\x1b[31m$x$"}

NATIVE = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "mpnet")


def folder_of(folder: Path, family: str, task: str, **changes: Any) -> tuple[Model, Any]:
    """A tiny model with a head, read by attnviz, and as its own class of transformers."""
    if family in NATIVE or family == "marian":
        save_tiny(folder, family, getattr(transformers, f"AutoModelFor{task}"), **changes)
    else:
        other = {**RECORDED, **SEQ2SEQ, **WEIGHTS_ONLY}[family]
        auto = getattr(transformers, f"AutoModelFor{task}")
        Other(other.config, other.sizes, auto, gives_types=other.gives_types).save(
            folder, **changes
        )
    config = transformers.AutoConfig.from_pretrained(folder)
    own = getattr(transformers, config.architectures[0])
    return load_model(str(folder)), own.from_pretrained(folder, attn_implementation="eager").eval()


def theirs(own: Any, model: Model, tokens: Tokens) -> Any:
    """What the class of transformers gives for what AutoTokenizer would feed it."""
    fed = {"input_ids": tokens.ids, "attention_mask": [1] * len(tokens)}
    if model._runner.feeds_types:
        fed["token_type_ids"] = tokens.type_ids
    with torch.inference_mode():
        return own(**{name: torch.tensor([row]) for name, row in fed.items()})


def hold(predicted: Predicted, scores: Sequence[Any], shares: Sequence[Any]) -> None:
    """Hold every place's guesses to rows of scores and of probabilities, largest first."""
    assert len(predicted.places) == len(scores)
    for place, score, share in zip(predicted.places, scores, shares, strict=True):
        count = len(place.guesses)
        assert place.count == len(score)
        found = [guess.score for guess in place.guesses]
        most = float(np.abs(np.asarray(score)).max())
        np.testing.assert_allclose(
            found, np.sort(np.asarray(score))[::-1][:count], rtol=0, atol=TOLERANCE * max(1, most)
        )
        np.testing.assert_allclose(
            [guess.probability or 0.0 for guess in place.guesses],
            np.sort(np.asarray(share))[::-1][:count],
            rtol=0,
            atol=TOLERANCE,
        )


@pytest.mark.parametrize("family", [*NATIVE, "modernbert"])
def test_words_at_masks_are_those_of_transformers(tmp_path: Path, family: str) -> None:
    model, own = folder_of(tmp_path, family, "MaskedLM")
    mask = model.tokenizer.entry(model.tokenizer.mask_id or 0)
    tokens = model.tokenize(f"the {mask} sat on the {mask}")
    predicted = predict(model, tokens, 7)
    places = [place for place, number in enumerate(tokens.ids) if number == model.tokenizer.mask_id]
    assert [place.piece for place in predicted.places] == places
    logits = theirs(own, model, tokens).logits[0, places]
    hold(predicted, logits.numpy(), logits.softmax(dim=-1).numpy())
    for place, row in zip(predicted.places, logits, strict=True):
        assert len(place.guesses) == 7
        assert place.guesses[0].text == model.tokenizer.reads(int(row.argmax()))
    assert isinstance(model._runner, NativeRunner) == (family in NATIVE)


@pytest.mark.parametrize(
    ("problem", "labels"),
    [(None, 3), ("single_label_classification", 3), ("multi_label_classification", 3),
     ("regression", 1), (None, 1), ("regression", 3)],
)  # fmt: skip
@pytest.mark.parametrize("family", ["roberta"])
def test_labels_of_a_text_are_those_of_transformers(
    tmp_path: Path, family: str, problem: str | None, labels: int
) -> None:
    named = {number: LABELS[number] for number in range(labels)}
    changes = {"problem_type": problem, "id2label": named}
    model, own = folder_of(tmp_path, family, "SequenceClassification", **changes)
    tokens = model.tokenize(TEXT, PAIR)
    predicted = predict(model, tokens)
    logits = theirs(own, model, tokens).logits[0]
    [place] = predicted.places
    assert place.piece is None
    order = logits.argsort(descending=True).tolist()
    assert [guess.text for guess in place.guesses] == [LABELS[number] for number in order]
    if problem == "regression" or labels == 1:
        assert predicted.head.function is None
        assert {guess.probability for guess in place.guesses} == {None}
        found = [guess.score for guess in place.guesses]
        np.testing.assert_allclose(found, logits[order].numpy(), atol=1e-5)
        return
    many = problem == "multi_label_classification"
    hold(predicted, [logits.numpy()], [(logits.sigmoid() if many else logits.softmax(-1)).numpy()])


@pytest.mark.parametrize("family", ["bert", "distilbert", "electra", "mpnet", "gpt2", "bart"])
def test_two_labels_without_names_are_those_of_transformers(tmp_path: Path, family: str) -> None:
    model, own = folder_of(tmp_path, family, "SequenceClassification")
    tokens = model.tokenize(TEXT)
    logits = theirs(own, model, tokens).logits[0]
    predicted = predict(model, tokens)
    hold(predicted, [logits.numpy()], [logits.softmax(-1).numpy()])
    count = 3 if family == "bart" else 2  # its own usual number
    found = {guess.text for guess in predicted.places[0].guesses}
    assert found == {f"LABEL_{number}" for number in range(count)}


@pytest.mark.parametrize("family", ["distilbert", "electra", "modernbert"])
def test_labels_of_pieces_are_those_of_transformers(tmp_path: Path, family: str) -> None:
    model, own = folder_of(tmp_path, family, "TokenClassification", id2label=LABELS)
    tokens = model.tokenize("the catty mat")
    logits = theirs(own, model, tokens).logits[0]
    places = [place for place, span in enumerate(tokens.spans) if span is not None]
    predicted = predict(model, tokens)
    assert [place.piece for place in predicted.places] == places
    hold(predicted, logits[places].numpy(), logits[places].softmax(-1).numpy())


def test_replaced_pieces_are_those_of_the_discriminator(tmp_path: Path) -> None:
    model, own = folder_of(tmp_path, "electra", "PreTraining")
    tokens = model.tokenize(TEXT)
    logits = theirs(own, model, tokens).logits[0]
    places = [place for place, span in enumerate(tokens.spans) if span is not None]
    predicted = predict(model, tokens)
    assert predicted.head.labels == ("replaced",)
    scores = logits[places][:, None]
    hold(predicted, scores.numpy(), scores.sigmoid().numpy())


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_answers_are_those_of_the_scores_of_transformers(tmp_path: Path, family: str) -> None:
    model, own = folder_of(tmp_path, family, "QuestionAnswering")
    tokens = model.tokenize(TEXT, PAIR)
    output = theirs(own, model, tokens)
    inside = [n for n, span in enumerate(tokens.spans) if span and tokens.segments[n]]
    start, end = (
        one[0, inside].softmax(-1).numpy() for one in (output.start_logits, output.end_logits)
    )
    spans = {
        (first, last): start[first] * end[last]
        for first in range(len(inside))
        for last in range(first, min(first + 15, len(inside)))
    }
    best = max(spans, key=lambda span: spans[span])
    [place] = predict(model, tokens, 3).places
    assert len(place.guesses) == 3
    first, last = ((tokens.spans[inside[n]] or (0, 0)) for n in best)
    assert (place.guesses[0].start, place.guesses[0].end) == (first[0], last[1])
    assert place.guesses[0].text == PAIR[first[0] : last[1]]
    np.testing.assert_allclose(place.guesses[0].probability or 0, spans[best], atol=TOLERANCE)
    with pytest.raises(RequestError, match="with --pair"):
        predict(model, model.tokenize(TEXT))


@pytest.mark.parametrize("family", ["gpt2"])
def test_the_next_token_is_that_of_transformers(tmp_path: Path, family: str) -> None:
    model, own = folder_of(tmp_path, family, "CausalLM")
    tokens = model.tokenize(TEXT)
    logits = theirs(own, model, tokens).logits[0, -1]
    predicted = predict(model, tokens)
    hold(predicted, [logits.numpy()], [logits.softmax(-1).numpy()])
    assert len(predicted.places[0].guesses) == 5


@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
def test_what_a_decoder_writes_is_what_transformers_generates(
    tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers_heads, "MAX_WRITTEN", 12)
    model, own = folder_of(tmp_path, family, "Seq2SeqLM")
    tokens = model.tokenize(TEXT)
    ids = torch.tensor([tokens.ids])
    written = own.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, num_beams=1,
        max_new_tokens=12, output_scores=True, return_dict_in_generate=True,
    )  # fmt: skip
    predicted = predict(model, tokens)
    assert predicted.written is not None
    assert list(predicted.written.ids) == written.sequences[0, 1:].tolist()
    assert predicted.complete == (len(written.scores) < 12)
    for step, place in zip(written.scores, predicted.places, strict=True):
        share = step[0].softmax(-1)
        np.testing.assert_allclose(
            place.guesses[0].probability or 0, float(share.max()), atol=TOLERANCE
        )


def test_xlnet_has_no_next_token(tmp_path: Path) -> None:
    model, _ = folder_of(tmp_path, "xlnet", "CausalLM")
    with pytest.raises(RequestError, match="its class is XLNetLMHeadModel"):
        predict(model, model.tokenize(TEXT))


def test_a_head_that_is_named_and_not_there_is_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path, "bert")
    config = tmp_path / "config.json"
    named = json.loads(config.read_text()) | {"architectures": ["BertForSequenceClassification"]}
    config.write_text(json.dumps(named))
    model = load_model(str(tmp_path))
    with pytest.raises(
        AttnvizError, match="names a BertForSequenceClassification, and its weights"
    ):
        predict(model, model.tokenize(TEXT))


def test_models_without_a_head_say_what_they_are(tmp_path: Path) -> None:
    save_tiny(tmp_path, "bert")
    bare, paper = load_model(str(tmp_path)), load_model("paper", num_layers=1)
    with pytest.raises(RequestError, match="its class is BertModel"):
        predict(bare, bare.tokenize(TEXT))
    with pytest.raises(RequestError, match="paper is an encoder without a head, and untrained"):
        predict(paper, paper.tokenize(TEXT))
    assert facts_of(bare) is facts_of(paper) is None


@pytest.mark.slow
def test_settings_of_writing_count_beside_a_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers_heads, "MAX_WRITTEN", 3)
    SEQ2SEQ["bart"].save(tmp_path)
    model = load_model(str(tmp_path))
    usual = predict(model, model.tokenize(TEXT)).written
    assert usual is not None
    settings = tmp_path / "generation_config.json"
    forbidden = {"suppress_tokens": [usual.ids[0]]}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | forbidden))
    weights = tmp_path / "model.safetensors"
    torch.save(load_file(weights), tmp_path / "pytorch_model.bin")
    found = []
    for _ in range(2):
        model = load_model(str(tmp_path))
        written = predict(model, model.tokenize(TEXT)).written
        found.append(() if written is None else written.ids)
        weights.unlink(missing_ok=True)
    assert found[0] == found[1]
    assert usual.ids[0] not in found[1]
