"""The page of `attnviz view`, beside BertViz's head view: bytes, seconds to write, and to open.

BertViz and the scripts that its pages fetch are no dependency of attnviz. They come into a folder
of their own, from PyPI and npm, unless --peer names a folder that has them:

    pip install --no-deps --target FOLDER bertviz==1.4.1
    npm install --prefix FOLDER requirejs@2.3.6 d3@5.7.0 jquery@2.1.0

usage: python benchmarks/view.py [--rounds N] [--peer FOLDER]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import long
import measure
import packed

HERE = Path(__file__).parent
TEXT = HERE.parent / "samples" / "alice.txt"

BERTVIZ = "bertviz==1.4.1"
SCRIPTS = {
    "ajax/libs/require.js/2.3.6/require.min.js": "requirejs/require.js",
    "ajax/libs/d3/5.7.0/d3.min": "d3/dist/d3.min",
    "ajax/libs/jquery/2.0.0/jquery.min": "jquery/dist/jquery.min",
}
"""What a page of BertViz fetches, and where npm puts it. npm has no jQuery 2.0.0, but 2.1.0."""
CDN = "https://cdnjs.cloudflare.com/"
PACKAGES = ("requirejs@2.3.6", "d3@5.7.0", "jquery@2.1.0")

LENGTHS = (16, 64, 256, 512)
MODELS = {
    "minilm": 6,
    "BERT base, minilm's weights": 12,
    "BERT base, random": 12,
}
"""How many layers each has."""
PEERS_OF = ("minilm", "BERT base, minilm's weights")  # BertViz's sizes do not ask what weights are
LONGEST = 8192
LONG = {"num_hidden_layers": 4, "num_attention_heads": 4, "hidden_size": 128}
MEGABYTE = 1e6

SECTION = """\
## The page

The page of `attnviz view` beside the head view of {bertviz}, of the same text, in Chromium without
a GPU, alternately, in medians of {rounds} rounds ([view.py](../benchmarks/view.py)); BertViz from
{once} tokens on once. BertViz's pages fetch three scripts from a CDN; here they come from files
beside the page, since they would draw nothing offline.

- *Written*: from the inspection, or from all weights, to the file, without the forward pass.
- *First view*: from the start of the navigation until lines are drawn and a token that is pointed
  at answers ([open_page.py](../benchmarks/open_page.py)). *Whole*: until all heads of the layer
  are drawn.
- *A head*: from choosing a head until its lines are on the screen; *a layer*: until all its heads
  are, for the first time; *a matrix*: from choosing a head until its matrix is.
- *BERT base, minilm's weights*: a model of BERT base's sizes, woven from minilm's weights, so that
  its queries and keys are a trained model's ([woven_model.py](../benchmarks/woven_model.py)).
  Random weights give queries and keys that pack smaller.

{table}

{goals}

A page of 8,192 tokens, of a small ModernBERT with random weights: {longest}.

### Forms of queries and keys

How far any weight of any head is off, if queries and keys come in this form, and the bits that a
number takes after deflate ([packed.py](../benchmarks/packed.py)). The model e5 cuts the same texts
into other numbers of tokens. A page keeps every weight within 1.0e-03.

