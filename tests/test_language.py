"""`--lang ko`: every label of a picture is in the list of Korean ones."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ablated import summed
from matplotlib.figure import Figure
from matplotlib.text import Text
from probes import found, some
from process import Workplace, workplace
from surveys import survey_of
from tiny_families import save_tiny
from transformers import AutoModelForMaskedLM

import attnviz
from attnviz.answers.predict import Prediction
from attnviz.answers.probe import Probe
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model
from attnviz.show.figure.captions import label
from attnviz.show.figure.language import KOREAN, say
from attnviz.show.forms import FORMS, Style, figure, styled
from attnviz.show.labels import names
from attnviz.show.wording import SAID

KO = Style(language="ko")
TRANSLATOR = Path(__file__).parent.parent / "samples" / "translator"
OTHER = "The animal didn't cross the wide street because it was wide."


def patches(animal: Inspection, model: Model) -> Iterator[Any]:
    """Heads of the animal sentence in its twin: together, at each word, all, and over twins."""
    text = animal.tokens.text
    wide = text.replace("tired", "wide")
    twin = model.inspect(wide)
    yield attnviz.patch(animal, twin, "L3H1", "it", model, by="position")
    yield attnviz.patch(animal, twin, "L3H1", "it", model, rows=["tired=wide"], what="v")
    yield attnviz.patch(animal, twin, ["L3H1", "L5H11"], model=model, what="weights")
    yield attnviz.patch(animal, twin, model=model)
    yield attnviz.patch(animal, animal, model=model)
    yield attnviz.patch_twins([(text, wide)] * 7, "it", model)
    yield attnviz.patch_twins([(text, wide), (text, text)], model=model)


NOTATION = r"L\d+(H\d+)?|softmax\(.*|d_k\)?|v|W_O‖|q|kᵀ|A|B|I\)|[a-z]_[ij]|\(?\|[ab]\||α|‖α|@\d+"
NOTATION += r"|d_model|d_ff차원|[Wb]_[QKVO12]|(gelu|relu|norm|self_attention)\(.*|Attention\(Q,"
"""What is the same in every language: heads, formulas, A and B."""

NAMES = {"minilm", "cos(plain,", "ablated)", "norm:", "rollout:", "rollout", "flow:", "norm"}
NAMES |= {"--pieces", "handmade", "corpus.txt", "[CLS]로"}
FORMULAS = {"of", "the", "layer", "below,", "with", "(mean", "heads", "mean,", "normalized"}
FORMULAS |= {"(1_Pooling", "config.json)", "seq2seq", "(Kobayashi", "et", "al."}


def answers(animal: Inspection, model: Model, masked: Model) -> Iterator[Any]:
    """Every kind of answer whose picture is translated, and what its notes depend on."""
    for view in (animal.view(), animal.view(special=False), animal.view(window=(2, 9))):
        yield attnviz.matrices(view, head="L3H1")
        yield attnviz.matrices(view, layer=3)
        yield attnviz.word(view, query="it")
        yield attnviz.links(view, "it", head="L3H1")
    yield attnviz.matrices(animal.view(measure="norm"))
    yield attnviz.matrices(animal.view(measure="rollout"))
    yield attnviz.word(animal, key="animal")
    yield attnviz.word(animal, "it", "animal", measure="norm")
    yield attnviz.links(animal, key="animal", layer=3)
    finding = attnviz.find(animal, "it", "animal", both=True)
    yield finding
    yield attnviz.holding([finding] * 7)
    yield attnviz.holding([finding] * 2)
    yield attnviz.ablate(animal, "L5H11", model=model)
    yield attnviz.ablate(animal, ["L5H11", "L3H1"], "mean", model=model)
    yield attnviz.ablate_each(animal, model=model)
    yield attnviz.ablate(animal, "L5H11", "noise", model=model, what="q", rows=["it"])
    mask = masked.inspect("the [MASK] sat")
    yield attnviz.ablate_each(mask, model=masked, outcome="mask", of="dog")
    yield attnviz.ablate_each(mask, model=masked, outcome="mask", of="dog", against="cat")
    yield summed(np.tile([-0.1, 0.1, 0.0, 0.0], (6, 1)), right=np.ones((6, 4), bool))
    other = model.inspect(OTHER)
    yield attnviz.compare(animal, other, "it", head="L3H1")
    yield attnviz.compare(animal, other, "it")
    yield attnviz.similar("A dog ran.", "The cat sat down.", model=model)
    yield attnviz.similar("A dog didn't.", "The cat 한 sat.", model=model, special=False)
    for replacement in ("zero", "mean"):
        yield attnviz.similar_each("A dog ran.", "The cat sat.", replacement, model)
    yield from patches(animal, model)
    yield from attnviz.explain(animal, "it", head="L3H1", model=model)
    yield attnviz.explain_head(animal, "L3H1", model=model)
    yield from attnviz.layer(animal, "it", 3, model=model)
    yield attnviz.layer(animal, "it", 5, model=model)[0]
    yield attnviz.why(animal, "it", "animal", "L3H1", model=model)[0]
    yield attnviz.why(animal, "it", "animal", "L0H1", by="excess", model=model)[0]
    long = model.inspect("wide " * 40)
    yield attnviz.explain(long, "@5", head="L0H0", model=model)[0]
    yield attnviz.explain_head(long, "L0H0", model=model)
    yield attnviz.predict("A dog ran.", pair="The cat sat.", model=model)
    yield attnviz.predict("the [MASK] sat on the [MASK]", model=masked)
    for attention in ("cross", "decoder", "encoder"):
        translator = load_model(str(TRANSLATOR), attention=attention)
        seq2seq = translator.inspect("The animal was tired.")
        yield attnviz.matrices(seq2seq, head="L0H0")
        yield attnviz.explain(seq2seq, "@1", head="L0H0", model=translator)[0]
        yield attnviz.explain_head(seq2seq, "L0H0", model=translator)
        if attention != "decoder":
            yield attnviz.layer(seq2seq, "@1", 0, model=translator)[0]
    yield attnviz.predict("The animal was tired.", model=translator)
    yield survey_of(12, 12, left_out=3)
    yield survey_of(2, 24, intervals=False, distances=False)
    yield found(some(5))
    yield attnviz.compare_models(["A dog ran.", "The cat sat."] * 4, model, masked)


def labels(drawn: Figure) -> set[str]:
    """The texts of a picture, less what it quotes."""
    drawn.draw_without_rendering()
    return {re.sub('“[^”]*”?|"[^"]*"', "", text.get_text()) for text in drawn.findobj(Text)}


def english(text: str, known: set[str]) -> list[str]:
    """The words of a label that are English, and neither a name nor notation."""
    words = re.split(r"[ ·/→=½+−]+", text)
    return [
        word
        for word in words
        if re.search("[A-Za-z]{2}", word)
        and word not in NAMES | FORMULAS | known
        and not re.fullmatch(NOTATION, word)
    ]


def words_of(answer: Any) -> set[str]:
    """The names of an answer's model, of its class, and of its tokens; and its guesses."""
    if isinstance(answer, Probe):
        return {*answer.corpus.files, *(relation.name for relation in answer.relations)}
    if not hasattr(answer, "context"):
        return set()
    context = answer.context
    found = {*context.model.name.split("/"), *names(context, "query"), *names(context, "key")}
    if isinstance(answer, Prediction):
        found |= {guess.text for said in answer.said for guess in said.guesses}
        found.add(answer.facts.architecture or "")
    if isinstance(answer, attnviz.EachOutcome):
        found |= {one.effect.after.best or "" for one in answer.heads}
    return found


