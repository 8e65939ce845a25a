"""Why does a head look there? One score, q · k, split by what the two vectors are made of.

With every norm held at its values, the query's vector is a sum of parts x_i, and the key's of parts
y_j (see `origins`). So q · k is the sum of all x_i W_Q · y_j W_K, exactly, for one pair of pieces.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from attnviz.answers.answer import facts_of, if_there, shortest, token_facts
from attnviz.answers.explain import pieces_of
from attnviz.answers.head import Z_TOLERANCES, short
from attnviz.answers.origins import Made, PartName, made_of
from attnviz.attention.layer import LayerRecord, times
from attnviz.attention.order import descending
from attnviz.attention.rotation import find_turn
from attnviz.attention.shapes import Float
from attnviz.attention.sublayers import Origins
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Context, HeadId, Inspection, Shown, View
from attnviz.text.tokens import Token

TOP = 10  # terms that are named, unless the user says how many
OTHERS = 64  # the most other keys of which the mean is taken, spread over all
TOLERANCE = 1e-4
"""How far the terms' sum may be from the recorded score, in float32: itself, or as a part of the
largest term where that is larger than 1."""

By = Literal["term", "excess"]

POSITION_BIAS = PartName("position_bias")


class Term(NamedTuple):
    """A part of the query times a part of the key, times the scale.

    `others`: the same term with the other keys, on average, and `excess`: the term less that; None
    without other keys. `share`: of the sum of all sizes, of the terms or, where they are ranked by
    it, of the excesses; `covered`: the shares of this term and all before it.
    """

    query: PartName
    key: PartName
    term: float
    others: float | None
    excess: float | None
    share: float
    covered: float


class SumCheck(NamedTuple):
    """What all terms sum to, and how far that is from the recorded score."""

    sum: float
    difference: float


@dataclass(frozen=True, eq=False, repr=False)
class Why(Shown):
    """One score of a query and a key, before the softmax, as a sum over pairs of parts.

    `terms` has a row for each part of the query, and a column for each of the key. `others` are the
    same of the `other_keys`, on average. `position_bias`: what the model adds for the distance, to
    this key and to the others. `others_score`: what the others have on average. `capped`: what a
    soft cap makes of the score. `by`: what terms are ranked by.
    """

    schema: ClassVar[str] = "attnviz.why/1"
    columns: ClassVar[tuple[str, ...]] = (
        "layer", "head", "query_index", "query", "key_index", "key", "term_rank",
        "query_part", "query_layer", "query_head", "key_part", "key_layer", "key_head",
        "term", "others", "excess", "share", "covered",
    )  # fmt: skip

    context: Context
    head: HeadId
    query: Token
    key: Token
    scale: float
    score: float
    capped: float | None
    weight: float
    rank: int
    position_bias: tuple[float, float | None] | None
    query_parts: tuple[PartName, ...]
    key_parts: tuple[PartName, ...]
    terms: Float[np.ndarray, "query_part key_part"]
    others: Float[np.ndarray, "query_part key_part"] | None
    other_keys: int
    others_score: float | None
    check: SumCheck
    by: By = "term"

    def __repr__(self) -> str:
        return f"<Why {self.query.label!r} looks at {self.key.label!r} in {self.head}>"

    @property
    def count(self) -> int:
        """How many terms there are."""
        return self.terms.size + (self.position_bias is not None)

    @property
    def by_excess(self) -> bool:
        """Whether terms are ranked by their excess: as asked, and there are other keys."""
        return self.by == "excess" and self.others is not None

    @property
    def ranked(self) -> Float[np.ndarray, "query_part key_part"]:
        """What terms are ranked by: themselves, or how much they exceed those of the other keys."""
        ranked: np.ndarray = self.terms
        return ranked - self.others if self.by_excess else ranked

    @cached_property
    def _order(self) -> tuple[np.ndarray, list[int]]:
        """The size of each term, the position bias after all others, and their order by that."""
        sizes = np.abs(self.ranked.ravel()).astype(np.float64)
        if self.position_bias is not None:
            own, others = self.position_bias
            sizes = np.append(sizes, abs(own - (others or 0.0) if self.by_excess else own))
        return sizes, [int(place) for place in descending(sizes)]

    @property
    def size(self) -> float:
        """The sum of the sizes of all that is ranked."""
        return float(self._order[0].sum())

    def covered(self, top: int = TOP) -> float:
        """The part of the sum of all sizes that the `top` largest make up."""
        sizes, order = self._order
        return float(sizes[order[:top]].sum() / (sizes.sum() or 1.0))

    def strongest(self, top: int | None = None) -> Iterator[Term]:
        """The `top` terms, or all, the largest first."""
        sizes, order = self._order
        whole, covered = float(sizes.sum()) or 1.0, 0.0
        for place in order[:top]:
            row, column = divmod(place, self.terms.shape[1])
            covered += sizes[place] / whole
            if place == self.terms.size and self.position_bias is not None:
                names, (term, others) = (POSITION_BIAS, POSITION_BIAS), self.position_bias
            else:
                names = self.query_parts[row], self.key_parts[column]
                term = float(self.terms[row, column])
                others = None if self.others is None else float(self.others[row, column])
            excess = None if others is None else term - others
            yield Term(*names, term, others, excess, float(sizes[place] / whole), float(covered))

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The `attnviz.why/1` object; `top` limits the terms that are listed, 10 unless told."""
        paired, bias = self.context.text.pair is not None, self.position_bias
        return facts_of(self.context, self.schema) | {
            "layer": self.head.layer,
            "head": self.head.head,
            "query": token_facts(self.query, paired),
            "key": token_facts(self.key, paired),
            "scale": self.scale,
            "score": self.score,
            **if_there("capped", self.capped),
            "weight": self.weight,
            "rank": self.rank,
            **if_there("position_bias", bias and {"term": bias[0], **if_there("others", bias[1])}),
            "query_parts": [part.data() for part in self.query_parts],
            "key_parts": [part.data() for part in self.key_parts],
            "terms": self.terms,
            "other_keys": self.other_keys,
            **if_there("others_score", self.others_score),
            **if_there("others", self.others),
            "by_query": short(self.terms.sum(axis=1, dtype=np.float64)),
            "by_key": short(self.terms.sum(axis=0, dtype=np.float64)),
            "by": self.by,
            "strongest": [
                {
                    **term._asdict(),
                    "query": str(term.query),
                    "key": str(term.key),
                }
                for term in self.strongest(top or TOP)
            ],
            "check": self.check._asdict(),
        }

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a term, the largest first."""
        ends = (*self.head, self.query.index, self.query.text, self.key.index, self.key.text)
        for rank, term in enumerate(self.strongest(top), start=1):
            parts = (
                cell
                for part in (term.query, term.key)
                for cell in (str(part), part.layer, part.head)
            )
            numbers = (None if n is None else shortest(n) for n in term[2:5])
            yield (*ends, rank, *parts, *numbers, term.share, term.covered)


def pairs_of(view: View, query: int, key: int, head: HeadId) -> list[tuple[int, int]]:
    """The pieces of two tokens of a view, query and key, that the head may join.

    RequestError if the mask is between all of them: their weight is 0, whatever q · k is.
    """
    inspection = view.inspection
    record = inspection.layer(head.layer)
    pairs = list(product(pieces_of(view, query), pieces_of(view, key)))
    seen = [pair for pair in pairs if _sees(record, *pair)]
    if seen:
        return seen
    looks, at = view.tokens[query].label, view.tokens[key].label
    raise RequestError(
        f'"{looks}" may not look at "{at}" in {head}: the mask makes that weight 0, whatever their '
        "score",
        "name a key that comes before the query, or is nearer",
    )


def pieces_for(inspection: Inspection, pairs: Sequence[tuple[int, int]], layer: int) -> list[int]:
    """The pieces whose vectors are split for some pairs: theirs, and those of the other keys."""
    record = inspection.layer(layer)
    others = {key for pair in pairs for key in _others(record, *pair)}
    return sorted({piece for pair in pairs for piece in pair} | others)


def why(
    inspection: Inspection,
    pairs: Sequence[tuple[int, int]],
    head: HeadId,
    origins: Origins,
    by: By = "term",
) -> tuple[Why, ...]:
    """The score of each pair of pieces, split; `origins`: those of their pieces, `pieces_for`.

    AttnvizError if the parts are not known, or do not sum to the score.
    """
    number = range(inspection.model.num_heads)[head.place]
    head = HeadId(head.layer, number)
    split = _Split(inspection, head, origins)
    return tuple(split.of(*pair, by) for pair in pairs)


class _Split:
    """The parts of q and k of some pieces in one head, (part, piece, d_k)."""

    def __init__(self, inspection: Inspection, head: HeadId, origins: Origins) -> None:
        self._inspection, self._head = inspection, head
        self._record = inspection.layer(head.layer)
        self._inputs = self._record.inputs()
        self._context = inspection.view("piece").context
        self._places = {piece: place for place, piece in enumerate(origins.pieces)}
        made = made_of(inspection, origins, head.layer)
        self._q, self.query_parts, *of_queries = self._through(made, origins, "q")
        self._k, self.key_parts, *of_keys = self._through(made, origins, "k")
        between = origins.projections.between
        if between.q or between.k:
            self._turn(between.q or between.k or "", (of_queries, of_keys))

    def _through(
        self, made: Made, origins: Origins, letter: str
    ) -> tuple[np.ndarray, tuple[PartName, ...], np.ndarray, np.ndarray]:
        """The parts times the head's W_Q or W_K, the bias as a part of its own, through a norm if
        there is one; and what that makes of all heads of x, beside what was recorded, both (piece,
        head, d_k).
        """
        projections, inputs, is_q = origins.projections, self._inputs, letter == "q"
        own = projections.head(self._head.place, self._record.num_heads)
        matrix, bias = (own.W_Q, own.b_Q) if is_q else (own.W_K, own.b_K)
        vectors, names = made.vectors @ matrix.astype(np.float64), made.names
        if bias is not None and bias.any():
            added = np.broadcast_to(bias.astype(np.float64), vectors.shape[1:])
            vectors = np.concatenate([vectors, added[None]])
            names = (*names, PartName(f"b_{letter.upper()}"))
        recorded = (inputs.q if is_q else inputs.k)[:, list(origins.pieces)].swapaxes(0, 1)
        whole = (projections.W_Q, projections.b_Q) if is_q else (projections.W_K, projections.b_K)
        every = times(inputs.x[list(origins.pieces)], *whole).reshape(recorded.shape)
        norm = getattr(projections, f"{letter}_norm", None)
        if norm is not None:
            place = self._head.place * recorded.shape[1] // self._record.num_heads
            vectors, every = norm.linear(vectors, every, place), norm(every)
        return vectors, names, every, recorded.astype(np.float64)

    def _turn(self, step: str, sides: Sequence[Sequence[np.ndarray]]) -> None:
        """Scale and turn the parts as the model does what W_Q and W_K make; AttnvizError if it does
        anything else.
        """
        # a rotation leaves lengths alone, so that they tell the factor
        of_q, of_k = (
            float(np.linalg.norm(after) / (np.linalg.norm(before) or 1.0))
            for before, after in sides
        )
        (q, own_q), (k, own_k) = sides
        before, after = (
            np.concatenate(both, axis=1) for both in ((of_q * q, of_k * k), (own_q, own_k))
        )
        turn = find_turn(before, after, Z_TOLERANCES[self._inspection.model.dtype])
        if turn is None:
            raise AttnvizError(
                f"the queries and keys of {self._inspection.model.title} are x W, then {step}, and "
                "that is not split",
                "attnviz explain shows how the weight comes about",
            )
        self._q, self._k = (
            turn(factor * parts.swapaxes(0, 1)).swapaxes(0, 1)
            for factor, parts in ((of_q, self._q), (of_k, self._k))
        )

    def of(self, query: int, key: int, by: By) -> Why:
        """The score of a pair."""
        record, head, number = self._record, self._head, self._head.place
        others, scores, bias = _others(record, query, key), *_scores(record, number, query)
        q = record.scale * self._q[:, self._places[query]]
        terms = q @ self._k[:, self._places[key]].T
        mean = self._k[:, [self._places[other] for other in others]].sum(axis=1)
        mean /= len(others) or 1
        row = slice(query, query + 1)
        weights = record.weights(head.layer, [number], row)[0, 0]
        added = float(bias[key]), float(bias[others].mean()) if others else None
        score = float(scores[key] + bias[key])
        return Why(
            context=self._context,
            head=head,
            query=self._context.tokens[query],
            key=self._context.keys[key],
            scale=record.scale,
            score=score,
            capped=_capped(record, float(scores[key]), float(bias[key])),
            weight=float(weights[key]),
            rank=1 + int((weights > weights[key]).sum()),
            position_bias=added if any(added) else None,
            query_parts=self.query_parts,
            key_parts=self.key_parts,
            terms=short(terms),
            others=short(q @ mean.T) if others else None,
            other_keys=len(others),
            others_score=float((scores + bias)[others].mean()) if others else None,
            check=self._checked(terms, added[0], score),
            by=by,
        )

    def _checked(self, terms: np.ndarray, bias: float, score: float) -> SumCheck:
        """AttnvizError if the terms do not sum to the recorded score."""
        dtype = self._inspection.model.dtype
        loose = TOLERANCE if dtype in ("float32", "float64") else Z_TOLERANCES[dtype]
        total = float(terms.sum()) + bias
        difference = abs(total - score)
        if not difference <= loose * max(1.0, float(np.abs(terms).max())):  # true of NaN too
            raise AttnvizError(
                f"the terms sum to {total:.6g}, and the recorded score is {score:.6g}: this "
                "inspection is damaged, or the model does more than its parts show",
                "run the sentence again",
            )
        return SumCheck(total, difference)


def _scores(record: LayerRecord, head: int, query: int) -> tuple[np.ndarray, np.ndarray]:
    """A query's scaled products with all keys, and what is added to them: minus infinity behind
    the mask.
    """
    inputs, row = record.inputs(), slice(query, query + 1)
    k = record.of_head(inputs.k, head).astype(np.float64)
    dots = record.scale * inputs.q[head, query].astype(np.float64) @ k.T
    nothing = np.zeros((1, len(k)))
    return dots, replace(record, softcap=None).scores(head, row, nothing)[0]


def _capped(record: LayerRecord, scaled: float, bias: float) -> float | None:
    """What a soft cap makes of a score; None where there is no cap."""
    if record.softcap is None:
        return None
    return float(record.softcap * np.tanh(scaled / record.softcap)) + bias


def _sees(record: LayerRecord, query: int, key: int) -> bool:
    mask = record.attention_mask(slice(query, query + 1))
    return mask is None or bool(mask[0, key])


def _others(record: LayerRecord, query: int, key: int) -> list[int]:
    """The other keys that a query may look at; of many, some that are spread over all."""
    mask = record.attention_mask(slice(query, query + 1))
    keys = np.arange(record.lengths[1]) if mask is None else np.flatnonzero(mask[0])
    keys = keys[keys != key]
    spread = np.linspace(0, len(keys) - 1, OTHERS).round().astype(int)
    return [int(one) for one in (keys if len(keys) <= OTHERS else keys[np.unique(spread)])]
