"""A survey as a table of any width, as a figure, and as data that follow their schema."""

import csv
import io
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jsonschema
import matplotlib.text
import orjson
import pytest
from matplotlib.figure import Figure
from rich.cells import cell_len
from rich.console import Console
from surveys import survey_of

from attnviz.answers.corpus import Estimate
from attnviz.answers.statistics import ROLES
from attnviz.answers.survey import HeadRole, Survey
from attnviz.attention.request import AttentionKind
from attnviz.errors import RequestError
from attnviz.inspection import HeadId
from attnviz.show.forms import Style, figure, table
from attnviz.show.labels import percent
from attnviz.show.roles import LOOKS
from attnviz.show.write import writer

SCHEMA = Path(__file__).parent.parent / "docs" / "schema" / "survey-1.schema.json"
SMALL = survey_of(6, 12, examples=2, left_out=3)


def shown(survey: Survey, width: int = 80, top: int | None = None, color: bool = False) -> str:
    console = Console(
        width=width,
        file=io.StringIO(),
        color_system="truecolor" if color else None,
        force_terminal=color,
        markup=False,
        highlight=False,
    )
    with console.capture() as captured:
        console.print(table(survey, top))
    return captured.get()


def part(text: str, start: str) -> list[str]:
    """The lines below the one that starts so, up to an empty one."""
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(start))
    own = lines[first + 1 :]
    return own[: own.index("")] if "" in own else own


