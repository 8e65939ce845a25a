"""Which head finds each relation: a line a relation, the best head beside the baselines."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.style import Style
from rich.text import Text

from attnviz.answers.corpus import Estimate
from attnviz.answers.probe import BASELINES, Baseline, Probe, Relation, Trial
from attnviz.inspection.context import HeadId, counted
from attnviz.show.labels import visible
from attnviz.show.terminal.cells import BOLD, DIM, MARKER, PLAIN, Page, Ranking, column, title
from attnviz.show.terminal.heading import model_line, quiet_line
from attnviz.show.terminal.survey import read_of

SHORT = {"nearest_pos": "same tag", "head_match": "same head", "same_key": "same key"}
"""What columns of baselines are called, where that is not their name."""

NO_MENTION = (
    "mentions are those of Entity= in the last column of CoNLL-U, or of GAP's table; none that "
    "came has an earlier one of its entity"
)
ALWAYS = 4  # columns that stay in the narrowest terminal
LONGEST_NAME = 24  # cells of a relation


def table(answer: Probe, top: int | None = None) -> RenderableType:
    """Each relation's best head, or its `top` best, and what the baselines find."""
    return Page(lambda width, _: _lines(answer, top or 1))


def _lines(answer: Probe, top: int) -> Iterator[RenderableType]:
    yield model_line(answer.model)
    yield from quiet_line(read_of(answer.corpus))
    yield from quiet_line(f"{answer.measure}: {visible(answer.formula)}")
    yield Text()
    if not answer.relations:
        yield title("there is no link in what was read")
        if answer.kind == "coref":
            yield from quiet_line(NO_MENTION)
        return
    yield title("how much of each relation its best head finds, in percent")
    yield _ranking(answer, top)
    yield Text()
    for note in _notes(answer):
        yield from quiet_line(note)


def _ranking(answer: Probe, top: int) -> Ranking:
    baselines = _baselines_of(answer)
    several = len(answer.directions) > 1
    columns = [column(), column("links", "right"), column("head")]
    columns += [column("looks at")] if several else []
    columns += [column(name, "right") for name in ("found", "held out", "margin")]
    titles = [column(SHORT.get(name, name), "right") for name in baselines]
    between = [column("found 95 %", "right")] if answer.intervals is not None else []
    columns += [*titles[:1], *between, *titles[1:]]
    rows = []
    for relation in answer.relations:
        for place, (trial, found) in enumerate(relation.ranked(top)):
            best = place == 0
            row = _first(relation) if best else [Text(), Text()]
            row.append(Text(str(trial.head), style=BOLD if best else PLAIN))
            row += [Text(_looks_at(trial), style=DIM)] if several else []
            row.append(Text(_percent(found.mean), style=BOLD if best else PLAIN))
            row += _held_out(relation) if best else [Text(), Text()]
            own = _beside(relation, baselines) if best else [Text() for _ in baselines]
            interval = [Text(_interval(found), style=DIM) for _ in between]
            rows.append([*row, *own[:1], *interval, *own[1:]])
    return Ranking(columns, rows, least=ALWAYS)


def _baselines_of(answer: Probe) -> list[str]:
    """The baselines that some relation has, those first that most margins are over."""
    known = {name for one in answer.relations for name in one.asked.baselines}
    over = Counter(one.held_out.over for one in answer.relations if one.held_out is not None)
    return sorted((name for name in BASELINES if name in known), key=lambda name: -over[name])


def _first(relation: Relation) -> list[Text]:
    """The relation, marked if it is surely found, and how many links it has."""
    mark = MARKER if relation.beats else " "
    name = Text(f"{mark} {visible(relation.name)}", style=_style(relation))
    name.truncate(LONGEST_NAME, overflow="ellipsis")
    return [name, Text(f"{relation.asked.count:,}", style=DIM)]


def _style(relation: Relation) -> Style:
    return BOLD if relation.beats else DIM


def _held_out(relation: Relation) -> list[Text]:
    """What held-out heads find, and how much more than the best baseline."""
    held = relation.held_out
    if held is None or held.margin.mean is None:
        return [Text("–", style=DIM), Text("–", style=DIM)]
    margin = f"{100 * held.margin.mean:+z.1f}".replace("-", "−")
    return [Text(_percent(held.accuracy.mean)), Text(margin, style=_style(relation))]


def _beside(relation: Relation, baselines: Sequence[str]) -> list[Text]:
    """What the baselines find; the one that the margin is over is not dim."""
    strongest = None if relation.held_out is None else relation.held_out.over
    return [
        Text(
            _baseline(relation.asked.baselines.get(name)),
            style=PLAIN if name == strongest else DIM,
        )
        for name in baselines
    ]


def _baseline(baseline: Baseline | None) -> str:
    """How much it finds; an offset, or a side, before it."""
    if baseline is None:
        return ""
    how = baseline.how
    before = f"{how['offset']:+d} " if "offset" in how else ""
    before = {"before": "← ", "after": "→ ", "either": "↔ "}.get(str(how.get("side")), before)
    return f"{before.replace('-', '−')}{_percent(baseline.accuracy.mean)}"


def _looks_at(trial: Trial) -> str:
    return visible(trial.direction.rpartition("->")[2])


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _interval(found: Estimate) -> str:
    return "" if found.low is None else f"{_percent(found.low)}–{_percent(found.high)}"


def _notes(answer: Probe) -> Iterator[str]:
    """How to read the table."""
    yield (
        f"Found: by the best of {_tried(answer)}, on the same texts. Held out: by heads that were "
        "chosen on one half of the texts and asked on the other, both ways."
    )
    yield (
        "Margin: held out, less the best baseline that knows nothing of the right word. "
        f"{MARKER}: its 95 % interval is above 0."
    )
    told = (f"{SHORT.get(name, name)}: {BASELINES[name]}" for name in _baselines_of(answer))
    yield f"Baselines: {'; '.join(told)}."
    yield from _more_notes(answer)
    if any(one.accuracy.low is None for one in answer.relations):
        yield "Of fewer than six texts there is no interval."
    for text in answer.failed:
        yield f"--fail-if: {visible(text)} holds."


def _more_notes(answer: Probe) -> Iterator[str]:
    """What one kind of probe says beside the table."""
    if answer.kind == "align":
        yield "Links: those of the head and the sure ones together, |A| + |S|."
        named = [str(HeadId(*head)) for head in answer.more.get("alignment_heads", ())]
        told = f"Alignment heads: {', '.join(named)}, which are" if named else "No head is"
        yield f"{told} surely better than every baseline."
    if (groups := answer.more.get("groups")) is not None:
        best = groups["heads"][0]
        head, count = HeadId(best["layer"], best["head"]), counted(groups["count"], "group")
        told = (
            f"{head} is right in all sentences of {best['right']:,}, and no head in those of more"
        )
        if not best["right"]:
            told = "there is none in all of whose sentences a head is right"
        yield f"Of {count} of twins, {told}."
    for one in answer.relations:
        if one.name == "all" and "luckiest" in one.more:
            heads, share = counted(len(answer.heads), "head"), _percent(one.more["luckiest"])
            yield f"Of all links, the best of {heads} that guess would find {share} % on average."


def _tried(answer: Probe) -> str:
    heads = counted(len(answer.heads), "head")
    count = len(answer.directions)
    return heads if count == 1 else f"{heads} in {counted(count, 'direction')}"
