"""Every number in the text of docs/measures.md is the default model's own."""

import re

import numpy as np
import pytest
from handmade import part
from test_docs import read

from attnviz.answers.find import find
from attnviz.answers.select import Phrase
from attnviz.attention.measures import MEASURES
from attnviz.inspection import Inspection

PAGE = read("docs/measures.md")
TEXT = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
IT, ANIMAL, STREET, DIDNT = 8, 2, 6, 3


@pytest.fixture(scope="module")
def numbers(animal: Inspection) -> set[str]:
    """What the page may say, computed."""
    weights, norm = animal.view(), animal.view(measure="norm")
    rolled, flow = animal.view(measure="rollout"), animal.view(measure="flow")
    lengths = part(animal.layer(3), "value_norms")
    row = weights.weights(3, 1)[IT]
    lost = {
        view.measure: np.mean([view.dropped(layer).mean() for layer in range(6)])
        for view in (animal.view("word", False), animal.view("word", False, "norm"))
    }
    apart = {
        layer: np.abs(rolled.weights(layer)[IT] - rolled.weights(layer)[STREET]).sum() / 2
        for layer in (0, 3, 5)
    }
    last = animal.view("piece", measure="flow").weights(5)[10]
    it, animal_ = (Phrase((weights.tokens[index],)) for index in (IT, ANIMAL))
    link, stripe = find(weights, it, animal_).heads[:2]
    return {
        f"{row[0]:.3f}",
        f"{row[ANIMAL]:.3f}",
        f"{weights.weights(5, 11)[IT, ANIMAL]:.3f}",
        *(f"{number:.3f}" for number in (link.excess, stripe.excess) if number is not None),
        *(f"{y.mean:.3f}" for y in (link.same_distance, link.same_key, stripe.same_key) if y),
        "95%",  # of a bootstrap's means
        f"{weights.weights(3)[:, IT, ANIMAL].mean():.3f}",
        f"{lengths[1, 0]:.2f}",
        f"{lengths[1, 2]:.2f}",
        f"{norm.weights(3, 1)[IT, 0]:.2f}",
        f"{norm.weights(3, 1)[IT, ANIMAL]:.2f}",
        f"{norm.weights(5, 11)[IT, ANIMAL]:.2f}",
        f"{rolled.weights(3)[IT, ANIMAL]:.3f}",
        f"{last.min():.2f}",
        f"{last.max():.2f}",
        f"{flow.weights(5)[IT, DIDNT]:.2f}",
        *(f"{share:.0%}" for share in (*lost.values(), *apart.values())),
    }


def test_the_numbers_in_the_text_are_computed(numbers: set[str]) -> None:
    told = set(re.findall(r"(?<![\w.])\d+\.\d+|\d+%", TEXT))
    assert told == numbers


def test_the_first_of_a_measure_is_as_told(animal: Inspection) -> None:
    for view, first in ((animal.view(), (3, 1)), (animal.view(measure="norm"), (5, 11))):
        rows = view.query(IT)
        strongest = np.unravel_index(rows[..., ANIMAL].argmax(), rows.shape[:2])
        assert tuple(int(place) for place in strongest) == first


def test_the_table_has_every_measure_with_its_formula() -> None:
    _, *rows = (line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| `"))
    assert [row[0].strip() for row in rows] == [f"`{name}`" for name in MEASURES]
    for row, measure in zip(rows, MEASURES.values(), strict=True):
        assert row[2].strip() == f"`{measure.formula}`"
        assert row[3].strip() == ("head" if measure.per_head else "layer")
        assert row[4].strip() == ("yes" if measure.shares else "no")
        assert measure.source in row[5] or row[5].strip() == "the same"
