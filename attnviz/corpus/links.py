"""`probe --links`: which head joins the two words of each sentence that one names oneself.

Records have `sentence`, `query`, `key`, and may have `label`, `group` (twins have the same),
`distractor` (a word that the query should look at less than at the key) and `id`. Without
`label`, `order` is read, as in samples/pronouns.tsv; without `group`, sentences with the same key
and distractor, whichever is which, are twins.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

import numpy as np

from attnviz.answers.probe import Direction, Kind, Probe
from attnviz.answers.select import find_phrase
from attnviz.attention.measures import MeasureName
from attnviz.corpus.document import Document, Problem, hashed
from attnviz.corpus.fold import Seen
from attnviz.corpus.opening import FORMS, Opened
from attnviz.corpus.probing import Findings, Questions
from attnviz.corpus.reading import Files
from attnviz.corpus.tables import Header, kind_of, records_of, typed_in
from attnviz.errors import AttnvizError, RequestError, listed
from attnviz.inspection import ModelFacts
from attnviz.model.model import Model
from attnviz.text.lines import START
from attnviz.text.spans import is_punctuation
from attnviz.text.tokens import Token, Tokens

ALL, MOST, OTHER = "all", "most of all", "distractor most of all"
"""The relation of all links; and, where there are distractors, of those whose key, or whose
distractor, has more than every other word."""

TO_KEY, TO_DISTRACTOR = "query->key", "query->distractor"

FORMULA = (
    "the share of sentences whose query gives its largest weight to the key: of the key and the "
    "distractor, where there is one; else of all words, the query itself, special tokens and "
    "punctuation left out"
)

MOST_GROUPS = 1 << 16
"""Of more groups of twins, those with the smallest hashes are followed: a fair sample."""

NEEDED = ("sentence", "query", "key")
LABELS = ("label", "order")


@dataclass(frozen=True, slots=True)
class Link:
    """Which word should look at which, and which at less, by selectors as in `it#2`."""

    query: str
    key: str
    distractor: str | None
    label: str | None


def of_records(
    records: Iterable[tuple[int, dict[str, Any] | AttnvizError]], source: str
) -> Iterator[Document | Problem]:
    """A document a record, `marks` Link; and what is wrong with a record."""
    number = 0
    for line, record in records:
        if isinstance(record, AttnvizError):
            yield Problem(source, line, str(record))
            continue
        cells = {str(name).strip().casefold(): value for name, value in record.items()}
        try:
            missing = [name for name in NEEDED if name not in cells]
            if missing:
                raise RequestError(
                    f"there is no {' and no '.join(missing)}: "
                    f"there are {listed(list(cells)) or 'none'}"
                )
            if not isinstance(record, Header):
                yield _document(cells, source, number, line)
                number += 1
        except RequestError as error:
            yield Problem(source, line, str(error))
            if isinstance(record, Header):  # no row has what it lacks
                return


def _document(cells: dict[str, Any], source: str, number: int, line: int) -> Document:
    sentence = typed_in(cells["sentence"], "the sentence is")
    query, key = (_named(cells, name) for name in ("query", "key"))
    empty = [name for name, value in zip(NEEDED, (sentence, query, key), strict=True) if not value]
    if empty or query is None or key is None:
        raise RequestError(
            f"the {' and the '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty"
        )
    label = next(filter(None, (_said(cells, name) for name in LABELS)), None)
    if label in (ALL, MOST, OTHER):
        raise RequestError(f'the label "{label}" is the name of what is told of all', "rename it")
    distractor, group = _named(cells, "distractor"), _said(cells, "group")
    if group is None and distractor is not None:
        group = " ".join(sorted((key, distractor)))
    return Document(
        source,
        number,
        line,
        sentence,
        _said(cells, "id"),
        marks=Link(query, key, distractor, label),
        group=None if group is None else f"{source}:{group}",
    )


def _named(cells: dict[str, Any], name: str) -> str | None:
    """A word's selector; None if there is none."""
    value = cells.get(name)
    if value is None or isinstance(value, str):
        return (value or "").strip() or None
    raise RequestError(f"the {name} is {kind_of(value)}, and not a word, as in it, it#2 or @10")


