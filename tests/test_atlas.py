"""The atlas's file: small, self-contained, and with the numbers of its survey."""

import hashlib
import io
import json
import re
import zlib
from base64 import b64encode
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from atlases import WORDS, example_of, random_survey

from attnviz.answers.survey import Survey
from attnviz.corpus.statistics.examples import MOST_WORDS
from attnviz.errors import RequestError
from attnviz.show.forms import Style
from attnviz.show.page import bundle
from attnviz.show.page.atlas import html_of
from attnviz.show.write import writer

MOST_BYTES = 1_500_000  # of minilm's 72 heads with 5 and 5 examples each
HOSTILE = "</script><img src=x onerror=alert(1)> <!-- it"


def element(html: str, name: str) -> bytes:
    """What an element of the page has, unpacked."""
    found = re.search(rf' id="{name}">([^<]*)</script>', html)
    assert found is not None
    letters = np.array([ord(letter) & 127 for letter in found[1]], np.uint8)
    bits = np.unpackbits(letters[:, None], axis=1)[:, 1:].ravel()
    return zlib.decompressobj(-15).decompress(np.packbits(bits).tobytes())


def data_of(html: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(element(html, "survey"))
    return found


def with_example(survey: Survey, **changes: Any) -> Survey:
    """The survey whose first head has one example alone."""
    example = example_of(np.random.default_rng(1), changes.pop("words", WORDS), **changes)
    first = replace(survey.heads[0], examples=(example,), sample=())
    return replace(survey, heads=(first, *survey.heads[1:]))


def test_it_has_the_numbers_of_every_head() -> None:
    survey = random_survey(2, 3)
    data = data_of(html_of(survey))
    assert [(one["layer"], one["head"]) for one in data["heads"]] == [
        tuple(one.head) for one in survey.heads
    ]
    for head, one in zip(data["heads"], survey.heads, strict=True):
        means = [number[0] for number in head["statistics"]]
        expected = [one.statistics[name].mean for name in (s.name for s in survey.statistics)]
        known = [(a, b) for a, b in zip(means, expected, strict=True) if b is not None]
        assert means.count(None) == 1  # a sink, which the model has not
        assert [a for a, _ in known] == pytest.approx([b for _, b in known], rel=1e-4)
        shares = [role["share"][0] for role in head["roles"]] + [head["unknown"][0]]
        assert sum(shares) == pytest.approx(1, abs=1e-4)


def test_every_matrix_is_there_to_a_255th() -> None:
    survey = random_survey(2, 2, examples=3)
    html = html_of(survey)
    data = data_of(html)
    for head, one in zip(data["heads"], survey.heads, strict=True):
        bytes_ = np.frombuffer(element(html, f"l{one.head.layer}"), np.uint8)
        links = zip(
            [*head["strongest"], *head["sample"]], [*one.examples, *one.sample], strict=True
        )
        for link, example in links:
            found = bytes_[link["at"] :][: example.matrix.size].reshape(example.matrix.shape)
            assert (found == example.matrix).all()
            assert tuple(data["texts"][link["text"]]["words"]) == example.words
            own = found[link["query"], link["key"]] / 255 * link["scale"]
            assert own == pytest.approx(example.weight, abs=0.003)


def test_a_text_of_several_heads_is_there_once() -> None:
    survey = random_survey(1, 4, examples=0)
    example = example_of(np.random.default_rng(0), WORDS)
    heads = tuple(replace(one, examples=(example,), sample=(example,)) for one in survey.heads)
    assert len(data_of(html_of(replace(survey, heads=heads)))["texts"]) == 1


def test_the_nearest_heads_are_named() -> None:
    survey = random_survey(2, 6)
    assert survey.distances is not None
    for place, head in enumerate(data_of(html_of(survey))["heads"]):
        row = survey.distances.matrix[place]
        others = sorted(set(range(12)) - {place}, key=lambda other: row[other])
        assert [other for other, _ in head["alike"]] == others[:8]


def test_it_begins_in_the_language_asked_for() -> None:
    stream = io.BytesIO()
    with writer(stream, "html", style=Style(language="ko")) as write:
        write(random_survey(), 0)
    html = stream.getvalue().decode()
    assert '<html lang="ko">' in html
    assert '"state":{"lang":"ko"}' in html


def test_an_empty_corpus_has_no_atlas() -> None:
    with pytest.raises(RequestError, match="nothing to show"):
        html_of(replace(random_survey(), heads=()))


def test_it_is_small() -> None:
    """Though no text is there twice, each has the most words, and random weights pack badly."""
    rng = np.random.default_rng(0)
    survey = random_survey(6, 12, examples=0)
    words = [f"word{number}" for number in range(MOST_WORDS)]
    some = [tuple(example_of(rng, words) for _ in range(5)) for _ in range(2 * 72)]
    heads = [
        replace(one, examples=some[2 * place], sample=some[2 * place + 1])
        for place, one in enumerate(survey.heads)
    ]
    assert len(html_of(replace(survey, heads=tuple(heads))).encode()) < MOST_BYTES


def test_no_text_ends_an_element() -> None:
    survey = with_example(random_survey(), words=tuple([HOSTILE] * 16), source=HOSTILE, id=HOSTILE)
    facts = replace(survey.corpus, files=(HOSTILE,))
    survey = replace(survey, corpus=facts, model=replace(survey.model, name=HOSTILE))
    html = html_of(replace(survey, notes=(HOSTILE,)))
    assert "<img" not in html
    assert data_of(html)["texts"][0]["words"][0] == HOSTILE


def test_control_characters_are_escaped() -> None:
    survey = with_example(random_survey(), words=("a\x1b[31m", *WORDS[1:]))
    assert "\x1b" not in "".join(data_of(html_of(survey))["texts"][0]["words"])


def test_the_policy_knows_its_own_script_and_style_alone() -> None:
    html = html_of(random_survey())
    texts = [bundle.script("boot.js"), bundle.script("atlas/main.js"), bundle.style("atlas.css")]
    digests = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    assert (
        f"default-src 'none'; script-src 'sha256-{digests[0]}' 'sha256-{digests[1]}'; "
        f"style-src 'sha256-{digests[2]}'" in html
    )
    assert element(html, "script").decode() == texts[1]


def test_neither_page_carries_the_other() -> None:
    atlas, view = (set(bundle.files(name)) for name in ("atlas/main.js", "main.js"))
    assert not any(name.startswith("atlas/") for name in view)
    assert not {name for name in atlas if "/" in name and not name.startswith("atlas/")}
    assert "mathematics.js" not in atlas
    assert ".mixture" not in bundle.style("view.css")
    assert ".wires" not in bundle.style("atlas.css")
    assert len(bundle.style("view.css")) < 22_000
    assert len(bundle.script("atlas/main.js")) < 70_000


@pytest.mark.parametrize("word", ["http:", "https:", "//cdn"])
def test_it_asks_for_nothing(word: str) -> None:
    html = html_of(random_survey())
    whole = html + element(html, "script").decode().replace('"http://www.w3.org/2000/svg"', "")
    assert word not in whole
