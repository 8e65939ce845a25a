"""docs/models.md has every family that is read, with what its parity test holds.

usage: python tests/test_models_page.py    write the page's tables and lists anew
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill

import pytest
import test_backends
import test_backends_seq2seq
import test_families
import test_weights_only
import tiny_others
from tiny_families import save_tiny
from tiny_others import RECORDED, SEQ2SEQ, WEIGHTS_ONLY

from attnviz.attention.layer import LayerRecord
from attnviz.model import load_model
from attnviz.models.describe import other_types
from attnviz.models.families import FAMILIES, Embeddings

PAGE = Path(__file__).parent.parent / "docs" / "models.md"

HEADER = "| family | `model_type` | positions | `[MASK]` | as in transformers |"
OTHERS_HEADER = "| architecture | `model_type` | attention | besides queries and keys | as in {} |"
GIVEN_HEADER = "| architecture | `model_type` | as in transformers |"

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

OTHERS = {
    "modernbert": "ModernBERT (Warner et al. 2024)",
    "albert": "ALBERT (Lan et al. 2020)",
    "gpt2": "GPT-2 (Radford et al. 2019)",
    "llama": "Llama (Touvron et al. 2023)",
    "mistral": "Mistral (Jiang et al. 2023)",
    "qwen3": "Qwen3 (Yang et al. 2025)",
    "gemma2": "Gemma 2 (Gemma Team 2024)",
    "gemma3_text": "Gemma 3 (Gemma Team 2025)",
    "gpt_oss": "gpt-oss (OpenAI 2025)",
    "t5": "T5 (Raffel et al. 2020)",
    "bart": "BART (Lewis et al. 2020)",
    "marian": "Marian, its decoder (Junczys-Dowmunt et al. 2018)",
    "m2m_100": "M2M100 (Fan et al. 2021)",
    "deberta-v2": "DeBERTa v2 and v3 (He et al. 2021)",
    "longformer": "Longformer (Beltagy et al. 2020)",
    "xlnet": "XLNet (Yang et al. 2019)",
}

POSITIONS: dict[Embeddings, str] = {
    "learned": "learned",
    "offset": "learned, after the padding token's row",
    "halved sinusoidal": "all sines, then all cosines",
}


def row(name: str, folder: Path) -> str:
    """A family's row, once its tiny random model has passed what the row says of it."""
    family, theirs = FAMILIES[name], save_tiny(folder, name)
    loaded = test_families.Loaded(name, folder, load_model(str(folder)), theirs)
    for check in CHECKS.values():
        check(loaded)
    held = [what for what in CHECKS if what != "pair" or name not in test_families.NO_PAIRS]
    positions = POSITIONS[family.embeddings]
    cells = [
        PAPERS[name],
        f"`{name}`",
        positions + (", and distances" if family.distance_buckets else ""),
        "predicted" if family.head else "no",
        ", ".join(held),
    ]
    return f"| {' | '.join(cells)} |"


def other(name: str, folder: Path) -> str:
    """The row of an architecture of one part, once its tiny model has passed what it says."""
    ran = test_backends.Tried(folder, name)
    test_backends.test_every_head_of_a_sentence(ran)
    test_backends.test_every_head_of_a_padded_batch(ran)
    inspection = ran.ours.inspect(tiny_others.SENTENCES[0])
    records = [inspection.layer(layer) for layer in range(ran.ours.facts.num_layers)]
    return _other(name, inspection.attention, records, "one sentence, padded batch")


def seq2seq(name: str, folder: Path) -> str:
    """The same of an architecture with an encoder and a decoder."""
    ran = test_backends_seq2seq.Tried(folder, name)
    records = []
    kinds = [kind for kind in test_backends_seq2seq.KINDS if (name, kind) != ("marian", "encoder")]
    for kind in kinds:
        test_backends_seq2seq.test_every_head_alone_and_in_a_padded_batch(ran, kind)
        records.append(ran.ours(kind).inspect(tiny_others.SENTENCES[0]).layer(0))
    return _other(name, ", ".join(kinds), records, "one sentence and padded batch, with a target")


