"""The words of the page: the same in both languages, small, and those of docs/article*.md."""

import json
import re
from pathlib import Path

import pytest
from test_docs import HANGUL, read

from attnviz.answers.statistics import ROLES, STATISTICS
from attnviz.show.page.atlas import SHARED
from attnviz.show.page.bundle import files

PAGE = Path(__file__).parent.parent / "attnviz" / "show" / "page"
ARTICLES = {"en": "docs/article.md", "ko": "docs/article.ko.md"}
MOST_BYTES = 34 * 1024
PLACE = re.compile(r"\{(\w+)(?: [^|}]*\|[^}]*)?\}")
ENTRIES = {"words": "main.js", "atlas": "atlas/main.js"}
STEPS = {
    "stack": 1,
    "heads": 3,
    "qkv": 10,
    "alike": 5,
    "softmax": 5,
    "values": 5,
    "concat": 3,
    "layer": 2,
    "residual": 2,
    "it": 8,
    "self": 7,
    "cross": 6,
    "sizes": 4,
}
"""Each step of the tour, and the section of the article that it shows."""

ENGLISH = re.compile("[A-Za-z]{3}")


COMMENT = re.compile(r"/\*[\s\S]*?\*/|^\s*//.*", re.MULTILINE)
NAMED = re.compile(r"(statistic|role|test|unit)\.\w+")  # by what a survey has
SAID = re.compile(r'\bsay\(\s*"([^"]+)"')
PLAIN = re.compile(r'"([^"\n]*)"')
MADE = re.compile(r"`(\w+\.[\w.]*\$\{[^`}]*\}[\w.]*|\$\{[^`}]*\}\.[\w.]+)`")  # `tour.${attention}`


def words(language: str, page: str = "words") -> dict[str, str]:
    """The strings of a page in one language, none of them given twice."""

    def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    text = (PAGE / f"{page}.{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text, object_pairs_hook=once)
    return found


def scripts(page: str = "words") -> dict[str, tuple[str, str]]:
    """A page's scripts without comments, and what comes before the keys that they say."""
    return {
        name: (
            COMMENT.sub("", (PAGE / "script" / name).read_text("utf-8")),
            "tour." * name.startswith("tour/"),
        )
        for name in files(ENTRIES[page])
    }


def known_words(page: str) -> set[str]:
    """What a page can say."""
    return set(words("en", page)) | (set(SHARED) if page == "atlas" else set())


def pattern(made: str) -> str:
    """The keys that a template makes."""
    return r"[\w.]+".join(map(re.escape, re.split(r"\$\{[^}]*\}", made)))


def section(language: str, number: int) -> tuple[str, str]:
    """The heading of a section of the article, and its text without marks of code."""
    found = re.split(rf"^## {number}\. ", read(ARTICLES[language]), flags=re.MULTILINE)[1]
    heading, _, text = found.partition("\n## ")[0].replace("`", "").partition("\n")
    return heading, " ".join(text.split())


@pytest.mark.parametrize("page", ENTRIES)
def test_both_languages_say_the_same(page: str) -> None:
    english, korean = words("en", page), words("ko", page)
    assert list(english) == list(korean)
    for key, text in english.items():
        assert sorted(set(PLACE.findall(text))) == sorted(set(PLACE.findall(korean[key]))), key
        assert HANGUL.search(korean[key]) or not ENGLISH.search(PLACE.sub("", korean[key])), key
        assert not HANGUL.search(text), key


def test_they_are_small() -> None:
    packed = [json.dumps(words(language), ensure_ascii=False) for language in ARTICLES]
    assert sum(len(text.encode()) for text in packed) <= MOST_BYTES


@pytest.mark.parametrize("page", ENTRIES)
def test_what_scripts_say_is_there(page: str) -> None:
    known = known_words(page)
    for name, (source, prefix) in scripts(page).items():
        for key in SAID.findall(source):
            assert key in known or prefix + key in known, (name, key)


@pytest.mark.parametrize("page", ENTRIES)
def test_every_word_is_said(page: str) -> None:
    unsaid = {key for key in known_words(page) if not NAMED.fullmatch(key)}
    for source, prefix in scripts(page).values():
        plain = set(PLAIN.findall(source))
        unsaid -= plain | {prefix + key for key in plain}
        for made in MADE.findall(source):
            for before in {"", prefix}:
                unsaid = {key for key in unsaid if not re.fullmatch(before + pattern(made), key)}
    assert unsaid == set()


@pytest.mark.parametrize("language", ARTICLES)
@pytest.mark.parametrize("step", STEPS)
def test_the_tour_says_what_the_article_says(step: str, language: str) -> None:
    said = words(language)
    heading, text = section(language, STEPS[step])
    title, first = said[f"tour.{step}"], said[f"tour.{step}.1"]
    assert title == heading or f"**{title}.**" in text
    assert first in text or first.removesuffix(".") in text


def test_the_tour_has_no_other_steps() -> None:
    titles = {key.split(".")[1] for key in words("en") if re.fullmatch(r"tour\.\w+\.1", key)}
    assert titles == set(STEPS)


@pytest.mark.parametrize("language", ARTICLES)
def test_all_that_a_survey_has_is_named_in_the_atlas(language: str) -> None:
    known = words(language, "atlas")
    names = {f"statistic.{one.name}": one.title for one in STATISTICS}
    names |= {f"role.{re.sub(r'[^a-z]', '_', one.name)}": one.title for one in ROLES}
    others = {"statistic.layer", "role.unknown", "role.share"}
    assert {key for key in known if key.startswith(("statistic.", "role."))} == {*names, *others}
    assert {f"unit.{one.unit}" for one in STATISTICS if one.unit != "share"} <= set(known)
    if language == "en":
        assert {name: known[name] for name in names} == names