@pytest.mark.parametrize("shape", [(6, 12), (12, 12), (24, 16)], ids=str)
@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_line_is_wider_than_the_terminal(shape: tuple[int, int], width: int) -> None:
    text = shown(survey_of(*shape, examples=3), width)
    assert max(map(cell_len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_map_has_each_head_s_letter_and_share(width: int) -> None:
    room = 64 if width >= 128 else width  # of the map; on wide terminals roles stand beside it
    lines = [line[:room] for line in shown(SMALL, width).splitlines()]
    rows = [line for line in lines if re.match(r"   H0|L\d ", line)][:7]
    assert rows[0].split() == [f"H{head}" for head in range(12)]
    for layer, row in enumerate(rows[1:]):
        name, cells = row.split(maxsplit=1)
        assert name == f"L{layer}"
        heads = [one for one in SMALL.heads if one.head.layer == layer]
        letters = [LOOKS[one.role].letter for one in heads]
        found = [cell for cell in cells if cell.isalpha() or cell == "·"]
        assert found == letters
        if width >= 80:
            shares = [f"{100 * (one.share.mean or 0):.0f}" for one in heads]
            assert re.findall(r"\d+", cells) == shares


def test_roles_stand_beside_the_map_on_a_wide_terminal() -> None:
    first = [line for line in shown(SMALL, 160).splitlines() if line.startswith("the largest role")]
    assert first[0].split()[-7:] == ["role", "heads", "largest", "in", "of", "all", "attention"]


def test_many_heads_stand_in_several_blocks() -> None:
    text = shown(survey_of(2, 64), 60)
    assert part(text, "the largest role")[0].split()[0] == "H0"
    assert sum(line.startswith("L1 ") for line in text.splitlines()) > 1


def test_roles_are_counted_and_their_shares_sum_to_all_attention() -> None:
    counts = SMALL.counts()
    assert sum(role.share for role in counts) == pytest.approx(1)
    assert sum(role.largest for role in counts) == 72
    assert counts[-1].name == "unknown"
    every = [role.name for head in SMALL.heads for role in head.roles]
    assert {role.name: role.heads for role in counts[:-1]} == dict(Counter(every))


def test_the_strongest_heads_of_a_statistic_come_first() -> None:
    [row] = [
        row for row in part(shown(SMALL, 120), "the heads with the") if row.startswith("entropy, b")
    ]
    numbers = {one.head: one.statistics["entropy"].mean or 0 for one in SMALL.heads}
    best = sorted(numbers, key=lambda head: -numbers[head])[:3]
    words = row.split()
    assert [word for word in words if word.startswith("L")] == [str(head) for head in best]
    first = numbers[best[0]]
    assert words[3:5] == [f"{first:.2f}", f"{0.97 * first:.2f}–{1.04 * first:.2f}"]


def test_top_says_how_many_heads() -> None:
    every = part(shown(SMALL, 200, top=72), "the heads with the largest means")
    assert sum(line.count("L") for line in every) >= 72 * 14
    assert "--top" not in " ".join(every)
    one = part(shown(SMALL, top=1), "the heads with the largest means")
    assert "71 more heads: --top 72 shows all." in one


def test_what_was_read_and_left_out_is_said() -> None:
    text = " ".join(shown(SMALL).split())
    assert "2,001 texts of corpus.txt in 2,003 windows: 25,147 words, 31,022 pieces" in text
    assert "3 left out" in text
    assert "95% intervals: Poisson bootstrap over documents, 500 resamples" in text
    few = " ".join(shown(survey_of(2, 3, intervals=False)).split())
    assert "no intervals and no tests: they need at least 6 texts" in few
    assert "left out" not in few
    facts = replace(SMALL.corpus, files=("a.txt", "b.txt"))
    assert "of 2 files" in " ".join(shown(replace(SMALL, corpus=facts)).split())


def test_one_of_a_kind_is_singular_and_little_is_not_nothing() -> None:
    """In the table and in the figure alike."""
    corpus = replace(SMALL.corpus, documents=1, windows=2, words=1, pieces=1, left_out=0)
    [head] = survey_of(1, 1, distances=False).heads
    little = HeadRole("same word", Estimate(0.004), {})
    entropy = {"entropy": Estimate(0.004), "itself": Estimate(0.004, 0.0, 0.006)}
    head = replace(head, roles=(little,), unknown=Estimate(0.996), statistics=entropy)
    one = replace(SMALL, corpus=corpus, heads=(head,), distances=None)
    text, words = " ".join(shown(one).split()), words_of(figure(one))
    assert "1 text of corpus.txt in 2 windows: 1 word, 1 piece" in text
    assert "same word 1 0 <1%" in text
    assert "to itself L0H0 <.01 .00–.01" in text
    assert "1 text, 1 word: corpus.txt" in words
    assert "same word  <1%" in words
    two = replace(one, heads=(head, replace(head, head=HeadId(0, 1))))
    assert "1 more head: --top 2 shows all." in shown(two, top=1)


def test_a_figure_of_one_text_is_in_korean_too() -> None:
    corpus = replace(SMALL.corpus, documents=1, words=1)
    drawn = figure(replace(SMALL, corpus=corpus), style=Style(language="ko"))
    assert "텍스트 1개, 단어 1개: corpus.txt" in words_of(drawn)


def test_examples_and_notes_are_shown_as_typed() -> None:
    hostile = replace(SMALL, notes=("[red]not tested\x1b[31m",))
    lines = part(shown(hostile, 140), "the strongest links")
    assert any("was → animal .90 line 12" in line for line in lines)
    assert "[red]not tested" in shown(hostile)
    assert "\x1b" not in shown(hostile)


def test_clusters_name_their_heads_and_what_most_do() -> None:
    assert SMALL.distances is not None
    lines = part(shown(SMALL, 300), "heads that are alike")
    cluster = SMALL.distances.clusters[0]
    assert lines[0].split()[:2] == [str(len(cluster)), "heads"]
    names = [word for word in lines[0].split() if word.startswith("L")]
    assert names == [str(SMALL.heads[place].head) for place in cluster]
    assert "heads that are alike" not in shown(survey_of(2, 3, distances=False))


def test_without_any_text_there_is_no_map() -> None:
    corpus = replace(SMALL.corpus, documents=0, windows=0, words=0)
    empty = replace(SMALL, heads=(), distances=None, statistics=(), corpus=corpus)
    assert "no text was read" in shown(empty)
    assert list(empty.rows()) == []
    with pytest.raises(RequestError, match="no text was read"):
        figure(empty)


@pytest.mark.parametrize(
    ("documents", "words", "attention", "told"),
    [
        (1, 0, "encoder", "the model reads no word in the one text"),
        (4, 0, "cross", "the decoder wrote no word for any of 4 texts"),
        (4, 4, "decoder", "no word may look at more than one token in any of 4 texts"),
    ],
)
def test_texts_without_rows_are_told(
    documents: int, words: int, attention: AttentionKind, told: str
) -> None:
    corpus = replace(SMALL.corpus, documents=documents, words=words)
    empty = replace(SMALL, heads=(), distances=None, corpus=corpus, attention=attention)
    assert shown(empty).splitlines()[-1] == told
    with pytest.raises(RequestError, match=told):
        figure(empty)


def test_whose_attention_is_shown() -> None:
    told = "cross-attention: the decoder's words look at the encoder's"
    cross = replace(SMALL, attention="cross")
    assert shown(cross).splitlines()[1] == told
    assert told in words_of(figure(cross))
    assert "attention" not in SMALL.data()
    assert "'s own attention" not in shown(SMALL)


def test_colours_only_help() -> None:
    """Every letter is another one, and black letters can be read on every colour."""
    assert len({look.letter for look in LOOKS.values()}) == len(LOOKS)
    assert {role.name for role in ROLES} < set(LOOKS)
    for look in LOOKS.values():
        red, green, blue = (int(look.colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
        luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
        assert (luminance + 0.05) / 0.05 >= 5.5, look
    assert "\x1b[" in shown(SMALL, color=True)


def test_a_role_that_is_not_known_has_a_letter_too() -> None:
    head = replace(SMALL.heads[0], roles=(HeadRole("zigzag", Estimate(0.9), {}),))
    other = replace(SMALL, heads=(replace(head, unknown=Estimate(0.1)), *SMALL.heads[1:]))
    assert "Z 90" in shown(other)


def words_of(drawn: Figure) -> list[str]:
    drawn.draw_without_rendering()
    return [text.get_text() for text in drawn.findobj(matplotlib.text.Text)]


@pytest.mark.parametrize("shape", [(6, 12), (2, 30)], ids=str)
def test_the_figure_has_four_panels_and_names_all_roles(shape: tuple[int, int]) -> None:
    survey = survey_of(*shape)
    words = words_of(figure(survey))
    assert {"a", "b", "c", "d"} <= set(words)
    for role in survey.counts():
        assert f"{role.name}  {percent(role.share)}" in words
    for one in survey.heads[:12]:
        share = f" {100 * (one.share.mean or 0):.0f}" if shape[1] < 24 else ""
        assert LOOKS[one.role].letter + share in words
        assert str(one.head) in words


def test_without_distances_the_figure_has_no_tree() -> None:
    assert "d" not in words_of(figure(survey_of(2, 3, distances=False)))


def test_a_large_model_has_a_figure_of_a_readable_size() -> None:
    width, height = figure(survey_of(24, 16)).get_size_inches()
    assert width < 14
    assert height < 16


def test_data_follow_the_schema() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    for survey in (SMALL, survey_of(2, 3, intervals=False, distances=False)):
        data = orjson.dumps(survey.data(), option=orjson.OPT_SERIALIZE_NUMPY)
        validator.validate(json.loads(data))


def test_rows_are_tidy() -> None:
    stream = io.BytesIO()
    with writer(stream, "csv") as write:
        write(SMALL, 0)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue().decode())))
    assert list(rows[0]) == ["layer", "head", "kind", "name", "mean", "low", "high"]
    entropy = [row for row in rows if row["name"] == "entropy"]
    assert len(entropy) == 72
    assert float(entropy[5]["mean"]) == pytest.approx(SMALL.heads[5].statistics["entropy"].mean)
    one = [row for row in rows if (row["layer"], row["head"], row["kind"]) == ("1", "2", "role")]
    shares = [float(row["mean"]) for row in one]
    assert sum(shares) == pytest.approx(1)
