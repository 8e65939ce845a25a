"""The table of what a survey says of a head: names, titles, units, formulas and sources.

JSON, tables, pictures, the glossary and the documents read it here. α is the attention weight from
a query i to a key j. Rows are the words that look and may look at more than one key. A statistic is
a mean over all rows of the corpus, or over those that its formula names. The n(i) keys of a row are
those that the attention mask allows, and a sink.

Resting places are special tokens, a sink, and the first word of a text that begins without a
special token, for rows more than LOCAL words away or of another sentence. It is a word there, and
has a distance, but it is neither punctuation there nor the same word.
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

_THERE = "of rows that may look there"
_FIRST_WORD = (
    "the first word of a text that begins without a special token, from another sentence or more "
    f"than {LOCAL} words away"
)

STATISTICS: tuple[Statistic, ...] = (
    Statistic("entropy", "entropy", _BITS, "−Σⱼ α log₂ α; a sink is a key", CLARK),
    Statistic("spread", "entropy of the largest", _SHARE, "Σᵢ entropy / Σᵢ log₂ n(i)", CLARK),
    Statistic(
        "distance", "mean distance", _WORDS, "Σ α |i − j| / Σ α, j a word", "Vig & Belinkov 2019"
    ),
    Statistic("itself", "to itself", _SHARE, "α to the word itself", CLARK),
    Statistic(
        "previous",
        "to the previous",
        _SHARE,
        f"α to the word before, in the same sentence, {_THERE}",
        CLARK,
    ),
    Statistic(
        "next", "to the next", _SHARE, f"α to the word after, in the same sentence, {_THERE}", CLARK
    ),
    Statistic(
        "first",
        "to the first word",
        _SHARE,
        "α to the first word of the text, of other words' rows that may look there",
        CLARK,
    ),
    Statistic("cls", "to [CLS]", _SHARE, f"Σ α to special tokens before the text, {_THERE}", CLARK),
    Statistic(
        "separators",
        "to separators",
        _SHARE,
        f"Σ α to special tokens after its first word, {_THERE}",
        CLARK,
    ),
    Statistic(
        "sink", "to the sink", _SHARE, "1 − Σⱼ α, where the model has a sink", "gpt-oss 2025"
    ),
    Statistic(
        "punctuation",
        "to punctuation",
        _SHARE,
        f"Σ α to other words that are punctuation, {_THERE}",
        CLARK,
    ),
    Statistic(
        "same_word",
        "to the same word",
        _SHARE,
        f"Σ α to the same word elsewhere, case aside, no punctuation, {_THERE}",
        CLARK,
    ),
    Statistic(
        "maxima",
        "maxima on one offset",
        _SHARE,
        f"the part of the rows' maxima on one j − i, {_THERE}; the j − i from −{LOCAL} to {LOCAL} "
        "that has most, which the interval takes as given; equal maxima share",
        VOITA,
    ),
    Statistic(
        "rest",
        "to resting places",
        _SHARE,
        f"Σ α to special tokens, to a sink, or to {_FIRST_WORD}",
        CLARK,
    ),
    Statistic(
        "brought",
        "brought from there",
        _SHARE,
        "Σᵢ Σ ‖α v W_O‖ of resting places / Σᵢ Σⱼ ‖α v W_O‖",
        KOBAYASHI,
    ),
    Statistic(
        "previous_token",
        "previous token",
        _SHARE,
        "between pieces, α to the one before, where there is one",
        OLSSON,
    ),
    Statistic(
        "duplicate_token",
        "duplicate token",
        _SHARE,
        "between pieces, Σ α to the same one before, where there is one",
        OLSSON,
    ),
    Statistic(
        "induction",
        "induction",
        _SHARE,
        "between pieces, Σ α to those right after the same one before, where there is one",
        OLSSON,
    ),
)
"""Every statistic, in the order in which they are shown."""

_TEST = (
    f"a one-sided t test over texts, Holm's correction at {LEVEL}; τ is {TWICE:g}, or half way to "
    "all attention where that is less; the sieve: "
)
_BIAS = (
    "bias score > τ: the part of the attention to words that is in the sieve, over what even "
    f"attention to them would give; {_TEST}"
)
_BIAS_OF_ALL = (
    "bias score > τ: the part of all attention that is in the sieve, over what even attention "
    f"would give; {_TEST}"
)
_NO_TEST = "a criterion on the mean, no test"
AMONG_WORDS = f"{PANDE}, here among words that are no resting places"

ROLES: tuple[Role, ...] = (
    Role(
        "no-op",
        "no-op",
        "delimiter, and for as much attention, what comes from there is less than half as long as "
        "what comes from elsewhere (t test)",
        KOBAYASHI,
    ),
    Role(
        "broadcast",
        "broadcast",
        "delimiter, and for as much attention, what comes from there is at least half as long "
        "(t test); and evenly: the standard deviation over queries of what they give there is less "
        "than half of its mean (t test)",
        KOBAYASHI,
    ),
    Role(
        "delimiter",
        "delimiter",
        f"{_BIAS_OF_ALL}special tokens, a sink, or {_FIRST_WORD}",
        PANDE,
    ),
    Role(
        "positional",
        "positional",
        f"at least {POSITIONAL:.0%} of the maxima lie on one offset, as in maxima; {_NO_TEST}",
        VOITA,
    ),
    Role("itself", "itself", f"{_BIAS}the word itself", AMONG_WORDS),
    Role("previous", "previous", f"{_BIAS}the word before, in the same sentence", AMONG_WORDS),
    Role("next", "next", f"{_BIAS}the word after, in the same sentence", AMONG_WORDS),
    Role("same word", "same word", f"{_BIAS}the same word elsewhere, case aside", AMONG_WORDS),
    Role(
        "syntactic",
        "syntactic",
        f"{_BIAS}a word's head and dependents, not punctuation nor the same word; also among words "
        "that are no neighbours",
        AMONG_WORDS,
    ),
    Role("punctuation", "punctuation", f"{_BIAS}other words that are punctuation", AMONG_WORDS),
    Role(
        "local",
        "local",
        f"{_BIAS}up to {LOCAL} words before and after, in the same sentence; and those {LOCAL} "
        "away have more than even attention would give (t test)",
        AMONG_WORDS,
    ),
    Role(
        "block",
        "block",
        f"{_BIAS}other words of the same sentence, in pairs and texts of several",
        AMONG_WORDS,
    ),
    Role(
        "broad",
        "broad",
        f"spread > {BROAD_ENTROPY:g}; {_NO_TEST}; it has what no other role has",
        CLARK,
    ),
)
"""Every role, the most specific first: a link counts for the first whose test its head passes."""