def _said(cells: dict[str, Any], name: str) -> str | None:
    """A name or a number; None if there is none."""
    value = cells.get(name)
    if isinstance(value, list | dict):
        raise RequestError(f"the {name} is {kind_of(value)}, and a name or a number is expected")
    return (None if value is None else str(value).strip()) or None


@dataclass(frozen=True)
class LinksWork:
    """Asks every head for the key of each sentence's query."""

    measure: MeasureName = "weights"
    kind: ClassVar[Kind] = "links"
    formula: ClassVar[str] = FORMULA

    @property
    def what(self) -> dict[str, Any]:
        """See Work."""
        return {"question": f"probe --{self.kind}", "measure": self.measure}

    def accumulator(self, facts: ModelFacts) -> "LinkFindings":
        """See Work."""
        return LinkFindings()

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        """See Work."""
        tokens = model.tokenize(document.text)
        _places(tokens.words, document.marks)  # RequestError for a word that is not there
        return [tokens]

    def told(self, probe: Probe, findings: Findings) -> Probe:
        """See Probing."""
        twins = cast("LinkFindings", findings).twins
        relations = tuple(
            replace(one, more={**one.more, "luckiest": luckiest(len(one.heads), one.asked)})
            for one in probe.relations
        )
        more = {**probe.more, **twins.data(findings)}
        return replace(probe, relations=relations, more=more)


def luckiest(heads: int, asked: Direction) -> float:
    """What the best of so many heads would find on average if each one guessed."""
    from scipy.stats import binom

    chance = asked.baselines["random"].accuracy.mean or 0.0
    below = binom.cdf(np.arange(asked.count), asked.count, chance)  # P(at most so many are right)
    return float((1 - below**heads).sum() / asked.count)


def _places(words: Sequence[Token], link: Link) -> tuple[int, list[int], list[int]]:
    """The query's row, and the columns of the key and of the distractor; RequestError."""
    query, key = (find_phrase(words, name) for name in (link.query, link.key))
    found = [query.indices, key.indices]
    if link.distractor is not None:
        found.append(find_phrase(words, link.distractor).indices)
    names = [name for name in (link.query, link.key, link.distractor) if name is not None]
    for place, indices in enumerate(found):
        for other in range(place):
            if set(indices) & set(found[other]):
                raise RequestError(
                    f'"{names[other]}" and "{names[place]}" are the same word of the sentence',
                    "name two words; a second occurrence is named as in it#2",
                )
    if len(query.indices) > 1:
        raise RequestError(f'the query "{link.query}" is {len(query.indices)} words', "name one")
    return query.indices[0], key.indices, found[2] if link.distractor is not None else []


def questions(seen: Seen) -> Iterator[Questions]:
    """The sentence's link, among all and by its label; and what the query gives most of all."""
    link: Link = seen.document.marks
    words = seen.view.tokens
    query, key, distractor = _places(words, link)
    relations = [ALL, *([link.label] if link.label is not None else [])]
    plain = np.array([not word.special and not is_punctuation(word.text) for word in words])
    plain[query] = False
    plain[key + distractor] = True
    two = np.zeros(len(words), bool)
    two[key + distractor] = True
    yield _question(
        [(name, TO_KEY) for name in relations], query, key, two if distractor else plain
    )
    if distractor:
        yield _question([(MOST, TO_KEY)], query, key, plain)
        yield _question([(OTHER, TO_DISTRACTOR)], query, distractor, plain)


def _question(
    names: Sequence[tuple[str, str]], query: int, key: Sequence[int], candidates: np.ndarray
) -> Questions:
    gold = np.zeros((len(names), len(candidates)), bool)
    gold[:, key] = True
    allowed = np.tile(candidates, (len(candidates), 1))
    return Questions(names, np.full(len(names), query), gold, allowed)


