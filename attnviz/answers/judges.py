"""What must hold of a model's numbers, and how each thing is judged: `CHECKS`, the last lines.

A judge looks at all differences of its kind, and says in words what it compared, or raises
NothingToCompare with the reason, or AttnvizError for what cannot be right.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from attnviz.attention.layer import LayerRecord
from attnviz.attention.shapes import Float
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection
from attnviz.inspection.evidence import Evidence

WEIGHTS_ALONE = "the model gives its weights alone, without queries, keys and values"


class NothingToCompare(Exception):
    """The check does not apply to this model, and why."""


@dataclass
class Seen:
    """The largest difference so far, where it was, and what is allowed."""

    limit: float
    exact: float  # the limit of what is computed from recorded numbers, whatever their dtype
    largest: float | None = None
    where: str = ""

    def add(self, differences: Any, *axes: str, of: str = "") -> None:
        """Look at differences, as absolute numbers; `axes`: what counts along each of theirs."""
        numbers = np.nan_to_num(np.abs(np.asarray(differences, np.float64)), nan=np.inf)
        if not numbers.size:
            return
        place = np.unravel_index(numbers.argmax(), numbers.shape)
        if self.largest is None or numbers[place] > self.largest:
            self.largest = float(numbers[place])
            parts = [f"{axis} {i}" for axis, i in zip(axes, place, strict=False) if axis]
            self.where = ", ".join(filter(None, [of, *parts])) if self.largest else ""


Judge = Callable[[Evidence, Seen], str]
Found = TypeVar("Found")


def _tokens(evidence: Evidence, seen: Seen) -> str:
    seen.limit = 0
    texts = _given(evidence, evidence.texts)
    compared, refused, failing = [0, 0], 0, 0
    for text in texts:
        refused += text.ours is None
        failing += text.theirs is None
        if text.ours is None:
            continue
        said = f'"{text.text}"' + (f' with "{text.pair}"' if text.pair else "")
        if text.theirs is None:
            raise AttnvizError(f"AutoTokenizer fails on {said}, and attnviz does not")
        compared[text.pair is not None] += 1
        for name, ours, theirs in zip(("ids", "types"), text.ours, text.theirs, strict=True):
            length = max(len(ours), len(theirs), 1)
            both = [[*row, *[-1] * (length - len(row))] for row in (ours, theirs)]
            unlike = np.array(both[0]) != np.array(both[1])
            seen.add(unlike.sum(), of=f"{name} of {said}, from token {unlike.argmax()}")
    if not any(compared):
        raise AttnvizError("no text could be compared")
    told = [f"{compared[0]} texts, {compared[1]} pairs"]
    told += [f"{refused} that attnviz refuses"] if refused else []
    told += [f"{failing} on which AutoTokenizer fails"] if failing else []
    return ", ".join(told)


def _rows(evidence: Evidence, seen: Seen) -> str:
    for number, one in enumerate(evidence.alone):
        for layer, weights in _weights(one):
            of, sums = f"sentence {number}, layer {layer}", weights.sum(axis=-1)
            seen.add(np.minimum(weights, 0), "head", "query", "key", of=of)
            own = _own_weights(evidence, number, layer)
            if own is not None:  # whose rows lack what goes to a sink
                seen.add(sums - own.sum(axis=-1), "head", "query", of=of)
            if one.layer(layer).sinks is not None:
                seen.add(np.maximum(sums - 1, 0), "head", "query", of=of)
                continue
            seen.add(sums - 1, "head", "query", of=of)
            words = one.view("word").weights(layer)
            seen.add(words.sum(axis=-1) - 1, "head", "word", of=of)
    sinks = any(one.sinks for one in evidence.alone)
    return "with the sink's share" if sinks else "pieces and words"


def _weights(one: Inspection) -> Iterator[tuple[int, Float[np.ndarray, "head query key"]]]:
    return ((layer, one.layer(layer).weights(layer)) for layer in one.recorded)


def _given(evidence: Evidence, found: Sequence[Found] | str) -> Sequence[Found]:
    """What transformers alone gives; of a trained model, to have nothing is a failure."""
    if isinstance(found, str):
        raise AttnvizError(found) if evidence.model.trained else NothingToCompare(found)
    return found


def _own_weights(evidence: Evidence, number: int, layer: int) -> np.ndarray | None:
    """The model's own weights of a sentence; None if it gives none of that shape."""
    if isinstance(evidence.own, str) or layer >= len(evidence.own[number].weights):
        return None
    own = evidence.own[number].weights[layer]
    lengths = evidence.alone[number].layer(layer).lengths
    return own if own is not None and own.shape[-2:] == lengths else None


