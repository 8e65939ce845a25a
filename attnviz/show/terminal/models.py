"""What models there are, and what one is made of, as tables."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from attnviz.models.describe import (
    AttentionFacts,
    AttentionSource,
    Catalog,
    CatalogEntry,
    Described,
)
from attnviz.show.labels import visible
from attnviz.show.wording import head_told

COMMIT = 12  # How many of a commit's letters are shown; the hub's pages show fewer
FAMILIES: dict[AttentionSource, str] = {
    "natively": "architectures that attnviz runs itself",
    "through transformers": "architectures that transformers runs",
    "weights alone": "architectures that transformers runs, which give weights alone",
}
"""The architectures there are, by the source of their attention."""

HOW: dict[AttentionSource, str] = {
    "natively": "run by attnviz itself",
    "through transformers": "run by transformers",
    "weights alone": "run by transformers, which gives weights alone",
}

GAP = (0, 2, 0, 0)
INDENT = 2  # Cells between a fact's name and the fact, and before the facts of a model in a list


def table(answer: Catalog | Described, top: int | None = None) -> RenderableType:
    """The models at hand and what can be read, or the facts of one model; `top` changes nothing."""
    first, *others = _catalog(answer) if isinstance(answer, Catalog) else _model(answer)
    return Group(first, *(line for part in others for line in (Text(), part)))


def _catalog(catalog: Catalog) -> Iterator[RenderableType]:
    yield _models("models that come with attnviz", catalog.built_in, catalog.default)
    cached = _models("models in the hub's cache", catalog.cached, catalog.default)
    yield cached if catalog.cached else _quiet("The hub's cache holds no models.")
    named = {known.name for known in (*catalog.built_in, *catalog.cached)}
    if catalog.default not in named:
        yield Text.assemble(("default  ", "dim"), visible(catalog.default), overflow="fold")
    for how, families in catalog.families.items():
        names = Text(visible(", ".join(families)), overflow="fold")
        yield Group(_quiet(FAMILIES[how]), Padding(names, (0, 0, 0, INDENT)))
    yield _quiet(
        f"The last two were tried with transformers {catalog.tried_with}, on tiny models with "
        "random numbers: alone, in a batch and as a pair, their weights are those of its eager "
        f"attention. Sentences run one by one in {', '.join(catalog.one_by_one)}, whose weights "
        "would change in a batch. Other architectures are tried out when they are run."
    )


def _model(described: Described) -> Iterator[RenderableType]:
    title = Text(visible(described.model.name), style="bold", overflow="fold")
    if not described.model.trained:
        title.append("  ").append("UNTRAINED", style="black on yellow")
        title.append(f"  (seed {described.model.seed})", style="not bold dim")
    facts = Table.grid(padding=GAP)
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for what, fact in _facts(described):
        facts.add_row(what, Text(visible(fact), overflow="fold"))
    yield title
    yield facts


def _models(title: str, models: Iterable[CatalogEntry], default: str) -> RenderableType:
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


def _of_one(known: CatalogEntry) -> Iterator[str]:
    size = None if known.size is None else sized(known.size)
    yield ", ".join(filter(None, (known.family, size)))
    if known.revision and not known.name.endswith(known.revision):
        named = "" if known.name.startswith(known.repository or "") else f"{known.repository}@"
        yield named + known.revision[:COMMIT]
    if known.what:
        yield known.what
    if known.obstacle:
        yield known.obstacle


def _quiet(text: str) -> Text:
    return Text(visible(text), style="dim")


def _facts(described: Described) -> Iterator[tuple[str, str]]:
    model = described.model
    yield "family", model.family
    yield "layers", f"{model.num_layers}"
    shared = described.num_kv_heads
    share = "" if shared == model.num_heads else f", which share keys and values among {shared}"
    yield "heads", f"{model.num_heads} in each layer{share}"
    yield "d_model", f"{model.d_model:,}"
    yield "d_k", f"{model.d_k:,}"
    yield "d_ff", f"{model.d_ff:,}"
    several = len(described.attention) > 1
    for attention in described.attention:
        name = f"{attention.kind} attention" if several else "attention"
        yield name, _attention(attention, several)
    yield from _weights(described)
    yield "head", head_told(described.head)
    most = described.max_positions
    yield "context", "any number of tokens" if most is None else f"{most:,} tokens"
    yield "positions", " and ".join(described.positions) or "nothing says how it knows them"
    yield "token types", f"{described.num_token_types}" if described.num_token_types else "none"
    tokenizer = described.tokenizer
    level = " on bytes" if tokenizer.byte_level else ""
    yield "tokenizer", f"{tokenizer.kind}{level}, {tokenizer.size:,} pieces"
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
    part = "encoder" if described.attention[0].how == "natively" else "model"
    yield "parameters", f"{ours:,} in the {part}{beside}"
    yield "stored as", ", ".join(described.dtypes)


def _attention(attention: AttentionFacts, several: bool) -> str:
    kinds = list(dict.fromkeys(attention.sees))
    of = {kind: [n for n, seen in enumerate(attention.sees) if seen == kind] for kind in kinds}
    if len(kinds) == 1:
        told = kinds[0]
    else:
        fewest = sorted(kinds, key=lambda kind: len(of[kind]))
        named = [f"{kind} in {_layers(of[kind])}" for kind in fewest[:-1]]
        told = "; ".join([*named, f"{fewest[-1]} in the others"])
    count = len(attention.sees)
    layers = "1 layer" if count == 1 else f"{count} layers"
    sizes = f"{layers} of {attention.num_heads} heads, " if several else ""
    return f"{sizes}{told}; {HOW[attention.how]}"


def _layers(numbers: list[int]) -> str:
    *others, last = map(str, numbers)
    return f"layers {', '.join(others)} and {last}" if others else f"layer {last}"


def sized(size: int) -> str:
    """A size with the unit that people use for files of its kind."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 9.95 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000  # type: ignore[assignment]
    return f"{size:.1f} GB"
