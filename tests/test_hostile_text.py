"""Text that would act where it is shown, in every string of a saved inspection: it is shown.

Script and markup, rich's markup and emoji, escape sequences, direction marks, what XML may not
hold, formulas: through every form of every answer that comes from such a file.
"""

import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_type_hints
from xml.etree import ElementTree

import numpy as np
import pytest
from handmade import cross_inspection_of, random_inspection, tokens_of
from rich.console import Console
from safetensors.numpy import save as to_safetensors
from worked import inspection_with, random_layer

from attnviz import api
from attnviz.answers.ablate import ablation_of
from attnviz.answers.answer import Answer
from attnviz.answers.check import Check, Line
from attnviz.answers.explain import explain_token
from attnviz.answers.find import find
from attnviz.answers.select import Phrase
from attnviz.answers.similar import rank_heads, similarity
from attnviz.errors import AttnvizError, visible
from attnviz.inspection import HeadId, Inspection, ModelFacts
from attnviz.inspection.ablated import Ablated, Ablating, Guess, MaskPrediction
from attnviz.inspection.pooled import Pooled, PoolingFacts
from attnviz.inspection.storage import load, save
from attnviz.models.describe import AttentionFacts, Catalog, CatalogEntry, Described, TokenizerFacts
from attnviz.show.forms import Form
from attnviz.show.naming import picture_name
from attnviz.show.notebook import table_html
from attnviz.show.write import writer
from attnviz.text.tokens import Part, Tokens

ACTING = {
    "script": "<img src=x onerror=alert(1)><script>alert(2)</script>",
    "attribute": '"\' onmouseover=alert(1) x="',
    "rich": "[bold red]x[/] [link=http://x.example]y[/link] :smile:",
    "formula": "$\\frac{a}{b}$ \\undefined{$x$",
    "escapes": "\x1b[2J\x1b]0;title\x07\x1b]8;;http://x.example\x1b\\",
    "controls": "\x00\x08\x7f\x85\x9b2J\r\n",
    "directions": "\u202eabc\u2066def\u061c\u200f\ufeff\u2028\u2029",
    "no characters": "\ufffe\uffff\ufdd0\U0001ffff",
    "markdown": "|`a`|<b>|``",
    "paths": "../../x\\..\\y",
}
JOINERS = {"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))}
"""Format characters that shape the letters around them (emoji, Persian, flags): they stay."""

HOSTILE = " ".join(ACTING.values())

STRINGS = {"text", "pair", "vocabulary", "name", "family", "dtype"}
"""Every field of a saved inspection that holds text; `attention` is one of three words."""


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def check_text(shown: str, keep: str = "\n") -> None:
    """No character is left that a terminal would obey; `keep`: those that are ours."""
    for character in set(shown) - set(keep):
        kind = unicodedata.category(character)
        acts = kind in ("Cc", "Cf", "Cs", "Zl", "Zp") or character in ACTING["no characters"]
        assert not acts or character in JOINERS, f"{character!r} in {shown!r}"


def check_terminal(shown: str) -> None:
    """Escapes are colours and styles alone, and none is what the text asked for."""
    check_text(re.sub(r"\x1b\[[0-9;]*m", "", shown))


def check_html(page: str) -> None:
    check_text(page)
    for tag, attributes in _Tags(page).found:
        assert tag in {"div", "b", "span", "table", "tr", "td", "img", "pre"}, tag
        for name, value in attributes:
            assert name in {"style", "title", "alt", "width", "height", "src"}, name
            assert name != "src" or (value or "").startswith("data:image/png;base64,")
            assert name != "style" or "alert" not in (value or "")


def check_svg(picture: str) -> None:
    check_text(picture)
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(picture).iter()}
    assert not tags & {"script", "img", "image", "a", "b", "foreignObject"} - {"image"}, tags
    assert "onerror" not in {
        name for element in ElementTree.fromstring(picture).iter() for name in element.attrib
    }


def words() -> Tokens:
    """A pair whose words, entries and everything else are hostile."""
    return tokens_of([HOSTILE, "it", *ACTING.values()], pair=["ran", HOSTILE])


def hostile_encoder() -> Inspection:
    made = random_inspection(words(), 2, 3, seed=0)
    return replace(made, model=replace(made.model, name=HOSTILE, family=HOSTILE, trained=False))


