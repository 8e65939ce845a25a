"""The table of what a survey says of a head: names, titles, units, formulas and sources.

JSON, tables, pictures, the glossary and the documents read it here. α is the attention weight from
a query i to a key j. Rows are the words that look and may look at more than one key; means are over
all rows of the corpus. The n(i) keys of a row are those that the attention mask allows.
"""

from dataclasses import dataclass

from attnviz.answers.overview import BROAD_ENTROPY

CLARK = "Clark et al. 2019"
VOITA = "Voita et al. 2019"
PANDE = "Pande et al. 2021"
KOBAYASHI = "Kobayashi et al. 2020"
OLSSON = "Olsson et al. 2022"

LOCAL = 2
"""How many words before and after a word are near it, for the role `local`."""

POSITIONAL = 0.9
"""A head is `positional` if at least this part of its maxima lies on one offset (Voita 2019)."""

TWICE = 2.0
"""The bias score that a role asks for, attnviz's own threshold: twice what chance would give."""

LEAST_SHARE = 0.01
"""A role with less of a head's attention is not told: more specific roles have its links."""

LEVEL = 0.05
"""The level of all tests of a survey together."""


WITHIN_A_TEXT = frozenset(
    (
        *("distance", "itself", "previous", "next", "maxima"),
        *("previous_token", "duplicate_token", "induction"),
        *("positional", "syntactic", "local", "block"),
    )
)
"""Statistics and roles that ask where in its own text a word looks: cross-attention has none."""


@dataclass(frozen=True)
class Statistic:
    """A number that a survey gives for each head."""

    name: str
    title: str
    unit: str
    formula: str
    source: str


@dataclass(frozen=True)
class Role:
    """A thing that a head may do with a share of its attention; `formula`: what it asks for."""

    name: str
    title: str
    formula: str
    source: str


_BITS, _SHARE, _WORDS = "bits", "share", "words"

STATISTICS: tuple[Statistic, ...] = (
    Statistic("entropy", "entropy", _BITS, "−Σⱼ α log₂ α", CLARK),
    Statistic("spread", "entropy of the largest", _SHARE, "Σᵢ entropy / Σᵢ log₂ n(i)", CLARK),
    Statistic(
        "distance", "mean distance", _WORDS, "Σ α |i − j| / Σ α, j a word", "Vig & Belinkov 2019"
    ),
    Statistic("itself", "to itself", _SHARE, "α to the word itself", CLARK),
    Statistic(
        "previous", "to the previous", _SHARE, "α to the word before, in the same sentence", CLARK
    ),
    Statistic("next", "to the next", _SHARE, "α to the word after, in the same sentence", CLARK),
    Statistic(
        "first", "to the first word", _SHARE, "α to the first word of the text, from others", CLARK
    ),
    Statistic("cls", "to [CLS]", _SHARE, "Σ α to special tokens before the text", CLARK),
    Statistic("separators", "to separators", _SHARE, "Σ α to special tokens after a text", CLARK),
    Statistic(
        "sink", "to the sink", _SHARE, "1 − Σⱼ α, where the model has a sink", "gpt-oss 2025"
    ),
    Statistic(
        "punctuation", "to punctuation", _SHARE, "Σ α to other words that are punctuation", CLARK
    ),
    Statistic(
        "same_word",
        "to the same word",
        _SHARE,
        "Σ α to the same word elsewhere, where it is",
        CLARK,
    ),
    Statistic(
        "maxima",
        "maxima on one offset",
        _SHARE,
        "the largest part of the rows' maxima on one j − i",
        VOITA,
    ),
    Statistic(
        "rest",
        "to resting places",
        _SHARE,
        "Σ α to special tokens, to a sink, or to a first word without",
        CLARK,
    ),
    Statistic(
        "brought",
        "brought from there",
        _SHARE,
        "Σ ‖α v W_O‖ of resting places / Σⱼ ‖α v W_O‖",
        KOBAYASHI,
    ),
    Statistic(
        "previous_token", "previous token", _SHARE, "α to the token before, between pieces", OLSSON
    ),
    Statistic(
        "duplicate_token",
        "duplicate token",
        _SHARE,
        "Σ α to the same token before, where it is",
        OLSSON,
    ),
    Statistic(
        "induction", "induction", _SHARE, "Σ α to tokens right after the same token before", OLSSON
    ),
)
"""Every statistic, in the order in which they are shown."""

_BIAS = (
    "bias score > τ: the part of the attention to words that is in the sieve, over what even "
    f"attention would give; a one-sided t test over texts, Holm's correction at {LEVEL}; τ is "
    f"{TWICE:g}, or half way to all attention where that is less; the sieve: "
)
AMONG_WORDS = f"{PANDE}, here among words"

ROLES: tuple[Role, ...] = (
    Role(
        "no-op",
        "no-op",
        "delimiter, and what comes from there is less than half as long as "
        "what comes from elsewhere (t test)",
        KOBAYASHI,
    ),
    Role(
        "broadcast",
        "broadcast",
        "delimiter, and what comes from there is at least half as long (t test), "
        "about as much for every query",
        KOBAYASHI,
    ),
    Role(
        "delimiter",
        "delimiter",
        f"{_BIAS}special tokens, a sink, or the first word without, among all keys",
        PANDE,
    ),
    Role(
        "positional",
        "positional",
        f"at least {POSITIONAL:.0%} of the maxima lie on one offset",
        VOITA,
    ),
    Role("itself", "itself", f"{_BIAS}the word itself", AMONG_WORDS),
    Role("previous", "previous", f"{_BIAS}the word before", AMONG_WORDS),
    Role("next", "next", f"{_BIAS}the word after", AMONG_WORDS),
    Role("same word", "same word", f"{_BIAS}the same word elsewhere", AMONG_WORDS),
    Role(
        "syntactic",
        "syntactic",
        f"{_BIAS}a word's head and dependents; also among words that are no neighbours",
        AMONG_WORDS,
    ),
    Role("punctuation", "punctuation", f"{_BIAS}punctuation", AMONG_WORDS),
    Role(
        "local",
        "local",
        f"{_BIAS}up to {LOCAL} words before and after; and not to neighbours alone",
        AMONG_WORDS,
    ),
    Role(
        "block",
        "block",
        f"{_BIAS}words of the same sentence, in pairs and texts of several",
        AMONG_WORDS,
    ),
    Role("broad", "broad", f"spread > {BROAD_ENTROPY:g}; it has what no other role has", CLARK),
)
"""Every role, the most specific first: a link counts for the first whose test its head passes."""