{forms}
"""

Found = dict[str, Any]


@dataclass(frozen=True)
class Limit:
    """What a page of so many tokens may take, in bytes, seconds, or milliseconds."""

    model: str
    tokens: int
    name: str
    limit: float


LIMITS = (
    Limit("minilm", 16, "bytes", 300e3),
    Limit("minilm", 512, "bytes", 7e6),
    Limit("BERT base, minilm's weights", 512, "bytes", 16e6),
    Limit("BERT base, random", 512, "bytes", 16e6),
    *(
        Limit(model, 512, name, limit)
        for model in ("minilm", "BERT base, minilm's weights")
        for name, limit in (("seconds", 2), ("first", 0.5), ("head", 50), ("matrix", 50))
    ),
)
ONCE = 256
"""From so many tokens on, BertViz takes minutes, and is measured once."""
TOLD = {
    "bytes": "bytes of the page",
    "seconds": "written, beside the forward pass",
    "first": "opened, until the first view answers",
    "head": "from choosing a head to its lines",
    "matrix": "from choosing a head to its matrix",
}


@dataclass
class Pages:
    """The pages of one model and length that were written and opened: a finding for each round."""

    ours: list[Found] = field(default_factory=list)
    theirs: list[Found] = field(default_factory=list)


def measured(rounds: int, peer: Path | None) -> dict[tuple[str, int], Pages]:
    """All pages, each in as many rounds, ours and BertViz's in turn."""
    pages: dict[tuple[str, int], Pages] = {}
    with measure.workplace() as folder:
        folders = _models(folder)
        peer = peer or installed(folder / "peer")
        for length in LENGTHS:
            text = folder / f"{length}.txt"
            text.write_text(text_of(length), encoding="utf-8")
            for _ in range(rounds):
                for model, where in folders.items():
                    found = pages.setdefault((model, length), Pages())
                    found.ours.append(_ours(where, text))
                    once = length >= ONCE and found.theirs
                    if model in PEERS_OF and not once:
                        found.theirs.append(_theirs(where, text, peer))
                    _say(model, length, found)
    return pages


def _models(folder: Path) -> dict[str, str]:
    """The name or the folder of each of MODELS."""
    made, random = folder / "woven", folder / "random"
    measure.run(measure.Command(measure.python(str(HERE / "woven_model.py"), str(made))))
    measure.make_model("bert", random)
    return dict(zip(MODELS, ("minilm", str(made), str(random)), strict=True))