def hostile_translator() -> Inspection:
    a, b = words(), tokens_of(["it", *ACTING.values()])
    weights = np.full((1, 2, len(a), len(b)), 1 / len(b))
    made = cross_inspection_of(a, b, weights)
    return replace(made, model=replace(made.model, name=HOSTILE, family=HOSTILE))


def hostile_window() -> Inspection:
    made, part = hostile_encoder(), Part(0, 2, 0, 5, 0)
    return replace(made, tokens=replace(made.tokens, part=part))


INSPECTIONS: dict[str, Callable[[], Inspection]] = {
    "encoder": hostile_encoder,
    "cross-attention": hostile_translator,
    "window": hostile_window,
}


@pytest.fixture(params=INSPECTIONS)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Inspection:
    """Through a file, as a stranger would send it."""
    save(INSPECTIONS[request.param](), tmp_path / "i")
    return load(tmp_path / "i")


def answers(inspection: Inspection) -> Iterator[Answer]:
    """Every kind of answer that a saved inspection gives without its model."""
    view = inspection.view()
    yield api.overview(inspection)
    yield api.word(inspection, query="@1")
    yield api.word(inspection, key="@1")
    yield api.word(inspection, query="@1", key="@1")
    yield api.matrices(inspection)
    yield api.matrices(inspection, head="L0H0")
    yield api.matrices(inspection, head="L0H0", unit="piece")
    yield api.links(inspection, query="@1", head="L0H0")
    finding = find(view, Phrase((view.context.tokens[1],)), Phrase((view.context.keys[2],)))
    yield finding
    yield api.holding([finding, finding])
    other = replace(inspection, model=replace(inspection.model, name=f"{HOSTILE} B"))
    yield api.compare(inspection, other)
    yield api.compare(inspection, other, query="it")


def more_answers() -> Iterator[Answer]:
    """Those that need the model: their texts and entries are its tokenizer's."""
    rng = np.random.default_rng(0)
    layer = random_layer(6, 1)
    made = inspection_with(rng.normal(size=(5, 6)), layer, 2)
    tokens = tokens_of([HOSTILE, "it", *list(ACTING.values())[:3]], special=False)
    made = replace(made, tokens=tokens, model=replace(made.model, name=HOSTILE, family=HOSTILE))
    yield from explain_token(made.view(), 0, HeadId(0, 1), layer)
    states = rng.normal(size=(2, 5, 6)).astype(np.float32)
    guesses = (Guess(HOSTILE, 0.5), Guess("it", 0.25))
    masks = (MaskPrediction(0, guesses, guesses[::-1], guesses[0]),)
    run = Ablated(
        tokens, made.model, (HeadId(0, 0),), Ablating(), states[0], states[1], masks=masks
    )
    yield ablation_of(made.view().context, run)
    facts = PoolingFacts(source=HOSTILE)
    pooled = Pooled(tokens, made.model, facts, states[0].sum(axis=0), states[0])
    alike = similarity(made.view(), made.view(), pooled, pooled)
    yield from (alike, rank_heads(alike, [(HeadId(0, 0), pooled, pooled)], "zero"))


class _Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def written(answer: Answer, form: Form, on_terminal: bool = False) -> bytes:
    stream = _Terminal() if on_terminal else io.BytesIO()
    with writer(stream, form, to_file=form == "table") as write:
        write(answer, 0)
    return stream.getvalue()


def check_answer(answer: Answer) -> None:
    """Every form of an answer shows the text; none lets it act."""
    for width in (60, 200):
        stream = io.StringIO()
        # a console as rich makes it, which reads strings as markup
        console = Console(file=stream, width=width, color_system="truecolor", force_terminal=True)
        console.print(api.table(answer))
        check_terminal(stream.getvalue())
        assert "😄" not in stream.getvalue()
    check_text(written(answer, "table").decode())
    for form in ("json", "csv", "tsv"):
        check_text(written(answer, form, on_terminal=True).decode(), keep="\n\t")
        written(answer, form).decode()
    check_text(written(answer, "md").decode())
    page = table_html(answer)
    check_html(page)
    assert "😄" not in page
    check_text(repr(answer))
    json.loads(written(answer, "json", on_terminal=True))


