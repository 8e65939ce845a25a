"""`ablate` measured at what the model says: held to transformers, and through the command line."""

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from process import PNG, Done, Workplace, workplace
from tiny_bert import save_tiny_bert
from torch import Tensor, nn
from transformers import BertForMaskedLM, BertForSequenceClassification
from written import schema

import attnviz
from attnviz.inspection import Inspection
from attnviz.model import load_model

SCHEMA = schema("ablate-1")
TRANSLATOR = str(Path(__file__).parent.parent / "samples" / "translator")
TIRED = "The animal didn't cross the street because it was too tired."
MASKED = "the [MASK] sat"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("outcomes"), animal)
    save_tiny_bert(place.folder / "masked", kind=BertForMaskedLM)
    save_tiny_bert(place.folder / "labelled", kind=BertForSequenceClassification)
    return place


@pytest.fixture
def here(here: Callable[..., Done]) -> Callable[..., Done]:
    return partial(here, "ablate", "--quiet")


def shares(theirs: Any, ids: tuple[int, ...], head: tuple[int, int] | None) -> Tensor:
    """transformers' own probabilities, with one head's part of what enters W_O set to zero."""
    handle = None
    if head is not None:
        layer, number = head

        def without(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            z = inputs[0].clone()
            z.view(*z.shape[:-1], 3, -1)[..., number, :] = 0
            return (z, *inputs[1:])

        output = theirs.bert.encoder.layer[layer].attention.output.dense
        handle = output.register_forward_pre_hook(without)
    with torch.no_grad():
        logits: Tensor = theirs.eval()(input_ids=torch.tensor([ids])).logits[0]
    if handle is not None:
        handle.remove()
    return logits.double().softmax(-1)


@pytest.mark.parametrize(
    ("name", "kind", "text", "of", "against"),
    [
        ("masked", BertForMaskedLM, MASKED, "dog", "cat"),
        ("labelled", BertForSequenceClassification, "the cat sat", "LABEL_1", None),
    ],
)
def test_each_head_is_held_to_transformers(
    here: Callable[..., Done],
    place: Workplace,
    name: str,
    kind: Any,
    text: str,
    of: str,
    against: str | None,
) -> None:
    words = ["--of", of, *(["--against", against] if against else [])]
    done = here(text, "-m", name, "--each", *words, "--json").json
    jsonschema.validate(done, SCHEMA)
    theirs, model = kind.from_pretrained(place.folder / name), load_model(str(place.folder / name))
    tokens = model.tokenize(text)

    def value(head: tuple[int, int] | None) -> float:
        found = shares(theirs, tokens.ids, head)
        if name == "labelled":
            return float(found[1])
        dog, cat = (model.tokenize(word).ids[1] for word in ("dog", "cat"))
        return float(found[2, dog] - found[2, cat])

    assert done["before"] == pytest.approx(value(None), abs=1e-6)
    assert len(done["each"]) == 6
    for one in done["each"]:
        expected = value((one["layer"], one["head"]))
        assert one["value"] == pytest.approx(expected, abs=1e-6)
        assert one["change"] == pytest.approx(expected - done["before"], abs=1e-6)
        assert one["distance"] is None
    [alone] = [one for one in done["each"] if one["rank"] == 1]
    head = f"{alone['layer']}.{alone['head']}"
    single = here(text, "-m", name, "--head", head, *words, "--json").json
    jsonschema.validate(single, SCHEMA)
    assert single["after"] == pytest.approx(alone["value"], abs=1e-6)
    assert (single["outcome"], single["best"]["after"]) == (done["outcome"], alone["best"])
    assert single["moved"][0]["distance"] > 0


def test_states_have_an_outcome_too(here: Callable[..., Done]) -> None:
    single = here(TIRED, "--head", "5.11", "--query", "it", "--json").json
    each = here(TIRED, "--each", "--query", "it", "--json").json
    jsonschema.validate(single, SCHEMA)
    jsonschema.validate(each, SCHEMA)
    assert single["outcome"]["name"] == each["outcome"]["name"] == "states"
    assert single["after"] == single["change"] == single["moved"][0]["distance"]
    first = each["each"][0]
    assert first["value"] == first["change"] == first["distance"]
    assert first["value"] == pytest.approx(single["after"], abs=1e-6)


def test_cross_attention_chooses_the_next_word(here: Callable[..., Done]) -> None:
    target = "Das Tier überquerte die Straße nicht, weil"
    model = ["-m", TRANSLATOR, "--target", target, "--of", "es", "--against", "sie"]
    done = here(TIRED, *model, "--attention", "cross", "--each", "--json").json
    jsonschema.validate(done, SCHEMA)
    assert done["outcome"] == {
        **done["outcome"], "name": "next", "of": "es", "against": "sie", "unit": "probability",
    }  # fmt: skip
    assert done["outcome"]["token"]["text"] == "weil"
    assert done["before"] > 0.9
    first = done["each"][0]
    assert first["change"] < -0.5
    own = here(TIRED, "-m", TRANSLATOR, *model[4:], "--attention", "cross", "--each", "--json").json
    assert own["outcome"] == done["outcome"]  # it writes the same up to there
    assert own["each"][0]["change"] == pytest.approx(first["change"], abs=1e-6)
    encoder = here(TIRED, *model, "--head", "0.1", "--logit", "--json").json
    jsonschema.validate(encoder, SCHEMA)
    assert (encoder["outcome"]["unit"], encoder["best"]["after"]) == ("logit", "es")


def test_similarity_is_that_of_similar(here: Callable[..., Done]) -> None:
    a, b = "A dog ran home.", "The cat was running."
    done = here(a, "--outcome", "similarity", "--of", b, "--each", "--json").json
    jsonschema.validate(done, SCHEMA)
    expected = {str(one.head): one.cosine for one in attnviz.similar_each(a, b).heads}
    assert len(done["each"]) == 72
    for one in done["each"]:
        name = f"L{one['layer']}H{one['head']}"
        assert one["value"] == pytest.approx(expected[name], abs=1e-6)


def test_what_is_shown(here: Callable[..., Done], place: Workplace) -> None:
    single = here(MASKED, "-m", "masked", "--head", "0.1", "--of", "dog").out
    assert 'The probability of "dog" at [MASK]: ' in single
    assert "without L0H1  set to zero" in single
    each = here(MASKED, "-m", "masked", "--each", "--of", "dog").out
    assert "how it changes if one head is set to zero" in each
    assert "−: less without the head, which helps; +: more, it hurts" in each
    rows = list(
        csv.DictReader(io.StringIO(here(MASKED, "-m", "masked", "--each", "-f", "csv").out))
    )
    assert len(rows) == 6
    assert {row["outcome"] for row in rows} == {"mask"}
    drawn = here(MASKED, "-m", "masked", "--each", "-o", "map.png")
    assert (drawn.code, (place.folder / "map.png").read_bytes()[:4]) == (0, PNG)


def test_the_place_of_a_word_that_is_named(here: Callable[..., Done]) -> None:
    asked = "-m", "masked", "--head", "0.1", "--json"
    state = here(MASKED, *asked, "--query", "sat").json
    assert (state["outcome"]["name"], state["outcome"]["token"]["text"]) == ("states", "sat")
    mask = here(MASKED, *asked, "--query", "[MASK]").json
    assert (mask["outcome"]["name"], mask["outcome"]["token"]["text"]) == ("mask", "[MASK]")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--outcome", "mask"], "needs a masked-lm head, and minilm has no head"),
        (["--outcome", "next", "-m", "labelled"], "labelled has a sequence-classification head"),
        (["--of", "dog"], "--of is of what a head says, and minilm has no head"),
        (["--outcome", "states", "--of", "dog"], "--outcome states measures how far states move"),
        (["--outcome", "similarity"], "name the other with --of TEXT"),
        (["--outcome", "similarity", "--of", "x", "--logit"], "measures a cosine, and --logit"),
        (["-m", "labelled", "--of", "glad"], 'has no label "glad"'),
        (["-m", "labelled", "--of", "LABEL_0", "--against", "0"], 'are both "LABEL_0"'),
        (["-m", "masked", "--outcome", "mask", "--of", "unlikely"], "[MASK]"),
        (["--target", "ein Hund"], "--target is what a decoder beside the encoder is fed"),
    ],
)
def test_what_is_refused(here: Callable[..., Done], options: list[str], message: str) -> None:
    done = here("the cat sat", "--head", "0.1", *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_word_of_several_tokens(here: Callable[..., Done]) -> None:
    done = here(MASKED, "-m", "masked", "--each", "--of", "unlikely")
    assert done.code == 2
    assert '"unlikely" is 8 tokens' in done.err


def test_from_python(place: Workplace) -> None:
    model = load_model(str(place.folder / "masked"))
    inspection = model.inspect(MASKED)
    each = attnviz.ablate_each(inspection, model=model, outcome="mask", of="dog", against="cat")
    first = each.heads[0]
    alone = attnviz.ablate(
        inspection, first.head, model=model, outcome="mask", of="dog", against="cat"
    )
    assert alone.effect.after.value == pytest.approx(first.effect.after.value, abs=1e-6)
    assert "dog" in str(attnviz.to_json(each))
    rows = attnviz.ablate(inspection, "L1H0", model=model, rows=["sat"], what="q")
    assert {moved.token.text for moved in rows.moved if moved.distance > 1e-6} == {"sat"}
    edit = attnviz.Edit(1, 0, "q", rows=[3])
    states = model.run_with(inspection, [edit]).states
    assert abs(states - model.states(inspection.tokens)).max(axis=1).argmax() == 3
    with pytest.raises(attnviz.RequestError, match="of is of what a model says"):
        attnviz.ablate(inspection, "L1H0", model=model, of="dog")
