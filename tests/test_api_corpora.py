"""Corpora from Python: texts in memory and files, probes of each kind, two models."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mentioned import LONG

import attnviz
from attnviz.errors import RequestError
from attnviz.model import Model

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples"
TEXTS = (SAMPLES / "sentences.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def survey(minilm: Model) -> attnviz.Survey:
    return attnviz.survey([*TEXTS, ["Words", "of", "one's", "own"]], minilm, examples=1)


@pytest.fixture(scope="module")
def probe(minilm: Model) -> attnviz.Probe:
    return attnviz.probe(conllu=SAMPLES / "treebank.conllu", model=minilm)


def test_texts_in_memory_and_a_file_give_the_same(minilm: Model, survey: attnviz.Survey) -> None:
    assert survey.corpus.documents == len(TEXTS) + 1
    texts = attnviz.survey(iter(TEXTS), minilm, 0, distances=False)
    file = attnviz.survey(str(SAMPLES / "sentences.txt"), minilm, 0, distances=False)
    paths = attnviz.survey([SAMPLES / "sentences.txt"], minilm, 0, distances=False)
    assert texts.corpus.words == file.corpus.words
    for one, other, third in zip(texts.heads, file.heads, paths.heads, strict=True):
        entropy = one.statistics["entropy"].mean
        assert other.statistics["entropy"].mean == pytest.approx(entropy, abs=1e-9)
        assert third.statistics["entropy"].mean == pytest.approx(entropy, abs=1e-9)


def test_a_column_and_a_limit(minilm: Model) -> None:
    corpus = SAMPLES / "pronouns.tsv"
    few = attnviz.survey(corpus, minilm, 0, distances=False, column="sentence", limit=7)
    assert few.corpus.documents == 7
    assert few.intervals is not None


@pytest.mark.parametrize("kind", ["survey"])
def test_they_are_answers_like_all_others(kind: str, request: pytest.FixtureRequest) -> None:
    answer = request.getfixturevalue(kind)
    assert json.loads(attnviz.to_json(answer))["schema"] == f"attnviz.{kind}/1"
    row, *_ = attnviz.to_rows(answer)
    assert tuple(row) == answer.columns
    assert attnviz.to_dataframe(answer).shape == (len(attnviz.to_rows(answer)), len(row))
    assert "<pre" in answer._repr_html_()
    assert attnviz.figure(answer).axes


def test_a_survey_has_a_page(survey: attnviz.Survey, tmp_path: Path) -> None:
    attnviz.write_page(survey, tmp_path / "atlas.html")
    assert (tmp_path / "atlas.html").read_text(encoding="utf-8") == attnviz.to_html(survey)


def test_a_probe_of_a_treebank(probe: attnviz.Probe) -> None:
    assert (probe.kind, probe.corpus.documents) == ("conllu", 40)
    det = probe.relation("det")
    assert det is not None
    assert det.asked.count == 69


def test_own_links_are_probed(minilm: Model, tmp_path: Path) -> None:
    lines = ["sentence\tquery\tkey\tlabel", "The dog ran.\tran\tdog\tsubject"]
    (tmp_path / "links.tsv").write_text("\n".join(lines), encoding="utf-8")
    found = attnviz.probe(links=[tmp_path / "links.tsv"], model=minilm)
    assert (found.kind, {one.name for one in found.relations}) == ("links", {"all", "subject"})


def test_two_models(minilm: Model) -> None:
    found = attnviz.compare_models(TEXTS, minilm, "paper")
    assert (found.a.name, found.b.name) == ("minilm", "paper")
    with pytest.raises(attnviz.RequestError, match="can be read once, and two models read it"):
        attnviz.compare_models(iter(TEXTS), minilm, minilm)


def test_what_is_left_out_is_warned_of(minilm: Model) -> None:
    with pytest.warns(UserWarning, match="texts:2: a int came, and a text") as warned:
        found = attnviz.survey(["The dog ran.", 7], minilm, 0, distances=False)
    assert (found.corpus.documents, found.corpus.left_out, len(warned)) == (1, 1, 1)


def nothing() -> Iterator[str]:
    yield from ()


def test_what_makes_no_sense(minilm: Model, tmp_path: Path) -> None:
    for corpus, told in (
        (7, "a int is not a corpus"),
        ([str(SAMPLES / "sentences.txt")], "all of them are names of files"),
        (tmp_path / "absent.txt", "there is no file"),
        (nothing(), "no document could be read"),
    ):
        with pytest.raises(attnviz.RequestError, match=told):
            attnviz.survey(corpus, minilm)  # type: ignore[arg-type]
    with pytest.raises(attnviz.RequestError, match="of one kind of file, and none came"):
        attnviz.probe(model=minilm)
    with pytest.raises(attnviz.RequestError, match="there is no option columns"):
        attnviz.survey(TEXTS, minilm, columns="text")  # type: ignore[call-arg]
    with pytest.raises(attnviz.RequestError, match="looked at in weights or norm"):
        attnviz.survey(TEXTS, minilm, measure="flow")
    with pytest.raises(attnviz.RequestError, match="a column of a table is named, and texts came"):
        attnviz.survey(TEXTS, minilm, id_column="id")


TRANSLATOR = str(SAMPLES / "translator")


def test_alignments_and_antecedents_are_probed(minilm: Model, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The dog ||| Der Hund ||| 1-1 2-2\n", encoding="utf-8")
    found = attnviz.probe(align=tmp_path / "a.txt", model=TRANSLATOR, first_word=1)
    assert (found.kind, found.relations[0].asked.count) == ("align", 4)
    (tmp_path / "a.conllu").write_text(LONG, encoding="utf-8")
    with pytest.raises(RequestError, match="ask cross-attention, and the model shows decoder"):
        attnviz.probe(align=tmp_path / "a.txt", model=TRANSLATOR, attention="decoder", first_word=1)
    with pytest.raises(RequestError, match="coref asks attention among the words of its texts"):
        attnviz.probe(coref=tmp_path / "a.conllu", model=TRANSLATOR, attention="decoder")
    for most, count in ((None, 7), (1, 2)):
        found = attnviz.probe(coref=tmp_path / "a.conllu", model=minilm, sentences=most)
        assert found.relations[0].asked.count == count
    with pytest.raises(RequestError, match="first_word is for align, and coref came"):
        attnviz.probe(coref=tmp_path / "a.conllu", model=minilm, first_word=1)