def test_no_form_of_any_answer_lets_a_saved_text_act(saved: Inspection) -> None:
    check_html(saved._repr_html_())
    for shown in (repr(saved), str(saved.model), repr(saved.model), repr(saved.tokens)):
        check_text(shown)
    for answer in answers(saved):
        check_answer(answer)


def test_nor_do_those_that_need_the_model() -> None:
    explanation, ablation, similar, each = more_answers()
    for answer in (explanation, ablation, similar, each):
        check_answer(answer)
    for answer in (explanation, similar):
        check_svg(written(answer, "svg").decode())
        assert re.fullmatch(r"[\w-]+", picture_name(answer))


def test_nor_do_those_about_models() -> None:
    model = hostile_encoder().model
    told = Line("rows", "rows sum to 1", "failed", 1.0, 0.5, HOSTILE, HOSTILE)
    check_answer(Check(model, "encoder", (HOSTILE, "it"), (told,)))
    entry = CatalogEntry(HOSTILE, HOSTILE, 5, HOSTILE, HOSTILE, HOSTILE)
    families: dict[Any, tuple[str, ...]] = dict.fromkeys(
        ("natively", "through transformers", "weights alone"), (HOSTILE,)
    )
    check_answer(Catalog(HOSTILE, (entry,), (entry,), families, (HOSTILE,), HOSTILE))
    attention = AttentionFacts("encoder", "natively", 3, (HOSTILE,))
    facts = TokenizerFacts(HOSTILE, False, 5)
    described = Described(
        model=model, vocab_size=5, positions=(HOSTILE,), dtypes=(HOSTILE,), tokenizer=facts,
        num_kv_heads=3, attention=(attention,), folder=HOSTILE, repository=HOSTILE,
    )  # fmt: skip
    check_answer(described)


def test_pictures(saved: Inspection) -> None:
    drawn: list[Answer] = [
        api.matrices(saved, head="L0H0"),
        api.links(saved, query="@1", head="L0H0"),
        api.compare(saved, replace(saved, model=replace(saved.model, name=f"{HOSTILE} B"))),
    ]
    for answer in drawn:
        check_svg(written(answer, "svg").decode())
        assert re.fullmatch(r"[\w-]+", picture_name(answer))
    assert written(drawn[0], "pdf").startswith(b"%PDF")


def test_the_fields_tried_are_all_that_hold_text() -> None:
    found = {
        field.name
        for kind in (Tokens, Part, ModelFacts)
        for field in fields(kind)
        if "str" in str(get_type_hints(kind)[field.name])
    }
    assert found == STRINGS


@pytest.mark.parametrize("name", ["dtype", "attention"])
def test_what_is_one_of_a_few_words_is_nothing_else(tmp_path: Path, name: str) -> None:
    def change(metadata: dict[str, Any]) -> None:
        (metadata["model"] if name == "dtype" else metadata)[name] = ACTING["script"]

    save(hostile_encoder(), tmp_path / "i")
    rewrite(tmp_path / "i", change)
    with pytest.raises(AttnvizError, match="is damaged"):
        load(tmp_path / "i")


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the metadata of a saved inspection."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()["attnviz"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(metadata)
    path.write_bytes(to_safetensors(arrays, {"attnviz": json.dumps(metadata)}))


@pytest.mark.parametrize("kind", ACTING)
def test_messages(kind: str) -> None:
    error = AttnvizError(ACTING[kind], ACTING[kind])
    check_text(str(error))
    check_text(repr(error))
    assert visible(ACTING[kind]) in str(error)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--{}"], ["{}"], ["run", "it", "--{}"], ["run", "it", "--top", "{}"],
        ["run", "it", "-m", "{}"], ["run", "it", "--query", "{}"], ["run", "it", "--measure", "{}"],
        ["run", "it", "-o", "{}"], ["run", "--load", "{}"], ["run", "it", "--layer", "{}"],
        ["run", "it", "-f", "{}"], ["models", "{}"], ["run", "it", "--head", "{}"],
    ],
)  # fmt: skip
def test_options_and_their_values(
    arguments: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(ACTING[kind] for kind in ("directions", "escapes", "rich")).replace("/", ":")
    given = [argument.format(text) for argument in arguments]
    monkeypatch.setattr("sys.argv", ["attnviz", *given])
    from attnviz.cli import main

    assert main() == 2
    out, err = capfd.readouterr()
    check_terminal(out + err)
    assert err