def installed(folder: Path) -> Path:
    """BertViz and its scripts in a folder of their own; RuntimeError if they cannot be had."""
    pip = measure.python("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder))
    measure.run(measure.Command([*pip, BERTVIZ]))
    measure.run(measure.Command(["npm", "install", "--prefix", str(folder), *PACKAGES]))
    return folder


def text_of(length: int) -> str:
    """So many of minilm's tokens from Alice, `[CLS]` and `[SEP]` among them."""
    from attnviz.errors import RequestError
    from attnviz.model import load_model

    model, words = load_model(), TEXT.read_text(encoding="utf-8").split()
    for count in range(min(len(words), length), 0, -1):
        text = " ".join(words[:count])
        try:
            missing = length - len(model.tokenize(text))
        except RequestError:  # more than the model takes
            continue
        if missing >= 0:
            return text + " ." * missing
    raise ValueError(f"no text has {length} tokens")


def _ours(model: str, text: Path) -> Found:
    page = text.with_suffix(".html")
    return _printed(HERE / "write_page.py", model, str(text), str(page)) | _open("attnviz", page)


def _theirs(model: str, text: Path, peer: Path) -> Found:
    from attnviz.models import find_model

    page = text.with_suffix(".bertviz.html")
    folder = str(find_model(model).config.parent)
    script = HERE / "peers" / "head_view.py"
    found = _printed(script, folder, str(text), str(page), path=peer)
    with_local_scripts(page, peer)
    return found | _open("bertviz", page)


def with_local_scripts(page: Path, peer: Path) -> None:
    """Let a page of BertViz take its scripts from npm's folder, since it would not draw offline."""
    html = page.read_text(encoding="utf-8")
    for asked, file in SCRIPTS.items():
        html = html.replace(CDN + asked, (peer / "node_modules" / file).absolute().as_uri(), 1)
    page.write_text(html, encoding="utf-8")


def _open(kind: str, page: Path) -> Found:
    return _printed(HERE / "open_page.py", kind, str(page))


def _printed(script: Path, *arguments: str, path: Path | None = None) -> Found:
    """What a script prints, as JSON."""
    env = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    command = measure.python(str(script), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise RuntimeError(f"{script.name} ended with {done.returncode}: {done.stderr}")
    found: Found = json.loads(done.stdout)
    return found


def value_of(pages: Sequence[Found], name: str) -> float | None:
    """The median over all rounds; None if the page never answered."""
    lists = {"head": "heads", "layer": "layers", "matrix": "matrices"}
    if name in lists:
        values = [statistics.median(found[lists[name]]) for found in pages if lists[name] in found]
    else:
        values = [found[name] for found in pages if name in found]
    return statistics.median(values) if values else None


def told(name: str, value: float) -> str:
    """A value with its unit."""
    if name == "bytes":
        return f"{value / MEGABYTE:.2f} MB" if value >= 1e6 else f"{value / 1e3:.0f} KB"
    return f"{value:.2f} s" if name in ("seconds", "first", "whole") else f"{value:.0f} ms"


def goals(pages: Mapping[tuple[str, int], Pages]) -> list[measure.Goal]:
    """A row for each of LIMITS, with what BertViz takes beside it."""
    found = []
    for limit in LIMITS:
        both = pages[limit.model, limit.tokens]
        ours, theirs = value_of(both.ours, limit.name), value_of(both.theirs, limit.name)
        if ours is None:
            raise RuntimeError(f"the page of {limit.tokens} tokens did not open: {both.ours}")
        beside = told(limit.name, limit.limit)
        if theirs is not None:
            beside += f"; BertViz {told(limit.name, theirs)}"
        task = f"{limit.model}, {limit.tokens} tokens: {TOLD[limit.name]}"
        own = told(limit.name, ours)
        found.append(measure.Goal(task, own, beside, ours / limit.limit, 1))
    return found


def table(pages: Mapping[tuple[str, int], Pages]) -> str:
    """A row for each model and length, ours and BertViz's."""
    names = ("bytes", "seconds", "first", "whole", "head", "layer", "matrix")
    titles = ("bytes", "written", "first view", "whole", "a head", "a layer", "a matrix")
    rows = [f"| model | tokens | page of | {' | '.join(titles)} |", "|---" * 10 + "|"]
    for (model, length), both in pages.items():
        for by, some in (("attnviz", both.ours), ("BertViz", both.theirs)):
            if not some:
                continue
            values = [value_of(some, name) for name in names]
            cells = [
                "–" if value is None else told(name, value)
                for name, value in zip(names, values, strict=True)
            ]
            cells[2] = some[-1].get("why", cells[2])
            rows.append(f"| {model} | {length} | {by} | {' | '.join(cells)} |")
    return "\n".join(rows)


def longest() -> str:
    """A sentence on a page of 8,192 tokens."""
    with measure.workplace() as folder:
        measure.make_model("modernbert", folder / "model", LONG)
        text = folder / "text"
        text.write_text(long.text_of(LONGEST), encoding="utf-8")
        found = _ours(str(folder / "model"), text)
    return (
        f"{told('bytes', found['bytes'])}, written in {told('seconds', found['seconds'])}, "
        f"first view after {told('first', found['first'])}; it holds {found['held']} of "
        f"{found['tokens']} tokens"
    )


def _say(model: str, length: int, found: Pages) -> None:
    last = [some[-1] for some in (found.ours, found.theirs) if some]
    print(model, length, *last, file=sys.stderr)


def section(rounds: int, peer: Path | None = None) -> str:
    """What docs/benchmarks.md says of pages."""
    pages = measured(rounds, peer)
    return SECTION.format(
        rounds=rounds,
        bertviz=BERTVIZ.replace("==", " "),
        once=ONCE,
        table=table(pages),
        goals="\n".join([measure.HEADER, *map(str, goals(pages))]),
        longest=longest(),
        forms=packed.table(),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5, help="how often each page is made (5)")
    parser.add_argument("--peer", type=Path, help="a folder with BertViz and its scripts")
    asked = parser.parse_args()
    print(section(asked.rounds, asked.peer))
