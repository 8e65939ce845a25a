"""The words of the page: the same in both languages, small, and those of docs/article*.md."""

import json
import re
from pathlib import Path

import pytest
from test_docs import HANGUL, read

PAGE = Path(__file__).parent.parent / "attnviz" / "show" / "page"
ARTICLES = {"en": "docs/article.md", "ko": "docs/article.ko.md"}
MOST_BYTES = 34 * 1024
PLACE = re.compile(r"\{(\w+)\}")
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
SAID = re.compile(r'\bsay\(\s*"([^"]+)"')
PLAIN = re.compile(r'"([^"\n]*)"')
MADE = re.compile(r"`(\w+\.[\w.]*\$\{[^`}]*\}[\w.]*|\$\{[^`}]*\}\.[\w.]+)`")  # `tour.${attention}`


def words(language: str) -> dict[str, str]:
    """The strings of one language, none of them given twice."""

    def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    text = (PAGE / f"words.{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text, object_pairs_hook=once)
    return found


def scripts() -> dict[str, tuple[str, str]]:
    """The scripts without comments, and what comes before the keys that they say."""
    return {
        str(path): (
            COMMENT.sub("", path.read_text("utf-8")),
            "tour." * (path.parent.name == "tour"),
        )
        for path in (PAGE / "script").rglob("*.js")
    }


def pattern(made: str) -> str:
    """The keys that a template makes."""
    return r"[\w.]+".join(map(re.escape, re.split(r"\$\{[^}]*\}", made)))


def section(language: str, number: int) -> tuple[str, str]:
    """The heading of a section of the article, and its text without marks of code."""
    found = re.split(rf"^## {number}\. ", read(ARTICLES[language]), flags=re.MULTILINE)[1]
    heading, _, text = found.partition("\n## ")[0].replace("`", "").partition("\n")
    return heading, " ".join(text.split())


def test_both_languages_say_the_same() -> None:
    english, korean = words("en"), words("ko")
    assert list(english) == list(korean)
    for key, text in english.items():
        assert sorted(set(PLACE.findall(text))) == sorted(set(PLACE.findall(korean[key]))), key
        assert HANGUL.search(korean[key]) or not ENGLISH.search(PLACE.sub("", korean[key])), key
        assert not HANGUL.search(text), key


def test_they_are_small() -> None:
    packed = [json.dumps(words(language), ensure_ascii=False) for language in ARTICLES]
    assert sum(len(text.encode()) for text in packed) <= MOST_BYTES


def test_what_scripts_say_is_there() -> None:
    known = words("en")
    for name, (source, prefix) in scripts().items():
        for key in SAID.findall(source):
            assert key in known or prefix + key in known, (name, key)


def test_every_word_is_said() -> None:
    unsaid = set(words("en"))
    for source, prefix in scripts().values():
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