def test_every_label_of_every_picture_is_in_korean(
    animal: Inspection, minilm: Model, tmp_path: Path
) -> None:
    save_tiny(tmp_path, "bert", AutoModelForMaskedLM)
    masked = load_model(str(tmp_path))
    known = {*["A", "dog", "didn't", "ran", "The", "cat", "sat", "down", "wide"]}
    for token in (*animal.tokens.words, *minilm.inspect(OTHER).tokens.words):
        known |= {token.text, *(f"{token.text}@{index}" for index in range(14))}
    drawn = set()
    for answer in answers(animal, minilm, masked):
        drawn.add(type(answer).__name__)
        known |= words_of(answer)
        left = {text: english(text, known) for text in labels(figure(answer, None, None, KO))}
        assert {text: words for text, words in left.items() if words} == {}, answer
    assert {kind for kind, forms in FORMS.items() if forms.figure} == drawn


def test_what_models_say_is_in_korean() -> None:
    for told in SAID.values():
        for unit in ("word", "piece"):
            assert told.format(unit=unit) in KOREAN
    with styled(KO):
        assert say("12 more labels of each: --top 20 shows all.") == (
            "레이블이 12개 더 있음: --top 20로 모두 표시."
        )


def test_places_are_filled() -> None:
    with styled(KO):
        assert say("minilm · layer 3 · query: it") == "minilm · 3번 층 · 쿼리: it"
        assert say("every 12th token labelled") == "12개마다 하나씩 표시"
        assert say("layer 4, head 2 (counted from 1)") == "4번 층, 2번 헤드 (1부터 셈)"
        assert say("no label of ours") == "no label of ours"
        assert say(label("distance")) == "distance"  # a word of a sentence
    assert say("distance") == "distance"