class LinkFindings(Findings):
    """What all heads find, and in which groups of sentences they find all links."""

    def __init__(self) -> None:
        super().__init__(questions)
        self.twins = Twins()

    def add(self, seen: Seen) -> None:
        """Add a text; see Accumulator."""
        first, *others = questions(seen)
        found = self.ask(seen, first)
        for asked in others:
            self.ask(seen, asked)
        if seen.document.group is not None:
            self.twins.add(seen.document.group, found[:, 0])

    def merge(self, other: "Findings") -> None:
        """Add what another has added up; see Accumulator."""
        super().merge(other)
        if isinstance(other, LinkFindings):
            self.twins.merge(other.twins)

    def state(self) -> dict[str, Any]:
        """All that it knows; see Accumulator."""
        return super().state() | self.twins.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave; see Accumulator."""
        super().restore(state)
        self.twins.restore(state)


@dataclass
class Twins:
    """By a hash of each group: its sentences, and whether each head was right in all, in bits."""

    _groups: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    def add(self, group: str, right: np.ndarray) -> None:
        """Add a sentence; right: (head,)."""
        self._join(hashed("twins", group), 1, np.packbits(right).tobytes())
        self._keep(2 * MOST_GROUPS)

    def merge(self, other: "Twins") -> None:
        """Add what another has added up."""
        for group, (count, right) in other._groups.items():
            self._join(group, count, right)
        self._keep(MOST_GROUPS)

    def state(self) -> dict[str, Any]:
        """All that it knows, as arrays."""
        self._keep(MOST_GROUPS)
        groups = sorted(self._groups)
        bits = [np.frombuffer(self._groups[group][1], np.uint8) for group in groups]
        return {
            "groups": np.array(groups, np.uint64),
            "sentences": np.array([self._groups[group][0] for group in groups], np.int64),
            "right": np.stack(bits) if bits else np.zeros((0, 0), np.uint8),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        parts = (state[name].tolist() for name in ("groups", "sentences"))
        rights = [row.tobytes() for row in state["right"]]
        self._groups = {
            group: (count, right) for group, count, right in zip(*parts, rights, strict=True)
        }

    def data(self, findings: Findings) -> Mapping[str, Any]:
        """The groups of several sentences, and in how many each head is right in all of these."""
        self._keep(MOST_GROUPS)
        several = [(count, right) for count, right in self._groups.values() if count > 1]
        if not several:
            return {}
        bits = np.stack([np.frombuffer(right, np.uint8) for _, right in several])
        right = np.unpackbits(bits, axis=1, count=len(findings.heads)).sum(axis=0)
        order = np.argsort(-right.astype(np.int64), kind="stable")
        heads = [
            {
                "layer": findings.heads[i].layer,
                "head": findings.heads[i].head,
                "right": int(right[i]),
            }
            for i in order
        ]
        return {"groups": {"count": len(several), "heads": heads}}

    def _join(self, group: int, count: int, right: bytes) -> None:
        before = self._groups.get(group)
        if before is not None:
            both = int.from_bytes(before[1], "big") & int.from_bytes(right, "big")
            count, right = before[0] + count, both.to_bytes(len(right), "big")
        self._groups[group] = count, right

    def _keep(self, most: int) -> None:
        """Forget all but MOST_GROUPS where there are more than `most`."""
        if len(self._groups) > most:
            kept = sorted(self._groups)[:MOST_GROUPS]
            self._groups = {group: self._groups[group] for group in kept}


class LinkFiles(Files):
    """Reads tables of links; see `Reader`."""

    forms = FORMS - {"txt", "conllu"}

    def items(self, opened: Opened) -> Iterator[Document | Problem]:
        """See Files."""
        form = opened.form(None)
        if form == "txt":  # nothing said which table it is
            first = opened.stream().peek(START).partition(b"\n")[0]
            form = "tsv" if b"\t" in first or b"," not in first else "csv"
        yield from of_records(records_of(opened, form), opened.name)


def asked(names: Sequence[str], measure: MeasureName) -> tuple[LinksWork, LinkFiles]:
    """See `probing.asked`."""
    return LinksWork(measure), LinkFiles(names)