def _mask(evidence: Evidence, seen: Seen) -> str:
    said = evidence.sees if isinstance(evidence.sees, tuple) else ()
    causal = evidence.attention == "decoder" or any(sees.startswith("causal") for sees in said)
    for number, one in enumerate(evidence.alone):
        for layer, weights in _weights(one):
            of, masked = f"sentence {number}, layer {layer}", one.layer(layer).attention_mask()
            forbidden = np.zeros(weights.shape[-2:], bool) if masked is None else ~masked
            if causal:
                forbidden |= np.triu(np.ones_like(forbidden), 1)
            if forbidden.any():
                seen.add(weights * forbidden, "head", "query", "key", of=of)
            own = _own_weights(evidence, number, layer)
            if own is None:
                continue
            # a mask that attnviz does not know; a 0 may also be a very small number
            strays = weights * ((own == 0).all(axis=0) & ~forbidden)
            if strays.max() > seen.limit:
                seen.add(strays, "head", "query", "key", of=of)
    if seen.largest is None:
        if any("window" in sees for sees in said):
            return "only the sliding window forbids any"
        return "every token may attend to every other"
    return "causal" if causal else "as in eager attention"


def _window(evidence: Evidence, seen: Seen) -> str:
    if isinstance(evidence.sees, str):
        raise NothingToCompare(evidence.sees)
    windows = {n: sees for n, sees in enumerate(evidence.sees) if "window" in sees}
    if not windows:
        raise NothingToCompare("config.json names no sliding window")
    runs = [(layer, one, f"sentence {n}") for n, one in enumerate(evidence.alone)
            for layer in windows]  # fmt: skip
    if evidence.long is not None:
        layer, one = evidence.long
        runs.append((layer, one, f"a text of {len(one.tokens)} tokens"))
    tried: set[str] = set()
    ignored = False
    for layer, one, of in runs:
        rows = range(max(0, len(one.tokens) - 64), len(one.tokens))  # most keys come before these
        forbidden = _beyond(windows[layer], rows, len(one.key_tokens))
        if forbidden.any():
            tried.add(windows[layer])
            weights = one.layer(layer).weights(layer, None, slice(rows.start, rows.stop))
            seen.add(weights * forbidden, "head", "", "key", of=f"{of}, layer {layer}")
    for number in range(len(evidence.alone)):
        for layer in windows:
            own = _own_weights(evidence, number, layer)
            if own is not None:
                forbidden = _beyond(windows[layer], range(own.shape[-2]), own.shape[-1])
                ignored |= bool((own * forbidden).max() > seen.limit)
    missed = sorted(set(windows.values()) - tried)
    told = sorted(tried)
    told += [f"no text that was run is longer than a {' or a '.join(missed)}"] if missed else []
    told += ["eager attention goes beyond what config.json names, too"] if ignored else []
    return "; ".join(told)


def _beyond(sees: str, rows: range, keys: int) -> np.ndarray:
    """True where a key lies outside a window such as "causal sliding window 4096"."""
    size = int(re.findall(r"\d+", sees)[-1])
    before = np.arange(rows.start, rows.stop)[:, None] - np.arange(keys)
    if "causal" in sees:
        return (before >= size) | (before < 0)
    beyond: np.ndarray = np.abs(before) > size // 2  # half of its size on each side
    return beyond


def _batch(evidence: Evidence, seen: Seen) -> str:
    if len(set(map(len, evidence.sources))) < 2:
        raise NothingToCompare("all sentences are equally long, so none is padded")
    for batch in evidence.batches:
        of = "batch of sentences " + ", ".join(map(str, batch.sentences))
        if isinstance(batch.result, str):
            raise AttnvizError(f"{of}: {batch.result}")
        for number, together in zip(batch.sentences, batch.result, strict=True):
            of_one = f"sentence {number} in a {of}"
            alone = evidence.alone[number]
            if alone.tokens.ids != together.tokens.ids:
                raise AttnvizError(f"{of_one} has other tokens than alone")
            for layer in alone.recorded:
                a, b = alone.layer(layer), together.layer(layer)
                place = f"{of_one}, layer {layer}"
                difference = a.weights(layer) - b.weights(layer)
                seen.add(difference, "head", "query", "key", of=place)
                for name in ("x", "z"):
                    vectors = getattr(a, name), getattr(b, name)
                    seen.add(_relative(*vectors), of=f"{place}, {name}")
    return f"{len(evidence.batches)} batches of unlike lengths, in two orders"