def test_korean_has_the_same_places() -> None:
    for english, korean in KOREAN.items():
        places = ["1"] * english.count("{")
        assert "{" not in korean.replace("{n}", "{}").format(*places), english


def test_from_the_command_line(
    tmp_path_factory: pytest.TempPathFactory, animal: Inspection
) -> None:
    place: Workplace = workplace(tmp_path_factory.mktemp("language"), animal)
    done = place("heatmap", "--query", "it", "--lang", "ko", "-o", "it.svg", "--quiet")
    assert (done.code, done.out, done.err) == (0, "it.svg\n", "")
    text = Path(place.folder / "it.svg").read_text(encoding="utf-8")
    for told in ("모든 헤드", "쿼리: it", "키: 주목받는 단어", "어텐션 가중치", "3번 층"):
        assert told in text


def test_explanations_and_predictions_follow_the_setting_too(
    tmp_path_factory: pytest.TempPathFactory, animal: Inspection
) -> None:
    place: Workplace = workplace(tmp_path_factory.mktemp("setting"), animal)
    korean, words = ("--lang", "ko"), ("--query", "it")
    for asked, set_to, told in (
        (("explain", *words, "--head", "L3H1", *korean), "en", "클수록 비슷함"),
        (("explain", "--head", "L3H1"), "ko", "쿼리마다 모든 키와 내적"),
        (("explain", *words, "--layer", "3"), "ko", "피드포워드 신경망"),
        (("predict", "A dog ran.", "--pair", "The cat sat.", *korean), "en", "두 텍스트의 유사도"),
    ):
        done = place(*asked, "-o", "drawn.svg", "--quiet", env={"ATTNVIZ_LANG": set_to})
        assert (done.code, done.out, done.err) == (0, "drawn.svg\n", "")
        assert told in Path(place.folder / "drawn.svg").read_text(encoding="utf-8")


def test_what_a_patch_measures_is_in_korean() -> None:
    with styled(KO):
        assert say('the logit of "a" less that of "b" at [MASK]: A 1.00 ("a") · B −1.00 ("b")') == (
            '[MASK] 자리에서 "a"의 로짓에서 "b"의 값을 뺀 것: A 1.00 ("a") · B −1.00 ("b")'
        )
        assert say('the probability of "a" after "b": A 1.00') == '"b" 다음 "a"의 확률: A 1.00'
        assert say('the probability of "a"') == '"a"의 확률'
