"""The statistics and the roles of all heads, added up over a corpus."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from attnviz.answers.bootstrap import covered
from attnviz.answers.corpus import Estimate
from attnviz.answers.overview import BROAD_ENTROPY
from attnviz.answers.statistics import LEAST_SHARE, LEVEL, POSITIONAL, ROLES, STATISTICS
from attnviz.answers.survey import HeadRole, SurveyHead
from attnviz.answers.survey_comparison import Kind
from attnviz.attention.shapes import Bool, Float
from attnviz.corpus.fold import Seen
from attnviz.corpus.kept import named, part_of
from attnviz.corpus.resampling import Means
from attnviz.corpus.statistics.causal import SCORES, CausalScores
from attnviz.corpus.statistics.hypotheses import COUNT, TESTS, Hypotheses, holm
from attnviz.corpus.statistics.places import (
    BY_OFFSET,
    CLASSES,
    CLS,
    COUNTED,
    ITSELF,
    OFFSETS,
    SEPARATORS,
    SIEVES,
    SINK,
)
from attnviz.corpus.statistics.sums import (
    BROUGHT,
    CARRIED,
    DISTANCE,
    ENTROPY,
    FEATURES,
    IN_CLASS,
    MAXIMA,
    TO_FIRST,
    Sums,
    to_rest,
    to_words,
)
from attnviz.inspection import HeadId, ModelFacts

_NAMES = tuple(statistic.name for statistic in STATISTICS)
_ROLE_NAMES = tuple(role.name for role in ROLES)


class Drawn(NamedTuple):
    """A number of every head, and the same in each resample; NaN where there is none. `texts`: in
    how many documents it was counted.

    Of roles: the part of the head's attention that its test asks for, whether it passes or not.
    """

    mean: Float[np.ndarray, "layer head"]
    resampled: Float[np.ndarray, "resample layer head"]
    texts: Float[np.ndarray, "layer 1"]


class HeadStatistics:
    """All that a survey says of each head but for its examples: an Accumulator."""

    def __init__(self, facts: ModelFacts) -> None:
        self.num_layers, self.num_heads = facts.num_layers, facts.num_heads
        layers, heads = self.num_layers, self.num_layers * self.num_heads
        self._features = Means((FEATURES, layers, self.num_heads), (1, layers, 1))
        self._counts = Means((len(COUNTED) - 1, layers), (1, layers))
        self._documents = np.zeros((len(COUNTED), layers))
        self._hypotheses = Hypotheses(heads)
        self._causal = CausalScores(layers, self.num_heads)

    def add(self, seen: Seen) -> None:
        """Add a text."""
        sums = Sums.of(seen, self.num_layers, self.num_heads)
        counted = sums.facts[: len(COUNTED)]
        rows, counts = counted[:1], counted[1:]
        if not rows.any():
            return
        self._features.add(seen.times, sums.features, rows, seen.share)
        self._counts.add(seen.times, counts, rows, seen.share)
        self._documents += seen.share * (counted > 0)
        self._hypotheses.add(sums)
        self._causal.add(seen)

    def merge(self, other: "HeadStatistics") -> None:
        """Add what another has seen."""
        self._features.merge(other._features)
        self._counts.merge(other._counts)
        self._documents += other._documents
        self._hypotheses.merge(other._hypotheses)
        self._causal.merge(other._causal)

    def state(self) -> dict[str, Any]:
        """All its numbers."""
        return {
            **named("features", self._features.state()),
            **named("counts", self._counts.state()),
            **named("causal", self._causal.state()),
            "documents": self._documents.copy(),
            "hypotheses": self._hypotheses.sums.copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave; ValueError if it is another's."""
        self._features.restore(part_of("features", state))
        self._counts.restore(part_of("counts", state))
        self._causal.restore(part_of("causal", state))
        self._documents[...] = state["documents"]
        self._hypotheses.sums[...] = state["hypotheses"]

    def heads(self) -> tuple[SurveyHead, ...]:
        """Every head that was seen, layer by layer."""
        return _Result(self).heads()

    def drawn(self) -> dict[tuple[Kind, str], Drawn]:
        """Each number of all heads, with its resamples; see `Drawn`."""
        return _Result(self).drawn()

    def tested(self) -> dict[str, bool]:
        """Whether there was anything to test, by the test's name."""
        counts = self._hypotheses.sums[COUNT].any(axis=1)
        return dict(zip(TESTS, counts.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class _Numbers:
    """Means over rows: as they are, or in each resample (the first axis)."""

    features: Float[np.ndarray, "*resample feature layer head"]
    counts: Float[np.ndarray, "*resample counted layer"]

    def statistics(self) -> dict[str, Float[np.ndarray, "*resample layer head"]]:
        """Every statistic by name, NaN where there is none."""
        classes = self.features[..., IN_CLASS, :, :]
        each = {name: classes[..., one, :, :] for name, one in _CLASS_OF.items()}
        each |= {
            name: classes[..., SIEVES[sieve], :, :].sum(axis=-3)
            for name, sieve in _SIEVE_OF.items()
        }
        each |= {"entropy": self._of(ENTROPY), "spread": self._of(ENTROPY)}
        each |= {"first": self._of(TO_FIRST)}
        found = {
            name: number if name not in _ROWS_OF else self._over(number, _ROWS_OF[name])
            for name, number in each.items()
        }
        flat = classes.reshape(*classes.shape[:-2], -1)
        words = to_words(flat).reshape(classes[..., 0, :, :].shape)
        found["distance"] = _ratio(self._of(DISTANCE), words)
        found["rest"] = to_rest(flat).reshape(words.shape)
        found["brought"] = _ratio(self._of(BROUGHT), self._of(CARRIED))
        return found

    def roles(self) -> dict[str, Float[np.ndarray, "*resample layer head"]]:
        """What each head gives to each role's sieve."""
        classes = self.features[..., IN_CLASS, :, :]
        found = {name: classes[..., sieve, :, :].sum(axis=-3) for name, sieve in SIEVES.items()}
        delimiter = dict.fromkeys(("no-op", "broadcast"), found["delimiter"])
        return found | delimiter | {"broad": self.statistics()["spread"]}

    def maxima(self) -> Float[np.ndarray, "*resample offset layer head"]:
        """The part of the rows with a word at each of OFFSETS that have their maximum there."""
        having = self.counts[..., -len(OFFSETS) :, :, None]
        return _ratio(self.features[..., MAXIMA, :, :], having)

    def _of(self, feature: int) -> np.ndarray:
        own: np.ndarray = self.features[..., feature, :, :]
        return own

    def _over(self, number: np.ndarray, counted: str) -> np.ndarray:
        return _ratio(number, self.counts[..., COUNTED.index(counted) - 1, :, None])


_CLASS_OF = {"itself": ITSELF, "cls": CLS, "separators": SEPARATORS, "sink": SINK}
_SIEVE_OF = {
    "previous": "previous", "next": "next", "same_word": "same word", "punctuation": "punctuation",
}  # fmt: skip
_ROWS_OF = {"spread": "largest", "first": "first", "cls": "cls", "separators": "separators"} | {
    "sink": "sink", "itself": "offset 0", **_SIEVE_OF,
}  # fmt: skip
"""Of which rows a statistic is the mean, if not of all."""


@dataclass(frozen=True, eq=False)
class _Tested:
    """What each role's test says: whether each head has it, (layer * head,), and what was found."""

    passed: dict[str, Bool[np.ndarray, "head"]]
    details: dict[str, dict[str, np.ndarray]]

    def of(self, head: int) -> dict[str, dict[str, Any]]:
        """All roles' tests of one head, as they are told."""
        found = {}
        for name, values in self.details.items():
            own: dict[str, Any] = {"passed": bool(self.passed[name][head])}
            found[name] = own | {key: value.item(head) for key, value in values.items()}
        return found


class _Result:
    """What an accumulator of HeadStatistics comes to."""

    def __init__(self, of: HeadStatistics) -> None:
        self._of = of
        self._mean = _Numbers(of._features.mean(), of._counts.mean())
        self._drawn = _Numbers(of._features.resampled(), of._counts.resampled())
        texts = dict(zip(COUNTED, of._documents[:, :, None], strict=True))
        self._texts = {name: texts[_ROWS_OF.get(name, "rows")] for name in ("", *_NAMES)}

    def heads(self) -> tuple[SurveyHead, ...]:
        """Every head that was seen."""
        statistics, tested = self._statistics(), self._tested()
        shares = self._shares(tested)
        layers, heads = self._of.num_layers, self._of.num_heads
        seen = self._of._documents[0] > 0
        return tuple(
            self._head(HeadId(layer, head), statistics, shares, tested.of(layer * heads + head))
            for layer in range(layers)
            for head in range(heads)
            if seen[layer]
        )

    def _head(
        self,
        head: HeadId,
        statistics: Mapping[str, np.ndarray],
        shares: Mapping[str, np.ndarray],
        tests: Mapping[str, Mapping[str, Any]],
    ) -> SurveyHead:
        layer, place = head.layer, head.place
        numbers = {
            name: Estimate.of(*statistics[name][:, layer, place])
            for name in _NAMES
            if name in statistics
        }
        roles = [
            HeadRole(name, Estimate.of(*shares[name][:, layer, place]), tests[name])
            for name in _ROLE_NAMES
            if shares[name][0, layer, place] > 0
        ]
        roles.sort(key=lambda role: -(role.share.mean or 0))
        unknown = Estimate.of(*shares["unknown"][:, layer, place])
        return SurveyHead(head, numbers, tuple(roles), unknown, tests)

    def _statistics(self) -> dict[str, Float[np.ndarray, "3 layer head"]]:
        """Each statistic's mean, low and high."""
        means, drawn = self._mean.statistics(), self._drawn.statistics()
        found = {name: self._estimate(means[name], drawn[name], name) for name in means}
        _, maxima, resampled = self._largest_maxima
        found["maxima"] = self._estimate(maxima, resampled, "")
        causal = self._of._causal.means
        shape = len(SCORES), self._of.num_layers, self._of.num_heads
        numbers = [part.reshape(shape) for part in (causal.mean(), *causal.interval())]
        return found | dict(zip(SCORES, np.stack(numbers, axis=1), strict=True))

    def _estimate(
        self, mean: Float[np.ndarray, "layer head"], drawn: np.ndarray, name: str
    ) -> Float[np.ndarray, "3 layer head"]:
        return np.stack([mean, *covered(drawn, self._texts[name])])

    def drawn(self) -> dict[tuple[Kind, str], Drawn]:
        """See `HeadStatistics.drawn`."""
        means, drawn = self._mean.statistics(), self._drawn.statistics()
        found: dict[tuple[Kind, str], Drawn] = {
            ("statistic", name): Drawn(means[name], drawn[name], self._texts[name])
            for name in _NAMES
            if name in means
        }
        _, mean, resampled = self._largest_maxima
        maxima, every = Drawn(mean, resampled, self._texts[""]), self._texts[""]
        found["statistic", "maxima"] = found["role", "positional"] = maxima
        causal = self._of._causal.means
        shape = len(SCORES), self._of.num_layers, self._of.num_heads
        each = causal.mean().reshape(shape), causal.resampled().reshape(-1, *shape)
        for place, name in enumerate(SCORES):
            texts = np.broadcast_to(causal.documents()[place], every.shape)
            found["statistic", name] = Drawn(each[0][place], each[1][:, place], texts)
        own, drawn = self._mean.roles(), self._drawn.roles()
        return found | {("role", name): Drawn(own[name], drawn[name], every) for name in own}

    @cached_property
    def _largest_maxima(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The offset with most of each head's maxima, by place; its part, and that of resamples."""
        maxima, resampled = self._mean.maxima(), self._drawn.maxima()
        best = np.argmax(np.nan_to_num(maxima, nan=-1), axis=0)
        mean = np.take_along_axis(maxima, best[None], axis=0)[0]
        return best, mean, np.take_along_axis(resampled, best[None, None], axis=1)[:, 0]

    def _tested(self) -> _Tested:
        """All roles' tests."""
        p, scores = self._of._hypotheses.result()
        corrected = holm(p)
        passed, details = {}, {}
        for name in p:
            score = "delimiter" if name == "broadcast" else name
            details[name] = {"score": scores[score], "p": p[name], "corrected": corrected[name]}
            passed[name] = np.nan_to_num(corrected[name], nan=1.0) < LEVEL
        for name in ("no-op", "broadcast"):
            details[name]["score"] = scores["no-op"]
        details["broadcast"]["uneven"] = scores["even"]
        for name in ("syntactic", "local"):
            details[name]["apart"] = scores[f"{name}, apart"]
        best, largest = (part.reshape(-1) for part in self._largest_maxima[:2])
        offset = np.array(OFFSETS, object)[best]
        offset[np.isnan(largest)] = None
        details["positional"] = {"offset": offset, "maxima": largest}
        passed["positional"] = np.nan_to_num(largest) >= POSITIONAL
        spread = self._mean.statistics()["spread"].reshape(-1)
        details["broad"], passed["broad"] = (
            {"spread": spread},
            np.nan_to_num(spread) > BROAD_ENTROPY,
        )
        return _Tested(passed, details)

    def _owners(self, tested: _Tested) -> np.ndarray:
        """The number of the role that has each class of each head, (class, head); -1 if none."""
        heads = self._of.num_layers * self._of.num_heads
        owner = np.full((CLASSES, heads), -1)
        offsets = BY_OFFSET[self._largest_maxima[0].reshape(-1)].T
        for number, name in enumerate(_ROLE_NAMES):
            sieve = SIEVES["delimiter"] if name in ("no-op", "broadcast") else SIEVES.get(name)
            if name == "positional":
                wanted = offsets
            elif name == "broad":
                wanted = np.ones((CLASSES, heads), bool)
            else:
                wanted = np.repeat(np.asarray(sieve)[:, None], heads, axis=1)
            owner[wanted & tested.passed[name] & (owner < 0)] = number
        return owner

    def _shares(self, tested: _Tested) -> dict[str, Float[np.ndarray, "3 layer head"]]:
        """Each role's share of each head's attention, and what no role has."""
        shape = CLASSES, self._of.num_layers, self._of.num_heads
        owner = self._owners(tested).reshape(shape)
        mean, drawn = (
            numbers.features[..., IN_CLASS, :, :] for numbers in (self._mean, self._drawn)
        )
        for number in range(len(_ROLE_NAMES)):
            little = np.where(owner == number, mean, 0).sum(axis=0) < LEAST_SHARE
            owner[(owner == number) & little] = -1
        return {
            name: self._estimate(
                np.where(owner == number, mean, 0).sum(axis=0),
                np.where(owner == number, drawn, 0).sum(axis=1),
                "",
            )
            for number, name in [*enumerate(_ROLE_NAMES), (-1, "unknown")]
        }


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A quotient, NaN where there is nothing below."""
    below = np.broadcast_to(below, above.shape)
    found = np.full(above.shape, np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found