def _relative(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray:
    """How far numbers are apart, beside the largest of b; nothing if either is missing."""
    if a is None or b is None:
        return np.empty(0)
    if a.shape != b.shape:
        return np.array(np.inf)
    apart: np.ndarray = np.abs(a - b) / max(1.0, float(np.abs(b).max()))
    return apart


def _with_vectors(evidence: Evidence) -> Iterator[tuple[int, int, LayerRecord]]:
    """Number, layer and record of all that has q, k and v."""
    for number, one in enumerate(evidence.alone):
        for layer in one.recorded:
            record = one.layer(layer)
            if record.recorded_weights is None:
                yield number, layer, record


def _scores(evidence: Evidence, seen: Seen) -> str:
    seen.limit = seen.exact
    for number, layer, record in _with_vectors(evidence):
        difference = record.weights(layer) - _recomputed(record)
        seen.add(difference, "head", "query", "key", of=f"sentence {number}, layer {layer}")
    return WEIGHTS_ALONE if seen.largest is None else "computed again in float64"


def _recomputed(record: LayerRecord) -> np.ndarray:
    """A layer's weights from its q and k in float64, (head, query, key)."""
    q, k = (np.asarray(part, np.float64) for part in (record.q, record.k))
    n, m = record.lengths
    scores = q @ np.repeat(k, len(q) // len(k), axis=0).swapaxes(-1, -2) * record.scale
    if record.softcap is not None:
        scores = record.softcap * np.tanh(scores / record.softcap)
    if record.bias is not None:
        scores = scores + record.bias
    distances = np.arange(m) - np.arange(n)[:, None]
    if record.distance_bias is not None:
        scores = scores + record.distance_bias[:, distances + n - 1]
    if record.key_ranges is not None:
        first, end = record.key_ranges.T[..., None]
        keys = np.arange(m)
        scores = np.where((first <= keys) & (keys < end), scores, -np.inf)
    return _shares(scores, record.sinks)


def _shares(scores: np.ndarray, sinks: np.ndarray | None) -> np.ndarray:
    """The softmax of each row of keys, with a sink beside them."""
    if sinks is not None:
        beside = np.broadcast_to(sinks[:, None, None], (*scores.shape[:-1], 1))
        scores = np.concatenate([scores, beside], axis=-1)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares if sinks is None else shares[..., :-1]


def _z(evidence: Evidence, seen: Seen) -> str:
    for number, layer, record in _with_vectors(evidence):
        if record.v is None or record.z is None:
            continue
        values = np.repeat(record.v, record.num_heads // len(record.v), axis=0)
        difference = _relative(record.weights(layer) @ values, record.z)
        of = f"sentence {number}, layer {layer}"
        seen.add(difference, "head", "query", of=of)
    return WEIGHTS_ALONE if seen.largest is None else "the weights shown"


def _output(evidence: Evidence, seen: Seen) -> str:
    told = set(filter(None, evidence.projected))
    if evidence.native and told:
        raise AttnvizError(min(told))
    every = list(_with_vectors(evidence))
    if not every:
        raise NothingToCompare(WEIGHTS_ALONE)
    own, entered, followed = _given(evidence, evidence.own), set(), set()
    for number, layer, record in every:
        of = f"sentence {number}, layer {layer}"
        x, mixing = own[number].x[layer], own[number].mixing[layer]
        if record.x is not None and x is not None:
            entered.add(layer)
            seen.add(_relative(record.x, x), "query", of=f"{of}, x")
        # more than W_O may stand between z and a layer's output
        if mixing is None or record.z is None or record.value_norms is None:
            continue
        followed.add(layer)
        joined = np.concatenate(list(record.z), axis=-1)
        seen.add(_relative(joined, mixing.z), "query", of=f"{of}, z")
        seen.add(_relative(mixing.mixed, mixing.output), "query", of=f"{of}, z W_O")
    layers = evidence.model.num_layers
    projected = layers - len([reason for reason in evidence.projected if reason])
    return (
        f"x in {len(entered)} of {layers} layers, x W_Q, x W_K, x W_V in {projected}, "
        f"z W_O in {len(followed)}"
    )


def _eager(evidence: Evidence, seen: Seen) -> str:
    layers = set()
    for number, own in enumerate(_given(evidence, evidence.own)):
        for layer, weights in _weights(evidence.alone[number]):
            theirs = own.weights[layer] if layer < len(own.weights) else None
            if theirs is not None:
                layers.add(layer)
                of = f"sentence {number}, layer {layer}"
                seen.add(_relative(weights, theirs), "head", "query", "key", of=of)
    if not layers:
        return "transformers gives no weights of this model"
    some = f", {len(layers)} of {evidence.model.num_layers} layers"
    return f"run by transformers alone{some * (len(layers) < evidence.model.num_layers)}"


def _ablation(evidence: Evidence, seen: Seen) -> str:
    if not any(_with_vectors(evidence)):
        raise NothingToCompare(WEIGHTS_ALONE)
    runs = _given(evidence, evidence.without)
    if not runs:
        raise NothingToCompare("no module of the model takes z as it is")
    for run in runs:
        if np.abs(run.theirs[0] - run.theirs[1]).max() <= seen.limit:
            continue  # a head that does nothing tells nothing
        of = "without " + " and ".join(map(str, run.heads))
        seen.add(_relative(run.ours[0], run.theirs[0]), "piece", of="final states")
        seen.add(_relative(run.ours[1], run.theirs[1]), "piece", of=of)
    if seen.largest is None:
        return "no head that was ablated changes anything"
    heads = ", ".join(map(str, dict.fromkeys(head for run in runs for head in run.heads)))
    return f"{heads}, and all of them" if len(runs[-1].heads) > 1 else heads


def _measures(evidence: Evidence, seen: Seen) -> str:
    told, rolled = [], Seen(seen.exact, seen.exact)
    for number, one in enumerate(evidence.alone):
        if one.keys is None:
            told.append("rollout")
            _roll(one, number, rolled)
        if isinstance(evidence.own, str):
            continue
        for layer, mixing in enumerate(evidence.own[number].mixing):
            norms = one.layer(layer).value_norms
            if mixing is not None and norms is not None:
                told.append("norm")
                of = f"sentence {number}, layer {layer}, norm"
                seen.add(_relative(norms, mixing.norms), "head", "key", of=of)
    if rolled.largest is not None:
        if rolled.largest > rolled.limit or "norm" not in told:
            seen.limit, seen.largest = rolled.limit, None
        seen.add(rolled.largest, of=rolled.where)
    return ", ".join(dict.fromkeys(told)) or "neither rollout nor norm exists here"


def _roll(one: Inspection, number: int, seen: Seen) -> None:
    view, product = one.view("piece", measure="rollout"), np.eye(len(one.tokens))
    for layer, weights in _weights(one):
        shown = view.weights(layer)
        product = (weights.mean(axis=0) / 2 + np.eye(len(product)) / 2) @ product
        of = f"sentence {number}, rollout of layer {layer}"
        if not one.sinks:
            seen.add(shown.sum(axis=-1) - 1, "query", of=of)
        seen.add(shown - product, "query", "key", of=of)


CHECKS: dict[str, tuple[str, Judge]] = {
    "tokens": ("as AutoTokenizer feeds them", _tokens),
    "rows": ("finite, not below 0, sum to 1", _rows),
    "mask": ("no weight where the attention mask forbids it", _mask),
    "window": ("no weight beyond a sliding window", _window),
    "batch": ("a sentence alone is as in a batch", _batch),
    "scores": ("q · k gives the weights", _scores),
    "z": ("weights times v give z", _z),
    "output": ("z W_O leads to the next layer's x", _output),
    "eager": ("equal to the model's own eager attention", _eager),
    "ablation": ("takes away a head's z and nothing else", _ablation),
    "measures": ("as their formulas say", _measures),
}
"""What each check says, and who judges it."""
