"""docs/guide.md: what its text says, its sessions show; they are run by test_docs.py."""

import re

import pytest
from test_docs import ROOT, blocks, read

from attnviz.attention.measures import MEASURES
from attnviz.inspection import Inspection

GUIDE = read("docs/guide.md")
TEXT = re.sub(r"^```.*?^```$", "", GUIDE, flags=re.MULTILINE | re.DOTALL)
SHOWN = "".join(blocks("docs/guide.md", "console"))
NUMBER = re.compile(r"(?<![\w.])\d*\.\d+")
OF = re.compile(r"\d+ of \d+")


def test_every_number_of_the_text_is_shown() -> None:
    told = set(NUMBER.findall(re.sub(r"https://\S+", "", TEXT))) - {"1.0"}
    assert len(told) > 15
    of_the_model = {"0.050", "0.021", "0.281", "0.121", "0.558", "0.035"}  # held by test_docs.py
    of_the_pronouns = {"39.2", "0.074"}
    assert told - set(NUMBER.findall(SHOWN)) - of_the_model == of_the_pronouns
    assert of_the_pronouns <= set(NUMBER.findall(read("docs/pronouns.md")))


def test_every_count_of_the_text_is_shown(animal: Inspection) -> None:
    best = animal.view().query(8).argmax(axis=-1)
    counted = f"{(best == 0).sum()} of {best.size}"
    pronouns = OF.findall(SHOWN) + OF.findall(read("docs/pronouns.md"))
    assert "L3H1 (from 1: 4-2) | 25 | 14 | 39 = 65% | 39 |" in read("docs/pronouns.md")
    unknown = "1 of 4"  # words of an emoji's sentence, as test_unknown.py has them
    allowed = {counted, "39 of 60", "12 of 72", unknown, *pronouns}
    assert set(OF.findall(TEXT)) <= allowed
    assert counted in TEXT


@pytest.mark.parametrize(
    ("head", "text"), [("L3H1", r"L3H1 +▸ 0\.677"), ("L5H11", r"L5H11 +▸ 0\.673")]
)
def test_heads_are_also_counted_from_1(head: str, text: str) -> None:
    layer, number = (int(part) + 1 for part in re.findall(r"\d+", head))
    assert f"{layer}-{number}" in TEXT
    assert re.search(text, SHOWN)


def test_every_command_has_its_part() -> None:
    used = re.findall(r"^\$ attnviz (\w+)", SHOWN, re.MULTILINE)
    order = [
        "run",
        "find",
        "lines",
        "view",
        "compare",
        "explain",
        "ablate",
        "patch",
        "heatmap",
        "similar",
    ]
    assert list(dict.fromkeys(used)) == [*order, "check"]
    assert "--measure norm" in SHOWN
    assert set(re.findall(r"--measure (\w+)", SHOWN)) <= set(MEASURES)


def test_its_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", GUIDE)
    assert pictures
    assert all((ROOT / "docs" / picture).is_file() for picture in pictures)
