"""docs/models.md has every family that is read, with what its parity test holds.

usage: python tests/test_models_page.py    write the page's table anew
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import test_families
from tiny_families import save_tiny

from attnviz.encoder.embeddings import (
    HalvedSinusoidalEmbeddings,
    LearnedEmbeddings,
    OffsetEmbeddings,
)
from attnviz.encoder.families import FAMILIES
from attnviz.inspector import load_model

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
TABLE = re.compile(r"^\| family .*?\n\n", re.MULTILINE | re.DOTALL)

HEADER = "| family | `model_type` | positions | `[MASK]` | as in transformers |"

CHECKS = {
    "one sentence": test_families.test_one_sentence,
    "padded batch": test_families.test_a_padded_batch,
    "pair": test_families.test_a_pair,
}

PAPERS = {
    "bert": "BERT (Devlin et al. 2019)",
    "roberta": "RoBERTa (Liu et al. 2019)",
    "xlm-roberta": "XLM-R (Conneau et al. 2020)",
    "camembert": "CamemBERT (Martin et al. 2020)",
    "distilbert": "DistilBERT (Sanh et al. 2019)",
    "electra": "ELECTRA (Clark et al. 2020)",
    "mpnet": "MPNet (Song et al. 2020)",
    "marian": "Marian, its encoder (Junczys-Dowmunt et al. 2018)",
}

POSITIONS = {
    LearnedEmbeddings: "learned",
    OffsetEmbeddings: "learned, behind the padding token's row",
    HalvedSinusoidalEmbeddings: "all sines, then all cosines",
}


def row(name: str, folder: Path) -> str:
    """A family's row, once its tiny random model has passed what the row says of it."""
    family, theirs = FAMILIES[name], save_tiny(folder, name)
    loaded = test_families.Loaded(name, folder, load_model(str(folder)), theirs)
    for check in CHECKS.values():
        check(loaded)
    held = [what for what in CHECKS if what != "pair" or name not in test_families.NO_PAIRS]
    positions = next(text for kind, text in POSITIONS.items() if family.embeddings is kind)
    cells = [
        PAPERS[name],
        f"`{name}`",
        positions + (", and distances" if family.position_bias else ""),
        "predicted" if family.names.masked_lm else "no",
        ", ".join(held),
    ]
    return f"| {' | '.join(cells)} |"


def table(folder: Path) -> str:
    """The page's table."""
    rows = []
    for name in FAMILIES:
        (folder / name).mkdir()
        rows.append(row(name, folder / name))
    return "\n".join([HEADER, "|---" * HEADER.count(" | ") + "|---|", *rows, "", ""])


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_table_is_what_the_parity_tests_find(page: str, tmp_path: Path) -> None:
    assert TABLE.findall(page) == [table(tmp_path)]


def test_the_text_has_the_tests_tolerance_and_sizes(page: str) -> None:
    tolerance = f"{test_families.TOLERANCE:.0e}".replace("e-0", "e-")
    layers, heads = test_families.NUM_LAYERS, test_families.NUM_HEADS
    assert f"each within {tolerance}:" in page
    assert f"with {layers} layers of {heads} heads" in page


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(TABLE.sub(lambda _: table(Path(made)), text), encoding="utf-8")
