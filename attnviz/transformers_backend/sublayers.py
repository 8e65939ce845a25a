"""Find a layer's norms and feed-forward network: by what they make of what enters them.

The layer's output is retraced to its x, from sum to sum. Each part is then a matrix, a norm or a
function that gives the numbers that were seen, to rounding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from attnviz.attention.request import AttentionKind
from attnviz.attention.shapes import Float
from attnviz.attention.sublayers import (
    Adding,
    FeedForward,
    Norm,
    SublayerName,
    Sublayers,
    Unopened,
)
from attnviz.errors import AttnvizError
from attnviz.transformers_backend.layer_parts import (
    LINEAR,
    matrix_of,
    network_of,
    norm_of,
    off,
    same,
)
from attnviz.transformers_backend.layer_run import Invocation, LayerRun

TOLERANCES = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 3e-2}
"""How far a row may be off, relative to its largest number."""

HINT = "explain --head L0H0 shows one of its heads, attnviz run its weights"

_Array = Float[np.ndarray, "row width"]
_OTHERS: dict[AttentionKind, SublayerName] = {
    "encoder": "self_attention",
    "decoder": "self_attention",
    "cross": "cross_attention",
}


@dataclass(frozen=True, eq=False)
class _Branch:
    """What is added: whose it is, the norm that it went through, and, of feed-forward, the
    network and what that reads.
    """

    name: SublayerName
    inside: Norm | None = None
    network: FeedForward | Unopened | None = None
    reads: _Array | None = None


@dataclass(frozen=True, eq=False)
class _Term:
    """A branch in a sum, times a factor."""

    branch: _Branch
    factor: float


@dataclass(frozen=True, eq=False)
class _Sum:
    """before * kept + terms, then perhaps a norm."""

    before: _Array
    kept: float
    terms: tuple[_Term, ...]
    after: Norm | None


def find_sublayers(run: LayerRun, dtype: str) -> Sublayers:
    """The parts of the layer that a run was kept of; AttnvizError if none give what was seen."""
    site = next((one for one in reversed(run.around) if one.module in run.sites.kinds), None)
    if site is None or site.module not in run.sites.outputs:
        raise AttnvizError(
            "a layer is retraced through W_O, and this model does more to z than multiply it by a "
            "matrix",
            HINT,
        )
    for layer in run.around:
        if layer.given is not None and layer.made is not None and run.calls_in(layer) == 1:
            found = _Search(run, layer, site, TOLERANCES.get(dtype, 1e-5)).sublayers()
            if found is not None:
                return found
    raise AttnvizError(
        "this model's layer does more than add what attention and a feed-forward network give, "
        "with norms, so its steps cannot be retraced",
        HINT,
    )


class _Search:
    """Retraces one layer, from what left it to what entered it."""

    def __init__(
        self, run: LayerRun, layer: Invocation, site: Invocation, tolerance: float
    ) -> None:
        self._run, self._layer, self._site, self._tolerance = run, layer, site, tolerance
        self._inside = [one for one in run.invocations if layer.holds(one)]
        self._calls = [at for _, at in run.calls]
        self._values = list(self._distinct())
        self._norms: dict[Invocation, Norm | None] = {}
        self._mixing = set(run.sites.outputs.values())
        self._ones = True

    def sublayers(self) -> Sublayers | None:
        """The layer's parts; None if they do not give its output."""
        x, y = self._layer.given, self._layer.made
        if x is None or y is None or x.shape != y.shape:
            return None
        for self._ones in (True, False):
            sums = self._chain(y)
            branches = [term.branch for one in sums or () for term in one.terms]
            names = [branch.name for branch in branches]
            if sums and names.count("attention") == names.count("feed_forward") == 1:
                order = self._order(sums)
                return None if order is None else self._built(order, branches)
        return None

    def _distinct(self) -> Iterator[tuple[int, _Array]]:
        """The vectors of the layer's width that were seen inside, each when it was first."""
        x = self._layer.given
        seen = [(self._layer.begin, x)]
        for one in self._inside:
            seen += [(one.begin, one.given), (one.end, one.made)]
        kept: list[_Array] = []
        for at, vectors in sorted(seen, key=lambda pair: pair[0]):
            if vectors is None or x is None or vectors.shape != x.shape:
                continue
            if not any(same(vectors, other) for other in kept):
                kept.append(vectors)
                yield at, vectors

    def _chain(self, value: _Array) -> list[_Sum] | None:
        """The sums that lead from x to a value; None if none do."""
        if same(value, self._layer.given):
            return []
        totals: list[tuple[Norm | None, _Array]] = [(None, value)]
        totals += [(norm, given) for norm, given in self._normed(value)]
        for after, total in totals:
            for found in self._sums(total, after):
                below = self._chain(found.before)
                if below is not None:
                    return [*below, found]
        return None

    def _sums(self, total: _Array, after: Norm | None) -> Iterator[_Sum]:
        """Sums of an earlier vector and one branch, or of attention and feed-forward, that give
        this one.
        """
        at = next((at for at, v in self._values if same(v, total)), self._layer.end)
        earlier = [vectors for when, vectors in self._values if when < at]
        branches = [(b, v) for v in earlier for b in self._branches(v)]
        both = [
            (one, other)
            for one, other in product(branches, branches)
            if (one[0].name, other[0].name) == ("attention", "feed_forward")
        ]
        for group in [*((one,) for one in branches), *both]:
            for before in earlier:
                parts = [before, *(vectors for _, vectors in group)]
                if any(before is vectors for vectors in parts[1:]):
                    continue
                factors = self._factors(parts, total)
                if factors is not None:
                    terms = [_Term(b, f) for (b, _), f in zip(group, factors[1:], strict=True)]
                    yield _Sum(before, factors[0], tuple(terms), after)

    def _factors(self, parts: Sequence[_Array], total: _Array) -> list[float] | None:
        """The factors with which these parts sum to the total, each 1 at first."""
        factors = np.ones(len(parts))
        if not self._ones:
            columns = np.stack([part.ravel() for part in parts], axis=1)
            factors = np.linalg.lstsq(columns, total.ravel(), rcond=None)[0]
            factors[np.abs(factors - 1) < self._tolerance] = 1
        made = np.einsum("p,prd->rd", factors, np.stack(parts))
        if not np.all(factors) or off(made, total) > self._tolerance:
            return None
        return [float(factor) for factor in factors]

    def _branches(self, vectors: _Array) -> Iterator[_Branch]:
        """What these vectors are, if a sublayer gave them."""
        for inside, given in [(None, vectors), *self._normed(vectors)]:
            for name, mixing, site in self._attentions:
                if same(mixing.made, given):
                    yield _Branch(name, inside, reads=site.given)
            network = self._network(given)
            if network is not None:
                yield _Branch("feed_forward", inside, *network)

    @cached_property
    def _attentions(self) -> list[tuple[SublayerName, Invocation, Invocation]]:
        """All attention of the layer: its name, what mixes its heads, and what calls it."""
        found = []
        for site in (one for one in self._inside if one.module in self._run.sites.kinds):
            own, kind = site is self._site, self._run.sites.kinds[site.module]
            name = "attention" if own else _OTHERS[kind]
            output = self._run.sites.outputs.get(site.module)
            found += [(name, one, site) for one in self._inside if one.module is output]
        return found

    def _network(self, made: _Array) -> tuple[FeedForward | Unopened, _Array] | None:
        """The feed-forward network that gave these, and what it read."""
        makers = [
            one
            for one in self._inside
            if one.made is not None
            and same(one.made, made)
            and not any(one.begin < at < one.end for at in self._calls)
        ]
        for one in makers:
            is_matrix = isinstance(one.module, LINEAR) and one.module not in self._mixing
            opened = network_of(one, self._inside, self._tolerance) if is_matrix else None
            if opened is not None:
                return opened
        for one in reversed(makers):  # the outermost first
            read = one.given
            if one.left is None or read is None or read.shape != made.shape:
                continue
            if any(one.module.children()):
                return Unopened(type(one.module).__name__, one.left.asked), read
        return None

    def _normed(self, made: _Array) -> list[tuple[Norm, _Array]]:
        """The norms that gave these vectors, and what entered each."""
        found = []
        for one in self._inside:
            if one.made is not None and same(one.made, made) and one.given is not None:
                if one not in self._norms:
                    self._norms[one] = norm_of(one, self._tolerance)
                norm = self._norms[one]
                found += [] if norm is None else [(norm, one.given)]
        return found

    def _order(self, sums: Sequence[_Sum]) -> tuple[Adding, ...] | None:
        """The sums as sublayers in order; None where one reads what is not on the way."""
        order: list[Adding] = []
        for one in sums:
            for place, term in enumerate(one.terms):
                reads = list(self._reads(one.before, term.branch.reads))
                if not reads or (place and not same(one.before, self._layer.given)):
                    return None
                norm, beside = reads[0]
                order.append(
                    Adding(
                        term.branch.name,
                        before=norm,
                        inside=term.branch.inside,
                        after=one.after if term is one.terms[-1] else None,
                        kept=1.0 if place else one.kept,
                        factor=term.factor,
                        beside=beside or place > 0,  # the second of a sum reads x, as the first
                    )
                )
        return tuple(order)

    def _reads(self, before: _Array, read: _Array | None) -> Iterator[tuple[Norm | None, bool]]:
        """The norm through which a sublayer reads what it is added to; or the layer's x, beside
        that.
        """
        for source, beside in ((before, False), (self._layer.given, True)):
            if same(source, read):
                yield None, beside
            for norm, given in [] if read is None else self._normed(read):
                if same(given, source):
                    yield norm, beside

    def _built(self, order: tuple[Adding, ...], branches: Sequence[_Branch]) -> Sublayers | None:
        run, x, y = self._run, self._layer.entered, self._layer.left
        [network] = [branch.network for branch in branches if branch.network is not None]
        others: dict[SublayerName, np.ndarray] = {
            name: mixing.left.asked
            for name, mixing, _ in self._attentions
            if name != "attention" and mixing.left is not None
        }
        W_O, b_O = matrix_of(run.sites.outputs[self._site.module])
        if x is None or y is None:
            return None
        return Sublayers(run.pieces, order, W_O, b_O, network, x.asked, y.asked, others)
