"""The page compares as `compare` does: comparing.js beside Python, run by Node.js."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnviz.answers.align import Aligned, aligned
from attnviz.answers.compare import compare
from attnviz.inspection import HeadId, Inspection, View
from attnviz.model import Model

SCRIPTS = Path(__file__).parent.parent / "attnviz" / "show" / "page" / "script"
ANIMAL, IT = 2, 8
TIRED = "The animal didn't cross the street because it was too tired."

IN_NODE = """
import { alignedPlaces, compared, largestFirst } from "./compare/comparing.js";
let text = "";
for await (const some of process.stdin) text += some;
const { pair, words, heads } = JSON.parse(text);
const shown = ({ rows, columns, weights }) => ({
  rows, columns, weights: Float32Array.from(weights), dropped: null, sink: null, allowed: null,
});
const places = alignedPlaces(pair, "word");
const found = heads.map(([a, b]) => {
  const both = compared(shown(a), shown(b), places, (at) => words.includes(at));
  const { rows, distance, distances, change } = both;
  const none = (number) => (Number.isNaN(number) ? null : number);
  return { rows, distance, distances: Array.from(distances, none), change: Array.from(change) };
});
const order = largestFirst(found.map(({ distance }) => distance));
console.log(JSON.stringify({ found, order }));
"""


def shown(view: View, head: HeadId) -> dict[str, Any]:
    """A head's matrix as the page has it."""
    block = view.block(head)
    return {
        "rows": [token.index for token in view.tokens],
        "columns": [key.index for key in view.keys],
        "weights": block.weights[0].ravel().tolist(),
    }


def in_node(words: Aligned) -> Any:
    """What comparing.js finds in all heads."""
    places = [[None if t is None else t.index for t in (c.a, c.b)] for c in words.columns]
    heads = words.a.all_heads()
    given = {
        "pair": {"words": places, "key_words": places},
        "words": words.words,
        "heads": [[shown(view, head) for view in words.views] for head in heads],
    }
    command = ["node", "--input-type=module", "-e", IN_NODE]
    done = subprocess.run(
        command, input=json.dumps(given).encode(), cwd=SCRIPTS, capture_output=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def others(minilm: Model) -> list[Inspection]:
    texts = [TIRED.replace("tired", "wide"), TIRED.replace("was too tired", "had long been tired")]
    return [minilm.inspect(text) for text in texts]


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("place", [0, 1])
def test_distances_and_order_are_those_of_compare(
    animal: Inspection, others: list[Inspection], place: int, special: bool
) -> None:
    words = aligned(*(one.view(special=special) for one in (animal, others[place])))
    expected = compare(words)
    found, order = in_node(words).values()
    heads = words.a.all_heads()
    by_head = {change.head: change for change in expected.heads}
    for head, one in zip(heads, found, strict=True):
        change = by_head[head]
        assert change.distances is not None
        np.testing.assert_allclose(one["distance"], change.distance, atol=1e-5)
        distances = np.array(one["distances"], float)
        np.testing.assert_allclose(distances, change.distances, atol=1e-5)
    assert [heads[at] for at in order[:12]] == [change.head for change in expected.heads[:12]]


def test_what_it_looks_at_instead_of_the_animal(
    animal: Inspection, others: list[Inspection]
) -> None:
    words = aligned(animal.view(), others[0].view())
    expected = compare(words, query=IT, heads=[words.a.head_at(3, 1)])
    one = in_node(words)["found"][words.a.all_heads().index(words.a.head_at(3, 1))]
    change = np.array(one["change"]).reshape(len(one["rows"]), -1)
    np.testing.assert_allclose(change[IT], expected.heads[0].change, atol=1e-5)
    assert change[IT, ANIMAL] == pytest.approx(-0.395, abs=1e-3)
    assert one["distances"][IT] == pytest.approx(expected.heads[0].distance, abs=1e-5)
