"""What models there are, and what one is made of, as tables."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from attnviz.catalog import Catalog, Described, Known, TokenizerFacts
from attnviz.render.labels import visible

COMMIT = 12
"""How many of a commit's letters are shown; the hub's pages show fewer."""

GAP = (0, 2, 0, 0)
INDENT = 2
"""Cells between a fact's name and the fact, and before the facts of a model in a list."""


def catalog_tables(catalog: Catalog) -> Iterator[RenderableType]:
    """The models that come with attnviz, those in the hub's cache, and what can be read."""
    yield _models("models that come with attnviz", catalog.built_in, catalog.default)
    if catalog.cached:
        yield _models("models in the hub's cache", catalog.cached, catalog.default)
    else:
        yield _quiet("The hub's cache holds no models.")
    named = {known.name for known in (*catalog.built_in, *catalog.cached)}
    if catalog.default not in named:
        yield Text.assemble(("default  ", "dim"), visible(catalog.default), overflow="fold")
    yield _quiet(f"Architectures that are read: {', '.join(catalog.families)}.")


def model_table(described: Described) -> Iterator[RenderableType]:
    """The facts of one model, one a line."""
    title = Text(visible(described.model.name), style="bold", overflow="fold")
    if not described.model.trained:
        title.append("  ").append("UNTRAINED", style="black on yellow")
        title.append(f"  (seed {described.model.seed})", style="not bold dim")
    table = Table.grid(padding=GAP)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for what, fact in _facts(described):
        table.add_row(what, Text(visible(fact), overflow="fold"))
    yield title
    yield table


def _models(title: str, models: Iterable[Known], default: str) -> RenderableType:
    """Each name on a line of its own, so that it can be copied at any width; its facts below."""
    lines: list[RenderableType] = [Text(title, style="dim")]
    for known in models:
        name = visible(known.name)
        line = Text(name, style="dim" if known.obstacle else "bold", overflow="fold")
        if not known.trained:
            line.append("  ").append("UNTRAINED", style="black on yellow")
        if known.name == default:
            line.append("  the default", style="not bold dim")
        facts = Text(visible("; ".join(_of_one(known))), style="dim", overflow="fold")
        lines += [line, Padding(facts, (0, 0, 0, INDENT))]
    return Group(*lines)


def _of_one(known: Known) -> Iterator[str]:
    """What is told below a model's name."""
    size = None if known.size is None else _size(known.size)
    yield ", ".join(filter(None, (known.family, size)))
    if known.revision and not known.name.endswith(known.revision):
        named = "" if known.name.startswith(known.repository or "") else f"{known.repository}@"
        yield named + known.revision[:COMMIT]
    if not known.trained:
        yield "the Transformer of Vaswani et al. 2017 with random weights"
    if known.obstacle:
        yield known.obstacle


def _quiet(text: str) -> Text:
    return Text(visible(text), style="dim")


def _facts(described: Described) -> Iterator[tuple[str, str]]:
    model = described.model
    yield "family", model.family
    yield "layers", f"{model.num_layers}"
    yield "heads", f"{model.num_heads} in each layer"
    yield "d_model", f"{model.d_model:,}"
    yield "d_k", f"{model.d_k:,}"
    yield "d_ff", f"{model.d_ff:,}"
    yield from _weights(described)
    most = described.max_positions
    yield "context", "any number of tokens" if most is None else f"{most:,} tokens"
    yield "positions", " and ".join(described.positions)
    yield "token types", f"{described.num_token_types}" if described.num_token_types else "none"
    yield "tokenizer", _tokenizer(described.tokenizer)
    yield "vocabulary", f"{described.vocab_size:,} entries"
    if described.repository:
        yield "from the hub", f"{described.repository}@{described.revision}"
    yield "lies in", described.folder or "no file: drawn anew each time"


def _weights(described: Described) -> Iterator[tuple[str, str]]:
    ours, stored = described.encoder_parameters, described.parameters
    if ours is None or stored is None:
        yield "weights", "in a pickle, which is not counted without reading all of it"
        return
    beside = f", and {stored - ours:,} beside it" if stored > ours else ""
    yield "parameters", f"{ours:,} in the encoder{beside}"
    yield "stored as", ", ".join(described.dtypes)
    yield "at a mask", "predicts (masked-LM head)" if described.masked_lm else "predicts nothing"


def _tokenizer(tokenizer: TokenizerFacts) -> str:
    level = " on bytes" if tokenizer.byte_level else ""
    return f"{tokenizer.kind}{level}, {tokenizer.size:,} pieces"


def _size(size: int) -> str:
    """A size with the unit that people use for files of its kind."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 9.95 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000  # type: ignore[assignment]
    return f"{size:.1f} GB"