def _other(name: str, attention: str, records: list[LayerRecord], held: str) -> str:
    beside = ", ".join(what for what, has in BESIDE.items() if any(map(has, records)))
    return f"| {OTHERS[name]} | `{name}` | {attention} | {beside or 'nothing'} | {held} |"


def _windowed(record: LayerRecord) -> bool:
    return record.key_ranges is not None and bool(record.key_ranges[:, 0].any())


BESIDE: dict[str, Callable[[LayerRecord], bool]] = {
    "heads that share keys and values": lambda r: r.k is not None and len(r.k) < r.num_heads,
    "sliding windows": _windowed,
    "position bias": lambda r: r.distance_bias is not None or r.bias is not None,
    "soft cap": lambda r: r.softcap is not None,
    "sinks": lambda r: r.sinks is not None,
}
"""What scores may be made of, as recorded."""


def given(name: str, folder: Path) -> str:
    """The row of an architecture that gives its weights alone."""
    if name == "longformer":
        test_weights_only.test_longformers_windows_are_spread_out_to_rows(folder)
    else:
        test_weights_only.test_every_head_alone_and_in_a_padded_batch(name, folder)
    return f"| {OTHERS[name]} | `{name}` | one sentence, padded batch |"


def listed(types: Iterable[str]) -> str:
    """Types of models as a list in lines."""
    return fill(", ".join(types), 100, break_on_hyphens=False)


Rows = tuple[str, Callable[[str, Path], str], list[str]]

TABLES: dict[str, Rows] = {
    "natively": (HEADER, row, list(FAMILIES)),
    "through transformers": (OTHERS_HEADER.format("transformers"), other, list(RECORDED)),
    "with two parts": ("", seq2seq, list(SEQ2SEQ)),
    "weights alone": (GIVEN_HEADER, given, list(WEIGHTS_ONLY)),
}


def parts(folder: Path) -> Iterator[tuple[str, str]]:
    """What the tests write of the page, by the mark that it stands behind."""
    rows: dict[str, list[str]] = {}
    for title, (_, of, names) in TABLES.items():
        rows[title] = []
        for name in names:
            place = folder / title / name
            place.mkdir(parents=True)
            rows[title].append(of(name, place))
    rows["through transformers"] += rows.pop("with two parts")
    for title, own in rows.items():
        header = TABLES[title][0]
        yield title, "\n".join([header, "|---" * header.count(" | ") + "|---|", *own])
    yield "tried", listed(other_types().recorded)
    yield "tried, weights alone", listed(other_types().weights_only)
    yield "tried, one by one", listed(other_types().one_by_one)


def marked(name: str) -> re.Pattern[str]:
    """Where the page has a part: behind its mark, up to an empty line."""
    return re.compile(rf"(<!-- {name} -->\n\n).*?(?=\n\n)", re.DOTALL)


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_tables_are_what_the_parity_tests_find(page: str, tmp_path: Path) -> None:
    for name, expected in parts(tmp_path):
        [found] = marked(name).finditer(page)
        assert found[0].removeprefix(found[1]) == expected


def test_the_text_has_the_tests_tolerance_and_sizes(page: str) -> None:
    tolerance = f"{test_families.TOLERANCE:.0e}".replace("e-0", "e-")
    layers, heads = test_families.NUM_LAYERS, test_families.NUM_HEADS
    assert f"each within {tolerance}:" in page
    assert f"It has {layers} layers of {heads} heads" in " ".join(page.split())
    tried = other_types()
    counts = f"{len(tried.recorded)} types", f"{len(tried.weights_only)} types"
    for told in (*counts, f"transformers {tried.transformers}"):
        assert told in " ".join(page.split())


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        text = PAGE.read_text(encoding="utf-8")
        for part, content in parts(Path(made)):
            [place] = marked(part).finditer(text)
            text = text[: place.start()] + place[1] + content + text[place.end() :]
        PAGE.write_text(text, encoding="utf-8")
